"""A gallery as mien 0.1.0 wrote it, by its own statements: schema 1, everything in the clear."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.gallery.index import Template

STORE = "0123456789abcdef0123456789abcdef"
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE faces (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  face_id TEXT NOT NULL UNIQUE,
  person TEXT NOT NULL,
  vector BLOB NOT NULL,
  quality REAL NOT NULL,
  source TEXT NOT NULL,
  digest TEXT NOT NULL,
  box TEXT NOT NULL,
  consent TEXT NOT NULL,
  enrolled_at TEXT NOT NULL
) STRICT;
CREATE INDEX faces_by_person ON faces (person);
CREATE INDEX faces_by_digest ON faces (digest);
"""


def write_old_gallery(
    path: Path, contract: str, dim: int, templates: Sequence[Template], **notes: str
) -> sqlite3.Connection:
    """Make the file; the connection is the old process, which has it open still."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.executescript(SCHEMA)
    connection.execute(f"PRAGMA application_id = {0x4D49454E}")
    connection.execute("PRAGMA user_version = 1")
    meta = {"contract": contract, "dim": str(dim), "store": STORE}
    meta |= {f"note:{key}": text for key, text in notes.items()}
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.executemany(
        "INSERT INTO faces (face_id, person, vector, quality, source, digest, box, consent, "
        "enrolled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                one.face_id,
                one.person,
                np.asarray(one.vector).astype("<f4").tobytes(),
                float(one.quality),
                one.source,
                one.digest,
                json.dumps([round(float(v), 2) for v in one.box]),
                one.consent,
                one.enrolled_at,
            )
            for one in templates
        ],
    )
    rows = np.stack([one.vector for one in templates]).astype("<f4")
    path.with_name(path.name + ".matrix").write_bytes(b"MIENMAT1" + bytes(4088) + rows.tobytes())
    return connection
