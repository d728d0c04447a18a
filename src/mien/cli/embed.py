"""``mien embed``: templates of a folder as Parquet."""

from enum import StrEnum
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

_PIECE = 64


class EngineChoice(StrEnum):
    """Who runs the processes."""

    LOCAL = "local"
    RAY = "ray"


def embed(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write, a row a face.")],
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    workers: Workers = None,
    engine: Annotated[
        EngineChoice,
        typer.Option(help="Who runs the workers: mien itself, or Ray Data (extra 'scale')."),
    ] = EngineChoice.LOCAL,
    json: Json = False,
) -> None:
    """Write the templates of all faces on pictures to a Parquet file.

    An interrupted run goes on where it stopped when the same command is given again. Pictures that
    cannot be read are listed, and do not stop the others.
    """
    from mien.cli._pictures import expand
    from mien.faces._rows import picture_starts, whole_pictures
    from mien.faces.batch_embed import embed_pictures
    from mien.faces.export import EmbeddingExport
    from mien.faces.parts import PipelineConfig

    paths = list(dict.fromkeys(str(path) for path in expand(pictures)))
    pipeline = open_pipeline(  # before any process starts: what is missing is said once
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    config = PipelineConfig(
        provider=provider,
        embedder=embedder,
        min_face_px=min_face,
        require="commercial" if require else None,
    )
    export = EmbeddingExport(out, pipeline.contract.id)
    todo = [path for path in paths if path not in export.done]
    if len(todo) < len(paths):
        remark(f"going on: {len(paths) - len(todo)} of {len(paths)} pictures are done already")
    batches = embed_pictures(todo, config, engine=engine.value, workers=workers)
    done = 0
    with progress("embedding", quiet=json) as advance:
        for rows in whole_pictures(batches, _PIECE):
            export.add_rows(rows)
            done += len(picture_starts(rows))
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
