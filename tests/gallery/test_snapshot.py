"""The matrix file gives back the rows that were written, or nothing; never other rows."""

import shutil
import stat

import numpy as np
import pytest

from mien.core.errors import IntegrityError
from mien.gallery import _snapshot as module
from mien.gallery import sqlite
from mien.gallery._snapshot import Snapshot, read_snapshot, write_snapshot
from mien.gallery.index import Count
from mien.gallery.sqlite import SqliteIndex
from mien.gallery.vault import Vault
from toys.galleries import DIM, all_bytes, face, make, reopen, unit

STORE = "5" * 32
VAULT = Vault(b"d" * 32, STORE)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A matrix file from ten rows on, in blocks of four."""
    monkeypatch.setattr(module, "_BLOCK_ROWS", 4)
    monkeypatch.setattr(sqlite, "_MATRIX_ROWS", 10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


def draw(n: int) -> Snapshot:
    rows = np.stack([unit(k) for k in range(n)]) if n else np.zeros((0, DIM), np.float32)
    return Snapshot(np.arange(1, n + 1) * 3, rows)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 11])
def test_rows_come_back(tmp_path, n):
    write_snapshot(tmp_path / "m", STORE, VAULT, draw(n))
    found = read_snapshot(tmp_path / "m", STORE, VAULT, DIM)
    assert np.array_equal(found.numbers, draw(n).numbers)
    assert np.array_equal(found.rows, draw(n).rows)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o600


def test_no_row_stands_in_the_clear(tmp_path):
    write_snapshot(tmp_path / "m", STORE, VAULT, draw(9))
    data = (tmp_path / "m").read_bytes()
    assert not any(row.tobytes()[:16] in data for row in draw(9).rows)


def test_what_is_not_there_or_of_another_store_is_none(tmp_path):
    assert read_snapshot(tmp_path / "m", STORE, VAULT, DIM) is None
    write_snapshot(tmp_path / "m", STORE, VAULT, draw(5))
    assert read_snapshot(tmp_path / "m", "6" * 32, VAULT, DIM) is None
    assert read_snapshot(tmp_path / "m", STORE, VAULT, DIM + 1) is None


def test_another_key_does_not_open_it(tmp_path):
    write_snapshot(tmp_path / "m", STORE, VAULT, draw(5))
    with pytest.raises(
        IntegrityError, match="not a whole matrix file; .*does not open; .*delete it"
    ):
        read_snapshot(tmp_path / "m", STORE, Vault.new(STORE), DIM)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_never_gives_other_rows(tmp_path, seed):
    write_snapshot(tmp_path / "m", STORE, VAULT, draw(11))
    data = bytearray((tmp_path / "m").read_bytes())
    rng = np.random.default_rng(seed)
    start = 0 if seed % 2 else 4096
    match seed % 4:
        case 0 | 1:
            data[rng.integers(start, min(len(data), start + 1200))] ^= 1 << int(rng.integers(8))
        case 2:
            del data[rng.integers(len(data)) :]
        case 3:
            data += rng.bytes(rng.integers(1, 300))
    (tmp_path / "m").write_bytes(data)
    try:
        found = read_snapshot(tmp_path / "m", STORE, VAULT, DIM)
    except IntegrityError:
        return
    assert found is None or np.array_equal(found.rows, draw(11).rows)


def test_blocks_that_changed_places_do_not_open(tmp_path):
    write_snapshot(tmp_path / "m", STORE, VAULT, draw(8))
    data = (tmp_path / "m").read_bytes()
    size = (len(data) - 4096) // 2
    (tmp_path / "m").write_bytes(data[:4096] + data[-size:] + data[4096:-size])
    with pytest.raises(IntegrityError):
        read_snapshot(tmp_path / "m", STORE, VAULT, DIM)


def fill(path, start: int, stop: int) -> SqliteIndex:
    gallery = reopen(path) if path.exists() else make(path)
    gallery.index.upsert([face(f"person {k}", k) for k in range(start, stop)])
    gallery.index.search(unit(start)[None], 1)
    return gallery.index


def names(path) -> list[str]:
    with reopen(path) as gallery:
        count = gallery.count().faces
        found = [gallery.index.search(unit(k)[None], 1)[0][0].person for k in range(count)]
        assert gallery.verify() == []
        return found


def test_a_large_gallery_keeps_one_and_a_small_one_does_not(path):
    index = fill(path, 0, 9)
    index.close()
    assert not index.matrix_path.exists()
    index = fill(path, 9, 12)
    index.close()
    assert index.matrix_path.exists()
    assert names(path) == [f"person {k}" for k in range(12)]


def test_rows_are_read_from_it(path, monkeypatch):
    fill(path, 0, 12).close()
    opened = []
    real = sqlite.open_vector
    monkeypatch.setattr(sqlite, "open_vector", lambda *a: opened.append(a) or real(*a))
    with reopen(path) as gallery:
        gallery.index.search(unit(3)[None], 2)
    assert len(opened) == 3  # the last row of the file, and the hits, to prove them


def test_it_grows_with_the_gallery(path):
    index = fill(path, 0, 12)
    index.close()
    size = index.matrix_path.stat().st_size
    fill(path, 12, 15).close()
    assert index.matrix_path.stat().st_size == size
    fill(path, 15, 40).close()
    assert index.matrix_path.stat().st_size > 2 * size - 4096
    assert names(path) == [f"person {k}" for k in range(40)]


def test_it_goes_with_a_deletion(path):
    fill(path, 0, 12).close()
    with reopen(path) as gallery:
        gallery.deletion.person("person 3")
        assert not gallery.index.matrix_path.exists()
        assert gallery.count() == Count(11, 11)
        gallery.index.search(unit(0)[None], 1)
    with reopen(path) as gallery:
        assert gallery.index.matrix_path.exists()
        assert "person 3" not in [h.person for h in gallery.index.search(unit(3)[None], 99)[0]]


def test_a_process_that_has_not_seen_a_deletion_does_not_bring_the_row_back(path):
    stale = fill(path, 0, 12)
    with reopen(path) as gallery:
        gallery.deletion.person("person 3")
    stale.close()
    found = read_snapshot(stale.matrix_path, *_of(path), DIM)
    assert found is not None
    assert 4 not in found.numbers
    assert not any(np.array_equal(row, unit(3)) for row in found.rows)


def _of(path) -> tuple[str, Vault]:
    with reopen(path) as gallery:
        return gallery.index.store, gallery.index.vault


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped"])
def test_a_damaged_one_is_made_again(path, damage, caplog):
    index = fill(path, 0, 12)
    index.close()
    data = index.matrix_path.read_bytes()
    index.matrix_path.write_bytes(
        {"cut": data[:-9], "garbage": b"x" * 99, "flipped": data[:-9] + b"?" + data[-8:]}[damage]
    )
    assert names(path) == [f"person {k}" for k in range(12)]
    assert "made again from the gallery" in caplog.text
    caplog.clear()
    assert names(path) == [f"person {k}" for k in range(12)]
    assert caplog.text == ""


def test_one_of_a_later_state_is_never_searched_for_an_earlier_one(path, tmp_path):
    fill(path, 0, 10).close()
    shutil.copy(path, tmp_path / "old")
    matrix = path.with_name(path.name + ".matrix")
    fill(path, 10, 40).close()
    assert matrix.exists()
    shutil.copy(tmp_path / "old", path)
    index = SqliteIndex(path)
    index.open(accept_loss=True)
    index.upsert([face(f"other {k}", 500 + k) for k in range(60)])
    assert index.search(unit(511)[None], 1)[0][0].person == "other 11"
    index.close()
    with reopen(path) as gallery:
        found = gallery.index.search(unit(511)[None], 1)[0][0]
        assert (found.person, found.score) == ("other 11", pytest.approx(1, abs=1e-6))
        assert gallery.verify() == []


def test_no_name_or_template_is_in_any_file(path):
    fill(path, 0, 12).close()
    data = all_bytes(path.parent)
    for k in range(12):
        assert unit(k).tobytes()[:16] not in data
        assert f"person {k}".encode() not in data
