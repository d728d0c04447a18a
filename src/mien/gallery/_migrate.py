"""Galleries of earlier schemas brought up to date, in one transaction.

Schema 1 (mien 0.1) kept names and templates in the clear, in one table. Afterwards nothing of them
is left in the files: SQLite overwrites what it frees, and the log is cut off.
"""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import StorageError
from mien.core.keys import Key
from mien.core.log import logger
from mien.gallery._change import Change
from mien.gallery._database import CLOCK, SCHEMA_VERSION, TABLES, run_script, transaction
from mien.gallery._rows import seal_template
from mien.gallery.index import Template, check_record
from mien.gallery.vault import Vault

_OLD: Final = (
    "SELECT number, face_id, person, vector, quality, source, digest, box, consent, enrolled_at "
    "FROM faces_1 ORDER BY number"
)


def upgrade(connection: sqlite3.Connection, path: Path, key: Key) -> None:
    """Turn schema 1 into the present one; sealed with ``key``.

    Raises:
        IntegrityError: If the old gallery is damaged; it is then left as it was.
        StorageError: If there is no room, or another process has it open.
    """
    logger.warning("%s: brought to schema %d and sealed", path.name, SCHEMA_VERSION)
    with transaction(connection, path):
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        check_record({"contract", "dim", "store"} <= meta.keys(), "meta rows are missing")
        vault = Vault.new(meta["store"])
        connection.execute("ALTER TABLE faces RENAME TO faces_1")
        run_script(connection, TABLES)
        change = Change(connection, vault)
        for row in connection.execute(_OLD).fetchall():
            _carry_over(connection, vault, change, row, int(meta["dim"]))
        connection.execute("DROP TABLE faces_1")
        today = datetime.now(UTC).date().isoformat()
        values = (("vault", vault.wrapped(key)), ("revision", "0"), (CLOCK, today))
        for name, value in values:
            change.set_meta(name, value)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("VACUUM")
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StorageError(
            what=f"{path} was sealed, but its log still holds the unsealed rows",
            why="another process has the gallery open",
            mend="end that process, and open the gallery again",
        )


def _carry_over(
    db: sqlite3.Connection, vault: Vault, change: Change, row: tuple[Any, ...], dim: int
) -> None:
    number, face_id, person, blob, quality, source, digest, box, consent, enrolled_at = row
    check_record(len(blob) == 4 * dim, f"the template of face {face_id} is cut off")
    x0, y0, x1, y1 = json.loads(box)
    template = Template(
        face_id=face_id,
        person=person,
        vector=np.frombuffer(blob, "<f4"),
        quality=quality,
        source=source,
        digest=digest,
        box=(x0, y0, x1, y1),
        consent=consent,
        enrolled_at=enrolled_at,
    )
    person_id = change.find_person(person) or change.add_person(person)
    db.execute(
        "INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?)",
        (number, *seal_template(vault, template, person_id)),
    )
