"""``mien enrol``: add people to a gallery."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import error_record, progress, remark, write_line, write_table
from mien.cli._options import (
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


@dataclass(frozen=True, slots=True)
class _Job:
    """One picture to enrol."""

    path: Path
    person: str


def enrol(
    pictures: Annotated[
        list[Path], typer.Argument(help="A folder per person, or pictures with --name.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="Whom the pictures show.")] = None,
    gallery: GalleryPath = None,
    consent: Annotated[
        str, typer.Option(help="What the person agreed to; kept with every template.")
    ] = "",
    face: Annotated[
        str, typer.Option(help="'only': refuse pictures of several faces. 'main': the main face.")
    ] = "only",
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    json: Json = False,
) -> None:
    """Add people to a gallery: DIR holds a folder per person, or one person's pictures with --name.

    Pictures that are refused are reported with the reason, and do not stop the others. The exit
    code is 0 if at least one picture was enrolled.
    """
    if face not in {"only", "main"}:
        raise ConfigError(
            what=f"--face is {face!r}",
            why="it says which face of a picture is meant",
            mend="pass 'only' or 'main'",
        )
    jobs = _list_jobs(pictures, name)
    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    rows: list[dict[str, Any]] = []
    first_error: MienError | None = None
    with _open_or_create(gallery or default_gallery(), pipeline) as people:
        with progress("enrolling", quiet=json) as advance:
            for done, job in enumerate(jobs, 1):
                try:
                    row = _enrol_one(people, pipeline, job, consent, main=face == "main")
                except MienError as err:
                    first_error = first_error or err
                    row = error_record(str(job.path), err) | {"person": job.person}
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
        f"{size.faces} templates. Templates are not encrypted: guard the file like photographs."
    )
    if enrolled == 0 and first_error is not None:
        raise typer.Exit(first_error.exit_code)


def _list_jobs(pictures: list[Path], name: str | None) -> list[_Job]:
    from mien.cli._pictures import expand
    from mien.gallery.labelled import find_people

    if name is not None:
        return [_Job(path, name) for path in expand(pictures)]
    files = [path for path in pictures if not path.is_dir()]
    if files:
        raise ConfigError(
            what=f"{files[0]} is not a folder, and --name is not given",
            why="mien cannot know whom a single picture shows",
            mend="add --name 'Ada Lovelace', or pass a folder that holds a folder per person",
        )
    return [_Job(path, person) for root in pictures for person, path in find_people(root)]


def _open_or_create(path: Path, pipeline: "FacePipeline") -> "Gallery":
    from mien.gallery.gallery import Gallery

    if path.exists():
        return Gallery.open(path, pipeline.contract)
    return Gallery.create(path, pipeline.contract)


def _enrol_one(
    people: "Gallery", pipeline: "FacePipeline", job: _Job, consent: str, *, main: bool
) -> dict[str, Any]:
    from mien.media.image import load_image

    image = load_image(job.path)
    analysis = pipeline.analyse(image)
    row = analysis.main_face() if main else None
    template = people.enrol(job.person, analysis, pixels=image.pixels, consent=consent, row=row)
    return {
        "path": str(job.path),
        "person": template.person,
        "face_id": template.face_id,
        "quality": round(template.quality, 1),
        "box": [round(v, 1) for v in template.box],
    }


def _table(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (row["path"], row["person"], row["quality"], "enrolled")
        if "face_id" in row
        else (row["path"], row["person"], "", f"refused: {row['error']['what']}")
        for row in rows
    ]
