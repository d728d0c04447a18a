"""The service as it is started from the command line, on a real socket."""

import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

from mien.core.errors import ConfigError
from mien.server import run as module
from mien.server.api_keys import ApiKeys
from mien.server.run import run
from mien.server.settings import ServerSettings
from toys.painted import Painted, paint


@pytest.fixture
def quiet(monkeypatch):
    """Without a log, and with painted people."""
    pipeline = Painted().pipeline()
    monkeypatch.setattr("mien.server.state.FacePipeline.open", lambda: pipeline)
    monkeypatch.setattr(module.logging, "basicConfig", lambda **_: None)


def test_an_unknown_level_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="log_level is 'loud'"):
        run(ServerSettings(data_folder=tmp_path), log_level="loud")


@pytest.mark.enable_socket
def test_it_serves_until_it_is_told_to_end(tmp_path: Path, quiet, monkeypatch):
    started: list[uvicorn.Server] = []
    pages = []
    serve = uvicorn.Server.run

    def remember(server):
        started.append(server)
        serve(server)

    monkeypatch.setattr(uvicorn.Server, "run", remember)
    keys = ApiKeys(tmp_path / "elsewhere.json")
    _, key = keys.create("test", scopes=["detect"])
    thread = threading.Thread(
        target=run,
        args=(ServerSettings(data_folder=tmp_path / "data", port=0, processes=False),),
        kwargs={"keys": keys, "page": lambda app, state: pages.append((app, state))},
    )
    thread.start()
    try:
        while not (started and started[0].started):
            time.sleep(0.01)
        port = started[0].servers[0].sockets[0].getsockname()[1]
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/detect",
            files={"image": paint(1)},
            headers={"x-api-key": key},
            timeout=20,
        )
        assert (answer.status_code, len(answer.json()["faces"])) == (200, 1)
    finally:
        started[0].should_exit = True
        thread.join(20)
    assert not thread.is_alive()
    assert pages[0][0].state.service is pages[0][1]
