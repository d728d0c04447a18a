"""Templates in a table of PostgreSQL, searched by its extension pgvector.

Exact unless made otherwise: every row is looked at. Needs the extra ``postgres``, PostgreSQL 13 or
later and pgvector 0.5 or later; the extension must be in the database already.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from mien.core.errors import RangeError
from mien.core.optional import require
from mien.core.types import Float32
from mien.gallery.backends._connections import EXTRA, Connections
from mien.gallery.backends._ranking import Candidate, check_unit_queries, find_best
from mien.gallery.backends._record import (
    HNSW_EFFORT,
    HNSW_LINKS,
    HNSW_WIDTH,
    Ann,
    Head,
    Row,
    check_name,
    check_texts,
    checksum_of,
    exists_already,
    find_faults,
    no_such_face,
    not_open,
    not_there,
    read_head,
)
from mien.gallery.index import Count, Hit, Template, check_templates

_PAGE: Final = 2000  # rows
_MOST: Final = 2**15  # rows of one search; beyond that all are looked at in pages
_HNSW_MOST: Final = 1000  # pgvector's largest hnsw.ef_search
_HNSW_DIM: Final = 2000  # pgvector's longest vector in such an index
_DIM: Final = 16_000  # pgvector's longest vector
_INLINE_DIM: Final = 1500  # rows of up to 6 KB fit into a page of 8 KB
_FIELDS: Final = (
    "face_id, person, vector, quality, source, digest, box, consent, enrolled_at, retain_until"
)
_SELECT: Final = f"SELECT number, {_FIELDS}, checksum FROM {{table}}"  # noqa: S608 - constants
_LOOK: Final = "SELECT number, face_id, person, vector FROM {table}"
_TYPES: Final = (
    "text", "text", "vector", "float8", "text", "text", "float8[]", "text", "text", "text", "text",
)  # fmt: skip
_CREATE: Final = """
CREATE TABLE {table} (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  face_id text NOT NULL UNIQUE,
  person text NOT NULL,
  vector vector({dim}) NOT NULL,
  quality float8 NOT NULL,
  source text NOT NULL,
  digest text NOT NULL,
  box float8[] NOT NULL,
  consent text NOT NULL,
  enrolled_at text NOT NULL,
  retain_until text NOT NULL,
  checksum text NOT NULL
)"""


class PostgresIndex:
    """A gallery in one table.

    Up to four connections are open at once and are shared by all threads; each call is one
    transaction, and a connection lost while idle is made again. Changes of one gallery take turns,
    also those of different programs, so that the order of enrolment is the order in which changes
    became visible.
    """

    def __init__(
        self, conninfo: str, table: str, *, ann: Ann | None = None, timeout_s: float = 10.0
    ) -> None:
        """Name the place; `create` or `open` comes next.

        Args:
            conninfo: ``postgresql://user@host/database``, or libpq's ``key=value``.
            table: Letters, digits and underscores.
            ann: How `create` shall have it searched. ``"hnsw"``: by pgvector's graph (m 16,
                ef_construction 200, ef_search 128 or the number wanted), which may miss some of
                the best. A store that exists is searched as it was made. To fill a large one, make
                it without, fill it and call `build_graph`: row by row the graph grows slowly.
            timeout_s: How long connecting may take.

        Raises:
            ConfigError: If the table's name or the address cannot be used.
            ExtraMissingError: If psycopg or pgvector is not installed.
        """
        self.table = check_name(table, "table")
        self._connections = Connections(conninfo, timeout_s)
        self._ann = ann
        self._head: Head | None = None
        self._sql = require("psycopg.sql", extra=EXTRA)

    @property
    def place(self) -> str:
        """Server, database and table, for messages."""
        return f"{self._connections.place}#{self.table}"

    @property
    def contract(self) -> str:
        """See `GalleryIndex.contract`."""
        return self._known.contract

    @property
    def dim(self) -> int:
        """See `GalleryIndex.dim`."""
        return self._known.dim

    @property
    def ann(self) -> Ann | None:
        """How it is searched; None: exactly."""
        return self._known.ann

    def create(self, contract: str, dim: int) -> None:
        """See `GalleryIndex.create`; the store is open afterwards.

        Raises:
            RangeError: If pgvector cannot hold, or not index, templates of that length.
        """
        _check_dim(dim, self._ann)
        head = Head(contract, dim, self._ann)
        self._connections.open()
        errors = require("psycopg.errors", extra=EXTRA)

        def make(connection: Any) -> bool:
            if self._oid(connection) is not None:
                return False
            try:
                self._make_table(connection, head)
            except (errors.DuplicateTable, errors.UniqueViolation):  # somebody was quicker
                return False
            return True

        try:
            if not self._connections.run(make):
                raise exists_already(self.place)
        except BaseException:
            if self._head is None:  # else it is this one that exists, and is in use
                self.close()
            raise
        self.open()

    def open(self) -> None:
        """Open a store that exists.

        Raises:
            MissingError: If there is none.
            IntegrityError: If the table is not a gallery.
            StorageError: If the server cannot be used.
        """
        self._connections.open()
        try:
            found = self._connections.run(self._read_comment)
            if found is None:
                raise not_there(self.place)
            self._head = read_head(found[0], self.place)
        except BaseException:
            self.close()
            raise

    def build_graph(self) -> None:
        """Have it searched by a graph from now on, as ``ann="hnsw"`` does.

        Nobody can enrol while it is built. Programs that have the store open go on to search it
        exactly until they open it again.

        Raises:
            RangeError: If the templates are too long for it.
        """
        _check_dim(self.dim, "hnsw")
        head = Head(self.contract, self.dim, "hnsw")

        def build(connection: Any) -> None:
            self._take_turn(connection)
            if read_head((self._read_comment(connection) or (None,))[0], self.place) != head:
                self._make_graph(connection, head)

        self._connections.run(build)
        self._head = head

    def close(self) -> None:
        """See `GalleryIndex.close`."""
        self._head = None
        self._connections.close()

    def upsert(self, templates: Sequence[Template]) -> None:
        """See `GalleryIndex.upsert`."""
        check_templates(templates, self.dim)
        check_texts(templates, {})
        ids = [template.face_id for template in templates]
        rows = [_to_row(template) for template in templates]

        def change(connection: Any) -> None:
            self._take_turn(connection)
            connection.execute(self._say("DELETE FROM {table} WHERE face_id = ANY(%s)"), (ids,))
            into = f"COPY {{table}} ({_FIELDS}, checksum) FROM STDIN WITH (FORMAT BINARY)"
            with connection.cursor() as cursor, cursor.copy(self._say(into)) as copy:
                copy.set_types(_TYPES)
                for row in rows:
                    copy.write_row(row)

        if rows:
            self._connections.run(change)

    def delete(self, face_ids: Sequence[str]) -> int:
        """See `GalleryIndex.delete`. The bytes stay in the server's files until it vacuums."""

        def change(connection: Any) -> int:
            self._take_turn(connection)
            words = self._say("DELETE FROM {table} WHERE face_id = ANY(%s)")
            return int(connection.execute(words, (list(face_ids),)).rowcount)

        return self._connections.run(change)

    def get(self, face_ids: Sequence[str]) -> list[Template]:
        """See `GalleryIndex.get`."""
        rows = self._rows("WHERE face_id = ANY(%s)", (list(face_ids),))
        found = {row.template.face_id: row.template for row in rows}
        for face_id in face_ids:
            if face_id not in found:
                raise no_such_face(face_id)
        return [found[face_id] for face_id in face_ids]

    def search(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search`."""
        return self._find(queries, k, grouped=False)

    def search_grouped(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search_grouped`. Rows are asked for until k people were seen."""
        return self._find(queries, k, grouped=True)

    def count(self) -> Count:
        """See `GalleryIndex.count`; the table is looked through each time."""
        words = self._say("SELECT count(*), count(DISTINCT person) FROM {table}")
        faces, people = self._connections.run(lambda c: c.execute(words).fetchone())
        return Count(faces, people)

    def iterate(self, person: str | None = None) -> Iterator[Template]:
        """See `GalleryIndex.iterate`."""
        last = 0
        where = "WHERE number > %s" + ("" if person is None else " AND person = %s")
        while True:
            given = (last,) if person is None else (last, person)
            rows = self._rows(f"{where} ORDER BY number LIMIT {_PAGE}", given)
            if not rows:
                return
            last = rows[-1].number
            yield from (row.template for row in rows)

    def verify(self) -> list[str]:
        """See `GalleryIndex.verify`: every row against its checksum, in one snapshot.

        PostgreSQL's own pages are not checked; `pg_amcheck` does that.
        """
        dim = self.dim
        words = self._say(_SELECT + " ORDER BY number")

        def compare(connection: Any) -> list[str]:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            (faces,) = connection.execute(self._say("SELECT count(*) FROM {table}")).fetchone()
            with connection.cursor(name="verify") as cursor:
                cursor.itersize = _PAGE
                cursor.execute(words, binary=True)
                faults = find_faults((_from_row(row) for row in cursor), dim, faces)
            return faults + self._graph_faults(connection)

        return self._connections.run(compare)

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise not_open()
        return self._head

    def _check_open(self) -> None:
        if self._head is None:
            raise not_open()

    def _find(self, queries: Float32, k: int, *, grouped: bool) -> list[list[Hit]]:
        queries = check_unit_queries(queries, self.dim, k)
        exact = self.ann is None
        return find_best(
            queries,
            k,
            self._fetch,
            self._scan,
            most=_MOST if exact else _HNSW_MOST,
            grouped=grouped,
            exact=exact,
        )

    def _fetch(self, queries: Float32, limit: int) -> list[list[Candidate]]:
        # An index cannot serve an order by a sum: whatever indexes there are, all rows are seen.
        order = "(vector <#> %s) + 0" if self.ann is None else "vector <#> %s"
        words = self._say(f"{_LOOK} ORDER BY {order} LIMIT %s")

        def look(connection: Any) -> list[list[Candidate]]:
            if self.ann is not None:
                width = min(max(limit, HNSW_WIDTH), _HNSW_MOST)
                connection.execute(f"SET LOCAL hnsw.ef_search = {width:d}")
            found = []
            for query in queries:
                rows = connection.execute(words, (query, limit), binary=True)
                found.append([Candidate(n, f, p, v.to_numpy()) for n, f, p, v in rows])
            return found

        return self._connections.run(look)

    def _scan(self) -> Iterator[list[Candidate]]:
        last = 0
        words = self._say(f"{_LOOK} WHERE number > %s ORDER BY number LIMIT {_PAGE}")
        while True:
            rows = self._select(words, (last,))
            if not rows:
                return
            last = rows[-1][0]
            yield [Candidate(n, f, p, v.to_numpy()) for n, f, p, v in rows]

    def _rows(self, clause: str, given: tuple[Any, ...]) -> list[Row]:
        self._check_open()
        words = self._say(f"{_SELECT} {clause}")
        return [_from_row(row) for row in self._select(words, given)]

    def _select(self, words: Any, given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connections.run(
            lambda connection: connection.execute(words, given, binary=True).fetchall()
        )
        return rows

    def _say(self, words: str, **parts: Any) -> Any:
        """A statement with the table's name, quoted, in it."""
        return self._sql.SQL(words).format(table=self._sql.Identifier(self.table), **parts)

    def _make_table(self, connection: Any, head: Head) -> None:
        connection.execute(self._say(_CREATE, dim=self._sql.Literal(head.dim)))
        if head.dim <= _INLINE_DIM:  # else every search would fetch vectors from elsewhere
            connection.execute(
                self._say("ALTER TABLE {table} ALTER COLUMN vector SET STORAGE PLAIN")
            )
        connection.execute(self._say("CREATE INDEX ON {table} (person)"))
        if head.ann is None:
            self._write_comment(connection, head)
        else:
            self._make_graph(connection, head)

    def _make_graph(self, connection: Any, head: Head) -> None:
        words = (
            "CREATE INDEX ON {table} USING hnsw (vector vector_ip_ops) "
            "WITH (m = {m}, ef_construction = {ef})"
        )
        number = self._sql.Literal
        connection.execute(self._say(words, m=number(HNSW_LINKS), ef=number(HNSW_EFFORT)))
        self._write_comment(connection, head)

    def _write_comment(self, connection: Any, head: Head) -> None:
        text = self._sql.Literal(head.to_text())
        connection.execute(self._say("COMMENT ON TABLE {table} IS {text}", text=text))

    def _oid(self, connection: Any) -> int | None:
        (oid,) = connection.execute(
            "SELECT to_regclass(%s)::oid", (json.dumps(self.table),)
        ).fetchone()
        return None if oid is None else int(oid)

    def _read_comment(self, connection: Any) -> tuple[str | None] | None:
        oid = self._oid(connection)
        if oid is None:
            return None
        found: tuple[str | None] = connection.execute(
            "SELECT obj_description(%s::oid, 'pg_class')", (oid,)
        ).fetchone()
        return found

    def _take_turn(self, connection: Any) -> None:
        self._check_open()
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self.table,))

    def _graph_faults(self, connection: Any) -> list[str]:
        if self.ann is None:
            return []
        (sound,) = connection.execute(
            "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "JOIN pg_am a ON a.oid = c.relam "
            "WHERE i.indrelid = %s AND a.amname = 'hnsw' AND i.indisvalid",
            (self._oid(connection),),
        ).fetchone()
        return [] if sound else ["the graph for approximate search is missing or not valid"]


def _check_dim(dim: int, ann: Ann | None) -> None:
    most = _DIM if ann is None else _HNSW_DIM
    if not 1 <= dim <= most:
        raise RangeError(
            what=f"templates have {dim} numbers",
            why=f"pgvector takes 1 to {most} here",
            mend="use another pipeline" if ann is None else "make the gallery without ann",
        )


def _to_row(template: Template) -> tuple[Any, ...]:
    return (
        template.face_id,
        template.person,
        template.vector.astype(np.float32),
        float(template.quality),
        template.source,
        template.digest,
        [float(v) for v in template.box],
        template.consent,
        template.enrolled_at,
        template.retain_until,
        checksum_of(template),
    )


def _from_row(row: tuple[Any, ...]) -> Row:
    number, face_id, person, vector, quality, source, digest, box, consent, *rest = row
    enrolled_at, retain_until, checksum = rest
    template = Template(
        face_id=face_id,
        person=person,
        vector=vector.to_numpy().copy(),
        quality=quality,
        source=source,
        digest=digest,
        box=tuple(box),
        consent=consent,
        enrolled_at=enrolled_at,
        retain_until=retain_until,
    )
    return Row(number, template, checksum)
