"""``mien calibrate``: thresholds from your own photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import progress, remark, write_line
from mien.cli._options import (
    EmbedderName,
    Json,
    MinFace,
    Provider,
    Workers,
    open_gallery,
    open_pipeline,
)
from mien.core.errors import RangeError

if TYPE_CHECKING:
    from mien.core.types import UInt8
    from mien.gallery.calibration import Provenance
    from mien.gallery.labelled import LabelledTemplates


def calibrate(
    folder: Annotated[Path, typer.Argument(help="A folder per person, two photos or more each.")],
    out: Annotated[Path, typer.Option(help="HTML report to write.")],
    table: Annotated[
        Path | None, typer.Option(help="Write the calibration table (JSON) to this file.")
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", "-g", help="Keep the table with this gallery as well."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the data, for the record.")] = "own photos",
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the pairs drawn.")] = 0,
    replicates: Annotated[int, typer.Option(help="Bootstrap samples.")] = 200,
    photos: Annotated[
        bool, typer.Option(help="Show the photos of the hardest pairs in the report.")
    ] = True,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Measure error rates on photos of your own and turn them into thresholds.

    Writes an HTML report; with --gallery the table is kept with that gallery and used from then on.
    A sample that is too small is refused, and the report says so.
    """
    from mien.core.files import write_atomically
    from mien.gallery.calibration import calibrate as measure
    from mien.gallery.labelled import embed_labelled
    from mien.reports.calibration import render_calibration, render_refusal

    pipeline = open_pipeline(provider=provider, embedder=embedder, min_face=min_face)
    with progress("embedding", quiet=json) as advance:
        data = embed_labelled(pipeline, folder, workers=workers, progress=advance)
    skipped = [(path, error.what) for path, error in data.skipped]
    try:
        result, pairs = measure(
            data.templates,
            data.people,
            contract=pipeline.contract.id,
            provenance=_provenance(name, seed, replicates),
        )
    except RangeError as err:
        with write_atomically(out) as file:
            file.write(render_refusal(err, skipped=skipped).encode())
        raise
    page = render_calibration(
        result,
        pairs=pairs,
        photos=data.paths,
        skipped=skipped,
        thumbnails=_thumbnails(folder) if photos else None,
    )
    with write_atomically(out, private=photos) as file:
        file.write(page.encode())
    if table:
        result.save(table)
    if gallery:
        with open_gallery(gallery, pipeline, int8=False) as people:
            people.keep_calibration(result)
    _report(result, data, out, json=json)


def _provenance(name: str, seed: int, replicates: int) -> "Provenance":
    from datetime import UTC, datetime
    from importlib.metadata import version

    from mien.gallery.calibration import Provenance

    return Provenance(
        data=name,
        date=datetime.now(UTC).date().isoformat(),
        version=version("mien"),
        selection="main face of every photo; all pairs, or a uniform draw of two million",
        seed=seed,
        replicates=replicates,
    )


def _thumbnails(folder: Path) -> Any:
    from mien.core.errors import MienError
    from mien.media.image import load_image

    def show(path: str) -> "UInt8 | None":
        try:
            return load_image(folder / path).pixels
        except MienError:  # it was read a moment ago; if it is gone the report says nothing of it
            return None

    return show


def _report(result: Any, data: "LabelledTemplates", out: Path, *, json: bool) -> None:
    thresholds = {
        f"{fmr:g}": {
            "threshold": found.threshold,
            "fmr": found.fmr,
            "supported": found.supported,
        }
        for fmr in (1e-2, 1e-3, 1e-4, 1e-5)
        for found in (result.threshold_for(fmr),)
    }
    if json:
        write_line(
            {
                "out": str(out),
                "contract": result.contract,
                "people": result.n_people,
                "photos": result.n_photos,
                "genuine_pairs": result.n_genuine,
                "impostor_pairs": result.n_impostor,
                "skipped": len(data.skipped),
                "smallest_fmr": result.smallest_fmr,
                "thresholds": thresholds,
            }
        )
        return
    remark(
        f"{result.n_people} people, {result.n_photos} photos, {result.n_genuine} same-person and "
        f"{result.n_impostor} different-person pairs; report in {out}"
    )
