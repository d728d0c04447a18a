"""The service's own way to run uvicorn, in a thread, at a free port of this machine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from mien.server.http_protocol import uvicorn_config
from mien.server.settings import ServerSettings


@contextmanager
def running_server(app: ASGIApp, settings: ServerSettings) -> Iterator[tuple[uvicorn.Server, int]]:
    """Run a server for as long as the block lasts; it and its port come back."""
    server = uvicorn.Server(uvicorn_config(app, settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
