"""``mien enrol``: add people to a gallery."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import error_record, progress, remark, write_line, write_table
from mien.cli._options import (
    ACTOR,
    EmbedderName,
    GalleryPath,
    Json,
    Licence,
    MinFace,
    Provider,
    default_gallery,
    open_pipeline,
)
from mien.core.errors import ConfigError, MienError

if TYPE_CHECKING:
    from mien.faces.pipeline import FacePipeline
    from mien.gallery.gallery import Gallery

_LAYOUTS = ("folders", "files", "compreface", "regions")


@dataclass(frozen=True, slots=True)
class _Job:
    """One picture to enrol; without a person, its regions name them."""

    path: Path
    person: str | None


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for every template of one call."""

    consent: str
    retain_until: str
    main: bool
    force: bool
    keep_crops: bool


def enrol(
    pictures: Annotated[
        list[Path], typer.Argument(help="A folder per person, or pictures with --name.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="Whom the pictures show.")] = None,
    gallery: GalleryPath = None,
    layout: Annotated[
        str,
        typer.Option(
            help="How people are named: 'folders' (one per person), 'files' (the file's name, as "
            "face_recognition has it), 'compreface' (its REST export), 'regions' (XMP)."
        ),
    ] = "folders",
    consent: Annotated[
        str, typer.Option(help="What the person agreed to; kept with every template.")
    ] = "",
    retain_until: Annotated[
        str, typer.Option(help="Day after which the templates are deleted, such as 2027-01-31.")
    ] = "",
    face: Annotated[
        str, typer.Option(help="'only': refuse pictures of several faces. 'main': the main face.")
    ] = "only",
    force: Annotated[
        bool, typer.Option("--force", help="Enrol faces that speak against their name.")
    ] = False,
    keep_crops: Annotated[
        bool, typer.Option("--keep-crops", help="Keep the piece of the picture, sealed.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="A new gallery demands consent and day of deletion."),
    ] = False,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    json: Json = False,
) -> None:
    """Add people to a gallery: DIR holds a folder per person, or one person's pictures with --name.

    Pictures that are refused are reported with the reason, and do not stop the others. The exit
    code is 0 if at least one face was enrolled.
    """
    _check_choice("--face", face, ("only", "main"))
    _check_choice("--layout", layout, _LAYOUTS)
    jobs = _list_jobs(pictures, name, layout)
    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    terms = _Terms(consent, retain_until, face == "main", force, keep_crops)
    rows: list[dict[str, Any]] = []
    errors: list[MienError] = []
    with _open_or_create(gallery or default_gallery(), pipeline, strict=strict) as people:
        with progress("enrolling", quiet=json) as advance:
            for done, job in enumerate(jobs, 1):
                for row in _enrol_one(people, pipeline, job, terms, errors):
                    rows.append(row)
                    if json:
                        write_line(row)
                advance(done, len(jobs))
        size = people.count()
    enrolled = sum("face_id" in row for row in rows)
    if not json:
        write_table("Enrolled", ("picture", "person", ">quality", "result"), _table(rows))
    remark(
        f"{enrolled} of {len(rows)} pictures enrolled; the gallery holds {size.people} people with "
        f"{size.faces} templates, sealed. Keep a copy of its key elsewhere."
    )
    if enrolled == 0 and errors:
        raise typer.Exit(errors[0].exit_code)


def _check_choice(option: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ConfigError(
            what=f"{option} is {given!r}",
            why=f"it is one of {', '.join(known)}",
            mend="choose one of them",
        )


def _list_jobs(pictures: list[Path], name: str | None, layout: str) -> list[_Job]:
    from mien.cli._pictures import expand
    from mien.gallery.foreign import read_compreface, read_known_people
    from mien.gallery.labelled import find_people

    if name is not None:
        return [_Job(path, name) for path in expand(pictures)]
    if layout == "regions":
        return [_Job(path, None) for path in expand(pictures)]
    if layout in {"compreface", "files"}:
        read = read_compreface if layout == "compreface" else read_known_people
        found = [read(path) for path in pictures]
        for problem in (problem for one in found for problem in one.problems):
            remark(problem)
        return [_Job(face.path, face.person) for one in found for face in one]
    files = [path for path in pictures if not path.is_dir()]
    if files:
        raise ConfigError(
            what=f"{files[0]} is not a folder, and --name is not given",
            why="mien cannot know whom a single picture shows",
            mend="add --name 'Ada Lovelace', or pass a folder that holds a folder per person",
        )
    return [_Job(path, person) for root in pictures for person, path in find_people(root)]


def _open_or_create(path: Path, pipeline: "FacePipeline", *, strict: bool) -> "Gallery":
    from mien.core.keys import default_key_file, find_key
    from mien.gallery.gallery import Gallery

    if path.exists():
        return Gallery.open(path, pipeline.contract)
    key = find_key(make=True)
    if key.origin == str(default_key_file()):
        remark(f"sealed with the key in {key.origin}: keep a copy of that file elsewhere")
    return Gallery.create(path, pipeline.contract, key=key, strict=strict)


def _enrol_one(
    people: "Gallery",
    pipeline: "FacePipeline",
    job: _Job,
    terms: _Terms,
    errors: list[MienError],
) -> list[dict[str, Any]]:
    """Rows of one picture; what failed is added to ``errors`` as well."""
    from mien.gallery.regions import match_regions
    from mien.media.image import load_image
    from mien.media.xmp import read_regions

    try:
        image = load_image(job.path)
        analysis = pipeline.analyse(image)
        if job.person is not None:
            named = [(job.person, analysis.main_face() if terms.main else None)]
        else:
            found = match_regions(analysis, read_regions(job.path).regions)
            named = [(one.name, one.row) for one in found if one.row is not None]
            _remark_lost(job.path, len(found) - len(named))
    except MienError as err:
        errors.append(err)
        return [error_record(str(job.path), err) | {"person": job.person}]
    rows = []
    for person, row in named:
        try:
            template = people.enrol(
                person,
                analysis,
                pixels=image.pixels,
                consent=terms.consent,
                retain_until=terms.retain_until,
                row=row,
                force=terms.force,
                keep_crop=terms.keep_crops,
                actor=ACTOR,
            )
        except MienError as err:
            errors.append(err)
            rows.append(error_record(str(job.path), err) | {"person": person})
            continue
        rows.append(
            {
                "path": str(job.path),
                "person": template.person,
                "face_id": template.face_id,
                "quality": round(template.quality, 1),
                "box": [round(v, 1) for v in template.box],
            }
        )
    return rows


def _remark_lost(path: Path, count: int) -> None:
    """Say that some regions of a picture show no face that can be used."""
    if count:
        remark(f"{path}: no usable face in {count} of its named regions")


def _table(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (row["path"], row["person"], row["quality"], "enrolled")
        if "face_id" in row
        else (row["path"], row["person"] or "", "", f"refused: {row['error']['what']}")
        for row in rows
    ]
