"""Serving: the application under uvicorn, until it is told to end."""

import logging
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI

from mien.core.errors import ConfigError
from mien.server.api_keys import ApiKeys
from mien.server.app import create_app
from mien.server.http_protocol import uvicorn_config
from mien.server.settings import ServerSettings
from mien.server.state import ServiceState

FIRST_COLLECTION: Final = "people"
"""Made for the page if there is none."""

LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def run(
    settings: ServerSettings,
    *,
    keys: ApiKeys | None = None,
    page: Callable[[FastAPI, ServiceState], object] | None = None,
    log_level: str = "warning",
) -> None:
    """Serve until a signal ends it. Requests in work are finished first.

    Args:
        settings: How to run.
        keys: API keys; by default those in the data folder.
        page: Mounts a page at `admission.PAGE_PATH`, before the service starts.
        log_level: What of the log is written to standard error.

    Raises:
        ConfigError: If there is no such level.
        MienError: If a part cannot be opened.
    """
    if log_level not in LOG_LEVELS:
        raise ConfigError(
            what=f"log_level is {log_level!r}",
            why="it says from which weight on lines are written",
            mend=f"pass one of {', '.join(LOG_LEVELS)}",
        )
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    state = ServiceState.open(settings, keys=keys)
    app = create_app(settings, state=state)
    if page is not None:
        if not state.collections.all():  # so that there is something to see at the first visit
            state.collections.create(FIRST_COLLECTION, strict=settings.strict)
        page(app, state)
    uvicorn.Server(uvicorn_config(app, settings)).run()
