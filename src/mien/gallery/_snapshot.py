"""The matrix file beside a gallery: its templates as sealed blocks of float32 rows.

Derived from the store and thrown away at will. It holds the first rows of the store, in order of
their numbers, and is read into memory whole: opening it is much quicker than opening every row.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.errors import IntegrityError
from mien.core.files import write_atomically
from mien.core.types import Float32, Ints
from mien.gallery.vault import Vault

_MAGIC: Final = b"MIENMAT2"
_HEADER_BYTES: Final = 4096
_BLOCK_ROWS: Final = 8192
_SEAL_BYTES: Final = 28  # nonce and tag


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Rows of a store.

    Attributes:
        numbers: (n,) row numbers of the store, rising.
        rows: (n, d) float32 templates.
    """

    numbers: Ints
    rows: Float32


def write_snapshot(path: Path, store: str, vault: Vault, snapshot: Snapshot) -> None:
    """Write a matrix file in one step.

    Raises:
        StorageError: If it cannot be written.
    """
    n, dim = snapshot.rows.shape
    header = {"store": store, "rows": n, "dim": dim}
    with write_atomically(path, private=True) as file:
        file.write(_MAGIC + json.dumps(header).encode().ljust(_HEADER_BYTES - len(_MAGIC)))
        for at in range(0, n, _BLOCK_ROWS):
            part = slice(at, at + _BLOCK_ROWS)
            plain = (
                np.ascontiguousarray(snapshot.numbers[part], "<i8").tobytes()
                + np.ascontiguousarray(snapshot.rows[part], "<f4").tobytes()
            )
            file.write(vault.seal(plain, "matrix", str(n), str(at)))


def read_snapshot(path: Path, store: str, vault: Vault, dim: int) -> Snapshot | None:
    """Read a matrix file; None if there is none, or it belongs to another store.

    Raises:
        IntegrityError: If the file is cut off, changed, or is something else.
    """
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    try:
        if bytes(data[: len(_MAGIC)]) != _MAGIC:
            raise ValueError("its first bytes are not those of a matrix file")
        header = json.loads(bytes(data[len(_MAGIC) : _HEADER_BYTES]))
        n, width = int(header["rows"]), int(header["dim"])
        if header["store"] != store or width != dim:
            return None
        blocks = -(-n // _BLOCK_ROWS)
        if len(data) != _HEADER_BYTES + n * (8 + 4 * dim) + blocks * _SEAL_BYTES:
            raise ValueError("its length differs from what its header says")
        return _open_blocks(data, vault, n, dim)
    except (ValueError, KeyError, TypeError, IntegrityError) as err:
        raise IntegrityError(
            what=f"{path.name} is not a whole matrix file",
            why=str(err),
            mend="delete it; it is made again from the gallery when that is opened",
        ) from err


def _open_blocks(data: memoryview, vault: Vault, n: int, dim: int) -> Snapshot:
    numbers, rows = np.empty(n, np.int64), np.empty((n, dim), np.float32)
    start = _HEADER_BYTES
    for at in range(0, n, _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, n - at)
        stop = start + count * (8 + 4 * dim) + _SEAL_BYTES
        plain = vault.open(bytes(data[start:stop]), "matrix", str(n), str(at))
        numbers[at : at + count] = np.frombuffer(plain, "<i8", count)
        rows[at : at + count] = np.frombuffer(plain, "<f4", offset=8 * count).reshape(count, dim)
        start = stop
    return Snapshot(numbers, rows)
