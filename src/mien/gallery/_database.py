"""SQLite as `sqlite.SqliteIndex` uses it: opening, the schema, and its errors as ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mien.core.errors import IntegrityError, MissingError, StorageError
from mien.core.files import storage_error

APPLICATION_ID: Final = 0x4D49454E
SCHEMA_VERSION: Final = 1

_WAIT_S: Final = 5.0
_SCHEMA: Final = """
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


def create_database(path: Path, meta: dict[str, str]) -> None:
    """Make an empty store, readable by its owner only.

    Raises:
        StorageError: If the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
    except OSError as err:
        raise storage_error(err, path) from err
    connection = _connect(path)
    try:
        with typed_errors(path):
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            with connection:
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    finally:
        connection.close()


def open_database(path: Path) -> sqlite3.Connection:
    """Open a store that exists.

    Raises:
        MissingError: If there is none.
        IntegrityError: If the file is not a gallery of mien, or of a later version.
        StorageError: If it cannot be read.
    """
    if not path.is_file():
        raise MissingError(
            what=f"there is no gallery at {path}",
            why="nobody has been enrolled there yet",
            mend="enrol somebody first: mien enrol DIR --gallery PATH",
        )
    connection = _connect(path)
    try:
        with typed_errors(path):
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise IntegrityError(
                what=f"{path} is not a gallery of this version of mien",
                why=f"it has application id {application:#x} and schema version {version}, "
                f"not {APPLICATION_ID:#x} and {SCHEMA_VERSION}",
                mend="check the path, or use the version of mien that made it",
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    with typed_errors(path):
        connection = sqlite3.connect(
            path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All of the statements inside, or none.

    Raises:
        StorageError: If the change cannot be stored.
    """
    with typed_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def typed_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as err:
        why, mend = _explain(str(err))
        raise StorageError(
            what=f"the gallery {path} cannot be used ({err})", why=why, mend=mend
        ) from err
    except sqlite3.DatabaseError as err:
        raise IntegrityError(
            what=f"the gallery {path} is damaged or no gallery ({err})",
            why="SQLite cannot read it",
            mend="check the path, and restore a backup",
        ) from err


def _explain(message: str) -> tuple[str, str]:
    if "full" in message or "disk I/O" in message:
        return "the disk is full", "free some space; nothing of the change was stored"
    if "locked" in message or "busy" in message:
        return "another process is writing to it", "wait for it to end and repeat the command"
    if "readonly" in message or "unable to open" in message:
        return "the place is not writable", "choose another place, or change its permissions"
    return "SQLite refused the change", "check the disk and the path"
