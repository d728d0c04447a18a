"""Provisional exact search."""

from typing import Literal, Protocol

import numpy as np

from mien.core.types import Float32, Ints

Precision = Literal["float32", "int8"]


class ExactSearch(Protocol):
    rows: Float32

    def search(self, queries: Float32, k: int) -> tuple[Ints, Float32]: ...

    def search_grouped(
        self, queries: Float32, k: int, groups: Ints
    ) -> tuple[Ints, Ints, Float32]: ...


class Float32Search:
    def __init__(self, rows: Float32) -> None:
        self.rows = rows

    def search(self, queries: Float32, k: int) -> tuple[Ints, Float32]:
        scores = queries @ self.rows.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return best, np.take_along_axis(scores, best, 1)

    def search_grouped(self, queries: Float32, k: int, groups: Ints) -> tuple[Ints, Ints, Float32]:
        scores = queries @ self.rows.T
        order = np.argsort(-scores, axis=1, kind="stable")
        rows = []
        n = min(k, len(np.unique(groups)))
        for o in order:
            _, first = np.unique(groups[o], return_index=True)
            rows.append(o[np.sort(first)[:n]])
        best = np.array(rows)
        return groups[best], best, np.take_along_axis(scores, best, 1)


def open_search(rows: Float32, precision: Precision = "float32") -> ExactSearch:
    return Float32Search(rows)
