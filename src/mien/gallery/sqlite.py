"""The default store: SQLite in WAL mode as the only truth, sealed, and searched in memory.

One transaction for each change, on disk before it is acknowledged. Templates, names and all else
about people are encrypted (`vault`); what is searched is kept in memory and follows every change,
also those of other processes.
"""

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import ConflictError, IntegrityError, InternalError, RefusedError
from mien.core.keys import Key, find_key
from mien.core.log import logger
from mien.core.types import Float32, Ints
from mien.gallery._change import Change
from mien.gallery._check import find_faults
from mien.gallery._database import (
    CLOCK,
    create_database,
    open_database,
    set_wait,
    transaction,
    typed_errors,
)
from mien.gallery._head import check_head, read_head, set_head, write_head
from mien.gallery._migrate import upgrade
from mien.gallery._rows import open_template, open_vector
from mien.gallery._snapshot import Snapshot, read_snapshot, write_snapshot
from mien.gallery._view import Found, View
from mien.gallery.index import Count, Hit, Template, check_queries, check_record, check_templates
from mien.gallery.search import Precision
from mien.gallery.vault import Vault, unwrap

_MATRIX_ROWS: Final = 4096
"""From so many templates on, the matrix file is kept: below, opening each row is quick enough."""

_MATRIX_SHARE: Final = 8  # the matrix file is made again when one row in so many is not in it
_LOG_BYTES: Final = 4 * 2**20
"""A log larger than this is written into the file after a change."""

_FETCH_ROWS: Final = 10_000
_JOINED: Final = (
    "SELECT number, face_id, faces.person_id, digest, retain_until, vector, faces.record, "
    "people.record FROM faces JOIN people USING (person_id)"
)


class SqliteIndex:
    """A gallery in one file, with a derived matrix file and the head beside it."""

    def __init__(
        self, path: Path, *, precision: Precision = "float32", key: Key | None = None
    ) -> None:
        """Name the place; `create` or `open` comes next.

        Args:
            path: The gallery's file.
            precision: ``"int8"`` searches 8-bit codes and compares the best again exactly.
            key: Opens it; None: the key that `core.keys.find_key` finds.
        """
        self.path = path
        self._precision: Precision = precision
        self._key = key
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._meta: dict[str, str] = {}
        self._vault: Vault | None = None
        self._view: View | None = None
        self._count: Count | None = None
        self._mapped_rows = 0
        self._revision = 0
        self._seen = -1

    @property
    def matrix_path(self) -> Path:
        """The derived file."""
        return self.path.with_name(self.path.name + ".matrix")

    @property
    def head_path(self) -> Path:
        """The file that holds the number of the last acknowledged change."""
        return self.path.with_name(self.path.name + ".head")

    @property
    def contract(self) -> str:
        """See `GalleryIndex.contract`."""
        return self._meta["contract"]

    @property
    def dim(self) -> int:
        """See `GalleryIndex.dim`."""
        return int(self._meta["dim"])

    @property
    def store(self) -> str:
        """Id of this gallery, 32 hexadecimal digits."""
        return self._meta["store"]

    @property
    def revision(self) -> int:
        """Number of the last change, as far as this process has seen."""
        with self._lock, typed_errors(self.path):
            self._notice_others()
            return self._revision

    @property
    def vault(self) -> Vault:
        """What seals its rows."""
        if self._vault is None:
            raise _closed()
        return self._vault

    def create(self, contract: str, dim: int) -> None:
        """See `GalleryIndex.create`; the store is open afterwards."""
        if self.path.exists():
            raise ConflictError(
                what=f"{self.path} exists",
                why="making a gallery there would overwrite it",
                mend="choose another path, or delete the file",
            )
        self._key = self._key or find_key(make=True)
        store = uuid.uuid4().hex
        meta = {"contract": contract, "dim": str(dim), "store": store, "revision": "0"}
        meta[CLOCK] = datetime.now(UTC).date().isoformat()
        meta["vault"] = Vault.new(store).wrapped(self._key)
        create_database(self.path, meta)
        for stale in (self.matrix_path, self.head_path):
            stale.unlink(missing_ok=True)
        self.open()

    def open(self, *, accept_loss: bool = False) -> None:
        """Open a store that exists; one of an earlier schema is brought up to date.

        Args:
            accept_loss: Go on even if acknowledged changes are missing.

        Raises:
            MissingError: If there is none, or no key.
            RefusedError: If it is sealed with another key.
            IntegrityError: If the file is not a gallery, or has lost acknowledged changes.
            StorageError: If it cannot be read.
        """
        with self._lock, typed_errors(self.path):
            connection, version = open_database(self.path)
            try:
                self._key = self._key or find_key(make=version == 1)
                if version == 1:
                    self.matrix_path.unlink(missing_ok=True)  # it holds templates in the clear
                    upgrade(connection, self.path, self._key)
                meta = dict(connection.execute("SELECT key, value FROM meta"))
                needed = {"contract", "dim", "store", "vault", "revision"}
                check_record(needed <= meta.keys(), "meta rows are missing")
                check_record(meta["dim"].isdecimal(), "the length of templates is no number")
                self._vault = unwrap(meta["vault"], self._key, meta["store"])
                self._meta = meta
                noted = read_head(self.head_path, self.store)
                self._revision = _read_revision(connection)
                if accept_loss:
                    set_head(self.head_path, self.store, self._revision)
                else:
                    check_head(noted, self._revision)
                    write_head(self.head_path, self.store, self._revision)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def close(self) -> None:
        """See `GalleryIndex.close`."""
        with self._lock:
            if self._connection is not None:
                try:
                    self._keep_matrix()
                finally:
                    self._connection.close()
            self._connection = self._view = self._count = self._vault = None

    @contextmanager
    def change(self) -> Iterator[Change]:
        """One change: all of what is done inside, or nothing; on disk when the block ends.

        Raises:
            StorageError: If it could not be stored; nothing has changed then.
        """
        with self._lock:
            with transaction(self._db, self.path):
                self._notice_others()
                one = Change(self._db, self.vault)
                yield one
                revision = self._revision + 1
                self._db.execute(
                    "UPDATE meta SET value = ? WHERE key = 'revision'", (str(revision),)
                )
            self._revision = revision
            self._follow(one)
            write_head(self.head_path, self.store, revision)

    @contextmanager
    def look(self) -> Iterator[Change]:
        """The same rows to read, without a change."""
        with self._lock, typed_errors(self.path), self._steady():
            self._notice_others()
            yield Change(self._db, self.vault)

    @contextmanager
    def snapshot(self) -> Iterator["SqliteIndex"]:
        """The store as it is now, through a connection of its own: nobody waits while it is read.

        Raises:
            StorageError: If it cannot be opened a second time.
        """
        copy = SqliteIndex(self.path, key=self._key)
        copy.open()
        try:
            with copy._steady():
                yield copy
        finally:
            copy.close()

    def query(self, statement: str, given: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a reading SQL statement."""
        with self._lock, typed_errors(self.path), self._steady():
            self._notice_others()
            return self._db.execute(statement, given).fetchall()

    def read_note(self, key: str) -> str | None:
        """A text that was kept with `write_note`; None if there is none."""
        found = self.query("SELECT value FROM meta WHERE key = ?", (f"note:{key}",))
        return str(found[0][0]) if found else None

    def read_secret(self, key: str) -> bytes | None:
        """What was kept with `Change.set_secret`; None if there is none."""
        name = f"sealed:{key}"
        found = self.query("SELECT value FROM meta WHERE key = ?", (name,))
        return self.vault.open(bytes.fromhex(found[0][0]), "meta", name) if found else None

    def has_secret(self, key: str) -> bool:
        """Whether bytes are kept under this key."""
        return bool(self.query("SELECT 1 FROM meta WHERE key = ?", (f"sealed:{key}",)))

    def write_note(self, key: str, text: str) -> None:
        """Keep a text with the gallery, such as its calibration; in place of the former one."""
        with self.change() as change:
            change.set_meta(f"note:{key}", text)

    def upsert(self, templates: Sequence[Template]) -> None:
        """See `GalleryIndex.upsert`."""
        check_templates(templates, self.dim)
        with self.change() as change:
            change.put(templates)

    def delete(self, face_ids: Sequence[str]) -> int:
        """See `GalleryIndex.delete`. What is removed is overwritten, not only unlinked."""
        with self.change() as change:
            removed = change.remove(face_ids)
        return len(removed)

    def get(self, face_ids: Sequence[str]) -> list[Template]:
        """See `GalleryIndex.get`."""
        with self.look() as rows:
            return [rows.template(face_id) for face_id in face_ids]

    def find_digest(self, digest: str) -> list[Template]:
        """Templates made from a picture with this digest."""
        tag = self.vault.tag("digest", digest)
        with self.look() as rows:
            return rows.templates("WHERE digest = ? ORDER BY number", (tag,))

    def search(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search`."""
        check_queries(queries, self.dim, k)
        view, revision = self._current_view()
        return [self._to_hits(found, revision) for found in view.search(queries, k)]

    def search_grouped(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search_grouped`."""
        check_queries(queries, self.dim, k)
        view, revision = self._current_view()
        return [self._to_hits(found, revision) for found in view.search_grouped(queries, k)]

    def count(self) -> Count:
        """See `GalleryIndex.count`. Counted once after a change: every search asks for it."""
        with self._lock, typed_errors(self.path):
            self._notice_others()
            if self._count is None:
                faces, people = self._db.execute(
                    "SELECT count(*), count(DISTINCT person_id) FROM faces"
                ).fetchone()
                self._count = Count(int(faces), int(people))
            return self._count

    def people(self) -> list[tuple[str, int]]:
        """Everybody in the gallery with the number of their templates, by name."""
        rows = self.query(
            "SELECT person_id, record, (SELECT count(*) FROM faces "
            "WHERE faces.person_id = people.person_id) FROM people"
        )
        names = [
            (str(self.vault.open_json(record, "person", person_id)["name"]), int(count))
            for person_id, record, count in rows
        ]
        return sorted(names)

    def iterate(self, person: str | None = None) -> Iterator[Template]:
        """See `GalleryIndex.iterate`."""
        last, where = 0, "" if person is None else " AND people.tag = ?"
        given = () if person is None else (self.vault.tag("name", person),)
        while True:
            rows = self.query(
                f"{_JOINED} WHERE number > ?{where} ORDER BY number LIMIT {_FETCH_ROWS}",
                (last, *given),
            )
            if not rows:
                return
            last = rows[-1][0]
            yield from (open_template(self.vault, row[1:]) for row in rows)

    def verify(self, *, matrix: bool = True) -> list[str]:
        """See `GalleryIndex.verify`: SQLite's own check, every sealed row, every matrix row.

        Args:
            matrix: Whether to compare what is searched in memory; loads it if need be.
        """
        with self._lock, typed_errors(self.path), self._steady():
            self._notice_others()
            faults = find_faults(self._db, self.vault, self.dim)
            return faults or (self._matrix_faults() if matrix else [])

    def rotate(self, key: Key) -> int:
        """Seal every row anew, with a fresh data key, which the given key wraps.

        Returns:
            How many faces were sealed again.
        """
        from mien.gallery._rotate import reseal

        with self._lock:
            fresh = Vault.new(self.store)
            with transaction(self._db, self.path):
                self._notice_others()
                count = reseal(self._db, self.vault, fresh)
                revision = self._revision + 1
                self._db.executemany(
                    "UPDATE meta SET value = ? WHERE key = ?",
                    [(fresh.wrapped(key), "vault"), (str(revision), "revision")],
                )
            self._vault, self._key, self._revision = fresh, key, revision
            self.matrix_path.unlink(missing_ok=True)
            self.empty_log()
            write_head(self.head_path, self.store, revision)
        return count

    def outbox(self, most: int) -> list[str]:
        """Faces that a search server has not been told of."""
        return [str(row[0]) for row in self.query("SELECT face_id FROM outbox LIMIT ?", (most,))]

    def sent(self, face_ids: Sequence[str]) -> None:
        """Take faces out of the outbox; as part of the change under way, if there is one.

        If that is rolled back they are in the outbox again, and sent once more, which is harmless.
        """
        with self._lock, self._joined():
            self._db.executemany(
                "DELETE FROM outbox WHERE face_id = ?", [(one,) for one in face_ids]
            )

    def is_searched(self, numbers: Sequence[int]) -> bool:
        """Whether a row of one of these numbers is in what is searched."""
        with self._lock:
            held = self._view.numbers if self._view is not None else np.zeros(0, np.int64)
            return bool(np.isin(np.asarray(numbers, np.int64), held).any())

    def rewrite(self) -> None:
        """Write the file anew, without what earlier changes left behind in its unused places.

        SQLite overwrites what is deleted, but not the copies that it leaves when it moves rows from
        page to page.
        """
        with self._lock, typed_errors(self.path):
            self._db.execute("VACUUM")
            self.empty_log()

    def empty_log(self, *, wait: bool = True) -> bool:
        """Write the log into the file and cut it off; False if a reader elsewhere held it up.

        Args:
            wait: Whether to wait for that reader, for as long as a writer waits.
        """
        with self._lock, typed_errors(self.path):
            set_wait(self._db, wait=wait)
            try:
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                set_wait(self._db, wait=True)
            return not busy

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise _closed()
        return self._connection

    def _follow(self, change: Change) -> None:
        """Bring what was derived up to date after a change of our own."""
        self._count = None
        if self._view is not None:
            self._view.apply(added=change.added, removed=change.removed, moved=change.moved)
        if change.removed:
            self.matrix_path.unlink(missing_ok=True)
            self.empty_log()
        elif self._log_bytes() > _LOG_BYTES:
            self.empty_log(wait=False)

    def _log_bytes(self) -> int:
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _data_version(self) -> int:
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _notice_others(self) -> None:
        """Follow what another connection has changed in the store."""
        version = self._data_version()
        if version == self._seen:
            return
        self._count = None
        self._revision = _read_revision(self._db)
        wrapped = self._db.execute("SELECT value FROM meta WHERE key = 'vault'").fetchone()
        check_record(wrapped is not None, "the gallery's own key is missing")
        if wrapped[0] != self._meta["vault"] and self._key is not None:
            self._vault = unwrap(wrapped[0], self._key, self.store)
            self._meta["vault"] = wrapped[0]
        if self._view is not None:
            with self._steady():
                self._catch_up(self._view)
        self._seen = version

    def _joined(self) -> AbstractContextManager[None]:
        """The transaction under way, or one of its own."""
        if self._db.in_transaction:
            return typed_errors(self.path)
        return transaction(self._db, self.path)

    @contextmanager
    def _steady(self) -> Iterator[None]:
        """Several readings of one state of the store, whatever other processes do meanwhile."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _current_view(self) -> tuple[View, int]:
        """What is searched, and the revision of the store that it shows."""
        with self._lock, typed_errors(self.path):
            self._notice_others()
            if self._view is None:
                with self._steady():
                    self._view = self._build_view()
            return self._view, self._revision

    def _catch_up(self, view: View) -> None:
        """Compare row numbers and people with the store, and apply the difference."""
        stored = self._db.execute("SELECT number, person_id FROM faces ORDER BY number").fetchall()
        numbers = np.array([row[0] for row in stored], np.int64)
        codes = view.people()
        groups = np.array([codes.get(row[1], -1) for row in stored], np.int64)
        held, held_groups = view.numbers, view.groups
        _, ours, theirs = np.intersect1d(held, numbers, assume_unique=True, return_indices=True)
        changed = theirs[held_groups[ours] != groups[theirs]]
        new = np.setdiff1d(numbers, held, assume_unique=True)
        view.apply(
            added=[(int(n), person, row) for n, person, row in self._fetch(new)],
            removed=np.setdiff1d(held, numbers, assume_unique=True).tolist(),
            moved={int(stored[k][0]): str(stored[k][1]) for k in changed},
        )

    def _fetch(self, numbers: Ints) -> Iterator[tuple[int, str, Float32]]:
        for number in numbers:
            face_id, person_id, sealed = self._db.execute(
                "SELECT face_id, person_id, vector FROM faces WHERE number = ?", (int(number),)
            ).fetchone()
            yield int(number), str(person_id), self._open_vector(sealed, face_id, person_id)

    def _build_view(self) -> View:
        rows = self._db.execute("SELECT number, person_id FROM faces ORDER BY number").fetchall()
        numbers = np.array([row[0] for row in rows], np.int64)
        matrix = np.empty((len(numbers), self.dim), np.float32)
        known = self._mapped(numbers)
        self._mapped_rows = len(known)
        matrix[: len(known)] = known
        after = int(numbers[len(known) - 1]) if len(known) else 0
        stored = self._db.execute(
            "SELECT vector, face_id, person_id FROM faces WHERE number > ? ORDER BY number",
            (after,),
        )
        for k, (sealed, face_id, person_id) in enumerate(stored, len(known)):
            matrix[k] = self._open_vector(sealed, face_id, person_id)
        view = View(self.dim, self._precision)
        view.load(numbers, [str(row[1]) for row in rows], matrix)
        return view

    def _open_vector(self, sealed: bytes, face_id: str, person_id: str) -> Float32:
        vector: Float32 = open_vector(self.vault, sealed, face_id, person_id)
        check_record(len(vector) == self.dim, f"the template of face {face_id} is cut off")
        return vector

    def _mapped(self, numbers: Ints) -> Float32:
        """The rows of the matrix file, if they are the first rows of the store; else none."""
        nothing = np.zeros((0, self.dim), np.float32)
        try:
            found = read_snapshot(self.matrix_path, self.store, self.vault, self.dim)
        except IntegrityError as err:
            logger.warning("%s: made again from the gallery (%s)", self.matrix_path.name, err.why)
            self.matrix_path.unlink(missing_ok=True)
            return nothing
        if found is None or not self._fits(found, numbers):
            self.matrix_path.unlink(missing_ok=True)
            return nothing
        return found.rows

    def _fits(self, found: Snapshot, numbers: Ints) -> bool:
        """Whether the matrix file holds the first rows of the store.

        Numbers are used again after an older copy was put in place of the store: the last row of a
        file that was written before then differs.
        """
        if not np.array_equal(found.numbers, numbers[: len(found.numbers)]):
            return False
        last = self._fetch(found.numbers[-1:])
        return all(np.array_equal(row, found.rows[-1]) for _, _, row in last)

    def _keep_matrix(self) -> None:
        """Write the matrix file, if the gallery is large and the file is missing or far behind."""
        if self._view is None or len(self._view.numbers) < _MATRIX_ROWS:
            return
        with transaction(self._db, self.path):  # nobody deletes a row while it is written
            try:
                self._notice_others()
            except RefusedError:
                return  # sealed with another key by now: it would open with neither
            numbers = self._view.numbers
            kept = self._mapped_rows if self.matrix_path.exists() else 0
            if len(numbers) - kept >= max(_MATRIX_ROWS, kept // _MATRIX_SHARE):
                snapshot = Snapshot(numbers, self._view.rows)
                write_snapshot(self.matrix_path, self.store, self.vault, snapshot)

    def _matrix_faults(self) -> list[str]:
        """Differences between a sound store and what is searched."""
        view, _ = self._current_view()
        rows = dict(zip(view.numbers.tolist(), view.rows, strict=True))
        codes = {code: person for person, code in view.people().items()}
        people = dict(zip(view.numbers.tolist(), view.groups.tolist(), strict=True))
        faults = []
        for number, face_id, person_id, vector in self._db.execute(
            "SELECT number, face_id, person_id, vector FROM faces ORDER BY number"
        ):
            row = rows.pop(int(number), None)
            if row is None or not np.array_equal(
                open_vector(self.vault, vector, face_id, person_id), row
            ):
                faults.append(f"face {face_id} differs in the matrix")
            elif codes[people[int(number)]] != person_id:
                faults.append(f"face {face_id} has another person in the matrix")
        return faults + [f"row {number} of the matrix is not in the store" for number in rows]

    def _to_hits(self, found: list[Found], revision: int) -> list[Hit]:
        """Who the rows belong to; ``revision`` is that of the store when they were found."""
        with self._lock, typed_errors(self.path), self._steady():
            self._notice_others()
            hits = []
            for one in found:
                row = self._db.execute(
                    "SELECT face_id, person_id, vector, people.record FROM faces "
                    "JOIN people USING (person_id) WHERE number = ?",
                    (one.number,),
                ).fetchone()
                if row is None:  # deleted since it was found
                    check_record(self._revision != revision, f"row {one.number} is missing")
                    continue
                face_id, person_id, vector, record = row
                check_record(  # sealed for this face of this person: a name is never mixed up
                    np.array_equal(self._open_vector(vector, face_id, person_id), one.row),
                    f"face {face_id} is not what was searched",
                )
                name = str(self.vault.open_json(record, "person", person_id)["name"])
                hits.append(Hit(str(face_id), name, one.score, str(person_id)))
            return hits


def _read_revision(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()
    check_record(row is not None and row[0].isdecimal(), "the number of the last change is missing")
    return int(row[0])


def _closed() -> InternalError:
    return InternalError(
        what="the gallery is closed",
        why="it was used after close() or before open()",
        mend="open it again",
    )
