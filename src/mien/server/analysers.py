"""What a worker of the batcher works with: a pipeline here, or one in a process of its own.

Both take several pictures and give an outcome for each; a picture that cannot be read fails alone.
A process of its own does not share Python's lock with the event loop, and a decoder that crashes
takes one batch with it and not the service.
"""

from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context, parent_process
from threading import Thread
from typing import Any, Final

from mien.core.errors import InternalError, MienError
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import Analysis, FacePipeline, Which
from mien.faces.quality import QualityGate
from mien.media.image import Image, ImageLimits, load_image
from mien.server.bugs import as_internal

_PIXELS_AT_ONCE: Final = 16_000_000  # read before they are worked on: bounds a worker's memory
_END_S: Final = 10.0

Source = bytes | Image
Outcome = Analysis | MienError
Analyser = Callable[[Sequence[Source], QualityGate | None, Which], list[Outcome]]


class BatchAnalyser:
    """A pipeline in this process. Safe to call from several threads."""

    def __init__(self, pipeline: FacePipeline, limits: ImageLimits) -> None:
        self._pipeline = pipeline
        self._limits = limits

    def __call__(
        self, sources: Sequence[Source], gate: QualityGate | None, which: Which
    ) -> list[Outcome]:
        """Read and analyse pictures; an outcome for each."""
        outcomes: dict[int, Outcome] = {}
        images: dict[int, Image] = {}
        for number, source in enumerate(sources):
            one = self._load(source)
            if isinstance(one, MienError):
                outcomes[number] = one
            else:
                images[number] = one
            pixels = sum(image.width * image.height for image in images.values())
            if number == len(sources) - 1 or pixels >= _PIXELS_AT_ONCE:
                found = self._run(list(images.values()), gate, which)
                outcomes |= zip(images, found, strict=True)
                images = {}
        return [outcomes[number] for number in range(len(sources))]

    def _load(self, source: Source) -> Image | MienError:
        try:
            return source if isinstance(source, Image) else load_image(source, limits=self._limits)
        except MienError as err:
            return err
        except Exception as err:  # noqa: BLE001 - a decoder's bug must not end the worker
            return as_internal(err)

    def _run(
        self, images: Sequence[Image], gate: QualityGate | None, which: Which
    ) -> Sequence[Outcome]:
        if not images:
            return []
        try:
            return self._pipeline.analyse_batch(images, gate=gate, which=which)
        except Exception as err:  # noqa: BLE001 - one picture must not fail its neighbours
            if len(images) == 1:
                return [err if isinstance(err, MienError) else as_internal(err)]
            return [outcome for image in images for outcome in self._run([image], gate, which)]


class PipelineProcess:
    """The same in a process of its own, which is started again if it ends. For one thread."""

    def __init__(self, config: PipelineConfig, limits: ImageLimits) -> None:
        self._given = (config, limits)
        self._process: Any = None
        self._pipe: connection.Connection | None = None
        self._start()

    def __call__(
        self, sources: Sequence[Source], gate: QualityGate | None, which: Which
    ) -> list[Outcome]:
        """Read and analyse pictures over there; an outcome for each.

        Raises:
            InternalError: If the process ended meanwhile; the next call finds a new one.
        """
        if self._pipe is None:
            self._start()
        pipe = self._pipe
        try:
            if pipe is None:
                raise EOFError
            pipe.send((list(sources), gate, which))
            outcomes: list[Outcome] = pipe.recv()
        except (EOFError, OSError) as err:
            self.close()
            raise InternalError(
                what="a worker process ended while it analysed pictures",
                why="it ran out of memory, or a decoder crashed",
                mend="send the picture again; if it happens again, report it",
            ) from err
        return outcomes

    def close(self) -> None:
        """End the process."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(_END_S)
            if self._process.is_alive():
                self._process.kill()
        self._pipe = self._process = None

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(far, *self._given), name="mien-analyser", daemon=True
        )
        self._process.start()
        far.close()


def _serve(pipe: connection.Connection, config: PipelineConfig, limits: ImageLimits) -> None:
    """The life of a worker process: batch after batch, until the other end is closed."""
    Thread(target=_end_with_parent, daemon=True).start()
    analyse = BatchAnalyser(FacePipeline.open(config), limits)
    while True:
        try:
            sources, gate, which = pipe.recv()
        except EOFError:
            return
        pipe.send(analyse(sources, gate, which))


def _end_with_parent() -> None:
    """Without it, processes of a killed service would wait for pictures for ever."""
    import os

    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
