"""8-bit codes of rows in a file, mapped into memory and read block by block.

A file is a page of header, then blocks of codes, each (d, m) with m a multiple of `TILE`. Codes are
templates in another spelling: the file is readable by its owner only, and not encrypted. How codes
are made and compared is `mien.gallery.search`.
"""

import hashlib
import json
import math
import mmap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import IntegrityError, MissingError
from mien.core.files import write_atomically
from mien.core.types import Float32
from mien.gallery._shortlist import TILE

_MAGIC: Final = b"MIENCODES1\n"
_HEADER_BYTES: Final = 4096
_SAMPLED: Final = 64

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class CodesHeader:
    """What a file of codes holds.

    Attributes:
        rows: How many rows.
        dim: Numbers of a row.
        block_rows: Rows of every block but the last.
        step: What a code is multiplied by.
        error: Largest length of row - code·step.
        sample: SHA-256 of some of the rows, so that codes of others are not taken for these.
    """

    rows: int
    dim: int
    block_rows: int
    step: float
    error: float
    sample: str

    @property
    def blocks(self) -> int:
        return -(-self.rows // self.block_rows)

    def count(self, block: int) -> int:
        """Rows of a block."""
        return min(self.block_rows, self.rows - block * self.block_rows)

    def place(self, block: int) -> tuple[int, int]:
        """First byte of a block and the byte after it."""
        start = _HEADER_BYTES + self.dim * round_up(self.block_rows) * block
        return start, start + self.dim * round_up(self.count(block))

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.place(self.blocks - 1)[1] if self.blocks else _HEADER_BYTES


def round_up(count: int) -> int:
    """The next multiple of a tile."""
    return -(-count // TILE) * TILE


def sample_of(rows: Float32) -> str:
    """A hash of up to 64 rows, evenly chosen; the first and the last among them."""
    chosen = np.linspace(0, max(len(rows) - 1, 0), min(_SAMPLED, len(rows))).astype(np.int64)
    return hashlib.sha256(rows[chosen].tobytes()).hexdigest()


def write_codes_file(
    path: Path, rows: Float32, step: float, block_rows: int, blocks: Iterator[tuple[Codes, float]]
) -> None:
    """Write blocks of codes, each with its error, in one step.

    Raises:
        StorageError: If the file cannot be written.
    """
    error = 0.0
    with write_atomically(path, private=True) as file:
        file.write(bytes(_HEADER_BYTES))
        for codes, its_error in blocks:
            file.write(codes.tobytes())
            error = max(error, its_error)
        n, dim = rows.shape
        header = CodesHeader(n, dim, block_rows, step, error, sample_of(rows))
        file.seek(0)
        file.write(_MAGIC + json.dumps(asdict(header)).encode())


class CodesFile:
    """A file of codes, mapped read-only."""

    def __init__(self, path: Path, rows: Float32) -> None:
        """Map a file.

        Args:
            path: What `write_codes_file` wrote.
            rows: (n, d) what its codes stand for.

        Raises:
            MissingError: If it cannot be read.
            IntegrityError: If it is no such file, was cut off, or is of other rows.
        """
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as err:  # ValueError: an empty file
            raise MissingError(
                what=f"{path} cannot be read ({type(err).__name__})",
                why="the codes of a search are expected there",
                mend="make it with write_codes",
            ) from err
        self.header = _parse(self._map, path)
        is_of_size = (self.header.rows, self.header.dim) == rows.shape
        if not is_of_size or self.header.sample != sample_of(rows):
            raise _broken(path, "its codes are of other rows")

    def block(self, number: int) -> Codes:
        """(d, m) codes of a block; the next one is fetched meanwhile."""
        if number + 1 < self.header.blocks:
            self._fetch(*self.header.place(number + 1))
        start, end = self.header.place(number)
        codes: Codes = np.frombuffer(self._map, np.int8, end - start, start)
        return codes.reshape(self.header.dim, -1)

    def _fetch(self, start: int, end: int) -> None:
        if hasattr(mmap, "MADV_WILLNEED"):  # not on Windows
            start -= start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, start, end - start)


def _parse(data: mmap.mmap, path: Path) -> CodesHeader:
    start = data[:_HEADER_BYTES].rstrip(b"\0")
    try:
        if not start.startswith(_MAGIC):
            raise ValueError("another kind of file")
        header = CodesHeader(**json.loads(start[len(_MAGIC) :]))
        counts = (header.rows, header.dim, header.block_rows)
        if any(type(v) is not int or v < low for v, low in zip(counts, (0, 1, 1), strict=True)):
            raise ValueError("counts are whole numbers")
        if not (0 < header.step < 1 and 0 <= header.error < math.inf):
            raise ValueError("step and error are positive numbers")
    except (ValueError, TypeError) as err:
        raise _broken(path, "its header is not one that mien writes") from err
    if header.size != len(data):
        raise _broken(path, f"it has {len(data)} bytes in place of {header.size}")
    return header


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        what=f"{path} is not the file of codes for these rows",
        why=why,
        mend="delete it and make it again with write_codes",
    )
