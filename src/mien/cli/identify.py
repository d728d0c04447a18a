"""``mien identify``: who is on these pictures?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import error_record, progress, remark, write_line, write_table
from mien.cli._options import (
    EmbedderName,
    Fpir,
    GalleryPath,
    Int8,
    Json,
    Licence,
    MinFace,
    Provider,
    Workers,
    open_gallery,
    open_pipeline,
)
from mien.core.errors import ConfigError, MienError

if TYPE_CHECKING:
    from mien.gallery.gallery import Identification


def identify(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    gallery: GalleryPath = None,
    fpir: Fpir = 0.01,
    annotate: Annotated[
        Path | None, typer.Option(help="Write the pictures with boxes and names to this folder.")
    ] = None,
    xmp: Annotated[
        str | None,
        typer.Option(
            help="Write matched names as face regions (MWG): 'sidecar' files, or 'embed' into JPEG."
        ),
    ] = None,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    workers: Workers = None,
    int8: Int8 = False,
    json: Json = False,
) -> None:
    """Name the people on pictures: match, unknown, ambiguous or not comparable, with reasons.

    With --json one object a picture: path, faces[{box, decision, person, score, threshold, fmr,
    reasons}].
    """
    from mien.cli._pictures import expand
    from mien.faces.pipeline import Failed
    from mien.faces.quality import QualityGate

    if xmp not in {None, "sidecar", "embed"}:
        raise ConfigError(
            what=f"--xmp is {xmp!r}",
            why="regions are written beside a photograph, or into it",
            mend="pass 'sidecar' or 'embed'",
        )
    paths = expand(pictures)
    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    table: list[tuple[object, ...]] = []
    errors = []
    with open_gallery(gallery, pipeline, int8=int8) as people:
        point = people.operating_point(fpir)
        if point.warning:
            remark(f"warning: {point.warning}")
        outcomes = pipeline.analyse_many(paths, workers=workers, gate=QualityGate.probe())
        with progress("identifying", quiet=json) as advance:
            for done, (path, outcome) in enumerate(zip(paths, outcomes, strict=True), 1):
                if isinstance(outcome, Failed):
                    errors.append(outcome.error)
                    row = error_record(str(path), outcome.error)
                    table.append((path, "", "", "", "", outcome.error.what))
                else:
                    answers = people.identify(outcome.analysis, fpir=fpir)
                    row = {"path": str(path), "faces": [face_record(a) for a in answers]}
                    table.extend(_rows(path, answers))
                    if annotate:
                        _write_annotated(path, answers, annotate)
                    if xmp:
                        _write_regions(path, answers, embed=xmp == "embed")
                if json:
                    write_line(row)
                advance(done, len(paths))
    if not json:
        columns = ("picture", "decision", "person", ">score", ">threshold", "reasons")
        write_table(f"At FPIR {fpir:g}", columns, table)
    if errors and len(errors) == len(paths):
        raise typer.Exit(errors[0].exit_code)


def _write_regions(path: Path, answers: "list[Identification]", *, embed: bool) -> None:
    from mien.gallery.regions import write_matches

    try:
        written = write_matches(path, answers, embed=embed)
    except MienError as err:
        remark(f"{path}: no regions written: {err.what}; {err.mend}")
        return
    if written:
        remark(f"regions written to {written}")


def face_record(answer: "Identification") -> dict[str, Any]:
    """One face of the JSON output."""
    verdict = answer.verdict
    return {
        "box": [round(v, 1) for v in answer.box],
        "decision": str(verdict.decision),
        "person": verdict.person,
        "score": verdict.score,
        "threshold": verdict.point.threshold if verdict.point else None,
        "fmr": verdict.point.fmr if verdict.point else None,
        "reasons": list(verdict.reasons),
    }


def _rows(path: Path, answers: "list[Identification]") -> list[tuple[object, ...]]:
    if not answers:
        return [(path, "no face", "", "", "", "")]
    rows: list[tuple[object, ...]] = []
    for answer in answers:
        verdict = answer.verdict
        score = "" if verdict.score is None else f"{verdict.score:.3f}"
        threshold = f"{verdict.point.threshold:.3f}" if verdict.point else ""
        words = verdict.decision.replace("_", " ")
        person = verdict.person or ""
        rows.append((path, words, person, score, threshold, "; ".join(verdict.reasons)))
    return rows


def _write_annotated(path: Path, answers: "list[Identification]", folder: Path) -> None:
    from mien.gallery.marks import marks_of, write_picture
    from mien.media.image import load_image

    target = folder / f"{path.stem}.identified.jpg"
    write_picture(target, load_image(path).pixels, marks_of(answers))
