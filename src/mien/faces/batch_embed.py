"""Templates of many pictures on many processes: our own, or Ray's.

One class does the work, `EmbedPictures`: from a batch of paths to a batch of rows. Both ways call
it unchanged, with the same batches in the same order, and so give the same rows to the last bit.
What becomes of the rows is decided elsewhere.
"""

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any, Final, Literal

import cv2

from mien.core.errors import InternalError
from mien.core.optional import require
from mien.core.threads import resolve_threads
from mien.faces._rows import Rows, rows_of
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline

EngineName = Literal["local", "ray"]

PICTURES_AT_ONCE: Final = 32
"""Of one batch; a multiple of the pipeline's own batches."""

_WORTH_PROCESSES: Final = 64  # pictures; fewer are done before a second process has started
_OBJECT_STORE_BYTES: Final = 200 * 2**20


class EmbedPictures:
    """From paths of pictures to rows; built once in every process."""

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks, for one thread.

        Raises:
            MienError: As `FacePipeline.open`.
        """
        self._pipeline = FacePipeline.open(replace(config, threads=1))

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> Rows:
        """Analyse pictures.

        Args:
            batch: ``path``: pictures.

        Returns:
            Columns as of `mien.faces._rows.rows_of`: a row for every face, one for a picture
            without faces, one for a picture that failed.
        """
        paths = [str(path) for path in batch["path"]]
        outcomes = list(self._pipeline.analyse_many(paths, workers=1))
        return rows_of(outcomes, self._pipeline.embedder.dim)


def embed_pictures(
    paths: Sequence[str],
    config: PipelineConfig,
    *,
    engine: EngineName = "local",
    workers: int | None = None,
) -> Iterator[Rows]:
    """Rows of many pictures, in the order of the paths, with bounded memory.

    Args:
        paths: Pictures.
        config: What the pipeline is made of.
        engine: ``"local"``: processes of this machine; ``"ray"``: actors of Ray Data, for now on
            this machine as well (extra ``scale``).
        workers: Processes; None takes what the quota allows.

    Raises:
        ConfigError: If there is no such pipeline, or ``workers`` is below 1.
        ExtraMissingError: If a package is not installed.
        WeightsMissingError: If weights are not at hand.
        InternalError: If a process died.
    """
    count = resolve_threads(workers)
    if engine == "ray":
        yield from _with_ray(paths, config, count)
    elif count == 1 or len(paths) <= _WORTH_PROCESSES:
        embed = EmbedPictures(config)
        yield from (embed(batch) for batch in _batches(paths))
    else:
        yield from _with_processes(paths, config, count)


def _batches(paths: Sequence[str]) -> Iterator[dict[str, Sequence[str]]]:
    for at in range(0, len(paths), PICTURES_AT_ONCE):
        yield {"path": paths[at : at + PICTURES_AT_ONCE]}


def _with_processes(paths: Sequence[str], config: PipelineConfig, count: int) -> Iterator[Rows]:
    # Not forked: engines hold threads, which do not survive a fork.
    with ProcessPoolExecutor(count, get_context("spawn"), _begin, (config,)) as pool:
        waiting: list[Future[Rows]] = []
        try:
            for batch in _batches(paths):
                waiting.append(pool.submit(_work, batch))
                if len(waiting) > 2 * count:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool as err:
            raise _process_died(err) from err
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_OWN: dict[str, EmbedPictures] = {}
"""Of a process of the pool: what it calls for every batch."""


def _begin(config: PipelineConfig) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _OWN["embed"] = EmbedPictures(config)


def _work(batch: dict[str, Sequence[str]]) -> Rows:
    return _OWN["embed"](batch)


def _end_with_parent() -> None:
    """Without it, processes of a killed parent would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _with_ray(paths: Sequence[str], config: PipelineConfig, count: int) -> Iterator[Rows]:
    import pyarrow as pa

    with _own_ray(count) as ray:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        # A table is a block, and a block a batch: the same batches as everywhere.
        tables = [pa.table({"path": pa.array(b["path"], pa.string())}) for b in _batches(paths)]
        if not tables:
            return
        rows = ray.data.from_arrow(tables).map_batches(
            EmbedPictures,
            fn_constructor_args=(config,),
            batch_size=None,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
        )
        try:
            yield from rows.iter_batches(batch_size=None, batch_format="numpy")
        except ray.exceptions.RayError as err:
            raise _process_died(err) from err


@contextmanager
def _own_ray(count: int) -> Iterator[Any]:
    """Ray on this machine, begun and ended here; or the caller's, if it runs already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = require("ray", extra="scale")
    require("ray.data", extra="scale")
    if ray.is_initialized():
        yield ray
        return
    # What does not fit into memory Ray writes to its folder: templates, so only we may read it.
    # Ray opens its folder to everybody, hence one within another.
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it reports every step on stderr
    # Paths of sockets must be short, and the usual place is deep on macOS.
    place = "/tmp" if sys.platform == "darwin" else None  # noqa: S108  # a folder of our own there
    with tempfile.TemporaryDirectory(
        prefix="mien-", dir=place, ignore_cleanup_errors=True
    ) as folder:
        ray.init(
            address="local",
            num_cpus=count,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level="error",
            _temp_dir=str(Path(folder) / "ray"),
        )
        try:
            yield ray
        finally:
            ray.shutdown()


def _process_died(err: Exception) -> InternalError:
    return InternalError(
        what=f"a process that embeds pictures ended early ({type(err).__name__})",
        why="the system may have ended it for want of memory",
        mend="give the command again, it goes on where it stopped; with fewer --workers if memory "
        "is short",
    )
