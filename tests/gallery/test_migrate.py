"""Galleries of mien 0.1.0: nobody is lost on the way, nothing is left in the clear."""

import multiprocessing
import os
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mien.core import keys
from mien.core.errors import IntegrityError, MissingError, RefusedError, StorageError
from mien.core.keys import Key
from mien.gallery import _database, _migrate
from mien.gallery.gallery import Gallery
from toys.galleries import CONTRACT, DIM, face, reopen, seen_in, table, unit
from toys.old_gallery import STORE, write_old_gallery

PEOPLE = [face(name, seed) for seed, name in enumerate(["Zoë 李", "Ann", "Bob", "Ann", "O'Brien"])]


@pytest.fixture
def path(tmp_path):
    """An old gallery whose process has ended properly."""
    path = tmp_path / "people.gallery"
    write_old_gallery(path, CONTRACT.id, DIM, PEOPLE, calibration=table().to_json()).close()
    return path


def columns(template) -> tuple[object, ...]:
    return (
        template.face_id,
        template.person,
        template.vector.tobytes(),
        template.quality,
        template.source,
        template.digest,
        template.box,
        template.consent,
        template.enrolled_at,
        template.retain_until,
    )


def raw(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def is_old_and_whole(path: Path) -> bool:
    (version,) = raw(path, "PRAGMA user_version")[0]
    rows = raw(path, "SELECT person, vector FROM faces ORDER BY number")
    tables = {name for (name,) in raw(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    return (
        version == 1
        and [name for name, _ in rows] == [one.person for one in PEOPLE]
        and [blob for _, blob in rows] == [one.vector.tobytes() for one in PEOPLE]
        and tables == {"meta", "faces", "sqlite_sequence"}
    )


def test_everybody_is_there_afterwards_in_the_same_order(path, caplog):
    with reopen(path) as gallery:
        assert [columns(one) for one in gallery.index.iterate()] == [columns(p) for p in PEOPLE]
        assert [(p.name, p.faces) for p in gallery.people.all()] == [
            ("Ann", 2),
            ("Bob", 1),
            ("O'Brien", 1),
            ("Zoë 李", 1),
        ]
        assert gallery.index.search(unit(2)[None], 1)[0][0].person == "Bob"
        assert gallery.index.find_digest(PEOPLE[4].digest)[0].person == "O'Brien"
        assert gallery.index.store == STORE
        assert gallery.calibration.provenance.data == "toys"
        assert gallery.verify() == []
    assert "brought to schema 2 and sealed" in caplog.text
    caplog.clear()
    with reopen(path) as gallery:
        assert gallery.count().faces == 5
    assert caplog.text == ""


def test_nothing_of_anybody_is_left_in_the_clear(path):
    assert {"float32", "name, utf-8", "source, utf-8"} <= set(seen_in(path.parent, *PEOPLE))
    with reopen(path):
        assert seen_in(path.parent, *PEOPLE, but=("face id",)) == []
    assert seen_in(path.parent, *PEOPLE, but=("face id",)) == []
    assert raw(path, "PRAGMA user_version") == [(2,)]


def test_the_log_of_a_killed_process_is_carried_over_too(tmp_path):
    path = tmp_path / "people.gallery"
    first = write_old_gallery(path, CONTRACT.id, DIM, PEOPLE)
    for name in ("people.gallery", "people.gallery-wal"):
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / name).write_bytes((tmp_path / name).read_bytes())
    first.close()
    with reopen(tmp_path / "copy" / path.name) as gallery:
        assert gallery.count().faces == 5
    assert seen_in(tmp_path / "copy", *PEOPLE, but=("face id",)) == []


def test_numbers_go_on_after_the_old_ones(path):
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM faces WHERE number = 2")
    connection.commit()
    connection.close()
    with reopen(path) as gallery:
        gallery.add(face("new", 9), force=True)
        numbers = [n for (n,) in gallery.index.query("SELECT number FROM faces ORDER BY number")]
    assert numbers == [1, 3, 4, 5, 6]


def test_a_wrong_key_is_refused_afterwards(path):
    with reopen(path):
        pass
    with pytest.raises(RefusedError, match="sealed with the key"):
        reopen(path, key=Key(bytes(32)))


def test_a_key_is_made_for_a_user_who_has_none(path, monkeypatch, tmp_path):
    monkeypatch.delenv(keys.KEY_VARIABLE)
    monkeypatch.setattr(keys, "default_key_file", lambda: tmp_path / "config" / "gallery.key")
    reopen(path).close()
    reopen(path).close()
    (tmp_path / "config" / "gallery.key").unlink()
    with pytest.raises(MissingError, match="there is no key"):
        reopen(path)


def test_an_error_in_the_middle_leaves_the_old_gallery(path, monkeypatch):
    real, seen = _migrate._carry_over, []

    def break_off(*arguments):
        seen.append(1)
        if len(seen) == 4:
            raise sqlite3.OperationalError("database or disk is full")
        real(*arguments)

    monkeypatch.setattr(_migrate, "_carry_over", break_off)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        reopen(path)
    assert is_old_and_whole(path)
    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(keys.KEY_VARIABLE, "a" * 64)
        with reopen(path) as gallery:
            assert gallery.count().faces == 5


def _upgrade_and_die(path: Path) -> None:
    real, seen = _migrate._carry_over, []

    def die(*arguments):
        seen.append(1)
        if len(seen) == 4:
            os._exit(9)
        real(*arguments)

    _migrate._carry_over = die
    Gallery.open(path)


def test_a_process_killed_in_the_middle_leaves_the_old_gallery(path):
    process = multiprocessing.get_context("spawn").Process(target=_upgrade_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert is_old_and_whole(path)
    with reopen(path) as gallery:
        assert [one.person for one in gallery.index.iterate()] == [one.person for one in PEOPLE]
    assert seen_in(path.parent, *PEOPLE, but=("face id",)) == []


def test_a_damaged_old_gallery_is_left_as_it_is(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE faces SET vector = x'00' WHERE number = 3")
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match="the template of face [0-9a-f]{32} is cut off"):
        reopen(path)
    assert raw(path, "PRAGMA user_version") == [(1,)]
    assert len(raw(path, "SELECT 1 FROM faces")) == 5


def test_an_old_process_that_still_writes_is_named(path, monkeypatch):
    monkeypatch.setattr(_database, "WAIT_MS", 100)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another process is writing to it"):
        reopen(path)
    other.execute("ROLLBACK")
    other.close()
    assert is_old_and_whole(path)


def test_an_old_process_that_still_reads_is_named(path, monkeypatch):
    monkeypatch.setattr(_database, "WAIT_MS", 100)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM faces").fetchall()
    with pytest.raises(StorageError, match="its log still holds the unsealed rows; another proc"):
        reopen(path)
    other.execute("COMMIT")
    other.close()
    with reopen(path) as gallery:
        assert gallery.count().faces == 5
        assert seen_in(path.parent, *PEOPLE, but=("face id",)) == []


@contextmanager
def nobody():
    """The rights of a user who owns nothing, if the tests run as root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_place_that_cannot_be_written_is_an_error_and_nothing_happens(path):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = folder / "people.gallery"
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o444)
        folder.chmod(0o555)
        reopen(path).close()  # so that everything is imported
        try:
            with nobody(), pytest.raises(StorageError, match="the place is not writable"):
                reopen(copy)
            assert copy.read_bytes() != b""
            assert [one.name for one in folder.iterdir()] == [copy.name]
        finally:
            folder.chmod(0o755)


def test_a_gallery_of_a_later_mien_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(IntegrityError, match="schema version 3, not 0x4d49454e and 1 to 2"):
        reopen(path)
    assert raw(path, "PRAGMA user_version") == [(3,)]


def test_an_old_gallery_without_its_rows_about_itself_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM meta WHERE key = 'store'")
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match="meta rows are missing"):
        reopen(path)
    assert raw(path, "PRAGMA user_version") == [(1,)]


def test_vectors_come_through_to_the_last_bit(path):
    with reopen(path) as gallery:
        rows = np.stack([one.vector for one in gallery.index.iterate()])
    assert rows.tobytes() == np.stack([one.vector for one in PEOPLE]).tobytes()
