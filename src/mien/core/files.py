"""Writing files so that a reader sees the old one or the new one, never half of either."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mien.core.errors import MienError, StorageError

_HINTS = {
    errno.ENOSPC: ("the disk is full", "free some space and repeat the command"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and repeat the command"),
    errno.EACCES: ("the place is not writable", "choose another place, or change its permissions"),
    errno.EROFS: ("the file system is read-only", "choose another place"),
    errno.ENOENT: ("the folder does not exist", "make it first, or choose another place"),
    errno.ENAMETOOLONG: ("the path is too long for this file system", "choose a shorter one"),
}


def storage_error(err: OSError, path: Path) -> StorageError:
    """The typed error for an operating-system error met while writing ``path``."""
    why, mend = _HINTS.get(
        err.errno or 0, (err.strerror or str(err), "check the place and try again")
    )
    return StorageError(what=f"cannot write {path}", why=why, mend=mend, errno=err.errno)


@contextmanager
def write_atomically(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary neighbour for writing; on success it becomes ``path`` in one step.

    Args:
        path: Where the file shall stand. Missing parent folders are made.
        private: Whether only its owner may read it, as is due to templates.

    Yields:
        A binary file.

    Raises:
        StorageError: If the disk is full or the place not writable; ``path`` is then untouched.
            Errors of the body that concern something else pass through as they are.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _open_beside(path, 0o600 if private else 0o666)
    except OSError as err:
        raise storage_error(err, path) from err
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as err:
        temporary.unlink(missing_ok=True)
        if isinstance(err, MienError) or err.filename not in {None, str(temporary)}:
            raise  # met by the body, at another file
        raise storage_error(err, path) from err
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_beside(path: Path, mode: int) -> tuple[int, Path]:
    """A new file in the same folder, open for writing; the user's mask applies to its mode."""
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(temporary, flags, mode), temporary


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
