"""SQLite as `sqlite.SqliteIndex` uses it: opening, the schema, and its errors as ours.

Schema 2 keeps in the clear only what a search has to join: opaque ids, keyed hashes, days of
deletion. Everything else is sealed (`vault.Vault`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mien.core.errors import IntegrityError, MissingError, StorageError
from mien.core.files import storage_error

APPLICATION_ID: Final = 0x4D49454E
SCHEMA_VERSION: Final = 2
CLOCK: Final = "clock"
"""Key of the day that the clock showed when deletions were last due, in ``meta``."""

WAIT_MS: Final = 10_000
"""How long a writer waits for another one."""

TABLES: Final = """
CREATE TABLE people (
  person_id TEXT PRIMARY KEY,
  tag BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL
) STRICT;
CREATE TABLE faces (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  face_id TEXT NOT NULL UNIQUE,
  person_id TEXT NOT NULL REFERENCES people,
  digest BLOB NOT NULL,
  retain_until TEXT NOT NULL,
  vector BLOB NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX faces_by_person_id ON faces (person_id);
CREATE INDEX faces_by_digest_tag ON faces (digest);
CREATE INDEX faces_by_retention ON faces (retain_until) WHERE retain_until != '';
CREATE TABLE crops (
  face_id TEXT PRIMARY KEY REFERENCES faces (face_id) ON DELETE CASCADE,
  sealed BLOB NOT NULL
) STRICT;
CREATE TABLE separations (
  one TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
  other TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
  PRIMARY KEY (one, other)
) STRICT, WITHOUT ROWID;
CREATE TABLE rejections (
  rejection_id TEXT PRIMARY KEY,
  person_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX rejections_by_person ON rejections (person_id);
CREATE TABLE sightings (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  sighting_id TEXT NOT NULL UNIQUE,
  keep_until TEXT NOT NULL,
  sealed BLOB NOT NULL,
  crop BLOB NOT NULL
) STRICT;
CREATE TABLE journal (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  undone INTEGER NOT NULL DEFAULT 0,
  sealed BLOB NOT NULL
) STRICT;
CREATE TABLE journal_ids (
  number INTEGER NOT NULL REFERENCES journal ON DELETE CASCADE,
  id TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_id ON journal_ids (id);
CREATE INDEX journal_ids_by_number ON journal_ids (number);
CREATE TABLE receipts (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE outbox (face_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
_META: Final = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"


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
    connection = connect(path)
    try:
        with transaction(connection, path):
            run_script(connection, _META + TABLES)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        path.unlink(missing_ok=True)
        raise
    connection.close()


def open_database(path: Path) -> tuple[sqlite3.Connection, int]:
    """Open a store that exists.

    Returns:
        The connection, and the version of the schema: the present one, or an earlier one that
        `_migrate` can bring up to date.

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
    connection = _open_file(path)
    try:
        with typed_errors(path):
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID or not 1 <= version <= SCHEMA_VERSION:
            raise IntegrityError(
                what=f"{path} is not a gallery of this version of mien",
                why=f"it has application id {application:#x} and schema version {version}, "
                f"not {APPLICATION_ID:#x} and 1 to {SCHEMA_VERSION}",
                mend="check the path, or use the version of mien that made it",
            )
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection, version


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings that durability and deletion rest on."""
    connection = _open_file(path)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_file(path: Path) -> sqlite3.Connection:
    """A connection that has changed nothing yet: the file may be somebody else's."""
    with typed_errors(path):
        return sqlite3.connect(
            path, timeout=WAIT_MS / 1000, isolation_level=None, check_same_thread=False
        )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with typed_errors(path):
        connection.execute("PRAGMA journal_mode = WAL")
        # By itself SQLite copies the log and leaves it: cut off later, it would put old pages
        # over new ones. `SqliteIndex` copies it and empties it in one go.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")


def set_wait(connection: sqlite3.Connection, *, wait: bool) -> None:
    """Whether the connection waits for others who are at work."""
    connection.execute(f"PRAGMA busy_timeout = {WAIT_MS if wait else 0}")


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Statements one after another, inside the running transaction (`executescript` commits)."""
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)


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
    except (sqlite3.DatabaseError, UnicodeDecodeError) as err:  # the latter: a damaged schema
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
