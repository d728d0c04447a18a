"""The default store: SQLite in WAL mode as the only truth, searched through a mapped matrix.

Templates are stored as they are: the file is not encrypted, and is readable by its owner only.
"""

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import (
    ConflictError,
    IdentityMissingError,
    IntegrityError,
    InternalError,
    RangeError,
)
from mien.core.log import logger
from mien.core.types import Float32, Ints
from mien.gallery._database import create_database, open_database, transaction, typed_errors
from mien.gallery._snapshot import read_snapshot, write_snapshot
from mien.gallery.index import Count, Hit, Template, check_queries, check_record, check_templates
from mien.gallery.search import LENGTH_TOLERANCE, ExactSearch, Precision, open_search

_TAIL_ROWS: Final = 4096
_FETCH_ROWS: Final = 10_000
_COLUMNS: Final = "face_id, person, vector, quality, source, digest, box, consent, enrolled_at"


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some rows of the store, ready to be searched."""

    numbers: Ints
    groups: Ints
    search: ExactSearch


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """The store as it was at one moment: mapped rows, rows in memory, names."""

    parts: tuple[_Part, ...]
    people: tuple[str, ...]


class SqliteIndex:
    """A gallery in one file, with a derived matrix file beside it."""

    def __init__(self, path: Path, *, precision: Precision = "float32") -> None:
        """Name the place; `create` or `open` comes next.

        Args:
            path: The gallery's file.
            precision: ``"int8"`` searches 8-bit codes and compares the best again exactly.
        """
        self.path = path
        self._precision: Precision = precision
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._meta: dict[str, str] = {}
        self._view: _View | None = None
        self._count: Count | None = None
        self._seen = -1

    @property
    def matrix_path(self) -> Path:
        """The derived file."""
        return self.path.with_name(self.path.name + ".matrix")

    @property
    def contract(self) -> str:
        """See `GalleryIndex.contract`."""
        return self._meta["contract"]

    @property
    def dim(self) -> int:
        """See `GalleryIndex.dim`."""
        return int(self._meta["dim"])

    def create(self, contract: str, dim: int) -> None:
        """See `GalleryIndex.create`; the store is open afterwards."""
        if self.path.exists():
            raise ConflictError(
                what=f"{self.path} exists",
                why="making a gallery there would overwrite it",
                mend="choose another path, or delete the file",
            )
        meta = {"contract": contract, "dim": str(dim), "store": uuid.uuid4().hex}
        create_database(self.path, meta)
        self.open()

    def open(self) -> None:
        """Open a store that exists.

        Raises:
            MissingError: If there is none.
            IntegrityError: If the file is not a gallery.
            StorageError: If it cannot be read.
        """
        with self._lock, typed_errors(self.path):
            self._connection = open_database(self.path)
            self._meta = dict(self._connection.execute("SELECT key, value FROM meta"))
            check_record({"contract", "dim", "store"} <= self._meta.keys(), "meta rows are missing")

    def close(self) -> None:
        """See `GalleryIndex.close`."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._view = self._count = None

    def read_note(self, key: str) -> str | None:
        """A text that was kept with `write_note`; None if there is none."""
        with self._lock, typed_errors(self.path):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (f"note:{key}",))
            found = row.fetchone()
            return None if found is None else str(found[0])

    def write_note(self, key: str, text: str) -> None:
        """Keep a text with the gallery, such as its calibration; in place of the former one."""
        with self._lock, transaction(self._db, self.path):
            self._db.execute("REPLACE INTO meta VALUES (?, ?)", (f"note:{key}", text))

    def upsert(self, templates: Sequence[Template]) -> None:
        """See `GalleryIndex.upsert`."""
        check_templates(templates, self.dim)
        ids = [(template.face_id,) for template in templates]
        with self._lock:
            with transaction(self._db, self.path):
                before = self._db.total_changes
                self._db.executemany("DELETE FROM faces WHERE face_id = ?", ids)
                replaced = self._db.total_changes - before
                self._db.executemany(
                    f"INSERT INTO faces ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    [_to_row(template) for template in templates],
                )
            self._after_change(removed=replaced)

    def delete(self, face_ids: Sequence[str]) -> int:
        """See `GalleryIndex.delete`. The rows are overwritten with zeros, not only unlinked."""
        with self._lock:
            with transaction(self._db, self.path):
                before = self._db.total_changes
                self._db.executemany(
                    "DELETE FROM faces WHERE face_id = ?", [(one,) for one in face_ids]
                )
                removed = self._db.total_changes - before
            self._after_change(removed=removed)
            return removed

    def get(self, face_ids: Sequence[str]) -> list[Template]:
        """See `GalleryIndex.get`."""
        return [self._get_one(face_id) for face_id in face_ids]

    def find_digest(self, digest: str) -> list[Template]:
        """Templates made from a picture with this digest."""
        return self._select("WHERE digest = ? ORDER BY number", (digest,))

    def search(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search`."""
        check_queries(queries, self.dim, k)
        view = self._current_view()
        found = [(part, *part.search.search(queries, k)) for part in view.parts]
        merged: list[list[Hit]] = []
        for q in range(len(queries)):
            rows = [
                (float(score), int(part.numbers[row]), view.people[part.groups[row]])
                for part, nearest, scores in found
                for row, score in zip(nearest[q], scores[q], strict=True)
            ]
            merged.append(self._to_hits(sorted(rows, key=lambda r: (-r[0], r[1]))[:k]))
        return merged

    def search_grouped(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search_grouped`."""
        check_queries(queries, self.dim, k)
        view = self._current_view()
        found = [
            (part, *part.search.search_grouped(queries, k, part.groups)) for part in view.parts
        ]
        merged: list[list[Hit]] = []
        for q in range(len(queries)):
            best: dict[int, tuple[float, int, str]] = {}
            for part, groups, rows, scores in found:
                for group, row, score in zip(groups[q], rows[q], scores[q], strict=True):
                    new = (float(score), int(part.numbers[row]), view.people[group])
                    if int(group) not in best or new[0] > best[int(group)][0]:
                        best[int(group)] = new
            ranked = sorted(best.values(), key=lambda r: (-r[0], r[1]))[:k]
            merged.append(self._to_hits(ranked))
        return merged

    def count(self) -> Count:
        """See `GalleryIndex.count`. Counted once after a change: every search asks for it."""
        with self._lock, typed_errors(self.path):
            self._notice_others()
            if self._count is None:
                faces, people = self._db.execute(
                    "SELECT count(*), count(DISTINCT person) FROM faces"
                ).fetchone()
                self._count = Count(int(faces), int(people))
            return self._count

    def people(self) -> list[tuple[str, int]]:
        """Everybody in the gallery with the number of their templates, by name."""
        with self._lock, typed_errors(self.path):
            rows = self._db.execute(
                "SELECT person, count(*) FROM faces GROUP BY person ORDER BY person"
            )
            return [(str(person), int(count)) for person, count in rows]

    def iterate(self, person: str | None = None) -> Iterator[Template]:
        """See `GalleryIndex.iterate`."""
        last = 0
        where = "" if person is None else " AND person = ?"
        while True:
            given = (last,) if person is None else (last, person)
            with self._lock, typed_errors(self.path):
                rows = self._db.execute(
                    f"SELECT number, {_COLUMNS} FROM faces WHERE number > ?{where} "  # noqa: S608
                    f"ORDER BY number LIMIT {_FETCH_ROWS}",
                    given,
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (self._to_template(row[1:]) for row in rows)

    def verify(self) -> list[str]:
        """See `GalleryIndex.verify`: SQLite's own check, every template, every matrix row."""
        with self._lock, typed_errors(self.path):
            faults = [
                f"SQLite: {text}"
                for (text,) in self._db.execute("PRAGMA integrity_check")
                if text != "ok"
            ]
            stored = self._db.execute("SELECT face_id, vector FROM faces ORDER BY number")
            damaged = [
                fault
                for face_id, blob in stored
                for fault in self._template_faults(str(face_id), bytes(blob))
            ]
            return [*faults, *damaged] or self._matrix_faults()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise InternalError(
                what="the gallery is closed",
                why="it was used after close() or before open()",
                mend="open it again",
            )
        return self._connection

    def _template_faults(self, face_id: str, blob: bytes) -> list[str]:
        if len(blob) != 4 * self.dim:
            return [f"the template of face {face_id} is cut off"]
        length = float(np.linalg.norm(np.frombuffer(blob, "<f4").astype(np.float64)))
        is_sound = abs(length - 1) < LENGTH_TOLERANCE
        return [] if is_sound else [f"the template of face {face_id} is damaged"]

    def _matrix_faults(self) -> list[str]:
        """Differences between a sound store and what is searched."""
        view = self._current_view()
        rows = {
            int(number): part.search.rows[k]
            for part in view.parts
            for k, number in enumerate(part.numbers)
        }
        faults = []
        stored = self._db.execute("SELECT number, face_id, vector FROM faces ORDER BY number")
        for number, face_id, blob in stored:
            row = rows.pop(int(number), None)
            if row is None or not np.array_equal(np.frombuffer(blob, "<f4"), row):
                faults.append(f"face {face_id} differs in the matrix")
        return faults + [f"row {number} of the matrix is not in the store" for number in rows]

    def _get_one(self, face_id: str) -> Template:
        found = self._select("WHERE face_id = ?", (face_id,))
        if not found:
            raise IdentityMissingError(
                what=f"there is no face {face_id!r} in this gallery",
                why="it was never enrolled, or was deleted",
                mend="see `mien gallery list`",
            )
        return found[0]

    def _select(self, clause: str, given: tuple[Any, ...]) -> list[Template]:
        with self._lock, typed_errors(self.path):
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM faces {clause}", given)  # noqa: S608
            return [self._to_template(row) for row in rows]

    def _to_template(self, row: tuple[Any, ...]) -> Template:
        face_id, person, blob, quality, source, digest, box, consent, enrolled_at = row
        check_record(len(blob) == 4 * self.dim, f"the template of face {face_id} is cut off")
        vector = np.frombuffer(blob, "<f4").astype(np.float32)
        x0, y0, x1, y1 = json.loads(box)
        return Template(
            face_id, person, vector, quality, source, digest, (x0, y0, x1, y1), consent, enrolled_at
        )

    def _to_hits(self, rows: list[tuple[float, int, str]]) -> list[Hit]:
        with self._lock, typed_errors(self.path):
            hits = []
            for score, number, person in rows:
                found = self._db.execute(
                    "SELECT face_id FROM faces WHERE number = ?", (number,)
                ).fetchone()
                if found is not None:  # else deleted by another process since the view was made
                    hits.append(Hit(str(found[0]), person, score))
            return hits

    def _after_change(self, *, removed: int) -> None:
        """Forget what was derived; if templates went, the matrix file with them goes too."""
        self._view = self._count = None
        if removed:
            self.matrix_path.unlink(missing_ok=True)
            with typed_errors(self.path):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _current_view(self) -> _View:
        with self._lock, typed_errors(self.path):
            self._notice_others()
            if self._view is None:
                self._view = self._build_view()
            return self._view

    def _notice_others(self) -> None:
        """Forget what was derived if another connection has changed the store."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._seen:
            self._view = self._count = None
            self._seen = version

    def _build_view(self) -> _View:
        rows = self._db.execute("SELECT number, person FROM faces ORDER BY number").fetchall()
        numbers = np.array([row[0] for row in rows], np.int64)
        people = tuple(sorted({row[1] for row in rows}))
        code = {person: k for k, person in enumerate(people)}
        groups = np.array([code[row[1]] for row in rows], np.int64)
        mapped = self._mapped(numbers)
        split = len(mapped)
        if len(numbers) - split > max(_TAIL_ROWS, split // 8):
            write_snapshot(
                self.matrix_path, self._meta["store"], numbers, self._vectors(0, len(numbers))
            )
            mapped = self._mapped(numbers)
            split = len(mapped)
        parts = []
        if split:
            parts.append(self._part(numbers[:split], groups[:split], mapped))
        if split < len(numbers):
            after = int(numbers[split - 1]) if split else 0
            tail = self._vectors(after, len(numbers) - split)
            parts.append(self._part(numbers[split:], groups[split:], tail))
        return _View(tuple(parts), people)

    def _part(self, numbers: Ints, groups: Ints, rows: Float32) -> _Part:
        try:
            return _Part(numbers, groups, open_search(rows, self._precision))
        except RangeError as err:
            raise IntegrityError(
                what=f"a stored template is damaged: {err.what}",
                why="the store was changed by something other than mien, or the disk is failing",
                mend="run `mien gallery verify`, delete the faces it names, and enrol them again",
            ) from err

    def _mapped(self, numbers: Ints) -> Float32:
        """The rows of the matrix file, if they are the first rows of the store; else none."""
        nothing = np.zeros((0, self.dim), np.float32)
        try:
            found = read_snapshot(self.matrix_path, self._meta["store"], self.dim)
        except IntegrityError as err:
            logger.warning("%s: made again from the gallery (%s)", self.matrix_path.name, err.why)
            return nothing
        if found is None or not np.array_equal(found.numbers, numbers[: len(found.numbers)]):
            return nothing
        return found.rows

    def _vectors(self, after: int, count: int) -> Float32:
        """Templates of the rows whose number is larger than ``after``, (count, d)."""
        rows = np.empty((count, self.dim), np.float32)
        found = self._db.execute(
            "SELECT vector FROM faces WHERE number > ? ORDER BY number", (after,)
        )
        for k, (blob,) in enumerate(found):
            check_record(len(blob) == 4 * self.dim, f"template {k} is cut off")
            rows[k] = np.frombuffer(blob, "<f4")
        return rows


def _to_row(template: Template) -> tuple[Any, ...]:
    return (
        template.face_id,
        template.person,
        template.vector.astype("<f4").tobytes(),
        float(template.quality),
        template.source,
        template.digest,
        json.dumps([round(float(v), 2) for v in template.box]),
        template.consent,
        template.enrolled_at,
    )
