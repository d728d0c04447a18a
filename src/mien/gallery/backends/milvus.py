"""Templates in a collection of Milvus: a server, or Milvus Lite in a folder of this machine.

The same code for both. Exact unless made otherwise: every row is looked at. Needs the extra
``scale``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from mien.core.errors import RangeError
from mien.core.types import Float32
from mien.gallery.backends import _lite
from mien.gallery.backends._milvus_client import MilvusConnection, quote
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
    is_fit_id,
    no_such_face,
    not_open,
    not_there,
    read_head,
)
from mien.gallery.index import Count, Hit, Template, check_record, check_templates

_PAGE: Final = 2000  # rows
_IDS: Final = 1000  # in one filter
_MOST: Final = 16_384  # Milvus gives no more rows at once
_REQUEST_BYTES: Final = 48 * 2**20  # Milvus takes 64 MiB
_ROW_BYTES: Final = 400  # numbers, checksum and packing of a row, generously
_UNFLUSHED: Final = 1000  # rows; Milvus Lite is slow with more that are in no segment
_PROPERTY: Final = "mien.head"
_BYTES: Final = {
    "face_id": 512,
    "person": 512,
    "source": 4096,
    "digest": 128,
    "consent": 8192,
    "enrolled_at": 64,
    "retain_until": 64,
    "checksum": 64,
}
_SEARCHED: Final = ["number", "face_id", "person", "vector"]


class MilvusIndex:
    """A gallery in one collection.

    Milvus has no transactions. A call of `upsert` is checked whole, then sent as one request; a
    call too large for one request is refused. If the server, or this machine with Milvus Lite,
    dies within that request, some of its templates may be stored and others not, and of a template
    that was to be replaced the old one may be gone. Nothing else changes. Repeating the call mends
    it, and so does enrolling anew from the gallery that keeps the truth. `verify` finds records
    that are torn, doubled or changed; that a template is missing altogether shows only in
    comparison with what should be there: `get` names it.

    The order of enrolment is a counter kept in the rows. Two programs that enrol at the same moment
    into one server may draw the same numbers: nothing is lost, `verify` says so, and the order
    between those templates is open. Let one program write.
    """

    def __init__(
        self,
        uri: str,
        collection: str,
        *,
        token: str = "",
        ann: Ann | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """Name the place; `create` or `open` comes next.

        Args:
            uri: ``http://host:19530`` (a path behind it names the database), or a path that ends
                in ``.db``: Milvus Lite, a folder that one program at a time can use.
            collection: Letters, digits and underscores.
            token: ``user:password`` or a key.
            ann: How `create` shall have it searched. ``"hnsw"``: by a graph (M 16, efConstruction
                200, ef 128 or the number wanted), which may miss some of the best. A store that
                exists is searched as it was made.
            timeout_s: How long one request may take, all attempts together.

        Raises:
            ConfigError: If the collection's name or the address cannot be used.
            ExtraMissingError: If pymilvus is not installed.
        """
        self.collection = check_name(collection, "collection")
        self._milvus = MilvusConnection(uri, collection, token, timeout_s)
        self._ann = ann
        self._head: Head | None = None
        self._next = 1
        self._unflushed = 0
        self._people: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        """Server and collection, for messages."""
        return self._milvus.place

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
        """See `GalleryIndex.create`; the store is open afterwards."""
        if self._milvus.path:
            _lite.make_folder(self._milvus.path)
        self._milvus.connect()
        try:
            self._make_collection(Head(contract, dim, self._ann).to_text(), dim)
        except BaseException:
            if self._head is None:  # else it is this one that exists, and is in use
                self.close()
            raise
        self.open()

    def open(self) -> None:
        """Open a store that exists.

        Raises:
            MissingError: If there is none.
            IntegrityError: If the collection is not a gallery.
            StorageError: If the server cannot be used.
        """
        if self._milvus.path and not self._milvus.path.exists():
            raise not_there(self.place)
        self._milvus.connect()
        try:
            if not self._milvus.ask("has_collection"):
                raise not_there(self.place)
            about = self._milvus.ask("describe_collection")
            text = dict(about.get("properties") or {}).get(_PROPERTY) or about.get("description")
            head = read_head(text, self.place)
            self._load(head)
        except BaseException:
            self.close()
            raise
        self._head = head

    def close(self) -> None:
        """See `GalleryIndex.close`."""
        self._head = None
        self._milvus.close()

    def upsert(self, templates: Sequence[Template]) -> None:
        """See `GalleryIndex.upsert`, and the class for what a crash can leave.

        Raises:
            RangeError: If a text is longer than its field, or the call larger than a request.
        """
        check_templates(templates, self.dim)
        check_texts(templates, _BYTES)
        _check_size(templates)
        if not templates:
            return
        with self._milvus.writing:
            first = self._next_number()
            rows = [_to_row(first + k, template) for k, template in enumerate(templates)]
            self._milvus.ask("upsert", data=rows)
            self._next = first + len(rows)
            self._note_change(len(rows))

    def delete(self, face_ids: Sequence[str]) -> int:
        """See `GalleryIndex.delete`. The bytes stay in the server's files until it compacts."""
        self._check_open()
        removed = 0
        with self._milvus.writing:
            for part in _parts(face_ids):
                found = [row["face_id"] for row in self._by_id(part, ["face_id"])]
                if found:
                    self._milvus.ask("delete", filter=_among(found))
                    self._note_change(0)
                removed += len(found)
        return removed

    def get(self, face_ids: Sequence[str]) -> list[Template]:
        """See `GalleryIndex.get`."""
        self._check_open()
        rows = [row for part in _parts(face_ids) for row in self._by_id(part, ["*"])]
        found = {row["face_id"]: row for row in rows}
        for face_id in face_ids:
            if face_id not in found:
                raise no_such_face(face_id)
        return [_from_row(found[face_id]).template for face_id in face_ids]

    def search(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search`."""
        return self._find(queries, k, grouped=False)

    def search_grouped(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search_grouped`. Rows are asked for until k people were seen.

        Milvus's own search by group is not used: Milvus Lite groups the best 10 k rows only, and
        misses people behind somebody with many templates.
        """
        return self._find(queries, k, grouped=True)

    def count(self) -> Count:
        """See `GalleryIndex.count`. People of a server are counted row by row each time."""
        self._check_open()
        folder = self._milvus.folder
        if folder is None:
            return Count(self._faces(), self._count_people())
        with folder.turn:
            if self._people is None or self._people[0] != folder.changes:
                self._people = (folder.changes, self._count_people())
            return Count(self._faces(), self._people[1])

    def iterate(self, person: str | None = None) -> Iterator[Template]:
        """See `GalleryIndex.iterate`."""
        self._check_open()
        for page in self._pages(["*"], person):
            yield from (_from_row(row).template for row in page)

    def verify(self) -> list[str]:
        """See `GalleryIndex.verify`: every row against its checksum; not while others write."""
        dim = self.dim
        with self._milvus.writing:
            rows = (_from_row(row) for page in self._pages(["*"]) for row in page)
            return find_faults(rows, dim, self._faces())

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise not_open()
        return self._head

    def _check_open(self) -> None:
        if self._head is None:
            raise not_open()

    def _make_collection(self, text: str, dim: int) -> None:
        with self._milvus.writing:
            if self._milvus.ask("has_collection"):
                raise exists_already(self.place)
            self._milvus.ask(
                "create_collection",
                schema=self._schema(dim, text),
                consistency_level="Strong",
                properties={_PROPERTY: text},  # Milvus Lite does not keep descriptions
                num_shards=1,  # one request goes to one shard, whole
            )

    def _schema(self, dim: int, text: str) -> Any:
        kind = self._milvus.pymilvus.DataType
        schema = self._milvus.pymilvus.MilvusClient.create_schema(
            auto_id=False, enable_dynamic_field=False, description=text
        )
        for name, most in _BYTES.items():
            schema.add_field(name, kind.VARCHAR, is_primary=name == "face_id", max_length=most)
        schema.add_field("number", kind.INT64)
        schema.add_field("quality", kind.DOUBLE)
        schema.add_field("box", kind.ARRAY, element_type=kind.DOUBLE, max_capacity=4)
        schema.add_field("vector", kind.FLOAT_VECTOR, dim=dim)
        return schema

    def _load(self, head: Head) -> None:
        """Have it searchable; makes the index if a crash came between it and the collection."""
        if not self._milvus.ask("list_indexes"):
            params = self._milvus.pymilvus.MilvusClient.prepare_index_params()
            exact: dict[str, Any] = {"index_type": "FLAT", "params": {}}
            graph = {"M": HNSW_LINKS, "efConstruction": HNSW_EFFORT}
            how = exact if head.ann is None else {"index_type": "HNSW", "params": graph}
            params.add_index("vector", metric_type="IP", **how)
            self._milvus.ask("create_index", index_params=params, sync=False)
        self._milvus.ask("load_collection")
        self._note_change(_UNFLUSHED if self._milvus.folder else 0)

    def _note_change(self, added: int) -> None:
        folder = self._milvus.folder
        if folder is None:  # a server decides itself when to flush
            return
        folder.changes += 1
        self._unflushed += added
        if self._unflushed >= _UNFLUSHED:
            self._milvus.ask("flush")
            self._unflushed = 0

    def _next_number(self) -> int:
        """One more than the largest number; this object's own last one, mostly."""
        low, step = self._next, 1
        if not self._is_any_from(low):
            return low
        while self._is_any_from(low + step):
            low, step = low + step, 2 * step
        while step > 1:
            step //= 2
            low += step if self._is_any_from(low + step) else 0
        return low + 1

    def _is_any_from(self, number: int, and_also: str = "") -> bool:
        return bool(self._milvus.query(f"number >= {number}{and_also}", ["number"], 1))

    def _by_id(self, face_ids: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        known = [one for one in face_ids if is_fit_id(one)]
        return self._milvus.query(_among(known), fields, len(known)) if known else []

    def _count_people(self) -> int:
        return len({row["person"] for page in self._pages(["person"]) for row in page})

    def _faces(self) -> int:
        (row,) = self._milvus.ask(
            "query", filter="", output_fields=["count(*)"], consistency_level="Strong"
        )
        return int(row["count(*)"])

    def _pages(
        self, fields: list[str], person: str | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Rows by number. Milvus gives no order: windows of numbers, as wide as they are sparse."""
        if person is not None and not is_fit_id(person):
            return
        also = "" if person is None else f" and person == {quote(person)}"
        low, width = 1, _PAGE
        while True:
            words = f"number >= {low} and number < {low + width}{also}"
            rows = self._milvus.query(words, [*fields, "number"], _PAGE + 1)
            if len(rows) > _PAGE and width > 1:
                width //= 2
                continue
            check_record(len(rows) <= _PAGE, f"over {_PAGE} rows bear the number {low}")
            if rows:
                yield sorted(rows, key=lambda row: (row["number"], row["face_id"]))
            low += width
            if not rows and not self._is_any_from(low, also):
                return
            width *= 2 if len(rows) <= _PAGE // 2 else 1

    def _find(self, queries: Float32, k: int, *, grouped: bool) -> list[list[Hit]]:
        queries = check_unit_queries(queries, self.dim, k)
        return find_best(
            queries,
            k,
            self._fetch,
            self._scan,
            most=_MOST,
            grouped=grouped,
            exact=self.ann is None,
        )

    def _fetch(self, queries: Float32, limit: int) -> list[list[Candidate]]:
        params = {} if self.ann is None else {"ef": max(limit, HNSW_WIDTH)}
        answers = self._milvus.ask(
            "search",
            data=list(queries),
            anns_field="vector",
            limit=limit,
            output_fields=_SEARCHED,
            search_params={"metric_type": "IP", "params": params},
            consistency_level="Strong",
        )
        return [[_to_candidate(hit) for hit in answer] for answer in answers]

    def _scan(self) -> Iterator[list[Candidate]]:
        for page in self._pages(_SEARCHED):
            yield [_to_candidate(row) for row in page]


def _parts(face_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    ids = list(dict.fromkeys(face_ids))
    for at in range(0, len(ids), _IDS):
        yield ids[at : at + _IDS]


def _among(face_ids: Sequence[str]) -> str:
    return f"face_id in [{', '.join(quote(one) for one in face_ids)}]"


def _check_size(templates: Sequence[Template]) -> None:
    size = sum(
        _ROW_BYTES
        + template.vector.nbytes
        + sum(len(getattr(template, name).encode()) for name in _BYTES if name != "checksum")
        for template in templates
    )
    if size > _REQUEST_BYTES:
        raise RangeError(
            what=f"{len(templates)} templates are {size / 2**20:.0f} MiB",
            why=f"Milvus stores up to {_REQUEST_BYTES // 2**20} MiB in one step",
            mend="enrol them in several calls",
        )


def _to_candidate(row: Any) -> Candidate:
    vector = np.array(row.get("vector"), np.float32)
    return Candidate(row.get("number"), row.get("face_id"), row.get("person"), vector)


def _to_row(number: int, template: Template) -> dict[str, Any]:
    return {
        "number": number,
        "face_id": template.face_id,
        "person": template.person,
        "vector": template.vector.astype(np.float32),
        "quality": float(template.quality),
        "source": template.source,
        "digest": template.digest,
        "box": [float(v) for v in template.box],
        "consent": template.consent,
        "enrolled_at": template.enrolled_at,
        "retain_until": template.retain_until,
        "checksum": checksum_of(template),
    }


def _from_row(row: dict[str, Any]) -> Row:
    template = Template(
        face_id=row["face_id"],
        person=row["person"],
        vector=np.array(row["vector"], np.float32),
        quality=row["quality"],
        source=row["source"],
        digest=row["digest"],
        box=tuple(row["box"]),
        consent=row["consent"],
        enrolled_at=row["enrolled_at"],
        retain_until=row["retain_until"],
    )
    return Row(row["number"], template, row["checksum"])
