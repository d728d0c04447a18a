"""What of a store is searched: its rows in memory, kept in step with every change.

Rows are known by their numbers, which the store never uses twice, so a view can be brought up to
date by what was added, removed and moved. A search works on a view that does not change under it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from mien.core.types import Float32, Ints
from mien.gallery.search import ExactSearch, Float32Search, Precision, open_search

TAIL_ROWS: Final = 4096
"""At least so many new rows are searched beside the others before all are put together."""

_TAIL_SHARE: Final = 64  # of a large gallery, the tail may hold one row in so many
_MAX_REMOVED: Final = 1024
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some rows, ready to be searched; it never changes.

    Attributes:
        numbers: (n,) row numbers of the store, rising.
        groups: (n,) code of the person of each row; negative where the row was removed.
        search: The rows.
        removed: How many rows were removed.
    """

    numbers: Ints
    groups: Ints
    search: ExactSearch
    removed: int = 0

    def places(self, numbers: Ints) -> Ints:
        """Where rows stand; numbers that are not here, or were removed, are passed over."""
        if not len(self.numbers):
            return np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        is_here = (self.numbers[at] == numbers) & (self.groups[at] >= 0)
        return np.asarray(at[is_here], np.int64)

    def regrouped(self, places: Ints, code: int) -> "_Part":
        """The same rows, some of them with another person, or with none."""
        groups = self.groups.copy()
        groups[places] = code
        return _Part(self.numbers, groups, self.search, int((groups < 0).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One row that resembles a query.

    Attributes:
        score: Cosine.
        number: Of the row.
        group: Code of its person, of this view only.
        row: (d,) the row as it was searched.
    """

    score: float
    number: int
    group: int
    row: Float32


class View:
    """The rows of a store in memory. Changing it takes a lock of the caller's; searching none."""

    def __init__(self, dim: int, precision: Precision) -> None:
        self._dim = dim
        self._precision: Precision = precision
        self._codes: dict[str, int] = {}
        self._room: Float32 = np.zeros((0, dim), np.float32)  # of the tail, with space to grow
        nothing = np.zeros((0, dim), np.float32)
        self._main = self._tail = self._part(np.zeros(0, np.int64), np.zeros(0, np.int64), nothing)
        self._searched = (self._main, self._tail)  # exchanged as one, since searches take no lock

    @property
    def numbers(self) -> Ints:
        """(n,) numbers of the rows that are searched, rising."""
        return np.concatenate([p.numbers[p.groups >= 0] for p in (self._main, self._tail)])

    @property
    def rows(self) -> Float32:
        """(n, d) the rows that are searched, in order of their numbers."""
        return np.concatenate([p.search.rows[p.groups >= 0] for p in (self._main, self._tail)])

    @property
    def groups(self) -> Ints:
        """(n,) codes of the people of the rows that are searched."""
        return np.concatenate([p.groups[p.groups >= 0] for p in (self._main, self._tail)])

    def people(self) -> dict[str, int]:
        """The code of each person."""
        return dict(self._codes)

    def load(self, numbers: Ints, people: Sequence[str], rows: Float32) -> None:
        """Take all rows of a store, in order of their numbers. The array of rows is kept."""
        self._codes = {person: code for code, person in enumerate(dict.fromkeys(people))}
        groups = np.array([self._codes[person] for person in people], np.int64)
        self._main = self._part(np.asarray(numbers, np.int64), groups, rows)
        self._clear_tail()
        self._searched = (self._main, self._tail)

    def apply(
        self,
        *,
        added: Sequence[tuple[int, str, Float32]] = (),
        removed: Sequence[int] = (),
        moved: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Bring the view up to date.

        Args:
            added: Number, person and row, in order of their numbers; all later than any before.
            removed: Numbers of rows that are gone; their values are overwritten in memory.
            moved: Numbers of rows that belong to another person now.
        """
        self._remove(np.asarray(removed, np.int64))
        if added:
            self._append(added)
        for person in dict.fromkeys(moved.values()):
            whose = np.array([n for n, p in moved.items() if p == person], np.int64)
            code = self._code(person)
            self._main = self._main.regrouped(self._main.places(whose), code)
            self._tail = self._tail.regrouped(self._tail.places(whose), code)
        room = max(TAIL_ROWS, len(self._main.numbers) // _TAIL_SHARE)
        if len(self._tail.numbers) > room or self._main.removed > _MAX_REMOVED:
            self._compact()
        self._searched = (self._main, self._tail)

    def search(self, queries: Float32, k: int) -> list[list[Found]]:
        """The k most similar rows of each query, best first, ties by number."""
        found: list[list[Found]] = [[] for _ in queries]
        for part in self._searched:
            _collect(found, part, *part.search.search(queries, k + part.removed))
        return [sorted(one, key=_rank)[:k] for one in found]

    def search_grouped(self, queries: Float32, k: int) -> list[list[Found]]:
        """The k most similar people of each query, each by their best row."""
        found: list[list[Found]] = [[] for _ in queries]
        for part in self._searched:
            _, rows, scores = part.search.search_grouped(queries, k, part.groups)
            _collect(found, part, rows, scores)
        best = []
        for one in found:
            first: dict[int, Found] = {}
            for hit in sorted(one, key=_rank):
                first.setdefault(hit.group, hit)
            best.append(list(first.values())[:k])
        return best

    def _code(self, person: str) -> int:
        return self._codes.setdefault(person, len(self._codes))

    def _part(self, numbers: Ints, groups: Ints, rows: Float32) -> _Part:
        return _Part(numbers, groups, open_search(rows, self._precision))

    def _remove(self, numbers: Ints) -> None:
        if not len(numbers):
            return
        gone = self._tail.places(numbers)
        if len(gone):
            keep = np.delete(np.arange(len(self._tail.numbers)), gone)
            self._room = self._tail.search.rows[keep]  # a copy: the old one may be under search
            self._tail = self._tail_part(self._tail.numbers[keep], self._tail.groups[keep])
        gone = self._main.places(numbers)
        if len(gone):
            self._main = self._main.regrouped(gone, _NOBODY)
            if self._precision == "int8":  # a code cannot be taken out singly
                self._compact()
            else:
                self._main.search.rows[gone] = 0

    def _append(self, added: Sequence[tuple[int, str, Float32]]) -> None:
        used = len(self._tail.numbers)
        if used + len(added) > len(self._room):
            room = np.zeros((2 * (used + len(added)), self._dim), np.float32)
            room[:used] = self._room[:used]
            self._room = room
        for k, (_, _, row) in enumerate(added):
            self._room[used + k] = row
        numbers = np.append(self._tail.numbers, [number for number, _, _ in added])
        groups = np.append(self._tail.groups, [self._code(person) for _, person, _ in added])
        self._tail = self._tail_part(numbers.astype(np.int64), groups.astype(np.int64))

    def _tail_part(self, numbers: Ints, groups: Ints) -> _Part:
        return _Part(numbers, groups, Float32Search(self._room[: len(numbers)]))

    def _clear_tail(self) -> None:
        self._room = np.zeros((0, self._dim), np.float32)
        self._tail = self._tail_part(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def _compact(self) -> None:
        numbers, groups, rows = self.numbers, self.groups, self.rows
        self._main = self._part(numbers, groups, rows)
        self._clear_tail()


def _rank(hit: Found) -> tuple[float, int]:
    return -hit.score, hit.number


def _collect(found: list[list[Found]], part: _Part, rows: Ints, scores: Float32) -> None:
    """Add a part's rows to what was found for each query; removed rows are left out."""
    for q, hits in enumerate(found):
        for row, score in zip(rows[q], scores[q], strict=True):
            group = int(part.groups[row])
            if group >= 0:
                values = part.search.rows[row].copy()
                hits.append(Found(float(score), int(part.numbers[row]), group, values))
