"""The scalars of a run by step, one JSON object a line.

No times and no names of machines: two runs that are alike have the same bytes. Drawing curves of
it is a matter of reports, a higher floor.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from mien.core.errors import IntegrityError, RangeError
from mien.core.files import storage_error, write_atomically


class Logbook:
    """Lines that survive a kill: each is handed to the operating system at once."""

    def __init__(self, path: Path) -> None:
        """The logbook in a file, which need not exist yet."""
        self.path = path
        self._file: IO[bytes] | None = None

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add a line.

        Args:
            step: How many steps are done.
            scalars: Numbers by name.

        Raises:
            RangeError: If one is not finite, which JSON cannot say.
            StorageError: If it cannot be written.
        """
        for name, value in scalars.items():
            if not math.isfinite(value):
                raise RangeError(
                    what=f"{name} is {value} after step {step}",
                    why="only finite numbers can be logged",
                    mend="look at how it is computed",
                    step=step,
                )
        line = json.dumps({"step": step, **scalars}) + "\n"
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab", buffering=0)
            written = self._file.write(line.encode())
            if written < len(line.encode()):  # the disk was full within the line
                self._file.write(line.encode()[written:])
        except OSError as err:
            raise storage_error(err, self.path) from err

    def rewind(self, step: int) -> None:
        """Drop what was logged beyond a step, and a torn last line: the run goes on from there.

        Raises:
            IntegrityError: If a line other than the last is not one of ours.
            StorageError: If the file cannot be written.
        """
        self.close()
        if self.path.exists():
            kept = [json.dumps(line) + "\n" for line in self.read() if line["step"] <= step]
            with write_atomically(self.path) as file:
                file.write("".join(kept).encode())

    def read(self) -> list[dict[str, Any]]:
        """All whole lines. A torn last line, left by a kill or a full disk, is passed over.

        Raises:
            IntegrityError: If another line is not one of ours, or there is no such file.
        """
        try:
            *lines, torn = self.path.read_bytes().split(b"\n")
            records = [json.loads(line) for line in lines]
            if not all(isinstance(record["step"], int) for record in records):
                raise TypeError("a step is not a whole number")
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise IntegrityError(
                what=f"{self.path} is not a logbook",
                why=f"it cannot be read as one ({type(err).__name__})",
                mend="move it away; the checkpoints do not need it",
            ) from err
        del torn
        return records

    def sync(self) -> None:
        """Have the disk hold what was written, so that no checkpoint is newer than its lines.

        Raises:
            StorageError: If that fails.
        """
        if self._file is not None:
            try:
                os.fsync(self._file.fileno())
            except OSError as err:
                raise storage_error(err, self.path) from err

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
