"""The state is opened once, and closes what it opened."""

import asyncio
import threading

import pytest

from mien.core.errors import InternalError
from mien.server.settings import ServerSettings
from mien.server.state import ServiceState, state_of
from toys.painted import Painted


@pytest.fixture
def state(tmp_path):
    opened = ServiceState.open(ServerSettings(data_folder=tmp_path), pipeline=Painted().pipeline())
    yield opened
    asyncio.run(opened.close())


def test_everything_stands_in_the_data_folder(state, tmp_path):
    state.collections.create("a")
    state.keys.create("test", scopes=["search"])
    names = {path.name for path in tmp_path.iterdir()}
    assert {"a.gallery", "keys.json", "audit.jsonl", "films"} <= names


def test_what_blocks_runs_in_another_thread(state):
    here = threading.get_ident()
    assert asyncio.run(state.call(threading.get_ident)) != here
    assert asyncio.run(state.call(int, "1f", base=16)) == 31


def test_figures_read_from_its_parts(state):
    state.collections.create("a")
    assert b"mien_gallery_templates 0.0" in state.metrics.text()


def test_a_closed_state_has_closed_its_galleries(tmp_path):
    async def main():
        state = ServiceState.open(
            ServerSettings(data_folder=tmp_path), pipeline=Painted().pipeline()
        )
        gallery = state.collections.create("a")
        await state.close()
        return gallery

    gallery = asyncio.run(main())
    with pytest.raises(InternalError):
        gallery.count()


def test_the_state_of_an_application_is_found(state):
    class Asked:
        class app:  # noqa: N801 - as an application has it
            class state:  # noqa: N801
                service = None

    Asked.app.state.service = state
    assert state_of(Asked) is state
