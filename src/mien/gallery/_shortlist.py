"""The best of many scores, exactly: a quick score chooses candidates, a careful one orders them.

A scan brings quick scores, each right within a stated error. A row that could still be among the
best is scored again in float64 and rounded to float32. What comes out is therefore the same
whatever the quick score was: float32 or integers, one query or many, any BLAS, any block size.
"""

from typing import Final

import numpy as np

from mien.core.types import Array, Float32, Float64, Ints

TILE: Final = 256
"""Scores are scanned in tiles of so many rows; the widths of all scans are multiples of it."""

_STRIPE: Final = 32  # rows that stand side by side while tiles of several queries are reduced
_FIRST_ROWS: Final = 4096  # of a grouped scan; four times as many in each step that follows
_RESCORED_AT_ONCE: Final = 4096


class Shortlist:
    """The best k rows of each query so far; with groups, the best k groups by their best row.

    Attributes:
        rows: (b, k) row numbers, best first, ties by lower row; -1 where there is none yet.
        scores: (b, k) cosines, float64 products rounded to float32; -inf where there is none.
    """

    def __init__(self, rows: Float32, queries: Float32, k: int, groups: Ints | None) -> None:
        """Begin with nothing.

        Args:
            rows: (n, d) what is searched.
            queries: (b, d), b at least 1.
            k: At least 1.
            groups: (n,) whom each row belongs to; negative: nobody, never returned. None: each row
                stands for itself.
        """
        self.rows: Ints = np.full((len(queries), k), -1, np.int64)
        self.scores: Float32 = np.full((len(queries), k), -np.inf, np.float32)
        self._searched = rows
        self._queries: Float64 = queries.astype(np.float64)
        self._k = k
        self._groups = groups
        self._step = _FIRST_ROWS

    @property
    def width(self) -> int:
        """How many are found; the same for every query once all rows were scanned."""
        return int((self.rows[0] >= 0).sum())

    def scan(self, start: int, scores: Array, units: Float64, slack: Float64) -> None:
        """Look through the quick scores of some rows.

        Args:
            start: Row number of the first column.
            scores: (b, m) quick scores, m a multiple of `TILE`; columns past the last row hold the
                lowest value of their type.
            units: (b,) what a quick score is multiplied by to be a cosine.
            slack: (b,) bound of the error of that cosine.
        """
        if self._groups is None:
            self._scan_rows(start, scores, units, slack)
            return
        # The first k people set a low bar. Small steps first, so that few pass it needlessly.
        at = 0
        while at < scores.shape[1]:
            part = scores[:, at : at + self._step]
            self._scan_groups(start + at, part, self._groups, units, slack)
            at += part.shape[1]
            self._step *= 4

    def _bar(self, units: Float64, slack: Float64) -> Float64:
        """Quick scores below it, (b,), belong to rows worse than the k-th best so far."""
        return (self.scores[:, -1] - slack) / units

    def _scan_rows(self, start: int, scores: Array, units: Float64, slack: Float64) -> None:
        peaks = _tile_peaks(scores)
        # k tiles reach the k-th highest peak, and so do k rows: true scores are at most a slack
        # below, and a better row's quick score at most another.
        own_bar = _kth_highest(peaks, scores, self._k) - 2 * slack / units
        bar = np.maximum(self._bar(units, slack), own_bar)
        self._offer(*_reaching(scores, peaks, bar), start)

    def _scan_groups(
        self, start: int, scores: Array, groups: Ints, units: Float64, slack: Float64
    ) -> None:
        bar = self._bar(units, slack)
        if self.rows[0, -1] >= 0:
            self._offer(*_reaching(scores, _tile_peaks(scores), bar), start)
        else:
            here = groups[start : start + scores.shape[1]]
            margin = 2 * slack / units
            self._offer(*_best_of_groups(scores, here, self._k, bar, margin), start)

    def _offer(self, query: Ints, column: Ints, start: int) -> None:
        """Score candidates carefully and keep the best."""
        row = column + start
        real = row < len(self._searched)
        if self._groups is not None:
            real &= self._groups[np.minimum(row, len(self._searched) - 1)] >= 0
        query, row = query[real], row[real]
        if not len(row):
            return
        score = careful_scores(self._searched, self._queries, row, query)
        old_query, old_place = np.nonzero(self.rows >= 0)
        query = np.concatenate([old_query, query])
        row = np.concatenate([self.rows[old_query, old_place], row])
        score = np.concatenate([self.scores[old_query, old_place], score])
        if self._groups is not None:
            best = _first_of_each(query, self._groups[row], score, row)
            query, row, score = query[best], row[best], score[best]
        order = np.lexsort((row, -score, query))
        query, row, score = query[order], row[order], score[order]
        place = np.arange(len(query)) - np.searchsorted(query, query)
        kept = place < self._k
        self.rows[query[kept], place[kept]] = row[kept]
        self.scores[query[kept], place[kept]] = score[kept]


def careful_scores(rows: Float32, queries: Float64, row: Ints, query: Ints) -> Float32:
    """Cosines of chosen pairs: the float64 product, rounded to float32.

    Args:
        rows: (n, d).
        queries: (b, d).
        row: (c,) the row of each pair.
        query: (c,) its query.
    """
    scores = np.empty(len(row), np.float32)
    for at in range(0, len(row), _RESCORED_AT_ONCE):
        some = slice(at, at + _RESCORED_AT_ONCE)
        left = rows[row[some]].astype(np.float64)
        scores[some] = np.einsum("ij,ij->i", left, queries[query[some]])
    return scores


def _tile_peaks(scores: Array) -> Array:
    """The highest score of each tile, (b, m / TILE), for either order of the axes in memory."""
    b = len(scores)
    if scores.strides[1] == scores.itemsize:
        peaks: Array = scores.reshape(b, -1, TILE).max(axis=2)
        return peaks
    stripes = scores.T.reshape(-1, TILE // _STRIPE, _STRIPE * b).max(axis=1)
    turned: Array = stripes.reshape(-1, _STRIPE, b).max(axis=1)
    return turned.T


def _kth_highest(peaks: Array, scores: Array, k: int) -> Float64:
    """A score that at least k rows reach, (b,), as high as is cheap; -inf for fewer rows."""
    best = peaks if peaks.shape[1] >= k else scores
    if best.shape[1] < k:
        return np.full(len(scores), -np.inf)
    return np.partition(best, -k, axis=1)[:, -k].astype(np.float64)


def _reaching(scores: Array, peaks: Array, bar: Float64) -> tuple[Ints, Ints]:
    """Query and column of every score at or above its query's bar, (b,)."""
    query, tile = np.nonzero(peaks >= bar[:, None])
    values = scores.reshape(len(scores), -1, TILE)[query, tile]
    pair, offset = np.divmod(np.flatnonzero(values >= bar[query, None]), TILE)
    return query[pair], tile[pair] * TILE + offset


def _best_of_groups(
    scores: Array, groups: Ints, k: int, bar: Float64, margin: Float64
) -> tuple[Ints, Ints]:
    """Query and column of every row that may be the best of its group, and the group among k."""
    order = np.argsort(groups)
    order = order[groups[order] >= 0]
    if not len(order):
        return order, order
    ordered, label = scores[:, order], groups[order]
    first = np.flatnonzero(np.concatenate([[True], label[1:] != label[:-1]]))
    best = np.maximum.reduceat(ordered, first, axis=1)  # b groups
    bar = np.maximum(bar, _kth_highest(best, best, k) - margin)
    size = np.diff(np.append(first, len(label)))
    own_bar = np.repeat(best, size, axis=1) - margin[:, None]
    query, column = np.nonzero(ordered >= np.maximum(own_bar, bar[:, None]))
    return query, order[column]


def _first_of_each(query: Ints, group: Ints, score: Float32, row: Ints) -> Ints:
    """Places of the best row of every group of every query."""
    order = np.lexsort((row, -score, group, query))
    query, group = query[order], group[order]
    new = (query[1:] != query[:-1]) | (group[1:] != group[:-1])
    first: Ints = order[np.concatenate([[True], new])]
    return first
