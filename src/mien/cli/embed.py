"""``mien embed``: templates of a folder as Parquet."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from mien.cli._console import progress, remark, write_line
from mien.cli._options import (
    EmbedderName,
    Json,
    Licence,
    MinFace,
    Provider,
    Workers,
    open_pipeline,
)

_PIECE = 256


def embed(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write, a row a face.")],
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Write the templates of all faces on pictures to a Parquet file.

    An interrupted run goes on where it stopped when the same command is given again. Pictures that
    cannot be read are listed, and do not stop the others.
    """
    from mien.cli._pictures import expand
    from mien.faces.export import EmbeddingExport

    paths = expand(pictures)
    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    export = EmbeddingExport(out, pipeline.contract.id)
    todo = [path for path in paths if str(path) not in export.done]
    if len(todo) < len(paths):
        remark(f"going on: {len(paths) - len(todo)} of {len(paths)} pictures are done already")
    outcomes = pipeline.analyse_many(todo, workers=workers)
    done = 0
    with progress("embedding", quiet=json) as advance:
        while piece := list(islice(outcomes, _PIECE)):
            export.add(piece)
            done += len(piece)
            advance(done, len(todo))
    summary = export.finish()
    for failure in summary.failed:
        remark(f"failed: {failure['error']['what']}")
    record = {
        "out": str(out),
        "contract": pipeline.contract.id,
        "pictures": summary.pictures,
        "faces": summary.faces,
        "without_face": summary.without_face,
        "failed": list(summary.failed),
    }
    if json:
        write_line(record)
    else:
        remark(
            f"{summary.faces} faces of {summary.pictures} pictures written to {out}; "
            f"{summary.without_face} without a face, {len(summary.failed)} failed"
        )
