"""The number of the last acknowledged change, kept outside the database.

A write-ahead log that lost its end, or an older copy put in place of the file, still opens as a
sound database. What is missing then shows only here: the head is written after each commit and
before the change is acknowledged, so a store whose revision is below it has lost changes.
"""

import hashlib
import hmac
import os
import struct
from pathlib import Path
from typing import Final

from mien.core.errors import IntegrityError
from mien.core.files import storage_error
from mien.core.lock import acquire_lock

_MAGIC: Final = b"MIENHEAD"
_FORM: Final = struct.Struct(">8s32sQ16s")  # magic, store id, revision, check


def write_head(path: Path, store: str, revision: int) -> None:
    """Note a revision, if it is the highest so far; on disk when this returns.

    Raises:
        StorageError: If it cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            acquire_lock(file)
            file.seek(0)
            if revision > _parse(file.read(_FORM.size) or b"", store):
                file.seek(0)
                file.write(_pack(store, revision))
                os.fsync(handle)
    except OSError as err:
        raise storage_error(err, path) from err


def set_head(path: Path, store: str, revision: int) -> None:
    """Note a revision even if a higher one was noted: the loss is accepted.

    Raises:
        StorageError: If it cannot be written.
    """
    path.unlink(missing_ok=True)
    write_head(path, store, revision)


def read_head(path: Path, store: str) -> int:
    """The revision noted for a store; -1 if none is, as in a copy of the gallery's file alone.

    Read it before the store's own revision: another process may go on meanwhile.

    Raises:
        StorageError: If the file cannot be read.
    """
    try:
        return _parse(path.read_bytes(), store)
    except FileNotFoundError:
        return -1
    except OSError as err:
        raise storage_error(err, path) from err


def check_head(noted: int, revision: int) -> None:
    """Compare a store with what was acknowledged.

    Raises:
        IntegrityError: If acknowledged changes are missing from the store.
    """
    if noted > revision:
        raise IntegrityError(
            what=f"the gallery ends at change {revision}, but change {noted} was acknowledged",
            why="its write-ahead log was cut off, or an older copy was put in its place",
            mend="restore the newest copy of all its files, or accept the loss: "
            "mien gallery verify --accept-loss",
            revision=revision,
            acknowledged=noted,
        )


def _pack(store: str, revision: int) -> bytes:
    return _FORM.pack(_MAGIC, store.encode(), revision, _check(store, revision))


def _parse(data: bytes, store: str) -> int:
    """The revision noted for this store; -1 if the bytes are not a head of it."""
    if len(data) != _FORM.size:
        return -1
    magic, whose, revision, check = _FORM.unpack(data)
    is_ours = magic == _MAGIC and whose == store.encode()
    is_whole = hmac.compare_digest(check, _check(store, revision))
    return int(revision) if is_ours and is_whole else -1


def _check(store: str, revision: int) -> bytes:
    return hashlib.sha256(f"{store}:{revision}".encode()).digest()[:16]
