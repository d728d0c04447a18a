"""The user cache: where it is, files derived from weights, and hashes that are taken once.

Weight files lie under ``weights/``, files computed from them under ``derived/``. A hash here
protects against half-written and damaged files, not against somebody who may write to the
cache: keep the folder your own. Which file is used is decided in ``resolve.py``.
"""

import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

from mien.core.errors import ConfigError, InternalError, StorageError
from mien.core.files import sha256_of, storage_error, write_atomically
from mien.core.lock import hold_lock
from mien.core.log import logger

_RECIPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SETTLED_NS: Final = 2_000_000_000
"""Younger files are hashed afresh: within one tick of the clock a change keeps the time stamp."""

_hashes: dict[tuple[str, int, int], str] = {}


def cache_root() -> Path:
    """The cache folder: ``MIEN_CACHE`` if set, else the platform's own place. Not made here."""
    chosen = os.environ.get("MIEN_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("mien"))


def cache_error(err: OSError, path: Path) -> StorageError:
    """The typed error for a fault met while writing ``path`` in the cache."""
    found = err if isinstance(err, StorageError) else storage_error(err, path)
    return StorageError(
        what=found.what,
        why=found.why,
        mend="set MIEN_CACHE to a folder that you may write to",
        **found.facts,
    )


def remembered_sha256(path: Path) -> str:
    """SHA-256 of a file, taken once a process while its size and time stamp stay the same.

    Raises:
        StorageError: If the file cannot be read.
    """
    try:
        stat = path.stat()
        key = (str(path.absolute()), stat.st_size, stat.st_mtime_ns)
        if key in _hashes:
            return _hashes[key]
        digest = sha256_of(path)
    except OSError as err:
        raise StorageError(
            what=f"cannot read {path}",
            why=err.strerror or str(err),
            mend="check that it is a file and that you may read it",
            errno=err.errno,
        ) from err
    if time.time_ns() - stat.st_mtime_ns > _SETTLED_NS:
        _hashes[key] = digest
    return digest


def derived_file(
    card_sha256: str,
    recipe: str,
    suffix: str,
    build: Callable[[Path], None],
    *,
    cache_dir: Path | None = None,
) -> Path:
    """A file computed from a weight file, built on first use and kept in the cache.

    It stands as ``derived/<first 16 digits>-<recipe>.<suffix>`` with its own SHA-256 in a
    neighbour (in the form that ``sha256sum -c`` reads), compared on every call. A file that
    disagrees is built anew, with a warning in the log: unlike a weight file it can be.

    Args:
        card_sha256: SHA-256 of the weight file it is computed from.
        recipe: How it is computed, with a version: ``"expanded-v1"``. Change it when the way
            changes, for the old file stays valid otherwise.
        suffix: File suffix, such as ``"onnx"``.
        build: Writes the file to the path given; that path bears the same suffix and lies in a
            temporary folder of its own. Its errors pass through, save `OSError`: that counts as
            the cache's.
        cache_dir: The cache folder; `cache_root` by default.

    Returns:
        Where the file stands.

    Raises:
        ConfigError: If ``recipe`` or ``suffix`` does not fit into a file name.
        StorageError: If the cache cannot be written or read.
        InternalError: If ``build`` leaves no file.
    """
    name = f"{card_sha256[:16]}-{recipe}.{suffix.removeprefix('.')}"
    if not _RECIPE.fullmatch(name):
        raise ConfigError(
            what=f"a derived file would be called {name!r}",
            why="recipe and suffix become part of a file name",
            mend="use letters, digits, dots, dashes and underscores",
        )
    target = (cache_dir or cache_root()) / "derived" / name
    if _is_sound(target):  # the common case asks for no lock, so a read-only cache will do
        return target
    try:
        with hold_lock(target):
            if not _is_sound(target):
                _rebuild(target, build)
    except OSError as err:
        raise cache_error(err, target) from err
    return target


def _sidecar(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _is_sound(target: Path) -> bool:
    try:
        stated = _sidecar(target).read_text(encoding="ascii").partition(" ")[0]
    except (OSError, UnicodeDecodeError):
        return False
    return target.is_file() and remembered_sha256(target) == stated


def _rebuild(target: Path, build: Callable[[Path], None]) -> None:
    if target.exists():
        logger.warning("derived file %s is damaged; building it anew", target.name)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        draft = Path(folder) / target.name
        build(draft)
        if not draft.is_file():
            raise InternalError(
                what=f"the recipe left no file {target.name}",
                why="it must write to the path it is given",
                mend="please report this",
            )
        digest = sha256_of(draft)
        with draft.open("r+b") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    with write_atomically(_sidecar(target)) as file:
        file.write(f"{digest}  {target.name}\n".encode())
