"""What every store of templates can do. One conformance suite tests all of them.

A store holds templates of one contract, each with the person it belongs to. It never decides who
somebody is: it returns scores.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mien.core.errors import ConflictError, IntegrityError, RangeError, ShapeError
from mien.core.types import Float32
from mien.gallery.search import LENGTH_TOLERANCE


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One enrolled face.

    Attributes:
        face_id: Unique name of the template.
        person: Whom it belongs to.
        vector: (d,) float32 of length 1.
        quality: Unified quality of the face, 0-100.
        source: The picture it was made from, as it was named.
        digest: SHA-256 of that picture's pixels, 64 hexadecimal digits.
        box: The face in that picture, x0 y0 x1 y1 pixels.
        consent: What the person agreed to, or on which ground they were enrolled; may be empty.
        enrolled_at: UTC, ISO 8601.
        retain_until: Day after which it must be deleted, ISO 8601, such as ``2027-01-31``; empty:
            no such day.
        person_id: Opaque id of the person, if the store keeps one; empty otherwise, and not read
            when templates are stored.
    """

    face_id: str
    person: str
    vector: Float32
    quality: float
    source: str
    digest: str
    box: tuple[float, float, float, float]
    consent: str
    enrolled_at: str
    retain_until: str = ""
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One template that resembles a query.

    Attributes:
        face_id: The template.
        person: Whom it belongs to.
        score: Cosine.
        person_id: Opaque id of the person, if the store keeps one.
    """

    face_id: str
    person: str
    score: float
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How much a store holds."""

    faces: int
    people: int


class GalleryIndex(Protocol):
    """A store of templates. Implementations are safe to call from several threads at once."""

    @property
    def contract(self) -> str:
        """Id of the pipeline whose templates it holds."""

    @property
    def dim(self) -> int:
        """Length of a template."""

    def create(self, contract: str, dim: int) -> None:
        """Make the store, empty, for one contract.

        Raises:
            ConflictError: If it exists.
            StorageError: If the place cannot be written.
        """

    def upsert(self, templates: Sequence[Template]) -> None:
        """Add templates, or replace those of the same face id; all of them or none.

        Raises:
            ShapeError: If a template has another length.
            RangeError: If a template is not finite, or not of length 1.
            ConflictError: If two templates of the call bear one face id.
            StorageError: If the change could not be stored; nothing has changed then.
        """

    def delete(self, face_ids: Sequence[str]) -> int:
        """Remove templates; unknown ids are passed over.

        Returns:
            How many were removed.
        """

    def get(self, face_ids: Sequence[str]) -> list[Template]:
        """Templates by id, in the order asked for.

        Raises:
            IdentityMissingError: If one is not there.
        """

    def search(self, queries: Float32, k: int) -> list[list[Hit]]:
        """The k most similar templates of each query, best first.

        Args:
            queries: (b, d) rows of length 1.
            k: At least 1; fewer come back from a smaller store.
        """

    def search_grouped(self, queries: Float32, k: int) -> list[list[Hit]]:
        """The k most similar people of each query, each with their best template, best first."""

    def count(self) -> Count:
        """How many templates and people there are."""

    def iterate(self, person: str | None = None) -> Iterator[Template]:
        """All templates, or those of one person, in order of enrolment."""

    def verify(self) -> list[str]:
        """Compare every derived structure with the store.

        Returns:
            What is wrong, in words; empty if nothing is.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def check_templates(templates: Sequence[Template], dim: int) -> None:
    """Refuse what must not enter a store.

    Raises:
        ShapeError: If a vector has another length.
        RangeError: If one is not finite, or not of length 1.
        ConflictError: If two bear one face id.
    """
    if len({template.face_id for template in templates}) < len(templates):
        raise ConflictError(
            what="a face id is given twice in one call",
            why="one of the templates would be lost",
            mend="give every template an id of its own",
        )
    for template in templates:
        if template.vector.shape != (dim,):
            raise _wrong_length("a template", template.vector.shape, dim)
        length = float(np.linalg.norm(template.vector.astype(np.float64)))
        if not np.isfinite(length) or abs(length - 1) > LENGTH_TOLERANCE:
            raise RangeError(
                what=f"a template has length {length:.4g}",
                why="templates are finite and of length 1, so that a dot product is a cosine",
                mend="use embeddings as the pipeline returns them",
            )


def check_queries(queries: Float32, dim: int, k: int) -> None:
    """Refuse what cannot be compared.

    Raises:
        ShapeError: If the queries are not (b, dim).
        RangeError: If a number is not finite, or ``k`` is below 1.
    """
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise _wrong_length("an array of queries", queries.shape, dim)
    if not np.isfinite(queries).all():
        raise RangeError(
            what="a query is not finite",
            why="it would be as near to everybody as to nobody",
            mend="use embeddings as the pipeline returns them",
        )
    if k < 1:
        raise RangeError(
            what=f"k is {k}",
            why="it is the number of results wanted",
            mend="pass 1 or more",
        )


def _wrong_length(what: str, shape: tuple[int, ...], dim: int) -> ShapeError:
    return ShapeError(
        what=f"{what} has shape {shape}",
        why=f"this gallery holds templates of {dim} numbers",
        mend="embed with the pipeline that the gallery was made for",
    )


def check_record(condition: object, what: str) -> None:
    """Raise if a stored record is not as it was written.

    Raises:
        IntegrityError: If the condition is false.
    """
    if not condition:
        raise IntegrityError(
            what=what,
            why="the store was changed by something other than mien, or the disk is failing",
            mend="run `mien gallery verify`, and restore a backup if it reports faults",
        )
