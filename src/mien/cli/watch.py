"""``mien watch``: who is in this film, or before this camera?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import remark, write_line, write_table
from mien.cli._options import (
    EmbedderName,
    Fpir,
    GalleryPath,
    Int8,
    Json,
    Provider,
    open_gallery,
)

if TYPE_CHECKING:
    from mien.gallery.watch import Watcher


def watch(
    source: Annotated[
        str, typer.Argument(help="A film, the number of a camera, or an rtsp:// address.")
    ],
    gallery: GalleryPath = None,
    fpir: Fpir = 0.01,
    rows: Annotated[
        Path | None, typer.Option(help="Write a record a face and a track to this JSONL file.")
    ] = None,
    film: Annotated[
        Path | None, typer.Option(help="Write the annotated film here (mp4, files only).")
    ] = None,
    every: Annotated[int, typer.Option(help="Detect on each n-th frame.")] = 1,
    min_face: Annotated[
        float, typer.Option("--min-face", help="Smallest face side to look for, in pixels.")
    ] = 40.0,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after this time; default: at the end, or Ctrl-C.")
    ] = None,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    int8: Int8 = False,
    json: Json = False,
) -> None:
    """Follow faces through a film or before a camera: one decision a track, corrected if need be.

    A film is watched to its end; its output bears the final answers. A camera is answered as it
    runs, frames that come too fast are left out. With --json one object an event.
    """
    from mien.faces.parts import PipelineConfig
    from mien.faces.pipeline import FacePipeline
    from mien.gallery.watch import WatchConfig, Watcher

    pipeline = FacePipeline.open(
        PipelineConfig(embedder=embedder, provider=provider, min_face_px=min_face, threads=None)
    )
    with open_gallery(gallery, pipeline, int8=int8) as people:
        watcher = Watcher(pipeline, people, WatchConfig(fpir=fpir, detect_every=every))
        if watcher.point.warning:
            remark(f"warning: {watcher.point.warning}")
        if _is_live(source):
            _watch_live(source, watcher, rows, film, seconds, json=json)
        else:
            _watch_film(Path(source), watcher, rows, film, seconds, json=json)


def _is_live(source: str) -> bool:
    return source.isdigit() or "://" in source or source.startswith("/dev/")


def _watch_film(
    path: Path,
    watcher: "Watcher",
    rows: Path | None,
    film: Path | None,
    seconds: float | None,
    *,
    json: bool,
) -> None:
    from mien.gallery.watch import watch_file

    summary = watch_file(path, watcher, rows=rows, film=film, stop_s=seconds)
    records = [event.as_record() for event in summary.tracks]
    if json:
        for record in records:
            write_line(record)
        return
    table = [
        (
            r["track_id"],
            f"{r['opened_s']:.1f}-{r['seen_s']:.1f}",
            r["decision"].replace("_", " "),
            r["person"] or "",
            "" if r["score"] is None else f"{r['score']:.3f}",
            "; ".join(r["reasons"]),
        )
        for r in records
    ]
    columns = (">track", "seconds", "decision", "person", ">score", "reasons")
    write_table(f"{path}: {summary.frames} frames", columns, table)


def _watch_live(
    source: str,
    watcher: "Watcher",
    rows: Path | None,
    film: Path | None,
    seconds: float | None,
    *,
    json: bool,
) -> None:
    from contextlib import ExitStack

    from mien.core.errors import ConfigError
    from mien.gallery.watch import RecordLog, watch_live
    from mien.media.camera import LatestFrame

    if film:
        raise ConfigError(
            what="--film is given with a camera",
            why="answers given live are corrected later, and a film could not be",
            mend="record the camera, and watch the recording",
        )
    with ExitStack() as stack:
        log = stack.enter_context(RecordLog(rows)) if rows else None

        def tell(event: Any) -> None:
            record = event.as_record()
            if log:
                log.write(record)
            if json:
                write_line(record)
            elif event.kind != "closed":
                who = record["person"] or record["decision"]
                remark(f"{record['time_s']:8.1f} s  track {event.track_id} {event.kind}: {who}")

        camera = stack.enter_context(LatestFrame(int(source) if source.isdigit() else source))
        start_s: float | None = None
        frames = watch_live(camera, watcher, on_event=tell)
        for frame, result in frames:
            start_s = frame.time_s if start_s is None else start_s
            if log:
                for face in result.faces:
                    log.write(face.as_record(time_s=result.time_s, index=result.index))
            if seconds is not None and frame.time_s - start_s >= seconds:
                frames.close()  # type: ignore[attr-defined]
                break
        remark(f"{camera.seen} frames came, {camera.dropped} were too fast and left out")
