"""``mien cluster``: people on pictures, without names."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import progress, remark, write_line, write_table
from mien.cli._options import (
    EmbedderName,
    Json,
    Licence,
    MinFace,
    Provider,
    Workers,
    open_pipeline,
)

if TYPE_CHECKING:
    from mien.core.types import UInt8
    from mien.gallery.cluster.folder import ClusteredFolder


def cluster(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    links: Annotated[
        Path | None,
        typer.Option(help="CSV file of corrections: link (must or cannot), left, right."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep the clusters in this file, and go on from it. Holds templates."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="HTML page of the people to write.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Smallest mean cosine of two clusters that are one person. Default: 0.45."
        ),
    ] = None,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Find who is the same person on pictures of people without names.

    With --state only new pictures are read, and people keep their numbers. Corrections hold for
    ever. With --json one object a person: person, size, cohesion, representative, faces.
    """
    from mien.cli._pictures import expand
    from mien.core.files import write_atomically
    from mien.faces.pipeline import Failed
    from mien.gallery.cluster import ClusterConfig
    from mien.gallery.cluster.folder import ClusteredFolder, read_links
    from mien.reports.clusters import render_clusters

    must, cannot = read_links(links) if links else ([], [])
    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    if state and state.exists():
        _refuse_threshold(threshold, state)
        folder = ClusteredFolder.load(state, contract=pipeline.contract.id)
    else:
        config = ClusterConfig() if threshold is None else ClusterConfig(threshold=threshold)
        folder = ClusteredFolder(pipeline.contract.id, config)
    known = set(folder.pictures)
    todo = [path for path in expand(pictures) if str(path) not in known]
    outcomes = []
    with progress("embedding", quiet=json) as advance:
        for outcome in pipeline.analyse_many(todo, workers=workers):
            outcomes.append(outcome)
            advance(len(outcomes), len(todo))
    failed = [(o.source, o.error.what) for o in outcomes if isinstance(o, Failed)]
    folder.add(outcomes)
    if must or cannot:
        folder.link(must, cannot)
    if state:
        folder.save(state)
    if out:
        with write_atomically(out, private=True) as file:
            file.write(render_clusters(folder, _load, skipped=failed).encode())
    for path, why in failed:
        remark(f"failed: {why or path}")
    _report(folder, json=json)


def _refuse_threshold(threshold: float | None, state: Path) -> None:
    from mien.core.errors import ConfigError

    if threshold is not None:
        raise ConfigError(
            what=f"--threshold is given, and {state} holds clusters already",
            why="they were made with the threshold that the file keeps",
            mend="leave --threshold out, or begin anew with another file",
        )


def _load(path: str) -> "UInt8 | None":
    from mien.core.errors import MediaError
    from mien.media.image import load_image

    try:
        return load_image(path).pixels
    except MediaError:  # kept in the state, and gone since
        return None


def _report(folder: "ClusteredFolder", *, json: bool) -> None:
    clustering = folder.clusters.clustering()
    records: list[dict[str, Any]] = []
    for k, label in enumerate(clustering.clusters):
        faces = [folder.faces[int(row)] for row in clustering.members(int(label))]
        shown = folder.faces[int(clustering.representatives[k])]
        records.append(
            {
                "person": int(label),
                "size": len(faces),
                "cohesion": float(clustering.cohesion[k]),
                "representative": shown.name,
                "faces": [{"path": f.path, "face": f.face, "box": list(f.box)} for f in faces],
            }
        )
    records.sort(key=lambda record: -record["size"])
    if json:
        for record in records:
            write_line(record)
        return
    several = [record for record in records if record["size"] > 1]
    rows = [(r["person"], r["size"], f"{r['cohesion']:.2f}", r["representative"]) for r in several]
    columns = (">person", ">faces", ">mean cosine", "representative")
    write_table("People met more than once", columns, rows)
    remark(
        f"{len(folder.faces)} faces on {len(folder.pictures)} pictures: {len(several)} people met "
        f"more than once, {len(records) - len(several)} met once"
    )
