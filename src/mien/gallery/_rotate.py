"""Every sealed row of a store opened with one vault and sealed with another."""

import sqlite3
from typing import Final

from mien.gallery._rows import open_template, seal_template
from mien.gallery.vault import Vault

_COLUMNS: Final = (  # table, column, key, kind of place
    ("crops", "sealed", "face_id", "crop"),
    ("sightings", "sealed", "sighting_id", "sighting"),
    ("sightings", "crop", "sighting_id", "sighting crop"),
    ("journal", "sealed", "number", "journal"),
    ("receipts", "sealed", "number", "receipt"),
)


def reseal(db: sqlite3.Connection, old: Vault, new: Vault) -> int:
    """Seal all rows anew, inside the running transaction.

    Returns:
        How many faces there are.

    Raises:
        IntegrityError: If a row does not open; the transaction is then to be rolled back.
    """
    count = _faces(db, old, new)
    for person_id, record in db.execute("SELECT person_id, record FROM people").fetchall():
        value = old.open_json(record, "person", person_id)
        db.execute(
            "UPDATE people SET tag = ?, record = ? WHERE person_id = ?",
            (
                new.tag("name", value["name"]),
                new.seal_json(value, "person", person_id),
                person_id,
            ),
        )
    for table, column, key, kind in _COLUMNS:
        for one, sealed in db.execute(f"SELECT {key}, {column} FROM {table}").fetchall():  # noqa: S608
            again = new.seal(old.open(sealed, kind, str(one)), kind, str(one))
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (again, one))  # noqa: S608
    for one, person_id, sealed in db.execute("SELECT * FROM rejections").fetchall():
        place = ("rejection", one, person_id)
        db.execute(
            "UPDATE rejections SET sealed = ? WHERE rejection_id = ?",
            (new.seal(old.open(sealed, *place), *place), one),
        )
    for key, value in db.execute(
        "SELECT key, value FROM meta WHERE key LIKE 'sealed:%'"
    ).fetchall():
        plain = old.open(bytes.fromhex(value), "meta", key)
        db.execute(
            "UPDATE meta SET value = ? WHERE key = ?", (new.seal(plain, "meta", key).hex(), key)
        )
    return count


def _faces(db: sqlite3.Connection, old: Vault, new: Vault) -> int:
    """The faces, opened with the people's records as the old vault sealed them."""
    rows = db.execute(
        "SELECT face_id, faces.person_id, digest, retain_until, vector, faces.record, "
        "people.record FROM faces JOIN people USING (person_id)"
    ).fetchall()
    for row in rows:
        face_id, _, digest, _, vector, record = seal_template(new, open_template(old, row), row[1])
        db.execute(
            "UPDATE faces SET digest = ?, vector = ?, record = ? WHERE face_id = ?",
            (digest, vector, record, face_id),
        )
    return len(rows)
