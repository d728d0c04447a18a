"""Every sealed row of a store opened and compared with what stands beside it.

What is found is said in words with opaque ids; nothing is mended here.
"""

import sqlite3
from collections.abc import Iterator

import numpy as np

from mien.core.errors import IntegrityError
from mien.gallery._rows import open_template
from mien.gallery.search import LENGTH_TOLERANCE
from mien.gallery.vault import Vault


def find_faults(db: sqlite3.Connection, vault: Vault, dim: int) -> list[str]:
    """What is wrong with the rows of a store; empty if nothing is."""
    faults = [f"SQLite: {text}" for (text,) in db.execute("PRAGMA integrity_check") if text != "ok"]
    faults += [
        f"a row of {table} points nowhere"
        for table, *_ in db.execute("PRAGMA foreign_key_check").fetchall()
    ]
    faults += _faces(db, vault, dim)
    for find in (_people, _crops, _rejections, _sightings, _journal, _receipts):
        faults += find(db, vault)
    return faults


def _people(db: sqlite3.Connection, vault: Vault) -> Iterator[str]:
    for person_id, tag, record in db.execute("SELECT person_id, tag, record FROM people"):
        try:
            name = vault.open_json(record, "person", person_id)["name"]
        except IntegrityError:
            yield f"the record of person {person_id} does not open"
            continue
        if vault.tag("name", name) != tag:
            yield f"person {person_id} cannot be found by name"
    yield from (
        f"person {person_id} has no faces"
        for (person_id,) in db.execute(
            "SELECT person_id FROM people WHERE NOT EXISTS "
            "(SELECT 1 FROM faces WHERE faces.person_id = people.person_id)"
        )
    )


def _faces(db: sqlite3.Connection, vault: Vault, dim: int) -> Iterator[str]:
    rows = db.execute(
        "SELECT face_id, faces.person_id, digest, retain_until, vector, faces.record, "
        "people.record FROM faces JOIN people USING (person_id) ORDER BY number"
    )
    for row in rows:
        try:
            vector = open_template(vault, row).vector
        except (IntegrityError, ValueError, KeyError, TypeError):
            yield f"the template of face {row[0]} is damaged"
            continue
        if len(vector) != dim:
            yield f"the template of face {row[0]} is cut off"
        elif abs(float(np.linalg.norm(vector.astype(np.float64))) - 1) > LENGTH_TOLERANCE:
            yield f"the template of face {row[0]} is not of length 1"


def _crops(db: sqlite3.Connection, vault: Vault) -> Iterator[str]:
    for face_id, sealed in db.execute("SELECT face_id, sealed FROM crops"):
        if not _opens(vault, sealed, "crop", face_id):
            yield f"the crop of face {face_id} does not open"


def _rejections(db: sqlite3.Connection, vault: Vault) -> Iterator[str]:
    for one, person_id, sealed in db.execute("SELECT * FROM rejections"):
        if not _opens(vault, sealed, "rejection", one, person_id):
            yield f"the rejection {one} does not open"


def _sightings(db: sqlite3.Connection, vault: Vault) -> Iterator[str]:
    for one, sealed, crop in db.execute("SELECT sighting_id, sealed, crop FROM sightings"):
        if not (
            _opens(vault, sealed, "sighting", one) and _opens(vault, crop, "sighting crop", one)
        ):
            yield f"the sighting {one} does not open"


def _journal(db: sqlite3.Connection, vault: Vault) -> Iterator[str]:
    for number, sealed in db.execute("SELECT number, sealed FROM journal"):
        if not _opens(vault, sealed, "journal", str(number)):
            yield f"entry {number} of the journal does not open"


def _receipts(db: sqlite3.Connection, vault: Vault) -> Iterator[str]:
    for number, sealed in db.execute("SELECT number, sealed FROM receipts"):
        if not _opens(vault, sealed, "receipt", str(number)):
            yield f"receipt {number} does not open"


def _opens(vault: Vault, sealed: bytes, *place: str) -> bool:
    try:
        vault.open(sealed, *place)
    except IntegrityError:
        return False
    return True
