"""Films being watched: work that outlasts a request, with progress, events and an end.

Jobs live in memory and belong to the key that made them. They hold ids of people and never names:
those are looked up when a job is read, so that whoever is deleted is gone from results as well.
"""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from mien.core.errors import BusyError, ConflictError, MienError, MissingError
from mien.core.files import storage_error
from mien.faces.pipeline import FacePipeline
from mien.gallery.watch import FrameResult, TrackEvent, WatchConfig, Watcher, watch_file
from mien.media.video import probe_video
from mien.server.bugs import as_internal
from mien.server.collections import Collections
from mien.server.settings import ServerSettings

_RETRY_AFTER_S: Final = 30


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True, eq=False)
class Job:
    """One film.

    Attributes:
        job_id: Opaque id.
        key_id: The key that made it.
        collection: Where people are looked for.
        created_at: UTC, ISO 8601.
        state: Where it stands.
        progress: Share of the film that was watched, 0-1.
        frames: Frames watched.
        events: What became known, in order; grows while it runs.
        tracks: Ends of all tracks, once it is done.
        error: Why it failed.
        ended: Seconds of the steady clock at which it ended; None before.
    """

    job_id: str
    key_id: str
    collection: str
    created_at: str
    state: JobState = JobState.WAITING
    progress: float = 0.0
    frames: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    tracks: list[dict[str, Any]] = field(default_factory=list)
    error: MienError | None = None
    ended: float | None = None
    _wanted_end: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.ended is not None

    def cancel(self) -> None:
        """Ask it to end before its time."""
        self._wanted_end.set()

    def check_wanted(self) -> None:
        """Raise if it is to end.

        Raises:
            ConflictError: If it was cancelled.
        """
        if self._wanted_end.is_set():
            raise ConflictError(
                what="the job was cancelled",
                why="whoever made it asked for that, or the service ends",
                mend="make it again",
            )


class Jobs:
    """The jobs of one service; films are watched one after another."""

    def __init__(
        self,
        settings: ServerSettings,
        pipeline: FacePipeline,
        collections: Collections,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with none, and remove films that an earlier run left behind.

        Args:
            settings: How many jobs, and how long their results are kept.
            pipeline: What watches.
            collections: Where people are looked for.
            clock: Seconds that never go back.
        """
        self.folder = settings.data_folder / "films"
        self._settings = settings
        self._pipeline = pipeline
        self._collections = collections
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="mien-films")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self.folder.iterdir():
                left.unlink()
        except OSError as err:
            raise storage_error(err, self.folder) from err

    def check_room(self) -> None:
        """Raise if no further job is taken; ask before a film is received.

        Raises:
            BusyError: If too many are waiting or running.
        """
        self._forget_old()
        unfinished = sum(not job.is_over for job in self._jobs.values())
        if unfinished >= self._settings.max_jobs:
            raise BusyError(
                what=f"{unfinished} films are waiting or being watched",
                why="one more would have to wait too long",
                mend=f"send it again after {_RETRY_AFTER_S} s",
                retry_after_s=_RETRY_AFTER_S,
            )

    def start(self, film: Path, *, key_id: str, collection: str, fpir: float) -> Job:
        """Watch a film, as soon as those before it are done. The file is removed in the end.

        Args:
            film: In `folder`.
            key_id: Whose job it is.
            collection: Where people are looked for.
            fpir: Tolerated share of tracks of unknown people that are named.

        Raises:
            BusyError: If too many are waiting or running; the film is removed then.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        job = Job(uuid.uuid4().hex, key_id, collection, now)
        with self._lock:
            try:
                self.check_room()
            except BusyError:
                film.unlink(missing_ok=True)
                raise
            self._jobs[job.job_id] = job
            self._worker.submit(self._run, job, film, fpir)
        return job

    def all(self, key_id: str) -> list[Job]:
        """The jobs of a key, the oldest first."""
        self._forget_old()
        return [job for job in list(self._jobs.values()) if job.key_id == key_id]

    def find(self, job_id: str, key_id: str) -> Job:
        """One job of a key.

        Raises:
            MissingError: If the key has none of that id.
        """
        self._forget_old()
        job = self._jobs.get(job_id)
        if job is None or job.key_id != key_id:
            raise MissingError(
                what="there is no such job",
                why="it was made with another key, was forgotten after its time, or never was",
                mend="list the jobs of this key",
            )
        return job

    def drop(self, job: Job) -> None:
        """Cancel a job that runs; forget one that is over."""
        if job.is_over:
            self._jobs.pop(job.job_id, None)
        else:
            job.cancel()

    def close(self) -> None:
        """Cancel all, and wait until the last frame is done."""
        for job in list(self._jobs.values()):
            job.cancel()
        self._worker.shutdown(wait=True)

    def _forget_old(self) -> None:
        keep_s, now = self._settings.keep_jobs_s, self._clock()
        for job in list(self._jobs.values()):
            if job.ended is not None and now - job.ended > keep_s:
                self._jobs.pop(job.job_id, None)

    def _run(self, job: Job, film: Path, fpir: float) -> None:
        try:
            job.check_wanted()
            job.state = JobState.RUNNING
            self._watch(job, film, fpir)
            job.state, job.progress = JobState.DONE, 1.0
        except MienError as err:
            job.state = JobState.FAILED
            if job._wanted_end.is_set():  # noqa: SLF001
                job.state = JobState.CANCELLED
            job.error = _without_place(err, film)
        except Exception as err:  # noqa: BLE001 - a bug must not end the worker
            job.state, job.error = JobState.FAILED, as_internal(err)
        finally:
            film.unlink(missing_ok=True)
            job.ended = self._clock()

    def _watch(self, job: Job, film: Path, fpir: float) -> None:
        info = probe_video(film, max_pixels=self._settings.max_pixels)
        length_s = info.duration_s or 0.0

        def on_frame(result: FrameResult) -> None:
            job.frames += 1
            if length_s > 0:
                job.progress = min(1.0, max(0.0, result.time_s / length_s))
            job.events.extend(map(_record, result.events))
            job.check_wanted()

        with self._collections.use(job.collection) as gallery:
            watcher = Watcher(self._pipeline, gallery, WatchConfig(fpir=fpir))
            summary = watch_file(film, watcher, on_frame=on_frame)
        job.tracks = [_record(event) for event in summary.tracks]
        told = sum(row["row"] == "closed" for row in job.events)
        job.events.extend(job.tracks[told:])  # those that the film's end has closed


def _without_place(err: MienError, film: Path) -> MienError:
    """The same error, without the file's place on this machine."""
    what, why = (words.replace(str(film), "the film") for words in (err.what, err.why))
    return type(err)(what=what, why=why, mend=err.mend)


def _record(event: TrackEvent) -> dict[str, Any]:
    """A row without the person's name."""
    person_id = event.verdict.person_id if event.verdict else None
    return event.as_record() | {"person": None, "person_id": person_id}
