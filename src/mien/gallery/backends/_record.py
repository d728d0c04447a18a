"""What both servers keep: the head of a store and rows with a checksum; what may not enter."""

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np

from mien.core.errors import (
    ConfigError,
    ConflictError,
    IdentityMissingError,
    IntegrityError,
    InternalError,
    MissingError,
    RangeError,
)
from mien.gallery.index import Template
from mien.gallery.search import LENGTH_TOLERANCE

Ann = Literal["hnsw"]
"""Approximate search; left out, every search looks at every row."""

HNSW_LINKS: Final = 16
HNSW_EFFORT: Final = 200
"""Candidates looked at while the graph is built."""
HNSW_WIDTH: Final = 128
"""Candidates kept while the graph is searched; more if more results are wanted."""

_VERSION: Final = 1
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TEXTS: Final = ("face_id", "person", "source", "digest", "consent", "enrolled_at", "retain_until")


@dataclass(frozen=True, slots=True)
class Head:
    """What a store says about itself.

    Attributes:
        contract: Id of the pipeline whose templates it holds.
        dim: Length of a template.
        ann: How it is searched; None: exactly.
        version: Of this layout.
    """

    contract: str
    dim: int
    ann: Ann | None = None
    version: int = _VERSION

    def to_text(self) -> str:
        """As it is kept in the server."""
        return json.dumps({"mien": asdict(self)}, sort_keys=True)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One stored template.

    Attributes:
        number: Its place in the order of enrolment.
        template: What is stored now.
        checksum: Of what was stored.
    """

    number: int
    template: Template
    checksum: str


def read_head(text: str | None, place: str) -> Head:
    """Read what `Head.to_text` wrote.

    Raises:
        IntegrityError: If it is none, or of another version.
    """
    try:
        head = Head(**json.loads(text or "")["mien"])
    except (ValueError, KeyError, TypeError):
        head = None
    if head is None or head.version != _VERSION or head.ann not in {None, "hnsw"}:
        raise IntegrityError(
            what=f"{place} is not a gallery of this version of mien",
            why="it does not bear the mark that mien puts on its own",
            mend="check the name, or use the version of mien that made it",
        )
    return head


def checksum_of(template: Template) -> str:
    """SHA-256 over every field, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in _TEXTS:
        data = getattr(template, name).encode()
        digest.update(struct.pack("<Q", len(data)) + data)
    numbers = (template.quality, *template.box)
    digest.update(struct.pack(f"<{len(numbers)}d", *numbers))
    digest.update(template.vector.astype("<f4").tobytes())
    return digest.hexdigest()


def find_faults(rows: Iterable[Row], dim: int, faces: int) -> list[str]:
    """Compare rows with their checksums, with each other, and with the number of them."""
    faults: list[str] = []
    ids: set[str] = set()
    numbers: set[int] = set()
    seen = 0
    for row in rows:
        seen += 1
        face_id = row.template.face_id
        if face_id in ids:
            faults.append(f"face {face_id} is there more than once")
        if row.number in numbers:
            faults.append(f"face {face_id} has the same number as another")
        ids.add(face_id)
        numbers.add(row.number)
        faults += _faults_of(row, dim)
    if seen != faces:
        faults.append(f"the store counts {faces} templates and gives {seen}")
    return faults


def _faults_of(row: Row, dim: int) -> list[str]:
    template = row.template
    if template.vector.shape != (dim,):
        return [f"the template of face {template.face_id} is cut off"]
    length = float(np.linalg.norm(template.vector.astype(np.float64)))
    if not abs(length - 1) < LENGTH_TOLERANCE:  # true for NaN as well
        return [f"the template of face {template.face_id} is damaged"]
    if row.checksum != checksum_of(template):
        return [f"the record of face {template.face_id} is not as it was written"]
    return []


def check_name(name: str, what: str) -> str:
    """Refuse a name that would need quoting.

    Raises:
        ConfigError: If it is not letters, digits and underscores, at most 48.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            what=f"the name of the {what} is {name[:60]!r}",
            why="it has at most 48 letters a-z, digits and underscores, and no digit in front",
            mend=f"choose another name for the {what}",
        )
    return name


def check_texts(templates: Sequence[Template], most: dict[str, int]) -> None:
    """Refuse texts that a server could not give back as they were.

    Args:
        templates: What is to be stored.
        most: Longest text of some fields, in bytes of UTF-8.

    Raises:
        RangeError: If a text is too long, holds control characters, or is no Unicode text.
    """
    for template in templates:
        for name in _TEXTS:
            text: str = getattr(template, name)
            why = _unfit(text, most.get(name), is_id=name in {"face_id", "person"})
            if why:
                raise RangeError(
                    what=f"the field {name} of a template cannot be stored",
                    why=why,
                    mend=f"shorten or change the {name}; nothing was stored",
                )


def is_fit_id(text: str) -> bool:
    """Whether it can be the id of a face or a person; others cannot have been stored."""
    return not _unfit(text, None, is_id=True)


def _unfit(text: str, most: int | None, *, is_id: bool) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it is not Unicode text"
    if most is not None and size > most:
        return f"it has {size} bytes, and {most} are kept"
    if "\x00" in text or (is_id and _CONTROL.search(text)):
        return "it holds control characters"
    return ""


def exists_already(place: str) -> ConflictError:
    """For `create`, where there is a store."""
    return ConflictError(
        what=f"{place} exists",
        why="making a gallery there would overwrite it",
        mend="choose another name, or drop it with the server's own tools",
    )


def not_there(place: str) -> MissingError:
    """For `open`, where there is none."""
    return MissingError(
        what=f"there is no gallery at {place}",
        why="none was made there, or it was dropped",
        mend="check the name, or make one: mien.gallery.backends.open.create_index",
    )


def no_such_face(face_id: str) -> IdentityMissingError:
    """For `get`."""
    return IdentityMissingError(
        what=f"there is no face {face_id!r} in this gallery",
        why="it was never enrolled, or was deleted",
        mend="see `mien gallery list`",
    )


def not_open() -> InternalError:
    """For everything else, outside `open` and `close`."""
    return InternalError(
        what="the gallery is closed",
        why="it was used after close() or before open()",
        mend="open it again",
    )
