"""A search server in step with a gallery; the protocol's own store plays the server."""

import numpy as np
import pytest

from contracts.gallery_index import DIM, template, unit
from mien.core.errors import ConflictError, StorageError
from mien.gallery import mirror as module
from mien.gallery.gallery import Gallery
from mien.gallery.sqlite import SqliteIndex


@pytest.fixture
def server(tmp_path, monkeypatch):
    """What the two doors to servers give; it can be switched off."""
    made: list[SqliteIndex] = []

    def create(url, contract, dim):
        index = SqliteIndex(tmp_path / "server")
        index.create(contract, dim)
        made.append(index)
        return index

    def reopen(url, contract):
        index = SqliteIndex(tmp_path / "server")
        index.open()
        assert index.contract == contract
        made.append(index)
        return index

    monkeypatch.setattr(module, "create_index", create)
    monkeypatch.setattr(module, "open_index", reopen)
    return made


def make(path):
    index = SqliteIndex(path)
    index.create("toy", DIM)
    gallery = Gallery(index)
    for number, person in enumerate(("ann", "ann", "bob"), 1):
        gallery.add(template(f"{number:032x}", person, unit(number)))
    return gallery


@pytest.fixture
def gallery(tmp_path):
    with make(tmp_path / "people.gallery") as made:
        yield made


def switch_off(server, monkeypatch):
    def fail(*_):
        raise StorageError(what="gone", why="the server is off", mend="start it")

    for verb in ("upsert", "delete", "search_grouped", "get"):
        monkeypatch.setattr(server[-1], verb, fail)


def test_the_server_gets_no_names_and_turned_templates(gallery, server):
    gallery.attach("toy://x")
    held = list(server[0].iterate())
    ids = {person.person_id for person in gallery.people.all()}
    assert {one.person for one in held} == ids
    assert all(one.source == one.consent == one.digest == "" for one in held)
    assert all(abs(float(one.vector @ unit(k))) < 0.9 for k, one in enumerate(held, 1))
    assert server[0].contract.startswith("toy+rotation-")


def test_searches_answer_with_names_and_the_same_scores(gallery, server):
    queries = np.stack([unit(k) for k in (1, 3, 50)])
    before = gallery.nearest(queries, 2)
    gallery.attach("toy://x")
    after = gallery.nearest(queries, 2)
    for ours, theirs in zip(before, after, strict=True):
        assert [(h.person, h.face_id, h.person_id) for h in ours] == [
            (h.person, h.face_id, h.person_id) for h in theirs
        ]
        assert np.allclose([h.score for h in ours], [h.score for h in theirs], atol=1e-5)


def test_every_change_follows(gallery, server):
    gallery.attach("toy://x")
    gallery.add(template("9" * 32, "cyd", unit(9)))
    gallery.people.merge("ann", "bob")
    assert gallery.nearest(unit(9)[None], 1)[0][0].person == "cyd"
    assert gallery.nearest(unit(3)[None], 1)[0][0].person == "ann"
    gallery.journal.undo()
    gallery.people.rename("bob", "rob")
    assert gallery.nearest(unit(3)[None], 1)[0][0].person == "rob"
    receipt = gallery.deletion.person("cyd")
    assert receipt.checks["search server"] == "absent"
    assert gallery.verify() == []


def test_one_enrolment_follows_another_without_a_search_between(gallery, server):
    gallery.attach("toy://x")
    for number, person in ((7, "cyd"), (8, "dan"), (9, "eve")):
        gallery.add(template(f"{number:032x}", person, unit(number)))
    assert gallery.nearest(unit(8)[None], 1)[0][0].person == "dan"
    assert gallery.verify() == []


def test_it_is_found_again_after_reopening(gallery, server, tmp_path):
    gallery.attach("toy://x")
    gallery.close()
    index = SqliteIndex(tmp_path / "people.gallery")
    index.open()
    with Gallery(index) as again:
        assert again.mirror is not None
        assert again.nearest(unit(3)[None], 1)[0][0].person == "bob"
        assert again.verify() == []
        with pytest.raises(ConflictError, match="has a search server already"):
            again.attach("toy://y")


def test_a_server_that_is_off_makes_searches_fail_and_loses_nothing(gallery, server, monkeypatch):
    gallery.attach("toy://x")
    with monkeypatch.context() as patch:
        switch_off(server, patch)
        gallery.add(template("9" * 32, "cyd", unit(9)), force=True)
        receipt = gallery.deletion.person("bob")
        assert receipt.checks["search server"] == "pending: it cannot be reached"
        assert not receipt.is_complete
        with pytest.raises(StorageError, match="the server is off"):
            gallery.nearest(unit(9)[None], 1)
    assert gallery.nearest(unit(9)[None], 1)[0][0].person == "cyd"
    assert {hit.person for hit in gallery.nearest(unit(3)[None], 5)[0]} == {"ann", "cyd"}
    assert gallery.verify() == []


def test_verify_finds_what_differs(gallery, server):
    gallery.attach("toy://x")
    server[0].delete([f"{1:032x}"])
    server[0].upsert([template("8" * 32, "mallory", unit(8))])
    faults = gallery.verify()
    assert faults == [
        f"search server: face {1:032x} is missing or mixed up",
        f"search server: face {'8' * 32} is not in the gallery",
    ]


def test_letting_go_empties_the_server(gallery, server, tmp_path):
    gallery.attach("toy://x")
    gallery.detach()
    emptied = SqliteIndex(tmp_path / "server")
    emptied.open()
    assert emptied.count().faces == 0
    emptied.close()
    assert gallery.mirror is None
    assert gallery.nearest(unit(3)[None], 1)[0][0].person == "bob"
    gallery.add(template("9" * 32, "cyd", unit(9)))
    assert gallery.index.outbox(10) == []
