"""Changes that were acknowledged and are missing show, whatever took them away."""

import shutil
import threading

import numpy as np
import pytest

from mien.core.errors import IntegrityError, StorageError
from mien.gallery._head import check_head, read_head, set_head, write_head
from mien.gallery.gallery import Gallery
from mien.gallery.sqlite import SqliteIndex
from toys.galleries import face, make, reopen, unit

STORE = "a" * 32


@pytest.fixture
def head(tmp_path):
    return tmp_path / "people.gallery.head"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "people.gallery"


def test_a_head_never_goes_back_by_itself(head):
    assert read_head(head, STORE) == -1
    for revision in (0, 3, 2, 7, 5):
        write_head(head, STORE, revision)
    assert read_head(head, STORE) == 7
    set_head(head, STORE, 4)
    assert read_head(head, STORE) == 4


@pytest.mark.parametrize("damage", ["cut", "longer", "flipped", "empty", "other"])
def test_a_head_that_is_none_says_nothing(head, damage):
    write_head(head, STORE, 9)
    data = head.read_bytes()
    damaged = {
        "cut": data[:-1],
        "longer": data + b"x",
        "flipped": data[:45] + bytes([data[45] ^ 8]) + data[46:],
        "empty": b"",
        "other": np.random.default_rng(1).bytes(len(data)),
    }[damage]
    head.write_bytes(damaged)
    assert read_head(head, STORE) == -1
    write_head(head, STORE, 3)
    assert read_head(head, STORE) in {3, -1}


def test_a_head_belongs_to_one_store(head):
    write_head(head, STORE, 9)
    assert read_head(head, "b" * 32) == -1
    write_head(head, "b" * 32, 2)
    assert read_head(head, "b" * 32) == 2


def test_the_highest_of_many_writers_stays(head):
    numbers = np.random.default_rng(2).permutation(60).tolist()
    threads = [
        threading.Thread(target=lambda k=k: [write_head(head, STORE, n) for n in numbers[k::4]])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_head(head, STORE) == 59


def test_what_is_missing_is_counted():
    check_head(-1, 0)
    check_head(4, 4)
    check_head(4, 5)
    with pytest.raises(IntegrityError, match="ends at change 4, but change 6 was") as caught:
        check_head(6, 4)
    assert caught.value.facts == {"revision": 4, "acknowledged": 6}


def test_a_head_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "head").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write_head(tmp_path / "head", STORE, 1)
    with pytest.raises(StorageError):
        read_head(tmp_path / "head", STORE)


@pytest.fixture
def killed(path, tmp_path):
    """A folder as a killed process leaves it: 12 enrolments acknowledged, nothing tidied up."""
    gallery = make(path)
    gallery.index.query("PRAGMA wal_autocheckpoint = 0")
    for k in range(12):
        gallery.add(face(f"person {k}", k), force=True)
    shutil.copytree(path.parent, tmp_path / "killed")
    gallery.close()
    return tmp_path / "killed" / path.name


def whole(gallery: Gallery) -> bool:
    hits = [gallery.index.search(unit(k)[None], 1)[0][0] for k in range(12)]
    return [hit.person for hit in hits] == [f"person {k}" for k in range(12)]


def test_a_killed_process_loses_nothing_that_was_acknowledged(killed):
    with reopen(killed) as gallery:
        assert whole(gallery)
        assert gallery.verify() == []


@pytest.mark.parametrize("seed", range(14))
def test_a_log_that_was_cut_off_never_passes_unseen(killed, seed):
    log = killed.with_name(killed.name + "-wal")
    rng = np.random.default_rng(seed)
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(size - 1 - int((size - 1) * rng.random() ** 3))
    if seed % 2:
        killed.with_name(killed.name + "-shm").unlink()
    with pytest.raises(IntegrityError) as caught:
        reopen(killed)
    left, noted = caught.value.facts.get("revision"), caught.value.facts.get("acknowledged")
    if noted is not None:  # else the log held even the schema
        assert noted == 12 > left
        assert f"ends at change {left}, but change 12 was acknowledged" in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_a_log_with_a_changed_byte_never_passes_unseen(killed, seed):
    log = killed.with_name(killed.name + "-wal")
    data = bytearray(log.read_bytes())
    data[np.random.default_rng(seed).integers(len(data) // 2, len(data))] ^= 0x10
    log.write_bytes(data)
    with pytest.raises(IntegrityError, match="change 12 was acknowledged"):
        reopen(killed)


def test_a_loss_can_be_accepted(killed):
    log = killed.with_name(killed.name + "-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 100)
    with pytest.raises(IntegrityError, match="mien gallery verify --accept-loss"):
        reopen(killed)
    index = SqliteIndex(killed)
    index.open(accept_loss=True)
    assert index.count().faces == 11
    assert index.verify() == []
    index.close()
    with reopen(killed) as gallery:
        gallery.add(face("new", 99), force=True)
    with reopen(killed) as gallery:
        assert gallery.count().faces == 12


def test_an_older_copy_is_not_taken_for_the_gallery(path, tmp_path):
    with make(path) as gallery:
        gallery.add(face("Ada", 1))
    shutil.copy(path, tmp_path / "old")
    with reopen(path) as gallery:
        gallery.add(face("Bob", 2))
    shutil.copy(tmp_path / "old", path)
    with pytest.raises(IntegrityError, match="ends at change 1, but change 2.*older copy"):
        reopen(path)


def test_a_deletion_does_not_come_back_with_an_older_copy(path, tmp_path):
    with make(path) as gallery:
        gallery.add(face("Ada", 1))
        gallery.index.empty_log()
        shutil.copy(path, tmp_path / "old")
        gallery.deletion.person("Ada")
    shutil.copy(tmp_path / "old", path)
    with pytest.raises(IntegrityError, match="older copy"):
        reopen(path)


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 9, b"\0" * 64])
def test_a_head_that_is_missing_or_garbage_does_no_harm(path, content):
    with make(path) as gallery:
        gallery.add(face("Ada", 1))
        head = gallery.index.head_path
    head.unlink()
    if content is not None:
        head.write_bytes(content)
    with reopen(path) as gallery:
        assert gallery.people.find("Ada").faces == 1
        gallery.add(face("Bob", 2))
    assert len(head.read_bytes()) >= 64


def test_a_copy_of_the_file_alone_is_a_whole_gallery(path, tmp_path):
    with make(path) as gallery:
        gallery.add(face("Ada", 1))
    (tmp_path / "copy").mkdir()
    shutil.copy(path, tmp_path / "copy" / "other.gallery")
    with reopen(tmp_path / "copy" / "other.gallery") as gallery:
        assert [one.name for one in gallery.people.all()] == ["Ada"]
        assert gallery.index.head_path.exists()


def test_the_head_of_a_former_gallery_in_its_place_is_forgotten(path):
    with make(path) as gallery:
        for k in range(5):
            gallery.add(face(f"p{k}", k), force=True)
    path.unlink()
    with make(path) as gallery:
        gallery.add(face("Ada", 1))
    with reopen(path) as gallery:
        assert gallery.count().faces == 1
