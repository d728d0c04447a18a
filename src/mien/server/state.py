"""What the running service holds: one pipeline, the collections, keys, limits and logs.

It is made once when the application starts, stands at ``app.state.service``, and is closed when
it ends. What is done with it is in the routes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, ParamSpec, Self, TypeVar

from starlette.requests import HTTPConnection

from mien.core.threads import resolve_threads
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline
from mien.server.api_keys import ApiKeys
from mien.server.audit import AuditLog
from mien.server.batching import MicroBatcher
from mien.server.collections import Collections
from mien.server.fetch import Fetcher
from mien.server.jobs import Jobs
from mien.server.metrics import ServerMetrics
from mien.server.retention import Retention
from mien.server.settings import ServerSettings
from mien.server.throttle import Throttle

P = ParamSpec("P")
T = TypeVar("T")

KEY_FILE: Final = "keys.json"
AUDIT_FILE: Final = "audit.jsonl"


@dataclass(slots=True, eq=False)
class ServiceState:
    """The parts of a running service.

    Attributes:
        settings: As it was started.
        pipeline: Loaded once.
        batcher: The pipeline, shared by all requests; ``await batcher.analyse(bytes)``.
        keys: API keys.
        throttle: Requests by key.
        failures: Requests without a valid key, by address.
        audit: The audit log.
        metrics: Figures.
        collections: The galleries.
        jobs: Films being watched.
        retention: Deletes what is due.
        fetcher: Fetches pictures, if the settings allow it.
    """

    settings: ServerSettings
    pipeline: FacePipeline
    batcher: MicroBatcher
    keys: ApiKeys
    throttle: Throttle
    failures: Throttle
    audit: AuditLog
    metrics: ServerMetrics
    collections: Collections
    jobs: Jobs
    retention: Retention
    fetcher: Fetcher
    _threads: ThreadPoolExecutor = field(repr=False)

    @classmethod
    def open(
        cls,
        settings: ServerSettings,
        *,
        pipeline: FacePipeline | None = None,
        keys: ApiKeys | None = None,
        metrics: ServerMetrics | None = None,
    ) -> Self:
        """Load and open everything. Blocks.

        Args:
            settings: How to run.
            pipeline: By default `FacePipeline.open` with its defaults.
            keys: By default those in the data folder.
            metrics: By default new ones.

        Raises:
            MienError: If a part cannot be opened.
        """
        used = pipeline or FacePipeline.open()
        collections = Collections(settings.data_folder, used.contract)
        metrics = metrics or ServerMetrics()
        batcher = MicroBatcher(
            used,
            workers=settings.workers,
            processes=PipelineConfig(threads=1) if settings.processes and not pipeline else None,
            batch_max=settings.batch_max,
            batch_wait_ms=settings.batch_wait_ms,
            max_waiting=settings.max_waiting,
            limits=settings.image_limits,
            on_batch=metrics.batch,
        )
        metrics.watch(queue=lambda: batcher.waiting, gallery=collections.count_faces)
        audit = AuditLog(settings.data_folder / AUDIT_FILE)
        often, failures = settings.requests_per_minute, settings.failures_per_minute
        threads = 4 + 2 * resolve_threads(settings.workers)
        return cls(
            settings=settings,
            pipeline=used,
            batcher=batcher,
            keys=keys or ApiKeys(settings.data_folder / KEY_FILE),
            throttle=Throttle(often, settings.burst),
            failures=Throttle(failures, failures),
            audit=audit,
            metrics=metrics,
            collections=collections,
            jobs=Jobs(settings, used, collections),
            retention=Retention(collections, audit),
            fetcher=Fetcher(settings),
            _threads=ThreadPoolExecutor(threads, thread_name_prefix="mien-store"),
        )

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks, such as anything of a gallery, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def close(self) -> None:
        """End the work that is going on, and close everything."""
        await asyncio.to_thread(self.jobs.close)
        await self.batcher.close(self.settings.shutdown_s)
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self.collections.close)


def state_of(connection: HTTPConnection) -> ServiceState:
    """The state of the application that serves a request."""
    state: ServiceState = connection.app.state.service
    return state
