"""The matrix file beside a gallery: its templates as float32 rows that can be mapped into memory.

Derived from the store and thrown away at will. It holds the first rows of the store, in order of
their numbers; what came later is kept in memory until the file is written anew.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.errors import IntegrityError
from mien.core.files import write_atomically
from mien.core.types import Float32, Ints

_MAGIC: Final = b"MIENMAT1"
_HEADER_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Rows of a store, mapped into memory.

    Attributes:
        numbers: (n,) row numbers of the store, rising.
        rows: (n, d) float32 templates, read-only.
    """

    numbers: Ints
    rows: Float32


def write_snapshot(path: Path, store_id: str, numbers: Ints, rows: Float32) -> None:
    """Write a matrix file in one step.

    Raises:
        StorageError: If it cannot be written.
    """
    header = {"store": store_id, "rows": len(rows), "dim": int(rows.shape[1])}
    with write_atomically(path, private=True) as file:
        file.write(_MAGIC + json.dumps(header).encode().ljust(_HEADER_BYTES - len(_MAGIC)))
        file.write(np.ascontiguousarray(numbers, np.int64).tobytes())
        file.write(np.ascontiguousarray(rows, np.float32).tobytes())


def read_snapshot(path: Path, store_id: str, dim: int) -> Snapshot | None:
    """Map a matrix file into memory; None if there is none, or it belongs to another store.

    Raises:
        IntegrityError: If the file is cut off or is something else.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return None
    try:
        if head[: len(_MAGIC)] != _MAGIC:
            raise ValueError("its first bytes are not those of a matrix file")
        header = json.loads(head[len(_MAGIC) :])
        rows = int(header["rows"])
        if size != _HEADER_BYTES + rows * 8 + rows * int(header["dim"]) * 4:
            raise ValueError("its length differs from what its header says")
    except (ValueError, KeyError, TypeError) as err:
        raise IntegrityError(
            what=f"{path.name} is not a whole matrix file",
            why=str(err),
            mend="delete it; it is made again from the gallery when that is opened",
        ) from err
    if header["store"] != store_id or header["dim"] != dim:
        return None
    if rows == 0:
        return Snapshot(np.zeros(0, np.int64), np.zeros((0, dim), np.float32))
    numbers = np.memmap(path, np.int64, "r", _HEADER_BYTES, (rows,))
    matrix = np.memmap(path, np.float32, "r", _HEADER_BYTES + rows * 8, (rows, dim))
    return Snapshot(np.asarray(numbers), np.asarray(matrix))
