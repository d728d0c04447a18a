"""Collections stay open, keep to their folder, and are not deleted under anybody's hands."""

import threading
import time

import pytest

from mien.core.errors import BusyError, ConflictError, InputError, MissingError
from mien.gallery.gallery import Gallery
from mien.server import collections as module
from mien.server.collections import Collections
from toys.painted import Painted


@pytest.fixture
def contract():
    return Painted().pipeline().contract


@pytest.fixture
def place(tmp_path, contract):
    opened = Collections(tmp_path / "data", contract)
    yield opened
    opened.close()


def test_a_collection_is_one_file_in_the_folder_and_opened_once(place):
    made = place.create("staff")
    assert (place.folder / "staff.gallery").is_file()
    assert place.get("staff") is made
    assert place.all() == ["staff"]


def test_collections_are_open_again_after_a_restart(place, contract):
    place.create("a", strict=True)
    place.close()
    again = Collections(place.folder, contract)
    assert again.get("a").is_strict
    again.close()


def test_a_gallery_that_another_program_puts_there_is_found(place, contract):
    Gallery.create(place.folder / "late.gallery", contract).close()
    assert place.all() == ["late"]
    assert place.get("late").count().faces == 0


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", "A", "-a", "a.b", "a" * 64, "a\n", "ä"])
def test_no_id_leads_out_of_the_folder(place, name):
    for act in (place.get, place.create, lambda n: place.delete(n, confirm=n)):
        with pytest.raises(InputError, match="cannot be the id"):
            act(name)


def test_what_is_missing_or_there_already_is_told(place):
    place.create("a")
    with pytest.raises(ConflictError, match="collection 'a' already"):
        place.create("a")
    with pytest.raises(MissingError, match="no collection 'b'"):
        place.get("b")


def test_a_damaged_file_is_noted_and_the_others_are_served(place, contract):
    place.create("good")
    place.close()
    (place.folder / "bad.gallery").write_bytes(b"no gallery" * 1000)
    again = Collections(place.folder, contract)
    assert list(again.faults) == ["bad"]
    assert again.get("good").count().faces == 0
    again.delete("bad", confirm="bad")
    assert (again.faults, again.all()) == ({}, ["good"])
    again.close()


def test_deleting_removes_every_file_of_that_collection_only(place):
    for name in ("a", "a-b"):
        place.create(name)
    (place.folder / "a.gallery.matrix").write_bytes(b"x")
    with pytest.raises(InputError, match="not repeated"):
        place.delete("a", confirm="b")
    assert place.delete("a", confirm="a") == 0
    assert not list(place.folder.glob("a.*"))
    assert place.all() == ["a-b"]
    with pytest.raises(MissingError):
        place.get("a")


def test_deletion_waits_for_those_at_work_and_lets_nobody_in_meanwhile(place):
    place.create("a")
    begun, go = threading.Event(), threading.Event()
    found = []

    def work():
        with place.use("a") as gallery:
            begun.set()
            go.wait(5)
            found.append(gallery.count().faces)

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait(5)
    deleting = threading.Thread(target=place.delete, args=("a",), kwargs={"confirm": "a"})
    deleting.start()
    while not place._rooms["a"].is_ending:
        time.sleep(0.01)
    with pytest.raises(MissingError):
        place.get("a")
    assert place.all() == ["a"]
    go.set()
    worker.join()
    deleting.join()
    assert (found, place.all()) == ([0], [])


def test_deletion_gives_up_if_they_do_not_end(place, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_S", 0.05)
    place.create("a")
    with place.use("a"), pytest.raises(BusyError, match="still at work"):
        place.delete("a", confirm="a")
    assert place.get("a").count().faces == 0
