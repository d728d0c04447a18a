"""A new key: everything is sealed again, the old key opens nothing, nothing old is left."""

import pytest

from mien.core.errors import IntegrityError, RefusedError
from mien.core.keys import Key
from toys.galleries import all_bytes, dump, face, make, reopen, unit

OLD, NEW = Key(b"o" * 32, "old.key"), Key(b"n" * 32, "new.key")
SEALED = {
    "people": ("tag", "record"),
    "faces": ("digest", "vector", "record"),
    "crops": ("sealed",),
    "rejections": ("sealed",),
    "sightings": ("sealed", "crop"),
    "journal": ("sealed",),
    "receipts": ("sealed",),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


@pytest.fixture
def gallery(path):
    """Something in each table."""
    with make(path, key=OLD) as made:
        for k in range(6):
            made.add(face(f"person {k // 2}", k), crop=b"jpeg %d" % k, force=True)
        made.people.reject("person 1", unit(50))
        made.people.separate("person 0", "person 1")
        keep_sighting(made)
        made.deletion.person("person 2")
        yield made


def keep_sighting(gallery):
    from mien.gallery.decide import Verdict, not_comparable

    verdict: Verdict = not_comparable(["BLUR"])
    return gallery.review.keep(
        unit(60), verdict, crop=b"seen", quality=50, digest="d" * 64, box=(0, 0, 9, 9), days=5
    )


def sealed_values(gallery) -> list[bytes]:
    found = []
    for table, columns in SEALED.items():
        for column in columns:
            rows = gallery.index.query(f"SELECT {column} FROM {table}")
            assert rows, table
            found += [value for (value,) in rows]
    found += [
        bytes.fromhex(value)
        for (value,) in gallery.index.query("SELECT value FROM meta WHERE key LIKE 'sealed:%'")
    ]
    return found


def test_everything_is_as_it_was_and_opens_with_the_new_key_only(gallery, path):
    before, receipts = dump(gallery), gallery.deletion.receipts()
    entries = gallery.journal.entries()
    assert gallery.rotate_key(NEW) == 4
    assert dump(gallery) == before
    gallery.close()
    with pytest.raises(RefusedError, match=f"sealed with the key {NEW.id}.*old.key"):
        reopen(path, key=OLD)
    with reopen(path, key=NEW) as again:
        assert dump(again) == before
        assert again.deletion.receipts() == receipts
        assert again.journal.entries() == entries
        assert again.verify() == []
        assert again.people.find("person 1").name == "person 1"
        assert again.index.find_digest(face("", 0).digest)[0].person == "person 0"
        assert again.index.search(unit(3)[None], 1)[0][0].person == "person 1"
        again.journal.undo()


def test_nothing_that_was_sealed_before_is_left_in_any_file(gallery, path):
    old = sealed_values(gallery)
    (wrapped,) = gallery.index.query("SELECT value FROM meta WHERE key = 'vault'")
    gallery.rotate_key(NEW)
    data = all_bytes(path.parent)
    assert [value for value in old if value[:16] in data] == []
    assert wrapped[0].encode() not in data
    assert not set(old) & set(sealed_values(gallery))


def test_another_process_with_the_right_key_goes_on(gallery, path):
    with reopen(path, key=OLD) as other:
        other.index.search(unit(0)[None], 1)
        gallery.rotate_key(OLD)
        assert [one.person for one in other.index.get([face("", 1).face_id])] == ["person 0"]
        assert other.people.crop(face("", 1).face_id) == b"jpeg 1"
        assert other.journal.entries() == gallery.journal.entries()
        assert other.index.search(unit(2)[None], 1)[0][0].person == "person 1"
        other.add(face("late", 70), force=True)
        assert gallery.people.find("late").faces == 1
        assert gallery.verify() == other.verify() == []


def test_another_process_with_the_old_key_is_refused_again_and_again(gallery, path):
    with reopen(path, key=OLD) as other:
        other.index.search(unit(0)[None], 1)
        gallery.rotate_key(NEW)
        for _ in range(3):
            with pytest.raises(RefusedError, match=f"sealed with the key {NEW.id}"):
                other.index.search(unit(2)[None], 1)
            with pytest.raises(RefusedError):
                other.add(face("late", 70), force=True)
            with pytest.raises(RefusedError):
                other.people.find("person 0")
    assert gallery.count().faces == 4


@pytest.mark.parametrize("table", list(SEALED))
def test_a_row_that_does_not_open_stops_it_and_nothing_has_changed(gallery, path, table):
    column = SEALED[table][-1]
    index = gallery.index
    ((row, value),) = index.query(f"SELECT rowid, {column} FROM {table} LIMIT 1")
    damaged = value[:-1] + bytes([value[-1] ^ 1])
    with index.change() as change:
        change._db.execute(
            f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
            (damaged, row),
        )
    with pytest.raises(IntegrityError, match="does not open"):
        gallery.rotate_key(NEW)
    with index.change() as change:
        change._db.execute(
            f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
            (value, row),
        )
    assert gallery.verify() == []
    gallery.close()
    with reopen(path, key=OLD) as again:
        assert again.verify() == []


def test_rotating_twice_and_back_is_fine(gallery, path):
    before = dump(gallery)
    for key in (NEW, OLD, NEW):
        gallery.rotate_key(key)
    gallery.add(face("late", 70), force=True)
    gallery.close()
    with reopen(path, key=NEW) as again:
        assert dump(again)["faces"][:4] == before["faces"]
        assert again.verify() == []
