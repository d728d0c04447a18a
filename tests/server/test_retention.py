"""What is due is deleted, and a leaping clock deletes nobody."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mien.core.errors import RefusedError, StorageError
from mien.gallery.index import Template
from mien.server.audit import AuditLog
from mien.server.collections import Collections
from mien.server.retention import Retention
from toys.painted import Painted
from toys.stage import random_face


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def place(tmp_path):
    pipeline = Painted().pipeline()
    opened = Collections(tmp_path, pipeline.contract)
    yield opened
    opened.close()


@pytest.fixture
def clocks():
    return Clock(), Clock()


@pytest.fixture
def retention(place, tmp_path, clocks):
    wall, steady = clocks
    return Retention(place, AuditLog(tmp_path / "audit.jsonl"), wall=wall, steady=steady)


def put(gallery, name, days):
    until = (datetime.now(UTC).date() + timedelta(days=days)).isoformat()
    vector = random_face(np.random.default_rng(len(name))).astype(np.float32)
    gallery.add(
        Template(name, name, vector, 90.0, "x", "0" * 64, (0, 0, 9, 9), "", "2026-01-01", until)
    )


def test_all_collections_are_gone_through(place, retention, tmp_path):
    for name in ("a", "b"):
        gallery = place.create(name)
        put(gallery, "due", -1)
        put(gallery, "later", 1)
    assert retention.run() == 2
    assert [place.get(name).count().faces for name in ("a", "b")] == [1, 1]
    assert retention.run() == 0
    assert '"action":"faces.expire"' in (tmp_path / "audit.jsonl").read_text()


def test_a_set_clock_suspends_until_it_is_confirmed(place, retention, clocks):
    put(place.create("a"), "due", -1)
    wall, _ = clocks
    wall.now += 86_400
    assert retention.is_suspended
    with pytest.raises(RefusedError, match="the clock was set by 86400 s"):
        retention.expire("a")
    assert (retention.run(), retention.refused) == (0, {"a"})
    assert place.get("a").count().faces == 1
    assert len(retention.expire("a", confirm=True).faces) == 1
    assert not retention.is_suspended
    assert (retention.run(), retention.refused) == (0, frozenset())


def test_time_that_passes_and_small_corrections_suspend_nothing(retention, clocks):
    wall, steady = clocks
    wall.now += 86_410
    steady.now += 86_400
    assert not retention.is_suspended
    wall.now -= 1000
    assert retention.is_suspended


def test_what_fails_in_one_collection_does_not_stop_the_others(place, retention, monkeypatch):
    for name in ("a", "b"):
        put(place.create(name), "due", -1)

    def refuse(**_):
        raise StorageError(what="x", why="y", mend="z")

    monkeypatch.setattr(place.get("a").deletion, "expire", refuse)
    assert (retention.run(), retention.refused) == (1, {"a"})


def test_it_runs_at_once_and_again_until_cancelled(retention, monkeypatch):
    runs = []
    monkeypatch.setattr(retention, "run", lambda: runs.append(1))

    async def main():
        task = asyncio.create_task(retention.keep_running(0.01))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(runs) >= 2
