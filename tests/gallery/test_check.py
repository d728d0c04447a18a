"""Names are never mixed: whatever is moved or changed in the file is found, or changes nothing."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from mien.core.errors import IntegrityError, MienError
from mien.gallery.decide import not_comparable
from toys.galleries import face, make, reopen, unit

FACES = [face(f"quentin {k // 2}", k) for k in range(8)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A gallery with at least two rows in each table, written out into its one file."""
    path = tmp_path_factory.mktemp("sound") / "people.gallery"
    with make(path) as gallery:
        for k, one in enumerate(FACES):
            gallery.add(one, crop=b"jpeg %d" % k, force=True)
        for k in range(2):
            gallery.people.reject(f"quentin {k}", unit(50 + k))
            gallery.review.keep(
                unit(60 + k),
                not_comparable(["BLUR"]),
                crop=b"seen %d" % k,
                quality=50,
                digest=f"{k:064x}",
                box=(0, 0, 9, 9),
                days=5,
            )
            gallery.add(face(f"gone {k}", 30 + k), force=True)
            gallery.deletion.person(f"gone {k}")
        gallery.people.separate("quentin 0", "quentin 1")
        gallery.people.separate("quentin 2", "quentin 1")
        assert gallery.verify() == []
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, sound):
    path = tmp_path / "people.gallery"
    path.write_bytes(sound)
    return path


def change(path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for statement in statements:
            raw.execute(statement)


def swap(table: str, key: str, columns: str, one: str, other: str) -> list[str]:
    """Statements that exchange columns of two rows, whatever the rules of the table."""
    names = columns.split(", ")
    pairs = ", ".join(
        f"{c} = (SELECT {c} FROM before WHERE {key} = CASE {table}.{key} "
        f"WHEN {one} THEN {other} ELSE {one} END)"
        for c in names
    )
    away = [
        f"UPDATE {table} SET {c} = randomblob(16) WHERE {key} = {one}" for c in names if c == "tag"
    ]
    if away:  # one after the other, since both rows may not have the same tag
        exchange = [f"UPDATE {table} SET {pairs} WHERE {key} = {row}" for row in (other, one)]
    else:
        exchange = [f"UPDATE {table} SET {pairs} WHERE {key} IN ({one}, {other})"]
    return [f"CREATE TEMP TABLE before AS SELECT * FROM {table}", *away, *exchange]


def quoted(text: str) -> str:
    return f"'{text}'"


def two_people() -> tuple[str, str]:
    return (
        f"(SELECT person_id FROM main.faces WHERE face_id = '{FACES[0].face_id}')",
        f"(SELECT person_id FROM main.faces WHERE face_id = '{FACES[2].face_id}')",
    )


A, B = quoted(FACES[0].face_id), quoted(FACES[2].face_id)
SAME = quoted(FACES[1].face_id)  # another face of A's person
FIRST, SECOND = "(SELECT min({0}) FROM main.{1})", "(SELECT max({0}) FROM main.{1})"


def ends(table: str, key: str) -> tuple[str, str]:
    return FIRST.format(key, table), SECOND.format(key, table)


SWAPS = {
    "vectors": swap("faces", "face_id", "vector", A, B),
    "vectors of one person": swap("faces", "face_id", "vector", A, SAME),
    "people of faces": swap("faces", "face_id", "person_id", A, B),
    "records of faces": swap("faces", "face_id", "record", A, B),
    "vectors with their people": swap("faces", "face_id", "person_id, vector", A, B),
    "all that is sealed of two faces": swap("faces", "face_id", "vector, record", A, B),
    "all but the ids of two faces": swap("faces", "face_id", "digest, vector, record", A, SAME),
    "digests": swap("faces", "face_id", "digest", A, B),
    "names": swap("people", "person_id", "record", *two_people()),
    "names and their tags": swap("people", "person_id", "tag, record", *two_people()),
    "tags of names": swap("people", "person_id", "tag", *two_people()),
    "crops": swap("crops", "face_id", "sealed", A, B),
    "rejections": swap("rejections", "rejection_id", "sealed", *ends("rejections", "rejection_id")),
    "people of rejections": swap(
        "rejections", "rejection_id", "person_id", *ends("rejections", "rejection_id")
    ),
    "sightings": swap("sightings", "number", "sealed", *ends("sightings", "number")),
    "crops of sightings": swap("sightings", "number", "crop", *ends("sightings", "number")),
    "entries of the journal": swap("journal", "number", "sealed", *ends("journal", "number")),
    "receipts": swap("receipts", "number", "sealed", *ends("receipts", "number")),
    "a crop for a sighting's": [
        f"UPDATE crops SET sealed = (SELECT crop FROM sightings LIMIT 1) WHERE face_id = {A}"
    ],
    "a record for a vector": [f"UPDATE faces SET vector = record WHERE face_id = {A}"],
    "a vector that was cut off": [
        f"UPDATE faces SET vector = substr(vector, 1, 40) WHERE face_id = {A}"
    ],
    "a day of deletion that was put off": [
        f"UPDATE faces SET retain_until = '2099-01-01' WHERE face_id = {A}"
    ],
    "a person without faces": [
        "PRAGMA foreign_keys = OFF",
        f"DELETE FROM faces WHERE person_id = {two_people()[0]}",
    ],
    "faces without their person": [
        "PRAGMA foreign_keys = OFF",
        f"DELETE FROM people WHERE person_id = {two_people()[0]}",
    ],
    "a receipt that was taken out": ["DELETE FROM receipts WHERE number = 1"],
}


@pytest.mark.parametrize("what", list(SWAPS))
def test_what_was_moved_or_changed_is_found(path, what):
    change(path, *SWAPS[what])
    with reopen(path) as gallery:
        faults = gallery.verify()
    assert faults != []
    assert not any(one.person in fault for fault in faults for one in FACES)


@pytest.mark.parametrize(
    "what", [w for w in SWAPS if "people" in w or "name" in w or "vector" in w]
)
@pytest.mark.parametrize("is_open", [False, True])
def test_no_wrong_name_is_given_meanwhile(path, what, is_open):
    """Neither after opening, nor by a process that has the gallery open all the time."""
    with reopen(path) as gallery:
        if is_open:
            gallery.index.search(unit(0)[None], 1)
            change(path, *SWAPS[what])
            ask_for_everybody(gallery)
    if not is_open:
        change(path, *SWAPS[what])
        with reopen(path) as gallery:
            ask_for_everybody(gallery)


def ask_for_everybody(gallery) -> int:
    """How many right answers there are; a wrong one is a failure, a typed error is none."""
    answers = 0
    for one in FACES:
        for search in (gallery.index.search, gallery.index.search_grouped):
            try:
                (hits,) = search(one.vector[None], 1)
            except MienError:
                continue
            for hit in hits:
                if hit.score > 0.999:
                    assert (hit.face_id, hit.person) == (one.face_id, one.person)
                    answers += 1
        try:
            (found,) = gallery.index.get([one.face_id])
        except MienError:
            continue
        assert found.person == one.person
        assert found.vector.tobytes() == one.vector.tobytes()
    return answers


def test_numbers_that_were_exchanged_under_an_open_gallery_mix_nobody_up(path):
    first, second = (f"(SELECT number FROM main.faces WHERE face_id = {one})" for one in (A, B))
    with reopen(path) as gallery:
        assert ask_for_everybody(gallery) == 16
        change(
            path,
            f"CREATE TEMP TABLE n AS SELECT {first} AS a, {second} AS b",
            "UPDATE faces SET number = -1 WHERE number = (SELECT a FROM n)",
            "UPDATE faces SET number = (SELECT a FROM n) WHERE number = (SELECT b FROM n)",
            "UPDATE faces SET number = (SELECT b FROM n) WHERE number = -1",
        )
        ask_for_everybody(gallery)
        assert gallery.verify() != []
    with reopen(path) as gallery:
        assert ask_for_everybody(gallery) == 16
        assert gallery.verify() == []


def test_a_damaged_template_is_named_by_its_id(path):
    change(path, f"UPDATE faces SET vector = x'00' WHERE face_id = {A}")
    with reopen(path) as gallery:
        assert gallery.verify() == [f"the template of face {FACES[0].face_id} is damaged"]
        with pytest.raises(IntegrityError, match="kind 'vector' does not open"):
            gallery.index.search(unit(0)[None], 1)


def state(gallery) -> dict[str, object]:
    """What a gallery answers: names, and who is nearest to each face."""
    hits = gallery.index.search_grouped(np.stack([one.vector for one in FACES]), 2)
    return {
        "people": [(p.name, p.faces, p.person_id) for p in gallery.people.all()],
        "hits": [[(h.face_id, h.person, h.score) for h in found] for found in hits],
        "found": [gallery.people.find(one.person).name for one in FACES],
    }


@pytest.mark.parametrize("part", range(4))
def test_a_flipped_byte_gives_the_same_answer_or_is_found(tmp_path, sound, part):
    """Eighty flips each; a wrong name would be a failure wherever it came from."""
    path = tmp_path / "people.gallery"
    path.write_bytes(sound)
    with reopen(path) as gallery:
        truth = state(gallery)
    head = path.with_name(path.name + ".head").read_bytes()
    owners = {one.face_id: one.person for one in FACES}
    rng = np.random.default_rng(part)
    same = 0
    for _ in range(80):
        data = bytearray(sound)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        for name in ("-wal", "-shm"):
            path.with_name(path.name + name).unlink(missing_ok=True)
        path.with_name(path.name + ".head").write_bytes(head)
        try:
            with reopen(path) as gallery:
                try:
                    answer = state(gallery)
                except MienError:
                    continue
                for hit in (hit for found in answer["hits"] for hit in found):
                    assert owners[hit[0]] == hit[1]
                if answer == truth:
                    same += 1
                else:
                    assert gallery.verify() != []
        except MienError:
            continue
    assert same > 5
