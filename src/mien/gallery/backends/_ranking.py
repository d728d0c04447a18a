"""Exact results from a server that scores in single precision and returns its best so many.

What a server returns is scored again here in double precision. Rows that were not returned can be
better than its own scores say by a known error only; if that could change the result, more rows
are asked for, and in the end all of them are looked at.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from mien.core.errors import RangeError
from mien.core.types import Float32
from mien.gallery.index import Hit, check_queries
from mien.gallery.search import LENGTH_TOLERANCE

_AT_ONCE: Final = 64  # queries; a server's answer stays below a few MiB
_SPARE: Final = 16  # rows beyond k: ties are rare, and seldom need a second question
_PER_PERSON: Final = 4
_WIDER: Final = 8


class Candidate(NamedTuple):
    """A row that may be among the best."""

    number: int
    face_id: str
    person: str
    vector: Float32


Fetch = Callable[[Float32, int], list[list[Candidate]]]
"""From queries (b, d) and a limit to the server's best rows of each query."""

Scan = Callable[[], Iterator[list[Candidate]]]
"""All rows, in pages."""


def find_best(
    queries: Float32, k: int, fetch: Fetch, scan: Scan, *, most: int, grouped: bool, exact: bool
) -> list[list[Hit]]:
    """The k best of each query, best first, ties by order of enrolment.

    Args:
        queries: (b, d) rows of length 1.
        k: How many.
        fetch: The server's search.
        scan: All rows, for what the server's search cannot settle.
        most: The largest limit of ``fetch``.
        grouped: Whether people are wanted, each by their best row.
        exact: Whether ``fetch`` looks at every row; if not, any k results will do.

    Raises:
        ShapeError: If the queries are not (b, d).
        RangeError: If a query is not finite or not of length 1, or ``k`` is below 1.
    """
    hits: list[list[Hit]] = []
    for at in range(0, len(queries), _AT_ONCE):
        part = queries[at : at + _AT_ONCE]
        bests = [_Best(query, k, grouped=grouped) for query in part]
        unsettled = _ask(part, bests, fetch, most=most, exact=exact)
        for page in scan() if unsettled else ():
            for number in unsettled:
                bests[number].add(page)
        hits += [best.hits() for best in bests]
    return hits


def check_unit_queries(queries: Float32, dim: int, k: int) -> Float32:
    """Refuse what cannot be compared; see `find_best`."""
    queries = np.asarray(queries)
    check_queries(queries, dim, k)
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    if (np.abs(lengths - 1) > LENGTH_TOLERANCE).any():
        raise RangeError(
            what=f"a query has length {lengths[np.argmax(np.abs(lengths - 1))]:.4g}",
            why="queries are of length 1, so that a dot product is a cosine",
            mend="use embeddings as the pipeline returns them",
        )
    return queries.astype(np.float32, copy=False)


def _ask(
    queries: Float32, bests: list["_Best"], fetch: Fetch, *, most: int, exact: bool
) -> list[int]:
    """Ask for ever more rows; returns the numbers of the queries that this did not settle."""
    unsettled = list(range(len(bests)))
    limit = bests[0].first_limit
    while unsettled and limit <= most:
        found = fetch(queries[unsettled], limit)
        for number, candidates in zip(unsettled, found, strict=True):
            bests[number].add(candidates)
        unsettled = [
            number
            for number, candidates in zip(unsettled, found, strict=True)
            if not (exact and len(candidates) < limit) and not bests[number].is_settled(exact=exact)
        ]
        limit = min(_WIDER * limit, most) if limit < most else most + 1
    return unsettled


class _Best:
    """The best of the rows shown so far, for one query."""

    def __init__(self, query: Float32, k: int, *, grouped: bool) -> None:
        self._query = query.astype(np.float64)
        self._k = k
        self._grouped = grouped
        self._found: dict[str, tuple[float, int, Candidate]] = {}
        self._lowest = np.inf
        # |fl(x·y) - x·y| <= d·u/(1 - d·u)·|x|·|y| in any order of summation, u = 2^-24
        # (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., eq. 3.5), for the
        # row returned last and for the best one that was not; the rest covers lengths within
        # tolerance and the rounding of scores.
        self._slack = 2.02 * (len(query) + 4) * 2.0**-24

    @property
    def first_limit(self) -> int:
        return (_PER_PERSON * self._k if self._grouped else self._k) + _SPARE

    def add(self, candidates: list[Candidate]) -> None:
        if not candidates:
            return
        rows = np.stack([one.vector for one in candidates]).astype(np.float64)
        exact = rows @ self._query
        self._lowest = min(self._lowest, float(exact.min()))
        for one, score in zip(candidates, exact.astype(np.float32), strict=True):
            key = one.person if self._grouped else one.face_id
            new = (-float(score), one.number, one)
            if key not in self._found or new[:2] < self._found[key][:2]:
                self._found[key] = new
        if len(self._found) > 2 * self._k + 1000:
            kept = self._ranked()
            self._found = {
                (c.person if self._grouped else c.face_id): (s, n, c) for s, n, c in kept
            }

    def is_settled(self, *, exact: bool) -> bool:
        """Whether no row that was not shown can be among the best k."""
        if len(self._found) < self._k:
            return False
        return not exact or -self._ranked()[-1][0] > self._lowest + self._slack

    def hits(self) -> list[Hit]:
        return [Hit(one.face_id, one.person, -score) for score, _, one in self._ranked()]

    def _ranked(self) -> list[tuple[float, int, Candidate]]:
        return sorted(self._found.values(), key=lambda found: found[:2])[: self._k]
