"""Templates of large folders as Parquet, resumable after an interruption.

Finished pieces stand in a folder beside the target; a second run skips the pictures in them. At
the end the pieces become one file, written in one step, and the folder goes. Templates are personal
data: all of it is readable by its owner only.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import ContractError, IntegrityError
from mien.core.files import storage_error, write_atomically
from mien.core.types import Array
from mien.faces._rows import NO_FACE, Rows, picture_starts, rows_of, take
from mien.faces.pipeline import Ok, Outcome
from mien.faces.quality import COMPONENTS

_PIECE: Final = "piece-{:06d}"


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What a finished export holds.

    Attributes:
        pictures: Pictures read.
        faces: Rows written.
        without_face: Pictures without a usable face.
        failed: Pictures that could not be read, as records of path and error.
    """

    pictures: int
    faces: int
    without_face: int
    failed: tuple[dict[str, Any], ...]


class EmbeddingExport:
    """Collects outcomes of a pipeline into one Parquet file."""

    def __init__(self, target: Path, contract: str) -> None:
        """Begin, or take up an interrupted run.

        Args:
            target: The Parquet file to be.
            contract: Id of the pipeline in use.

        Raises:
            ContractError: If the interrupted run used another pipeline.
            IntegrityError: If its pieces are damaged.
            StorageError: If the place cannot be written.
        """
        self.target = target
        self.folder = target.with_name(target.name + ".pieces")
        self._contract = contract
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise storage_error(err, self.folder) from err
        self._logs = [self._read_log(path) for path in sorted(self.folder.glob("*.json"))]
        self.done: frozenset[str] = frozenset(
            picture for log in self._logs for picture in log["pictures"]
        )

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Store a piece: the faces of some pictures. It is there whole, or not at all.

        Raises:
            StorageError: If it cannot be written.
        """
        dims = [o.analysis.faces.embeddings for o in outcomes if isinstance(o, Ok)]
        self.add_rows(rows_of(outcomes, max((len(d.T) for d in dims if d is not None), default=0)))

    def add_rows(self, rows: Rows) -> None:
        """Store a piece: rows of whole pictures, as `mien.faces.batch_embed` gives them.

        Raises:
            StorageError: If it cannot be written.
        """
        import pyarrow.parquet as pq

        name = _PIECE.format(len(self._logs))
        faces = take(rows, rows["face"] != NO_FACE)
        has_table = len(faces["path"]) > 0
        if has_table:
            with write_atomically(self.folder / f"{name}.parquet", private=True) as file:
                pq.write_table(_table(faces, self._contract), file)
        first = take(rows, picture_starts(rows))
        is_empty, is_failed = first["face"] == NO_FACE, first["error"] != ""
        log = {
            "contract": self._contract,
            "pictures": first["path"].tolist(),
            "without_face": int((is_empty & ~is_failed).sum()),
            "failed": [
                {"path": path, "error": json.loads(error)}
                for path, error in zip(
                    first["path"][is_failed], first["error"][is_failed], strict=True
                )
            ],
            "table": has_table,
        }
        # The log comes last: a piece without one does not count and is written again.
        with write_atomically(self.folder / f"{name}.json", private=True) as file:
            file.write(json.dumps(log).encode())
        self._logs.append(log)

    def finish(self) -> ExportSummary:
        """Join the pieces into the target and remove them.

        Raises:
            StorageError: If the target cannot be written; the pieces are then still there.
        """
        import pyarrow.parquet as pq

        rows = 0
        with write_atomically(self.target, private=True) as file:
            writer: Any = None
            for table in self._tables():
                writer = writer or pq.ParquetWriter(file, table.schema)
                writer.write_table(table)
                rows += table.num_rows
            if writer is None:
                pq.write_table(_table(rows_of([], 0), self._contract), file)
            else:
                writer.close()
        shutil.rmtree(self.folder)
        return ExportSummary(
            pictures=sum(len(log["pictures"]) for log in self._logs),
            faces=rows,
            without_face=sum(log["without_face"] for log in self._logs),
            failed=tuple(one for log in self._logs for one in log["failed"]),
        )

    def _tables(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        for number, log in enumerate(self._logs):
            if log["table"]:
                yield pq.read_table(self.folder / f"{_PIECE.format(number)}.parquet")

    def _read_log(self, path: Path) -> dict[str, Any]:
        try:
            log: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            contract = log["contract"]
        except (OSError, ValueError, KeyError) as err:
            raise IntegrityError(
                what=f"{path} is not a log of finished pictures",
                why="it was changed by something other than mien",
                mend=f"delete {self.folder} and begin anew",
            ) from err
        if contract != self._contract:
            raise ContractError(
                what=f"the interrupted run used {contract}, this one uses {self._contract}",
                why="templates of two pipelines do not belong into one file",
                mend=f"use the same pipeline, or delete {self.folder} and begin anew",
            )
        return log


def read_embeddings(path: Path) -> tuple[Any, str]:
    """Read a file of `EmbeddingExport`.

    Returns:
        The `pyarrow.Table`, and the contract id of its templates.

    Raises:
        IntegrityError: If it is not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        return table, table.schema.metadata[b"mien.contract"].decode()
    except (OSError, pa.ArrowException, KeyError, TypeError) as err:
        raise IntegrityError(
            what=f"{path} is not a file of templates",
            why=f"it cannot be read as one ({type(err).__name__})",
            mend="make it with: mien embed DIR --out FILE.parquet",
        ) from err


def _table(rows: Rows, contract: str) -> Any:
    """`Faces.to_arrow` with the picture's name and the face's number in front."""
    import pyarrow as pa

    columns: dict[str, Array] = {"face": rows["face"]}
    columns |= dict(zip(("x0", "y0", "x1", "y1"), rows["box"].T, strict=True))
    columns["score"] = rows["score"]
    columns |= dict(zip(("yaw", "pitch", "roll"), rows["pose"].T, strict=True))
    columns["quality"] = rows["quality"]
    names = (f"quality_{name}" for name in COMPONENTS)
    columns |= dict(zip(names, rows["measures"].T, strict=True))
    arrays = {"path": pa.array(rows["path"], pa.string())}
    arrays |= {name: pa.array(np.ascontiguousarray(column)) for name, column in columns.items()}
    arrays["landmarks"] = _fixed_lists(rows["landmarks"].reshape(-1, 10))
    if rows["vector"].shape[1]:
        arrays["embedding"] = _fixed_lists(rows["vector"])
    return pa.table(arrays).replace_schema_metadata({"mien.contract": contract})


def _fixed_lists(rows: Array) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(rows, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
