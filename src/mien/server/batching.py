"""Pictures of many requests, analysed together, each answer given to its own request.

Workers take what is waiting, up to ``batch_max`` pictures, read them and run the pipeline once. A
picture that cannot be read fails alone. What is waiting is bounded: one more is told to come again.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mien.core.errors import BusyError, MienError
from mien.core.threads import resolve_threads
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import Analysis, FacePipeline, Which
from mien.faces.quality import QualityGate
from mien.media.image import Image, ImageLimits
from mien.server.analysers import Analyser, BatchAnalyser, Outcome, PipelineProcess, Source
from mien.server.bugs import as_internal

_LIMITS: Final = ImageLimits()
_SMOOTHING: Final = 0.1  # of the running mean of seconds a picture


class MicroBatcher:
    """A pipeline shared by the requests of an event loop."""

    def __init__(
        self,
        pipeline: FacePipeline,
        *,
        workers: int | None = None,
        processes: PipelineConfig | None = None,
        batch_max: int = 8,
        batch_wait_ms: float = 4.0,
        max_waiting: int = 256,
        limits: ImageLimits = _LIMITS,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Start the workers.

        Args:
            pipeline: What analyses.
            workers: Threads; None takes what the quota allows.
            processes: If given, each worker has a pipeline of this configuration in a process of
                its own, and ``pipeline`` is not used. It must be the same pipeline.
            batch_max: Pictures that a worker takes at once.
            batch_wait_ms: How long a worker waits for more, and only while another is at work.
            max_waiting: Pictures that may wait.
            limits: Bounds on a picture, checked before decoding.
            on_batch: Told the size of every batch, in the worker's thread.
        """
        count = resolve_threads(workers)
        here = BatchAnalyser(pipeline, limits)
        self._processes = [PipelineProcess(processes, limits) for _ in range(count) if processes]
        self._analysers: list[Analyser] = [*self._processes] or [here] * count
        self._batch_max = batch_max
        self._wait_s = batch_wait_ms / 1e3
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._queue: deque[_Item] = deque()
        self._ready = threading.Condition()
        self._idle = 0
        self._is_closing = False
        self._seconds_each = 0.05
        self._threads = [
            threading.Thread(target=self._work, args=(analyse,), name=f"mien-{n}", daemon=True)
            for n, analyse in enumerate(self._analysers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that no worker has taken yet."""
        return len(self._queue)

    async def analyse(
        self, source: bytes | Image, *, gate: QualityGate | None = None, which: Which = "all"
    ) -> Analysis:
        """As `FacePipeline.analyse`, among the pictures of other requests.

        Raises:
            MediaError: If the picture cannot be read.
            BusyError: If too many are waiting; its ``retry_after_s`` says when fewer will be.
        """
        loop = asyncio.get_running_loop()
        item = _Item(source, gate, which, loop.create_future())
        self._add(item)
        try:
            return await item.future
        except asyncio.CancelledError:
            self._forget(item)
            raise

    async def close(self, drain_s: float = 30.0) -> None:
        """Take nothing more, let the workers finish what is waiting, and end them.

        Args:
            drain_s: How long that may take; what is waiting then is answered with an error.
        """
        with self._ready:
            self._is_closing = True
            self._ready.notify_all()
        await asyncio.to_thread(self._join, time.monotonic() + drain_s)
        with self._ready:
            left = list(self._queue)
            self._queue.clear()
        _settle([(item, _busy("the service is ending", 5)) for item in left])
        for process in self._processes:
            await asyncio.to_thread(process.close)

    def _add(self, item: "_Item") -> None:
        with self._ready:
            if self._is_closing:
                raise _busy("the service is ending", 5)
            if len(self._queue) >= self._max_waiting:
                seconds = len(self._queue) * self._seconds_each / len(self._threads)
                raise _busy(f"{len(self._queue)} pictures are waiting already", seconds)
            self._queue.append(item)
            self._ready.notify()

    def _forget(self, item: "_Item") -> None:
        with self._ready:
            if item in self._queue:
                self._queue.remove(item)

    def _join(self, deadline: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, analyse: Analyser) -> None:
        while batch := self._take():
            start = time.perf_counter()
            try:
                self._on_batch(len(batch))
                sources = [item.take() for item in batch]
                found = analyse(sources, batch[0].gate, batch[0].which)
                outcomes: dict[_Item, Outcome] = dict(zip(batch, found, strict=True))
            except Exception as err:  # noqa: BLE001 - who waits must be told, and others served
                fault = err if isinstance(err, MienError) else as_internal(err)
                outcomes = dict.fromkeys(batch, fault)
            each = (time.perf_counter() - start) / len(batch)
            self._seconds_each += _SMOOTHING * (each - self._seconds_each)
            _hand_over(outcomes)

    def _take(self) -> list["_Item"]:
        """Pictures to work on now; none when the workers are to end."""
        with self._ready:
            self._idle += 1
            try:
                while True:
                    self._wait_for_more()
                    if self._queue:
                        break
                    if self._is_closing:
                        return []
                    self._ready.wait()
                # Idle workers share what is waiting: two at work beat one with twice as much.
                return self._pop(min(self._batch_max, math.ceil(len(self._queue) / self._idle)))
            finally:
                self._idle -= 1

    def _wait_for_more(self) -> None:
        """While others are at work, a moment's wait fills the batch; alone, it would only delay."""
        if self._queue and self._idle == 1 and len(self._threads) > 1:
            self._ready.wait_for(
                lambda: (
                    self._is_closing
                    or self._idle > 1
                    or not self._queue
                    or len(self._queue) >= self._batch_max
                ),
                self._wait_s,
            )

    def _pop(self, count: int) -> list["_Item"]:
        """The first of those waiting, and others that are to be treated alike."""
        first = self._queue[0]
        batch = [item for item in self._queue if item.is_like(first)][:count]
        for item in batch:
            self._queue.remove(item)
        return batch


@dataclass(slots=True, eq=False)
class _Item:
    """A picture that waits, and whom to tell."""

    source: Source
    gate: QualityGate | None
    which: Which
    future: asyncio.Future[Analysis]
    loop: asyncio.AbstractEventLoop = field(init=False)

    def __post_init__(self) -> None:
        self.loop = self.future.get_loop()

    def take(self) -> Source:
        """The picture, which is not held while others are worked on."""
        source, self.source = self.source, b""
        return source

    def is_like(self, other: "_Item") -> bool:
        return self.which == other.which and self.gate == other.gate


def _hand_over(outcomes: dict[_Item, Outcome]) -> None:
    """Tell the event loop, once for all of them; futures are not for other threads."""
    for loop in {item.loop for item in outcomes}:
        mine = [pair for pair in outcomes.items() if pair[0].loop is loop]
        with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(pairs: Sequence[tuple[_Item, Outcome]]) -> None:
    for item, outcome in pairs:
        if item.future.done():  # given up meanwhile
            continue
        if isinstance(outcome, MienError):
            item.future.set_exception(outcome)
        else:
            item.future.set_result(outcome)


def _busy(what: str, seconds: float) -> BusyError:
    retry_after_s = max(1, math.ceil(seconds))
    return BusyError(
        what=what,
        why="one more would have to wait too long",
        mend=f"send it again after {retry_after_s} s",
        retry_after_s=retry_after_s,
    )
