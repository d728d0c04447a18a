"""Who may act where."""

import asyncio
from types import SimpleNamespace

import pytest

from mien.core.errors import InputError, RefusedError, ThrottledError, UnauthorisedError
from mien.server.api_keys import ApiKeys
from mien.server.audit import AuditLog
from mien.server.collections import Collections
from mien.server.throttle import Throttle
from mien.web.sessions import Sessions
from mien.web.visit import visiting
from toys.stage import Stage


@pytest.fixture
def state(tmp_path):
    async def call(work, *args):
        return work(*args)

    collections = Collections(tmp_path, Stage([]).pipeline().contract)
    collections.create("ours")
    yield SimpleNamespace(
        collections=collections,
        keys=ApiKeys(tmp_path / "keys.json"),
        audit=AuditLog(tmp_path / "audit.jsonl"),
        throttle=Throttle(60, 5),
        call=call,
    )
    collections.close()


def go(state, key_id, collection="ours", scope="search"):
    """Visit, and say what was met."""

    async def run():
        async with visiting(state, Sessions(state.keys), key_id, collection, scope) as visit:
            with visit.change("people.rename") as counts:
                counts["people"] = 1
            return visit.actor, visit.gallery.count().faces, visit.may("enrol")

    return asyncio.run(run())


@pytest.fixture
def key_id(state):
    return state.keys.create("k", scopes=("search",), collections=("ours",))[0].key_id


def test_a_key_that_covers_it_gets_in_and_the_change_is_written_down(state, key_id):
    assert go(state, key_id) == (key_id, 0, False)
    assert f'"key":"{key_id}"' in state.audit.path.read_text()


def test_a_key_without_the_scope_or_the_gallery_is_refused(state, key_id):
    with pytest.raises(RefusedError, match="does not allow 'delete' in this collection"):
        go(state, key_id, scope="delete")
    with pytest.raises(RefusedError, match="does not allow 'search' in this collection"):
        go(state, key_id, collection="theirs")


def test_nobody_and_a_revoked_key_are_not_let_in(state, key_id):
    with pytest.raises(UnauthorisedError):
        go(state, None)
    state.keys.revoke(key_id)
    with pytest.raises(UnauthorisedError, match="no longer logged in"):
        go(state, key_id)


def test_without_a_gallery_it_is_said_how_to_get_one(state, key_id):
    with pytest.raises(InputError, match="no gallery is chosen"):
        go(state, key_id, collection="")


def test_too_many_actions_are_throttled(state, key_id):
    for _ in range(5):
        go(state, key_id)
    with pytest.raises(ThrottledError):
        go(state, key_id)
