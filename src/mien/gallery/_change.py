"""One change of a gallery: what may be done to its rows inside one transaction.

Everything about people is sealed here on its way in. A change also notes which rows were added,
removed and moved, so that what is searched can follow once it is committed. Whether a change is
wise is decided elsewhere (`lifecycle`).
"""

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mien.core.errors import ConflictError, IdentityMissingError
from mien.core.types import Float32
from mien.gallery._rows import open_template, seal_template
from mien.gallery.index import Template
from mien.gallery.vault import Vault

_SOME: Final = 500  # values in one statement; SQLite takes 32,766


class Change:
    """Rows added, removed and moved in one transaction of a store."""

    def __init__(self, db: sqlite3.Connection, vault: Vault) -> None:
        self._db = db
        self._vault = vault
        self._is_mirrored: bool | None = None
        self.added: list[tuple[int, str, Float32]] = []
        self.removed: list[int] = []
        self.moved: dict[int, str] = {}

    def find_person(self, name: str) -> str | None:
        """Id of the person of this name, if there is one."""
        tag = self._vault.tag("name", name)
        row = self._db.execute("SELECT person_id FROM people WHERE tag = ?", (tag,)).fetchone()
        return None if row is None else str(row[0])

    def person_name(self, person_id: str) -> str:
        """Name of a person.

        Raises:
            IdentityMissingError: If there is nobody of that id.
        """
        row = self._db.execute(
            "SELECT record FROM people WHERE person_id = ?", (person_id,)
        ).fetchone()
        if row is None:
            raise no_such_person()
        return str(self._vault.open_json(row[0], "person", person_id)["name"])

    def add_person(self, name: str, person_id: str | None = None) -> str:
        """A person without faces, so far.

        Raises:
            ConflictError: If the name is taken.
        """
        made = person_id or uuid.uuid4().hex
        self._refuse_taken(name)
        record = self._vault.seal_json({"name": name}, "person", made)
        tag = self._vault.tag("name", name)
        self._db.execute("INSERT INTO people VALUES (?, ?, ?)", (made, tag, record))
        return made

    def rename_person(self, person_id: str, name: str) -> None:
        """Give a person another name.

        Raises:
            ConflictError: If the name is taken.
        """
        self._refuse_taken(name)
        record = self._vault.seal_json({"name": name}, "person", person_id)
        self._db.execute(
            "UPDATE people SET tag = ?, record = ? WHERE person_id = ?",
            (self._vault.tag("name", name), record, person_id),
        )

    def put(self, templates: Sequence[Template]) -> None:
        """Add templates, or replace those of the same face id. People are made where needed."""
        replaced = self._take_out([template.face_id for template in templates])
        for template in templates:
            person_id = self.find_person(template.person) or self.add_person(template.person)
            row = seal_template(self._vault, template, person_id)
            number = self._db.execute(
                "INSERT INTO faces (face_id, person_id, digest, retain_until, vector, record) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            self.added.append((int(number or 0), person_id, np.asarray(template.vector)))
        self._post(template.face_id for template in templates)
        self.drop_empty(person for _, person in replaced.values())

    def remove(self, face_ids: Sequence[str]) -> list[str]:
        """Remove faces with all that hangs on them, and people who have none left.

        Returns:
            Ids of the faces that were there.
        """
        found = self._take_out(face_ids)
        self.drop_empty(person for _, person in found.values())
        return list(found)

    def _take_out(self, face_ids: Sequence[str]) -> dict[str, tuple[int, str]]:
        found = self._numbers(face_ids)
        self._db.executemany("DELETE FROM crops WHERE face_id = ?", [(f,) for f in found])
        self._db.executemany("DELETE FROM faces WHERE face_id = ?", [(f,) for f in found])
        gone = {number for number, _ in found.values()}
        self.removed += gone
        self._post(found)
        self.added = [one for one in self.added if one[0] not in gone]
        return found

    def move(self, face_ids: Sequence[str], person_id: str) -> None:
        """Give faces to another person; people who have none left go.

        Raises:
            IdentityMissingError: If a face is not there.
        """
        left = []
        for face_id in face_ids:
            template = self.template(face_id)
            left.append(template.person_id)
            row = seal_template(self._vault, template, person_id)
            number = self._numbers([face_id])[face_id][0]
            self._db.execute(
                "UPDATE faces SET person_id = ?, vector = ?, record = ? WHERE face_id = ?",
                (person_id, row[4], row[5], face_id),
            )
            self.moved[number] = person_id
        self._post(face_ids)
        self.drop_empty(left)

    def amend(self, template: Template, *, consent: str, retain_until: str) -> None:
        """Store a face with another consent and day of deletion; its vector stays."""
        changed = replace(template, consent=consent, retain_until=retain_until)
        row = seal_template(self._vault, changed, template.person_id)
        self._db.execute(
            "UPDATE faces SET retain_until = ?, record = ? WHERE face_id = ?",
            (retain_until, row[5], template.face_id),
        )

    def template(self, face_id: str) -> Template:
        """A face as it is stored.

        Raises:
            IdentityMissingError: If it is not there.
        """
        found = self.templates("WHERE face_id = ?", (face_id,))
        if not found:
            raise no_such_face(face_id)
        return found[0]

    def templates(self, clause: str, given: tuple[Any, ...] = ()) -> list[Template]:
        """Faces by an SQL clause over the columns of ``faces``."""
        rows = self._db.execute(
            "SELECT face_id, faces.person_id, digest, retain_until, vector, faces.record, "  # noqa: S608
            f"people.record FROM faces JOIN people USING (person_id) {clause}",
            given,
        ).fetchall()
        return [open_template(self._vault, row) for row in rows]

    def faces_of(self, person_id: str) -> list[Template]:
        """Everything enrolled of one person, in order of enrolment."""
        return self.templates("WHERE faces.person_id = ? ORDER BY number", (person_id,))

    def keep_crop(self, face_id: str, jpeg: bytes) -> None:
        """Keep the piece of the picture that shows a face."""
        sealed = self._vault.seal(jpeg, "crop", face_id)
        self._db.execute("REPLACE INTO crops VALUES (?, ?)", (face_id, sealed))

    def has_crop(self, face_id: str) -> bool:
        """Whether the piece of the picture was kept."""
        found = self._db.execute("SELECT 1 FROM crops WHERE face_id = ?", (face_id,))
        return found.fetchone() is not None

    def has_face(self, face_id: str) -> bool:
        """Whether there is a face of this id."""
        found = self._db.execute("SELECT 1 FROM faces WHERE face_id = ?", (face_id,))
        return found.fetchone() is not None

    def all_separations(self) -> list[tuple[str, str]]:
        """Pairs of people who are noted not to be one."""
        rows = self._db.execute("SELECT one, other FROM separations").fetchall()
        return [(str(one), str(other)) for one, other in rows]

    def has_person(self, person_id: str) -> bool:
        """Whether there is a person of this id."""
        found = self._db.execute("SELECT 1 FROM people WHERE person_id = ?", (person_id,))
        return found.fetchone() is not None

    def separate(self, one: str, other: str) -> None:
        """Note that two people are not one."""
        self._db.execute("INSERT OR IGNORE INTO separations VALUES (?, ?)", _ordered(one, other))

    def unite(self, one: str, other: str) -> None:
        """Forget that two people are not one."""
        self._db.execute(
            "DELETE FROM separations WHERE one = ? AND other = ?", _ordered(one, other)
        )

    def are_separate(self, one: str, other: str) -> bool:
        """Whether it was noted that two people are not one."""
        found = self._db.execute(
            "SELECT 1 FROM separations WHERE one = ? AND other = ?", _ordered(one, other)
        )
        return found.fetchone() is not None

    def reject(self, person_id: str, vector: Float32) -> str:
        """Note that a face is not this person."""
        made = uuid.uuid4().hex
        sealed = self._vault.seal(vector.astype("<f4").tobytes(), "rejection", made, person_id)
        self._db.execute("INSERT INTO rejections VALUES (?, ?, ?)", (made, person_id, sealed))
        return made

    def move_rejection(self, rejection_id: str, person_id: str) -> None:
        """Give a rejection to another person."""
        for before, sealed in self._db.execute(
            "SELECT person_id, sealed FROM rejections WHERE rejection_id = ?", (rejection_id,)
        ).fetchall():
            plain = self._vault.open(sealed, "rejection", rejection_id, before)
            self._db.execute(
                "UPDATE rejections SET person_id = ?, sealed = ? WHERE rejection_id = ?",
                (
                    person_id,
                    self._vault.seal(plain, "rejection", rejection_id, person_id),
                    rejection_id,
                ),
            )

    def rejections_of(self, person_id: str) -> list[str]:
        """Ids of the rejections of a person."""
        rows = self._db.execute(
            "SELECT rejection_id FROM rejections WHERE person_id = ?", (person_id,)
        )
        return [str(row[0]) for row in rows]

    def separate_from(self, person_id: str) -> list[str]:
        """People who are noted not to be this one."""
        rows = self._db.execute(
            "SELECT one, other FROM separations WHERE one = :id OR other = :id", {"id": person_id}
        )
        return [str(other if one == person_id else one) for one, other in rows]

    def unreject(self, rejection_id: str) -> None:
        """Forget that a face is not somebody."""
        self._db.execute("DELETE FROM rejections WHERE rejection_id = ?", (rejection_id,))

    def note(self, entry: dict[str, Any], ids: Iterable[str]) -> int:
        """Write an entry of the journal.

        Args:
            entry: What happened, JSON.
            ids: Faces and people that it speaks of; deleting one of them removes the entry.
        """
        number = int(
            self._db.execute("INSERT INTO journal (sealed) VALUES (?)", (b"",)).lastrowid or 0
        )
        sealed = self._vault.seal_json(entry, "journal", str(number))
        self._db.execute("UPDATE journal SET sealed = ? WHERE number = ?", (sealed, number))
        self._db.executemany(
            "INSERT INTO journal_ids VALUES (?, ?)", [(number, one) for one in dict.fromkeys(ids)]
        )
        return number

    def forget(self, ids: Sequence[str]) -> int:
        """Remove the journal's entries that speak of these faces or people; how many."""
        numbers: set[int] = set()
        for at in range(0, len(ids), _SOME):
            some = ids[at : at + _SOME]
            marks = ",".join("?" * len(some))
            numbers |= {
                int(n)
                for (n,) in self._db.execute(
                    f"SELECT number FROM journal_ids WHERE id IN ({marks})",  # noqa: S608
                    tuple(some),
                )
            }
        self._db.executemany("DELETE FROM journal WHERE number = ?", [(n,) for n in numbers])
        return len(numbers)

    def mark_undone(self, number: int) -> None:
        """Note that an entry of the journal was taken back."""
        self._db.execute("UPDATE journal SET undone = 1 WHERE number = ?", (number,))

    def keep_sighting(self, keep_until: str, record: dict[str, Any], crop: bytes) -> str:
        """Keep a face that was not enrolled, for a person to look at."""
        made = uuid.uuid4().hex
        self._db.execute(
            "INSERT INTO sightings (sighting_id, keep_until, sealed, crop) VALUES (?, ?, ?, ?)",
            (
                made,
                keep_until,
                self._vault.seal_json(record, "sighting", made),
                self._vault.seal(crop, "sighting crop", made),
            ),
        )
        return made

    def drop_sightings(self, sighting_ids: Sequence[str]) -> int:
        """Forget faces that were kept to be looked at; how many there were."""
        before = self._db.total_changes
        self._db.executemany(
            "DELETE FROM sightings WHERE sighting_id = ?", [(one,) for one in sighting_ids]
        )
        return self._db.total_changes - before

    def sightings_of(self, people: Sequence[str]) -> list[str]:
        """Faces kept to be looked at that were thought to be one of these people."""
        if not people:
            return []
        rows = self._db.execute("SELECT sighting_id, sealed FROM sightings")
        records = ((str(one), self._vault.open_json(text, "sighting", one)) for one, text in rows)
        return [one for one, record in records if record["person_id"] in people]

    def move_sighting(self, sighting_id: str, person_id: str) -> None:
        """Note that a kept face was thought to be another person, as after a merge."""
        for (sealed,) in self._db.execute(
            "SELECT sealed FROM sightings WHERE sighting_id = ?", (sighting_id,)
        ).fetchall():
            record = self._vault.open_json(sealed, "sighting", sighting_id)
            again = self._vault.seal_json(
                record | {"person_id": person_id}, "sighting", sighting_id
            )
            self._db.execute(
                "UPDATE sightings SET sealed = ? WHERE sighting_id = ?", (again, sighting_id)
            )

    def keep_receipt(self, number: int, text: str) -> None:
        """Keep the receipt of a deletion; in place of an earlier form of it."""
        sealed = self._vault.seal(text.encode(), "receipt", str(number))
        self._db.execute("REPLACE INTO receipts VALUES (?, ?)", (number, sealed))

    def receipts(self) -> list[bytes]:
        """All receipts, oldest first."""
        rows = self._db.execute("SELECT number, sealed FROM receipts ORDER BY number").fetchall()
        return [self._vault.open(sealed, "receipt", str(number)) for number, sealed in rows]

    def last_receipt(self) -> bytes | None:
        """The newest receipt, to be named by the next one."""
        row = self._db.execute(
            "SELECT number, sealed FROM receipts ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return None if row is None else self._vault.open(row[1], "receipt", str(row[0]))

    def count_ids(self, ids: Sequence[str]) -> int:
        """In how many rows one of these ids stands, of whatever table."""
        columns = (
            ("people", "person_id"), ("faces", "face_id"), ("faces", "person_id"),
            ("crops", "face_id"), ("separations", "one"), ("separations", "other"),
            ("rejections", "person_id"), ("journal_ids", "id"), ("outbox", "face_id"),
        )  # fmt: skip
        total = 0
        for table, column in columns:
            counting = f"SELECT count(*) FROM {table} WHERE {column} = ?"  # noqa: S608
            total += sum(int(self._db.execute(counting, (one,)).fetchone()[0]) for one in ids)
        return total

    def set_meta(self, key: str, value: str) -> None:
        """Keep a text with the gallery."""
        self._db.execute("REPLACE INTO meta VALUES (?, ?)", (key, value))

    def set_secret(self, key: str, value: bytes) -> None:
        """Keep bytes with the gallery, sealed."""
        name = f"sealed:{key}"
        self.set_meta(name, self._vault.seal(value, "meta", name).hex())

    def drop_secret(self, key: str) -> None:
        """Forget bytes that were kept with `set_secret`."""
        self._db.execute("DELETE FROM meta WHERE key = ?", (f"sealed:{key}",))

    def post_all(self) -> None:
        """Put every face into the outbox, for a search server that has none yet."""
        self._db.execute("INSERT OR IGNORE INTO outbox SELECT face_id FROM faces")

    def clear_outbox(self) -> None:
        """Forget what was to be sent."""
        self._db.execute("DELETE FROM outbox")

    def _post(self, face_ids: Iterable[str]) -> None:
        """Put changed faces into the outbox, if a search server is to follow."""
        if self._is_mirrored is None:
            found = self._db.execute("SELECT 1 FROM meta WHERE key = 'sealed:mirror'")
            self._is_mirrored = found.fetchone() is not None
        if self._is_mirrored:
            self._db.executemany(
                "INSERT OR IGNORE INTO outbox VALUES (?)", [(one,) for one in face_ids]
            )

    def _numbers(self, face_ids: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Row number and person of the faces that exist."""
        found: dict[str, tuple[int, str]] = {}
        for at in range(0, len(face_ids), _SOME):
            some = face_ids[at : at + _SOME]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(
                f"SELECT face_id, number, person_id FROM faces WHERE face_id IN ({marks})",  # noqa: S608
                tuple(some),
            )
            found |= {str(face): (int(number), str(person)) for face, number, person in rows}
        return found

    def drop_empty(self, people: Iterable[str]) -> None:
        """Remove those of some people who have no faces."""
        self._db.executemany(
            "DELETE FROM people WHERE person_id = :id "
            "AND NOT EXISTS (SELECT 1 FROM faces WHERE person_id = :id)",
            [{"id": person_id} for person_id in set(people)],
        )

    def _refuse_taken(self, name: str) -> None:
        if self.find_person(name) is not None:
            raise ConflictError(
                what="somebody of that name is in the gallery already",
                why="people are told apart by their names",
                mend="choose another name, or merge the two people",
            )


def _ordered(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def no_such_person() -> IdentityMissingError:
    """The error for a person who is not in the gallery; the name itself is not repeated."""
    return IdentityMissingError(
        what="nobody of that name is in the gallery",
        why="they were never enrolled, or were deleted",
        mend="see `mien gallery list`; names are case-sensitive",
    )


def no_such_face(face_id: str) -> IdentityMissingError:
    """The error for a face that is not in the gallery."""
    return IdentityMissingError(
        what=f"there is no face {face_id!r} in this gallery",
        why="it was never enrolled, or was deleted",
        mend="see `mien gallery list`",
    )
