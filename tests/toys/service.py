"""The whole service in this process, and clients that ask it without a socket."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mien.faces.pipeline import FacePipeline
from mien.gallery.calibration import CalibrationTable
from mien.gallery.gallery import Gallery
from mien.server.app import create_app
from mien.server.principal import SCOPES
from mien.server.settings import ServerSettings


class Service:
    """A running service.

    Attributes:
        app: The application.
        state: Its parts.
        key: An API key that may do everything.
    """

    def __init__(
        self, runner: asyncio.Runner, app: Any, table: CalibrationTable | None = None
    ) -> None:
        self._runner = runner
        self._table = table
        self._numbers = itertools.count(1)
        self.app = app
        self.state = app.state.service
        self.key = self.key_for(*SCOPES)

    def key_for(self, *scopes: str, collections: tuple[str, ...] = ("*",)) -> str:
        """A new API key."""
        return self.state.keys.create("test", scopes=scopes, collections=collections)[1]

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """A client with a key."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://test",
            headers={"authorization": f"Bearer {self.key if key is None else key}"},
            timeout=60,
        )

    def run(self, work: Any) -> Any:
        """Wait for a coroutine, on the service's own loop."""
        return self._runner.run(work)

    def ask(
        self, method: str, path: str, *, key: str | None = None, **options: Any
    ) -> httpx.Response:
        """One request."""

        async def send() -> httpx.Response:
            async with self.client(key) as client:
                return await client.request(method, path, **options)

        response: httpx.Response = self.run(send())
        return response

    def collection(self, **options: Any) -> str:
        """Path of a new, empty collection."""
        name = f"c{next(self._numbers)}"
        made = self.ask("POST", "/v1/collections", json={"collection_id": name} | options)
        assert made.status_code == 201, made.text
        if self._table is not None:
            self.gallery(name).keep_calibration(self._table)
        return f"/v1/collections/{name}"

    def gallery(self, path: str) -> Gallery:
        """The gallery behind a collection."""
        return self.state.collections.get(path.rpartition("/")[2])

    def enrol(self, path: str, person: str, picture: bytes, **fields: str) -> dict[str, Any]:
        """Enrol somebody who must be taken."""
        made = self.ask(
            "POST", f"{path}/faces", files={"image": picture}, data={"person": person} | fields
        )
        assert made.status_code == 201, made.text
        record: dict[str, Any] = made.json()
        return record


@contextmanager
def running_service(
    folder: Path,
    pipeline: FacePipeline,
    *,
    table: CalibrationTable | None = None,
    **changes: Any,
) -> Iterator[Service]:
    """A service for as long as the block lasts; nobody is throttled unless the settings say so."""
    plenty = {"requests_per_minute": 10**6, "burst": 10**6, "failures_per_minute": 10**5}
    settings = ServerSettings(data_folder=folder, **(plenty | changes))
    app = create_app(settings, pipeline=pipeline)
    with asyncio.Runner() as runner:
        living = app.router.lifespan_context(app)
        runner.run(living.__aenter__())
        try:
            yield Service(runner, app, table)
        finally:
            runner.run(living.__aexit__(None, None, None))
