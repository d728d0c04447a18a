"""A camera watched as it runs: answers at once, no frame waited for, nothing lost at the end."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from mien.core.errors import InternalError
from mien.core.files import storage_error
from mien.core.records import to_json_line
from mien.gallery.watch.results import SCHEMA, FrameResult, TrackEvent
from mien.gallery.watch.watcher import Watcher
from mien.media.camera import LatestFrame
from mien.media.video import Frame


def watch_live(
    camera: LatestFrame,
    watcher: Watcher,
    *,
    on_event: Callable[[TrackEvent], None],
    timeout_s: float = 5.0,
) -> Iterator[tuple[Frame, FrameResult]]:
    """Watch a camera until it ends or the caller stops.

    Each step takes the camera's newest frame; those that came while the last one was worked on are
    left out, and counted in ``camera.dropped``.

    Args:
        camera: Opened by the caller, who also closes it.
        watcher: A new one.
        on_event: Called with every event at once. When the camera fails, or the caller leaves the
            loop or closes the iterator, it gets the closing events of all tracks first.
        timeout_s: How long to wait for a frame.

    Yields:
        Each frame used, and what it brought.

    Raises:
        MediaError: When the camera has ended, failed, or stayed silent for ``timeout_s``.
    """
    try:
        while True:
            frame = camera.read(timeout_s)
            result = watcher.update(frame)
            for event in result.events:
                on_event(event)
            yield frame, result
    finally:
        for event in watcher.close():
            on_event(event)


class RecordLog:
    """A file of rows that is complete after every row, for streams that may break off any time.

    A context manager; its files are read with `core.records.read_jsonl` and the schema
    ``mien.watch/1``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Begin the file; an older one of that name is replaced.

        Raises:
            StorageError: If the place cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="\n")
        except OSError as err:
            raise storage_error(err, self._path) from err
        self.write({"schema": SCHEMA})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row and hand it to the operating system.

        Raises:
            StorageError: If the disk is full or gone.
            InternalError: If called outside the ``with`` block.
        """
        if self._file is None:
            raise InternalError(
                what="RecordLog.write was called outside its block",
                why="the file is open only inside it",
                mend="use `with RecordLog(...) as log:`",
            )
        try:
            self._file.write(to_json_line(row) + "\n")
            self._file.flush()
        except OSError as err:
            raise storage_error(err, self._path) from err
