"""What is deleted is nowhere any more, a receipt says so, and a wrong clock deletes nobody."""

import multiprocessing
import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from mien.core.errors import (
    IdentityMissingError,
    IntegrityError,
    MienError,
    RefusedError,
    StorageError,
)
from mien.core.keys import Key
from mien.gallery import _database, sqlite
from mien.gallery.decide import Candidate, decide, not_comparable, point_for_fpir
from mien.gallery.index import Count
from mien.gallery.receipts import parse_receipt, verify_receipt
from toys.galleries import all_bytes, dump, face, make, reopen, seen_in, table, traces, unit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


def fill(gallery, count: int = 40) -> None:
    """Bob has four faces, crops, a rejection and a past; the others one face each."""
    for k in range(count):
        name = "Bob Ross" if k % 10 == 3 else f"person {k}"
        gallery.add(face(name, k), crop=unit(900 + k).tobytes(), force=True)
    gallery.people.reject("Bob Ross", unit(70))
    gallery.people.separate("Bob Ross", "person 0")
    sight(gallery, "Bob Ross", 80)
    sight(gallery, "person 1", 81)


def sight(gallery, name: str, seed: int, days: int = 9) -> str:
    person = gallery.people.find(name)
    best = Candidate(name, 0.1, person.face_id, person.person_id)
    verdict = decide([best], point_for_fpir(table(), 0.01, 4))
    return gallery.review.keep(
        unit(seed),
        verdict,
        crop=b"j",
        quality=5,
        digest=f"{seed:064x}",
        box=(0, 0, 9, 9),
        days=days,
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("filled") / "people.gallery"
    with make(path) as made:
        fill(made)
    return path.read_bytes()


@pytest.fixture
def gallery(path, filled):
    path.write_bytes(filled)
    with reopen(path) as made:
        yield made


def test_a_deleted_person_is_nowhere(gallery, path, monkeypatch):
    monkeypatch.setattr(sqlite, "_MATRIX_ROWS", 10)
    gallery.index.search(unit(0)[None], 1)
    gallery.close()
    assert path.with_name(path.name + ".matrix").exists()
    with reopen(path) as again:
        bob = again.people.faces("Bob Ross")
        crops = [again.people.crop(one.face_id) for one in bob]
        again.index.search(unit(0)[None], 1)
        assert {"face id, utf-8", "person id, utf-8"} <= set(seen_in(path.parent, *bob))
        receipt = again.deletion.person("Bob Ross", actor="ann")
        for is_closed in (False, True):
            if is_closed:
                again.close()
            assert seen_in(path.parent, *bob) == []
            assert not any(crop[:20] in all_bytes(path.parent) for crop in crops)
    assert receipt.is_complete
    assert receipt.checks == {
        "store": "absent",
        "write-ahead log": "absent",
        "files": "absent",
        "index": "absent",
    }
    assert receipt.removed == {
        "faces": 4,
        "crops": 4,
        "rejections": 1,
        "journal_entries": 6,
        "sightings": 1,
    }
    with reopen(path) as again:
        assert again.count() == Count(36, 36)
        assert {h.person for h in again.index.search(unit(3)[None], 99)[0]}.isdisjoint({"Bob Ross"})
        assert len(again.review.all()) == 1
        assert again.verify() == []


def test_a_deleted_person_is_not_found_by_those_who_have_the_gallery_open(gallery, path):
    with reopen(path) as other:
        assert other.index.search(unit(13)[None], 1)[0][0].person == "Bob Ross"
        gallery.deletion.person("Bob Ross")
        for one in (gallery, other):
            assert "Bob Ross" not in [h.person for h in one.index.search(unit(13)[None], 99)[0]]
            with pytest.raises(IdentityMissingError):
                one.people.find("Bob Ross")
            with pytest.raises(IdentityMissingError):
                one.deletion.person("Bob Ross")


def test_what_was_sealed_of_a_deleted_person_is_overwritten_too(gallery, path):
    rows = gallery.index.query(
        "SELECT vector, faces.record, people.record FROM faces JOIN people USING (person_id) "
        "WHERE number = 4"
    )
    crops = gallery.index.query("SELECT sealed FROM crops ORDER BY rowid LIMIT 4")
    sealed = [*rows[0], crops[3][0]]
    assert all(blob[:16] in all_bytes(path.parent) for blob in sealed)
    gallery.deletion.person("Bob Ross")
    assert [blob for blob in sealed if blob[:16] in all_bytes(path.parent)] == []


@pytest.mark.parametrize(
    "change",
    ["rename", "merge", "rotate_key", "expire", "faces", "undo", "discard", "upsert", "index"],
)
def test_what_any_change_takes_away_is_in_no_file(path, change):
    with make(path) as gallery:
        bob = gallery.add(face("Bob Ross", 1, retain_until="2026-12-01"), force=True)
        gallery.add(face("Ann", 2), force=True)
        gallery.add(face("Ann", 3), force=True)
        gone = seen_in(path.parent, bob)
        assert gone == ["face id, utf-8", "person id, utf-8"]
        allowed: tuple[str, ...] = ()
        match change:
            case "rename":
                gallery.people.rename("Bob Ross", "Robert")
                allowed = ("face id", "person id")
            case "merge":
                gallery.people.merge("Ann", "Bob Ross")
                allowed = ("face id", "person id")  # the journal can take it back
                assert bob.person_id not in str(dump(gallery)["people"])
            case "rotate_key":
                gallery.rotate_key(Key(b"n" * 32))
                allowed = ("face id", "person id")
            case "expire":
                assert gallery.deletion.expire(date(2026, 12, 2)).is_complete
            case "faces":
                assert gallery.deletion.faces([bob.face_id]).is_complete
            case "undo":
                gallery.journal.undo(1)
                allowed = ("face id", "person id")
                assert str(bob.face_id) not in str(dump(gallery))
            case "discard":
                kept = sight(gallery, "Ann", 55)
                gallery.review.discard(kept)
                assert kept.encode() not in all_bytes(path.parent)
                gallery.deletion.person("Bob Ross")
            case "upsert":
                gallery.index.upsert([face("Robert", 1, vector=unit(9))])
                allowed = ("face id", "person id")
            case "index":
                assert gallery.index.delete([bob.face_id]) == 1
                allowed = ("face id", "person id")
        assert seen_in(path.parent, bob, but=allowed) == []
    assert seen_in(path.parent, bob, but=allowed) == []


def test_deleting_many_leaves_none_of_them_behind(path):
    """SQLite keeps copies of rows that it moves from page to page."""
    rng = np.random.default_rng(1)
    with make(path) as gallery:
        for k in range(50):
            rows = [face(f"p{rng.integers(120)}", 4 * k + j) for j in range(4)]
            gallery.index.upsert(rows)
            people = gallery.index.people()
            assert gallery.deletion.person(people[rng.integers(len(people))][0]).is_complete
        assert gallery.verify() == []


def test_copies_that_sqlite_has_left_are_written_over(gallery, path, monkeypatch):
    rewritten = []
    real = sqlite.SqliteIndex.rewrite
    monkeypatch.setattr(sqlite.SqliteIndex, "rewrite", lambda one: rewritten.append(real(one)))
    bob = gallery.people.faces("Bob Ross")
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA secure_delete = OFF")
    raw.execute("CREATE TABLE junk (text)")
    raw.executemany("INSERT INTO junk VALUES (?)", [(one.face_id + "x" * 200,) for one in bob] * 50)
    raw.execute("DROP TABLE junk")
    raw.close()
    gallery.deletion.person("person 0")
    assert rewritten == []
    gallery.index.empty_log()
    assert bob[0].face_id.encode() + b"xxx" in path.read_bytes()
    assert gallery.deletion.person("Bob Ross").is_complete
    assert rewritten == [None]
    assert seen_in(path.parent, *bob) == []
    assert gallery.verify() == []


def test_deleting_some_faces_leaves_the_person(gallery):
    one, other = (face("", k).face_id for k in (3, 13))
    receipt = gallery.deletion.faces([one, other, one])
    assert receipt.is_complete
    assert (receipt.faces, receipt.people) == ((one, other), ())
    assert receipt.removed["rejections"] == receipt.removed["sightings"] == 0
    assert gallery.people.find("Bob Ross").faces == 2
    assert len(gallery.people.rejections()) == 1


def test_one_unknown_face_and_nothing_is_deleted(gallery):
    before = dump(gallery)
    with pytest.raises(IdentityMissingError, match="no face 'nobody'"):
        gallery.deletion.faces([face("", 3).face_id, "nobody"])
    with pytest.raises(IdentityMissingError, match="nobody of that name"):
        gallery.deletion.person("nobody")
    assert dump(gallery) == before
    assert gallery.deletion.receipts() == []


def test_a_sighting_of_a_merged_person_goes_with_the_deletion(gallery):
    gallery.people.merge("person 2", "Bob Ross")
    assert gallery.deletion.person("person 2").removed["sightings"] == 1
    assert [one.digest for one in gallery.review.all()] == [f"{81:064x}"]


def test_receipts_hold_ids_and_counts_and_no_name(gallery):
    bob = gallery.people.faces("Bob Ross")
    text = gallery.deletion.person("Bob Ross").to_json()
    for one in bob:
        for kind, trace in traces(one).items():
            assert trace not in text.encode() or kind.endswith("id, utf-8")


def test_receipts_are_numbered_chained_and_kept(gallery, path):
    made = [gallery.deletion.person(f"person {k}") for k in (0, 1, 2)]
    assert [one.number for one in made] == [1, 2, 3]
    assert [one.previous for one in made] == ["", made[0].digest(), made[1].digest()]
    assert {one.signer for one in made} == {gallery.deletion.signer()}
    with reopen(path) as again:
        assert again.deletion.receipts() == made
        assert again.deletion.chain_faults() == []
        for one in again.deletion.receipts():
            verify_receipt(parse_receipt(one.to_json()), signer=again.deletion.signer())


def test_a_receipt_that_was_taken_out_of_the_gallery_shows(gallery):
    for k in (0, 1, 2):
        gallery.deletion.person(f"person {k}")
    with gallery.index.change() as change:
        change._db.execute("DELETE FROM receipts WHERE number = 2")
    assert gallery.verify() == ["a receipt is missing before receipt 3"]


def test_a_claim_can_be_checked_again_later(gallery, tmp_path):
    receipt = gallery.deletion.person("Bob Ross")
    assert gallery.deletion.faults(receipt) == []
    gallery.add(face("Bob Ross", 3), force=True)
    assert gallery.deletion.faults(receipt)[0] == "store: 1 rows" or gallery.deletion.faults(
        receipt
    )
    with make(tmp_path / "other") as other:
        assert other.deletion.faults(receipt) == ["the receipt is of another gallery"]


def test_a_copy_beside_the_gallery_is_not_passed_over(gallery, path):
    gallery.index.empty_log()
    (path.parent / (path.name + ".old")).write_bytes(path.read_bytes())
    receipt = gallery.deletion.person("Bob Ross")
    assert receipt.checks["files"] == "5 ids"
    assert not receipt.is_complete


def test_files_with_odd_names_are_looked_through_too(tmp_path):
    path = tmp_path / "people [1]*.gallery"
    with make(path) as gallery:
        one = gallery.add(face("Bob Ross", 1))
        path.with_name(path.name + ".copy").write_bytes(one.face_id.encode())
        assert gallery.deletion.person("Bob Ross").checks["files"] == "1 ids"


def _read_until_told(path, begun, end) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM faces").fetchall()
    begun.set()
    end.wait(60)
    connection.close()


def test_a_reader_elsewhere_leaves_the_deletion_pending_and_it_can_be_completed(path, monkeypatch):
    monkeypatch.setattr(_database, "WAIT_MS", 100)
    context = multiprocessing.get_context("spawn")
    begun, end = context.Event(), context.Event()
    with make(path) as gallery:
        bob = gallery.add(face("Bob Ross", 1))
        gallery.add(face("Ann", 2), force=True)
        reader = context.Process(target=_read_until_told, args=(path, begun, end))
        reader.start()
        assert begun.wait(60)
        receipt = gallery.deletion.person("Bob Ross")
        assert receipt.checks["write-ahead log"] == "pending: another process has it open"
        assert receipt.checks["store"] == receipt.checks["index"] == "absent"
        assert not receipt.is_complete
        assert "write-ahead log: pending: another process has it open" in gallery.deletion.faults(
            receipt
        )
        end.set()
        reader.join()
        assert gallery.deletion.faults(receipt) == []
        assert seen_in(path.parent, bob) == []
        assert gallery.verify() == []


def test_deletions_at_once_keep_one_whole_chain(gallery, path):
    """Each receipt is completed after its deletion, when others may have come in between."""
    others = [reopen(path) for _ in range(2)]
    errors: list[MienError] = []

    def delete(one, start: int) -> None:
        try:
            for k in range(start, 30, 3):
                if k % 10 != 3:
                    one.deletion.person(f"person {k}")
        except MienError as err:  # shown below, in the main thread
            errors.append(err)

    threads = [
        threading.Thread(target=delete, args=(one, k)) for k, one in enumerate([gallery, *others])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [one.number for one in gallery.deletion.receipts()] == list(range(1, 28))
    assert gallery.verify() == []
    assert gallery.count().faces == 13
    for one in others:
        one.close()


def test_a_person_is_deleted_whole_while_another_process_enrols_more_of_them(path):
    with make(path) as gallery, reopen(path) as other:
        for k in range(10):
            gallery.add(face("Bob Ross", 2 * k), force=True)
        done = threading.Event()

        def enrol() -> None:
            for k in range(15):
                other.add(face("Bob Ross", 2 * k + 101), force=True)
            done.set()

        thread = threading.Thread(target=enrol)
        thread.start()
        while not done.is_set():
            try:
                receipt = gallery.deletion.person("Bob Ross")
            except IdentityMissingError:
                continue
            assert len(receipt.people) == 1
        thread.join()
        assert gallery.verify() == []


@pytest.fixture
def dated(path):
    with make(path) as made:
        for k, day in enumerate(["2027-01-31", "", "2027-02-01", "2027-01-31"]):
            made.add(face(f"p{k}", k, retain_until=day), force=True)
        made.deletion.expire(date(2026, 12, 31), confirm=True)  # whatever day it is today
        yield made


def test_a_new_gallery_knows_the_day_it_was_made(path):
    with make(path) as made:
        made.add(face("p", 1, retain_until="2020-01-01"), force=True)
        with pytest.raises(RefusedError, match="the making of the gallery"):
            made.deletion.expire(datetime.now(UTC).date() + timedelta(days=32))
        assert made.count().faces == 1


def test_templates_live_to_the_end_of_their_day(dated):
    assert dated.deletion.expire(date(2027, 1, 31)) is None
    receipt = dated.deletion.expire(date(2027, 2, 1))
    assert receipt.is_complete
    assert receipt.cause == "retention"
    assert receipt.removed["faces"] == 2
    assert [one.name for one in dated.people.all()] == ["p1", "p2"]
    assert dated.deletion.expire(date(2027, 2, 1)) is None
    assert dated.deletion.expire(date(2027, 2, 2)).removed["faces"] == 1
    assert [one.name for one in dated.people.all()] == ["p1"]


def test_a_clock_that_leaps_deletes_nobody(dated, path):
    assert dated.deletion.expire(date(2026, 12, 1)) is None
    with pytest.raises(
        RefusedError, match=r"the last run .* was on 2026-12-01, and the clock shows 2099"
    ):
        dated.deletion.expire(date(2099, 1, 1))
    with pytest.raises(RefusedError, match="leapt by more than 31 days; .*--confirm"):
        dated.deletion.expire(date(2027, 3, 1))
    assert dated.count().faces == 4
    with reopen(path) as again, pytest.raises(RefusedError):
        again.deletion.expire(date(2099, 1, 1))
    assert dated.deletion.expire(date(2027, 1, 1)) is None
    assert dated.deletion.expire(date(2027, 2, 1)).removed["faces"] == 2
    assert dated.deletion.expire(date(2027, 5, 1), confirm=True).removed["faces"] == 1


def test_a_clock_that_went_back_has_to_be_confirmed_on_its_way_forth(dated):
    dated.deletion.expire(date(2027, 1, 1))
    assert dated.deletion.expire(date(1970, 1, 1)) is None
    with pytest.raises(RefusedError):
        dated.deletion.expire(date(2027, 1, 2))
    assert dated.deletion.expire(date(2027, 2, 1), confirm=True).removed["faces"] == 2


def test_the_day_of_the_clock_is_meant_if_none_is_named(path):
    today = datetime.now(UTC).date()
    with make(path) as gallery:
        for k, days in enumerate((-2, 2)):
            day = (today + timedelta(days=days)).isoformat()
            gallery.add(face(f"p{k}", k, retain_until=day), force=True)
        assert gallery.deletion.expire().removed["faces"] == 1
        assert [one.name for one in gallery.people.all()] == ["p1"]


def test_kept_faces_are_forgotten_on_their_day(path):
    today = datetime.now(UTC).date()
    with make(path) as gallery:
        kept = [
            gallery.review.keep(
                unit(k),
                not_comparable(["BLUR"]),
                crop=b"j",
                quality=1,
                digest=f"{k:064x}",
                box=(0, 0, 1, 1),
                days=days,
            )
            for k, days in enumerate((3, 8))
        ]
        gallery.deletion.expire(today + timedelta(days=3))
        assert len(gallery.review.all()) == 2
        assert gallery.deletion.expire(today + timedelta(days=4)) is None
        assert [one.sighting_id for one in gallery.review.all()] == kept[1:]
        assert kept[0].encode() not in all_bytes(path.parent)


def test_a_deletion_that_cannot_be_stored_changes_nothing(gallery, monkeypatch):
    before = dump(gallery)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("mien.gallery._change.Change.keep_receipt", full)
    with pytest.raises(StorageError, match="the disk is full"):
        gallery.deletion.person("Bob Ross")
    monkeypatch.undo()
    assert dump(gallery) == before
    assert gallery.index.search(unit(13)[None], 1)[0][0].person == "Bob Ross"
    assert gallery.verify() == []


def test_a_process_that_dies_before_its_receipt_is_complete_leaves_a_whole_chain(
    gallery, path, monkeypatch
):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.gallery.deletion.Deletion._finish", die)
    with pytest.raises(KeyboardInterrupt):
        gallery.deletion.person("Bob Ross")
    monkeypatch.undo()
    gallery.deletion.person("person 0")
    first, second = gallery.deletion.receipts()
    assert not first.is_complete
    assert second.is_complete
    assert gallery.deletion.faults(first) == []
    assert gallery.verify() == []


def test_a_damaged_signing_key_is_a_typed_error(gallery):
    gallery.deletion.person("Bob Ross")
    with gallery.index.change() as change:
        change._db.execute("UPDATE meta SET value = '00' WHERE key = 'sealed:signer'")
    with pytest.raises(IntegrityError, match="kind 'meta' does not open"):
        gallery.verify()
