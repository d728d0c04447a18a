"""The application: middleware, routes, and what is opened at the start and closed at the end."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

import mien
from mien.faces.pipeline import FacePipeline
from mien.server.admission import PAGE_PATH, TellRates, admit
from mien.server.api_keys import ApiKeys
from mien.server.headers import CarefulHeaders
from mien.server.limits import LimitBodies
from mien.server.metrics import MeasureRequests, ServerMetrics
from mien.server.openapi import describe
from mien.server.problems import install
from mien.server.routes import (
    collections,
    faces,
    history,
    jobs,
    people,
    pictures,
    receipts,
    search,
    service,
    sightings,
    transfer,
)
from mien.server.settings import ServerSettings
from mien.server.state import ServiceState

_ROUTERS: Final = (  # the one that is asked most comes first: routers are tried in turn
    search.router,
    service.open_router,
    service.router,
    collections.router,
    faces.router,
    people.router,
    pictures.router,
    sightings.router,
    history.router,
    receipts.router,
    transfer.router,
    jobs.router,
)
# FastAPI would send addresses and the words of errors to whatever the environment names.
_NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_FILMS: Final = re.compile(rf"/v1/collections/[^/]+/jobs|{PAGE_PATH}/.*upload")


def create_app(
    settings: ServerSettings,
    *,
    pipeline: FacePipeline | None = None,
    keys: ApiKeys | None = None,
    state: ServiceState | None = None,
) -> FastAPI:
    """The service as an ASGI application. Nothing is opened before it starts.

    Once it runs, its parts are at ``app.state.service``. A page may be mounted at `PAGE_PATH`;
    requests to it pass without a key, so that it must ask for one itself.

    Args:
        settings: How to run.
        pipeline: By default the default pipeline, loaded at the start.
        keys: API keys; by default those in the data folder.
        state: What was opened already, in place of the two above; closed when the service ends.
    """
    metrics = state.metrics if state else ServerMetrics()

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        held = state
        if held is None:
            held = await asyncio.to_thread(
                ServiceState.open, settings, pipeline=pipeline, keys=keys, metrics=metrics
            )
        app.state.service = held
        expiring = asyncio.create_task(held.retention.keep_running())
        try:
            yield
        finally:
            expiring.cancel()
            with suppress(asyncio.CancelledError):
                await expiring
            await held.close()

    app = FastAPI(
        title="mien",
        version=mien.__version__,
        lifespan=live,
        docs_url=None,
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )
    app.state.service = state
    for router in _ROUTERS:
        app.include_router(router)
    app.openapi = _describer(app)  # type: ignore[method-assign]  # as FastAPI documents it
    _surround(app, settings, metrics)
    return app


def _surround(app: FastAPI, settings: ServerSettings, metrics: ServerMetrics) -> None:
    """Put on all that stands around the routes, in the one order that works.

    From the outside: names and headers, so that refusals carry them; the clock, so that refusals
    are counted; who is let in and the limits, before anything is read; the net for all errors.
    """
    app.add_middleware(TellRates, per_minute=settings.requests_per_minute)
    install(app)
    app.add_middleware(LimitBodies, settings=settings, limit_of=_limit(settings), admit=admit)
    app.add_middleware(MeasureRequests, metrics=metrics)
    app.add_middleware(CarefulHeaders, page_path=PAGE_PATH if settings.page else None)


def _describer(app: FastAPI) -> Callable[[], dict[str, Any]]:
    return lambda: describe(app)


def _limit(settings: ServerSettings) -> Callable[[str], int]:
    """Largest body at a path: films may be larger than pictures."""

    def limit(path: str) -> int:
        is_film = _FILMS.fullmatch(path) is not None
        return settings.max_video_bytes if is_film else settings.max_body_bytes

    return limit
