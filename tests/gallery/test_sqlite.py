"""The default store: the common contract, and what only a file can suffer."""

import multiprocessing
import resource
import sqlite3
import stat

import pytest

from contracts.gallery_index import DIM, GalleryIndexContract, crowd, template, unit
from mien.core.errors import IntegrityError, InternalError, MissingError, StorageError
from mien.gallery import _database, _view
from mien.gallery import sqlite as module
from mien.gallery.index import Count
from mien.gallery.sqlite import SqliteIndex


def make(path, **options) -> SqliteIndex:
    index = SqliteIndex(path, **options)
    index.create("toy", DIM)
    return index


def reopen(path) -> SqliteIndex:
    index = SqliteIndex(path)
    index.open()
    return index


class TestSqliteIndex(GalleryIndexContract):
    def make(self, tmp_path):
        return make(tmp_path / "people.gallery")


class TestSqliteIndexWithMatrixFile(GalleryIndexContract):
    """The same after opening it again, with the rows read from the matrix file."""

    @pytest.fixture(autouse=True)
    def from_the_first_row_on(self, monkeypatch):
        monkeypatch.setattr(module, "_MATRIX_ROWS", 1)
        monkeypatch.setattr(_view, "TAIL_ROWS", 0)

    def make(self, tmp_path):
        index = make(tmp_path / "people.gallery")
        index.upsert([template("once", "here", unit(12345))])
        index.search(unit(0)[None], 1)
        index.close()
        index.open()
        index.delete(["once"])
        return index


class TestSqliteIndexInt8(GalleryIndexContract):
    def make(self, tmp_path):
        return make(tmp_path / "people.gallery", precision="int8")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


def test_everything_is_there_after_opening_again(path):
    index = make(path)
    index.upsert(crowd(20))
    index.close()
    again = reopen(path)
    assert again.count() == Count(20, 20)
    assert again.search(unit(7)[None], 1)[0][0].face_id == "f7"
    assert again.verify() == []
    again.close()


def test_only_the_owner_can_read_it(path):
    make(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_large_galleries_are_opened_from_the_matrix_file(path, monkeypatch):
    monkeypatch.setattr(module, "_MATRIX_ROWS", 10)
    index = make(path)
    index.upsert(crowd(50))
    index.search(unit(0)[None], 1)
    index.close()
    assert index.matrix_path.stat().st_size >= 50 * DIM * 4
    assert stat.S_IMODE(index.matrix_path.stat().st_mode) == 0o600
    again = reopen(path)
    again.upsert([template("late", "late", unit(500))])
    assert again.search(unit(500)[None], 1)[0][0].face_id == "late"
    assert again.search(unit(49)[None], 1)[0][0].face_id == "f49"
    assert again.verify() == []
    again.close()
    last = reopen(path)
    assert last.search(unit(500)[None], 1)[0][0].face_id == "late"
    last.close()


def test_no_template_or_name_is_ever_in_a_file(path, monkeypatch):
    monkeypatch.setattr(module, "_MATRIX_ROWS", 10)
    index = make(path)
    index.upsert(crowd(30))
    index.search(unit(0)[None], 1)
    files = lambda: b"".join(f.read_bytes() for f in path.parent.iterdir())  # noqa: E731
    index.delete(["f11"])
    for _ in range(2):
        for k in (10, 11, 12):
            assert unit(k).tobytes()[:12] not in files()
            assert f"person {k}".encode() not in files()
            assert f"f{k}.jpg".encode() not in files()
        index.close()


def test_a_deleted_row_is_not_even_sealed_in_a_file(path, monkeypatch):
    monkeypatch.setattr(module, "_MATRIX_ROWS", 10)
    index = make(path)
    index.upsert(crowd(30))
    ((vector, record),) = index.query("SELECT vector, record FROM faces WHERE face_id = 'f11'")
    files = lambda: b"".join(f.read_bytes() for f in path.parent.iterdir())  # noqa: E731
    assert vector in files()
    assert record in files()
    index.delete(["f11"])
    for _ in range(2):
        assert vector[:16] not in files()
        assert record[:16] not in files()
        index.close()


def test_a_damaged_matrix_is_made_again(path, monkeypatch):
    monkeypatch.setattr(module, "_MATRIX_ROWS", 10)
    index = make(path)
    index.upsert(crowd(30))
    index.search(unit(0)[None], 1)
    index.close()
    index.matrix_path.write_bytes(index.matrix_path.read_bytes()[:-100])
    again = reopen(path)
    assert again.search(unit(29)[None], 1)[0][0].face_id == "f29"
    assert again.verify() == []
    again.close()
    assert index.matrix_path.exists()


def test_verify_finds_a_matrix_that_differs(path, monkeypatch):
    monkeypatch.setattr(module, "_MATRIX_ROWS", 10)
    index = make(path)
    index.upsert(crowd(30))
    index.search(unit(0)[None], 1)
    index._view._main.search.rows[7] = unit(77)
    assert index.verify() == ["face f7 differs in the matrix"]
    with pytest.raises(IntegrityError, match="face f7 is not what was searched"):
        index.search(unit(77)[None], 1)
    index.close()


def test_verify_finds_a_person_that_differs(path):
    index = make(path)
    index.upsert(crowd(4, per_person=2))
    index.search(unit(0)[None], 1)
    index._view.apply(moved={1: index.get(["f3"])[0].person_id})
    assert index.verify() == ["face f0 has another person in the matrix"]
    index.close()


def test_verify_finds_a_changed_template(path):
    index = make(path)
    index.upsert(crowd(3))
    index.close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE faces SET vector = ? WHERE face_id = 'f1'", (2 * unit(1),))
        raw.execute("UPDATE faces SET vector = x'00' WHERE face_id = 'f2'")
    raw.close()
    again = reopen(path)
    with pytest.raises(IntegrityError, match="kind 'vector' does not open"):
        again.get(["f2"])
    assert again.verify() == [
        "the template of face f1 is damaged",
        "the template of face f2 is damaged",
    ]
    with pytest.raises(IntegrityError):
        again.search(unit(1)[None], 1)
    again.close()


def test_two_processes_see_each_others_changes(path):
    one = make(path)
    two = reopen(path)
    one.upsert(crowd(5))
    assert two.search(unit(4)[None], 1)[0][0].face_id == "f4"
    two.delete(["f4"])
    assert one.search(unit(4)[None], 1)[0][0].face_id != "f4"
    one.close()
    two.close()


def test_verify_finds_templates_that_were_sealed_wrong(path):
    """Sealed by mien itself, and still none that it would have taken."""
    index = make(path)
    index.upsert(crowd(3))
    for face_id, vector in (("f1", 2 * unit(1)), ("f2", unit(2)[:9])):
        (one,) = index.get([face_id])
        sealed = index.vault.seal(vector.tobytes(), "vector", face_id, one.person_id)
        with index.change() as change:
            change._db.execute("UPDATE faces SET vector = ? WHERE face_id = ?", (sealed, face_id))
    assert index.verify() == [
        "the template of face f1 is not of length 1",
        "the template of face f2 is cut off",
    ]
    with pytest.raises(IntegrityError, match="the template of face f2 is cut off"):
        index.search(unit(1)[None], 1)
    index.close()


def test_a_second_writer_waits_and_then_says_why(path, monkeypatch):
    monkeypatch.setattr(_database, "WAIT_MS", 200)
    index = make(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another process is writing to it; wait"):
        index.upsert(crowd(1))
    other.execute("ROLLBACK")
    other.close()
    index.upsert(crowd(1))
    assert index.count().faces == 1
    index.close()


def _fill_until_full(path, answers):
    """In a process of its own: files may not grow beyond 900 kB, as on a full disk."""
    index = reopen(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000))
    stored = 0
    try:
        for k in range(10_000):
            index.upsert([template(f"f{k}", f"p{k}", unit(k))])
            stored += 1
    except StorageError as err:
        answers.put((stored, str(err)))


def test_a_full_disk_loses_nothing_that_was_acknowledged(path):
    make(path).close()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_fill_until_full, args=(path, answers))
    process.start()
    stored, words = answers.get(timeout=120)
    process.join()
    assert "disk is full" in words
    assert "nothing of the change was stored" in words
    again = reopen(path)
    assert again.count().faces == stored > 10
    assert again.verify() == []
    again.close()


def _enrol_and_die(path):
    import os

    index = reopen(path)
    for k in range(100):
        index.upsert([template(f"f{k}", f"p{k}", unit(k))])
    os._exit(9)


def test_a_killed_process_loses_nothing_that_was_acknowledged(path):
    make(path).close()
    process = multiprocessing.get_context("spawn").Process(target=_enrol_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    again = reopen(path)
    assert again.count().faces == 100
    assert again.verify() == []
    again.close()


def test_a_missing_gallery_says_how_to_make_one(path):
    with pytest.raises(MissingError, match="no gallery at .*; nobody .*mien enrol"):
        SqliteIndex(path).open()


def test_another_file_is_no_gallery(path):
    path.write_bytes(b"this is not a database, but it is long enough to be looked at" * 20)
    with pytest.raises(IntegrityError, match="damaged or no gallery"):
        SqliteIndex(path).open()


def test_another_database_is_no_gallery(path):
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE things (a)")
    raw.close()
    with pytest.raises(IntegrityError, match="not a gallery of this version of mien"):
        SqliteIndex(path).open()


def test_a_place_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        make(tmp_path / "file" / "people.gallery")


def test_a_closed_gallery_says_so(path):
    index = make(path)
    index.close()
    with pytest.raises(InternalError, match="the gallery is closed"):
        index.count()


def test_notes_are_kept_and_replaced(path):
    index = make(path)
    assert index.read_note("calibration") is None
    index.write_note("calibration", "{}")
    index.write_note("calibration", '{"a": 1}')
    index.close()
    again = reopen(path)
    assert again.read_note("calibration") == '{"a": 1}'
    again.close()


def test_people_are_listed_by_name(path):
    index = make(path)
    index.upsert(crowd(5, per_person=2))
    assert index.people() == [("person 0", 2), ("person 1", 2), ("person 2", 1)]
    index.close()


def test_a_digest_finds_its_templates(path):
    index = make(path)
    rows = crowd(3)
    index.upsert(rows)
    assert [one.face_id for one in index.find_digest(rows[1].digest)] == ["f1"]
    assert index.find_digest("0" * 64) == []
    index.close()


def test_scores_are_the_same_in_memory_and_from_the_file(path, monkeypatch):
    monkeypatch.setattr(module, "_MATRIX_ROWS", 10)
    index = make(path)
    index.upsert(crowd(40))
    query = unit(123)[None]
    memory = index.search(query, 40)[0]
    index.close()
    again = reopen(path)
    assert again.search(query, 40)[0] == memory
    again.close()


def test_people_are_counted_once_after_a_change(path):
    index = make(path)
    other = reopen(path)
    index.upsert(crowd(4, per_person=2))
    asked = []
    index._db.set_trace_callback(asked.append)
    assert [index.count() for _ in range(3)] == [Count(4, 2)] * 3
    assert sum("count(DISTINCT" in words for words in asked) == 1
    index._db.set_trace_callback(None)
    other.delete(["f0", "f1"])
    assert index.count() == Count(2, 1)
    index.upsert([template("new", "eve", unit(77))])
    assert index.count() == other.count() == Count(3, 2)
    index.close()
    other.close()
