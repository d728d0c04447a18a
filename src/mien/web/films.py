"""Films watched for the page: with progress, an end on request, and the annotated film.

The service's own jobs keep ids and no pictures, and so have no annotated film; these are apart from
them, one after another in a thread of their own, and end when nobody asks for them any more.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mien.core.errors import BusyError, ConflictError, MediaError, MienError
from mien.gallery.gallery import Gallery
from mien.gallery.watch import FilmSummary, FrameResult, WatchConfig, Watcher, watch_file
from mien.media.video import probe_video
from mien.server.bugs import as_internal
from mien.server.state import ServiceState
from mien.web.inputs import without_path

FORSAKEN_S: Final = 30.0
"""A film of which nobody has asked for so long is no longer watched."""


@dataclass(slots=True, eq=False)
class FilmWork:
    """One film being watched.

    Attributes:
        progress: Share of the film that was watched, 0-1.
        frames: Frames watched.
        summary: What it showed, once it is done.
        error: Why it ended before.
    """

    clock: Callable[[], float]
    progress: float = 0.0
    frames: int = 0
    summary: FilmSummary | None = None
    error: MienError | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)
    _asked: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._done.is_set()

    def ask(self) -> bool:
        """Whether it is over; to ask keeps the work going on."""
        self._asked = self.clock()
        return self.is_over

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked for its end."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask it to end."""
        self._cancelled.set()

    def leave(self) -> None:
        """Ask for its end unless it is over: nobody waits for it any more."""
        if not self.is_over:
            self.cancel()

    def note(self, result: FrameResult, length_s: float) -> None:
        """Take note of a frame.

        Raises:
            ConflictError: If it is to end.
        """
        self.frames += 1
        if length_s > 0:
            self.progress = min(1.0, max(0.0, result.time_s / length_s))
        self.check_wanted()

    def check_wanted(self) -> None:
        """Raise if it is to end."""
        if self._cancelled.is_set() or self.clock() - self._asked > FORSAKEN_S:
            raise ConflictError(
                what="the film was not watched to its end",
                why="it was cancelled, or the page was closed",
                mend="start it again",
            )

    def end(self, outcome: FilmSummary | MienError) -> None:
        """Note the end."""
        if isinstance(outcome, MienError):
            self.error = outcome
        else:
            self.summary, self.progress = outcome, 1.0
        self._done.set()


class Films:
    """The films of one page."""

    def __init__(self, state: ServiceState, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none.

        Args:
            state: The service.
            clock: Seconds that never go back.
        """
        self._state = state
        self._clock = clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="mien-page-films")
        self._works: list[FilmWork] = []
        self._lock = threading.Lock()

    def start(self, film: Path, annotated: Path, gallery: Gallery, *, fpir: float) -> FilmWork:
        """Watch a film as soon as those before it are done.

        Args:
            film: The film.
            annotated: Where to write the film with frames and names.
            gallery: Who is known; stays open until the work is over.
            fpir: Tolerated share of tracks of unknown people that are named.

        Raises:
            BusyError: If too many are waiting.
        """
        work = FilmWork(self._clock, _asked=self._clock())
        with self._lock:
            self._works = [one for one in self._works if not one.is_over]
            if len(self._works) >= self._state.settings.max_jobs:
                raise BusyError(
                    what=f"{len(self._works)} films are waiting or being watched",
                    why="one more would have to wait too long",
                    mend="try again in a while",
                )
            self._works.append(work)
        self._worker.submit(self._run, work, film, annotated, gallery, fpir)
        return work

    def close(self) -> None:
        """Cancel all, and wait for the last frame."""
        for work in self._works:
            work.cancel()
        self._worker.shutdown(wait=True)

    def _run(
        self, work: FilmWork, film: Path, annotated: Path, gallery: Gallery, fpir: float
    ) -> None:
        try:
            work.check_wanted()
            info = probe_video(film, max_pixels=self._state.settings.max_pixels)
            length_s = info.duration_s or 0.0
            watcher = Watcher(self._state.pipeline, gallery, WatchConfig(fpir=fpir))
            work.end(
                watch_file(film, watcher, film=annotated, on_frame=lambda r: work.note(r, length_s))
            )
        except MediaError as err:
            annotated.unlink(missing_ok=True)
            work.end(without_path(err, str(film), "the film"))
        except Exception as err:  # noqa: BLE001 - a bug must not end the worker, and must be told
            annotated.unlink(missing_ok=True)
            work.end(err if isinstance(err, MienError) else as_internal(err))
