"""What a user says about pairs of faces: one person, or two people."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import ConflictError, RangeError, ShapeError
from mien.core.types import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Pairs of rows that must, or must not, be in one cluster.

    Attributes:
        must: (m, 2) rows that show one person.
        cannot: (c, 2) rows that show two people.
    """

    must: Ints
    cannot: Ints

    @classmethod
    def of(cls, must: ArrayLike = (), cannot: ArrayLike = ()) -> "Links":
        """Links from any sequences of pairs.

        Raises:
            ShapeError: If they are not pairs of whole numbers.

        Example:
            >>> Links.of(must=[(0, 1)], cannot=[(1, 2), (0, 3)]).cannot.shape
            (2, 2)
        """
        return cls(_pairs_of(must, "must-link"), _pairs_of(cannot, "cannot-link"))

    def joined(self, more: "Links") -> "Links":
        """These links and more, each once."""
        must = np.concatenate([self.must, more.must])
        cannot = np.concatenate([self.cannot, more.cannot])
        return Links(np.unique(must, axis=0), np.unique(cannot, axis=0))

    def groups(self, n: int) -> Ints:
        """For each of n faces the smallest row that must-links tie it to, directly or not.

        Raises:
            RangeError: If a link names a row that does not exist.
            ConflictError: If two faces must, and must not, be in one cluster.
        """
        _check_rows(np.concatenate([self.must, self.cannot]), n)
        groups = tie(self.must, n)
        for a, b in self.cannot[groups[self.cannot[:, 0]] == groups[self.cannot[:, 1]]]:
            raise _contradiction(_path(self.must, int(a), int(b)))
        return groups


def tie(pairs: Ints, n: int) -> Ints:
    """For each of n numbers the smallest that pairs tie it to, directly or not.

    Example:
        >>> tie(np.array([[3, 1], [1, 2]]), 5).tolist()
        [0, 1, 1, 1, 4]
    """
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in pairs.tolist():
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return np.array([root(row) for row in range(n)], np.int64)


def _pairs_of(pairs: ArrayLike, name: str) -> Ints:
    array = np.asarray(pairs)
    if array.size == 0:
        return np.zeros((0, 2), np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ShapeError(
            what=f"the {name} pairs have shape {array.shape} and type {array.dtype}",
            why="a link names two rows",
            mend="pass whole numbers of shape (m, 2), such as [(0, 4), (4, 7)]",
        )
    return array.astype(np.int64)


def _check_rows(pairs: Ints, n: int) -> None:
    outside = pairs[(pairs < 0) | (pairs >= n)]
    if outside.size:
        raise RangeError(
            what=f"a link names row {outside[0]}",
            why=f"the {n} faces are rows 0 to {n - 1}",
            mend="count rows from 0, in the order in which the faces were added",
        )


def _path(must: Ints, start: int, end: int) -> list[int]:
    """Shortest chain of must-links from one row to another that it is tied to."""
    near: dict[int, list[int]] = {}
    for a, b in must.tolist():
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    came_from, queue = {start: start}, deque([start])
    while end not in came_from:
        row = queue.popleft()
        for other in near[row]:
            if other not in came_from:
                came_from[other] = row
                queue.append(other)
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def _contradiction(path: list[int]) -> ConflictError:
    start, end = path[0], path[-1]
    if start == end:
        return ConflictError(
            what=f"row {start} has a cannot-link to itself",
            why="a face cannot be apart from itself",
            mend="remove that link",
            rows=[start],
        )
    chain = " - ".join(map(str, path))
    return ConflictError(
        what=f"rows {start} and {end} have a cannot-link, and must-links tie them ({chain})",
        why="they cannot be one person and two",
        mend="remove the cannot-link, or one link of the chain",
        rows=path,
    )
