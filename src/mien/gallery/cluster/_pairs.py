"""Pairs of rows that clustering looks at: faces alike enough, and faces of one photo."""

from typing import Final

import numpy as np

from mien.core.types import Array, Bools, Float32, Ints

NEAR_DUPLICATE: Final = 0.9
"""Cosine from which even two poor faces are one: a copy of the photo, or a burst of the camera."""

_ROUNDING: Final = 1e-5  # so that no pair is lost to float32; the merger decides in float64
_BLOCK_VALUES: Final = 1 << 23


def find_candidates(
    vectors: Float32, threshold: float, most: int, *, poor: Bools, start: int = 0
) -> Ints:
    """Pairs of faces that alone are alike enough to be put together.

    The average cosine of two clusters reaches the threshold only if that of one pair does. So
    average linkage over these pairs is the same as over all pairs, as long as no face has more
    than ``most`` of them.

    Args:
        vectors: (n, d) rows of length 1.
        threshold: Smallest cosine.
        most: For each face only so many of its pairs are kept, the most alike; a pair is kept if
            either face keeps it.
        poor: (n,) faces of poor quality. Two of them make a pair only as near duplicates.
        start: Pairs are sought for the rows from here on, with all rows.

    Returns:
        (m, 2) rows, the lower first, in rising order without repetition.
    """
    n = len(vectors)
    step = max(1, _BLOCK_VALUES // max(n, 1))
    found = [np.zeros((0, 2), np.int64)]
    for first in range(start, n, step):
        rows = np.arange(first, min(first + step, n))
        cos = vectors[rows] @ vectors.T
        cos[np.arange(rows.size), rows] = -np.inf
        _blank_poor(cos, rows, poor)
        row, column = _best(cos, threshold - _ROUNDING, most)
        found.append(np.sort(np.stack([rows[row], column], 1), axis=1))
    return unique_pairs(np.concatenate(found), n)


def same_photo_pairs(photos: Ints) -> Ints:
    """(p, 2) pairs of rows that are faces of one photo, the lower row first.

    Example:
        >>> same_photo_pairs(np.array([7, 8, 7, 9, 8, 7])).tolist()
        [[0, 2], [0, 5], [2, 5], [1, 4]]
    """
    order = np.argsort(photos, kind="stable")
    ends = np.flatnonzero(np.diff(photos[order])) + 1
    crowds = [rows for rows in np.split(order, ends) if rows.size > 1]
    pairs = [rows[np.stack(np.triu_indices(rows.size, 1), 1)] for rows in crowds]
    return np.concatenate([np.zeros((0, 2), np.int64), *pairs])


def unique_pairs(pairs: Array, n: int) -> Ints:
    """Pairs of rows below n, in rising order without repetition."""
    keys = np.unique(pairs[:, 0] * n + pairs[:, 1])
    return np.stack([keys // max(n, 1), keys % max(n, 1)], 1)


def _blank_poor(cos: Float32, rows: Ints, poor: Bools) -> None:
    here, there = np.flatnonzero(poor[rows]), np.flatnonzero(poor)
    if here.size:
        both = cos[np.ix_(here, there)]
        cos[np.ix_(here, there)] = np.where(both < NEAR_DUPLICATE, -np.inf, both)


def _best(cos: Float32, floor: float, most: int) -> tuple[Ints, Ints]:
    """Positions of values from the floor up, of each row at most so many, the largest."""
    mask = cos >= floor
    for row in np.flatnonzero(mask.sum(1) > most).tolist():
        kept = np.argpartition(cos[row], -most)[-most:]
        mask[row] = False
        mask[row, kept] = True
    here, there = np.nonzero(mask)
    return here, there
