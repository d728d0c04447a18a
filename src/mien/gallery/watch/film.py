"""A film on disk watched to its end: every row and every picture bears its track's last answer."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from mien.core.errors import MediaError
from mien.core.files import storage_error
from mien.core.records import write_jsonl
from mien.gallery.decide import Verdict
from mien.gallery.watch.results import SCHEMA, FrameResult, TrackedFace, TrackEvent
from mien.gallery.watch.watcher import Watcher
from mien.media.video import VideoReader, VideoWriter, probe_video, read_video

_NOMINAL_RATE_HZ: Final = 30.0  # of films that do not tell theirs; frames keep their own times


@dataclass(frozen=True, slots=True)
class FilmSummary:
    """What a film showed.

    Attributes:
        frames: Frames watched.
        tracks: The closing event of every track, in order of their ends.
    """

    frames: int
    tracks: tuple[TrackEvent, ...]


def watch_file(
    path: Path,
    watcher: Watcher,
    *,
    rows: Path | None = None,
    film: Path | None = None,
    start_s: float = 0.0,
    stop_s: float | None = None,
    on_frame: Callable[[FrameResult], None] | None = None,
) -> FilmSummary:
    """Watch a film twice: once to decide, once to write what was decided.

    A track that was named late, or corrected, bears its last answer from its first frame on, in
    the rows as in the pictures. Between the passes boxes are kept in a temporary file, so that
    memory grows with the number of tracks only.

    Args:
        path: The film.
        watcher: A new one.
        rows: Where to write JSON lines: one ``face`` row for each face of each frame (time_s,
            frame, track_id, box, decision, person, score), then one ``track`` row for each track.
        film: Where to write the annotated film, an mp4 without sound that begins with the first
            frame watched.
        start_s: First moment wanted.
        stop_s: First moment no longer wanted.
        on_frame: Called with each frame's result while the film is watched.

    Returns:
        The tracks.

    Raises:
        MediaError: If the film cannot be read. If it is damaged on the way, rows and film are
            written with the good frames before this is raised.
        StorageError: If an output cannot be written.
        ExtraMissingError: If PyAV is not installed.
    """
    with _Spool() as spool:
        reader = read_video(path, start_s=start_s, stop_s=stop_s)
        closed, damage = _watch(reader, watcher, spool, on_frame)
        if damage is not None and spool.frames == 0:
            raise damage
        answers = {event.track_id: event.verdict for event in closed}
        if rows:
            write_jsonl(rows, _final_rows(spool, answers, closed), schema=SCHEMA)
        if film:
            reader = read_video(path, start_s=start_s, stop_s=stop_s)
            _draw(film, path, reader, spool.results(answers))
    if damage is not None:
        raise damage
    return FilmSummary(spool.frames, tuple(closed))


class _Spool:
    """Boxes of frames in a temporary file; answers are not kept in it, since they may change."""

    def __init__(self) -> None:
        self.frames = 0
        try:
            self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - __exit__
        except OSError as err:
            raise storage_error(err, Path(tempfile.gettempdir())) from err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, result: FrameResult) -> None:
        """Keep one frame."""
        faces = [(f.track_id, f.is_predicted, [round(v, 2) for v in f.box]) for f in result.faces]
        try:
            self._file.write(json.dumps([result.index, result.time_s, faces]) + "\n")
        except OSError as err:
            raise storage_error(err, Path(tempfile.gettempdir())) from err
        self.frames += 1

    def results(self, answers: dict[int, Verdict | None]) -> Iterator[FrameResult]:
        """The frames from the first on, each face with the answer given for its track."""
        self._file.seek(0)
        for line in self._file:
            index, time_s, packed = json.loads(line)
            faces = tuple(
                TrackedFace((x0, y0, x1, y1), track_id, answers.get(track_id), is_predicted)
                for track_id, is_predicted, (x0, y0, x1, y1) in packed
            )
            yield FrameResult(time_s, index, faces, ())


def _watch(
    reader: VideoReader,
    watcher: Watcher,
    spool: _Spool,
    on_frame: Callable[[FrameResult], None] | None,
) -> tuple[list[TrackEvent], MediaError | None]:
    """The first pass: the tracks' ends, and the damage that ended it, if any."""
    events: list[TrackEvent] = []
    damage = None
    try:
        with reader:
            for frame in reader:
                result = watcher.update(frame)
                spool.add(result)
                events += _ends(result.events)
                if on_frame:
                    on_frame(result)
    except MediaError as err:
        damage = err
    return events + _ends(watcher.close()), damage


def _ends(events: Iterable[TrackEvent]) -> list[TrackEvent]:
    return [event for event in events if event.kind == "closed"]


def _final_rows(
    spool: _Spool, answers: dict[int, Verdict | None], closed: list[TrackEvent]
) -> Iterator[dict[str, Any]]:
    for result in spool.results(answers):
        for face in result.faces:
            yield face.as_record(time_s=result.time_s, index=result.index)
    for event in closed:
        yield event.as_record() | {"row": "track"}


def _draw(film: Path, source: Path, reader: VideoReader, results: Iterator[FrameResult]) -> None:
    info = probe_video(source)
    rate_hz = info.rate_hz or _NOMINAL_RATE_HZ
    begin_s: float | None = None
    writer = VideoWriter(film, rate_hz=rate_hz, width=info.width, height=info.height)
    with reader, writer:
        # Results come first, so that the reader is not asked beyond the last good frame.
        for result, frame in zip(results, reader, strict=False):
            begin_s = frame.time_s if begin_s is None else begin_s
            writer.write(result.draw(frame.pixels), frame.time_s - begin_s)
