"""Rows in files: our own results as JSON lines under a schema, and tables of users as CSV."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import IntegrityError, MissingError
from mien.core.files import write_atomically


def to_plain(value: Any) -> Any:
    """A value that JSON can hold: numpy scalars and arrays unpacked, infinities and nan as null."""
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json_line(row: Mapping[str, Any]) -> str:
    """One record as one line of strict JSON, without the line break."""
    return json.dumps(to_plain(row), ensure_ascii=False, allow_nan=False)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]], *, schema: str) -> int:
    """Write records atomically; the first line names the schema.

    Args:
        path: The file.
        rows: Records.
        schema: Name and version, such as ``"mien.verification/1"``.

    Returns:
        How many records were written.
    """
    count = 0
    with write_atomically(path) as file:
        file.write((to_json_line({"schema": schema}) + "\n").encode())
        for row in rows:
            file.write((to_json_line(row) + "\n").encode())
            count += 1
    return count


def read_jsonl(path: Path, *, schema: str) -> Iterator[dict[str, Any]]:
    """Read records written by `write_jsonl`.

    Raises:
        IntegrityError: If the schema is another one or missing, or a line is no JSON object.
    """
    with path.open("rb") as file:
        found = _parse(file.readline(), 1, path).get("schema")
        if found != schema:
            raise IntegrityError(
                what=f"{path} has the schema {found!r}",
                why=f"{schema!r} is expected",
                mend="make the file again with this version of mien",
            )
        for number, line in enumerate(file, 2):
            yield _parse(line, number, path)


def read_csv(path: Path, *, why: str, columns: str) -> list[dict[str, str | None]]:
    """Read a table that a user wrote, its first line naming the columns.

    Args:
        path: The file, UTF-8.
        why: What it is needed for, for the message.
        columns: Names of the columns that are expected, for the message.

    Returns:
        One mapping a row; None where a row is too short.

    Raises:
        MissingError: If it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise MissingError(
            what=f"{path} cannot be read ({type(err).__name__})",
            why=why,
            mend=f"check the path; the columns are {columns}",
        ) from err


def _parse(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except ValueError as err:
        raise _broken_line(number, path) from err
    if not isinstance(row, dict):
        raise _broken_line(number, path)
    return row


def _broken_line(number: int, path: Path) -> IntegrityError:
    return IntegrityError(
        what=f"line {number} of {path} is not a JSON object",
        why="the file is empty, or was cut off or edited",
        mend="make the file again",
    )
