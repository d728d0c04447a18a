"""Faces at the door of clustering: checked, and in an order that does not depend on theirs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Array, Float32, Ints

BEST_QUALITY = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Faces to put together.

    Attributes:
        vectors: (n, d) templates of length 1.
        photos: (n,) which photo each is from.
        quality: (n,) 0-100.
    """

    vectors: Float32
    photos: Ints
    quality: Float32

    def __len__(self) -> int:
        return len(self.photos)

    @staticmethod
    def none() -> "Rows":
        """No face, of no template length yet."""
        column = np.zeros(0, np.float32)
        return Rows(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), column)

    def joined(self, more: "Rows") -> "Rows":
        """These faces and more below them.

        Raises:
            ShapeError: If their templates are of another length.
        """
        if not len(self) or not len(more):
            return more if len(more) else self
        if self.vectors.shape[1] != more.vectors.shape[1]:
            raise ShapeError(
                what=f"the new templates have {more.vectors.shape[1]} numbers",
                why=f"the {len(self)} before have {self.vectors.shape[1]}",
                mend="embed all photos with one pipeline",
            )
        return Rows(
            np.concatenate([self.vectors, more.vectors]),
            np.concatenate([self.photos, more.photos]),
            np.concatenate([self.quality, more.quality]),
        )

    def take(self, rows: Ints) -> "Rows":
        """Some of the faces, or all in another order."""
        return Rows(self.vectors[rows], self.photos[rows], self.quality[rows])

    def canonical_order(self) -> Ints:
        """(n,) rows in an order that depends on what they hold, not on where they stand."""
        return np.lexsort((self.quality, self.photos, *self.vectors.T[::-1]))


def check_rows(templates: ArrayLike, photos: ArrayLike, quality: ArrayLike | None) -> Rows:
    """Templates, photos and qualities as arrays that fit together.

    Raises:
        ShapeError: If shapes or types are not as `cluster_faces` says.
        RangeError: If a template is not of length 1, or a quality not in 0-100.
    """
    vectors = _check_templates(np.asarray(templates))
    n = len(vectors)
    numbers = _check_column(np.asarray(photos), "photos", n, "iu", np.int64)
    if quality is None:
        return Rows(vectors, numbers, np.full(n, BEST_QUALITY, np.float32))
    scores = _check_column(np.asarray(quality), "quality", n, "fiu", np.float32)
    if not ((scores >= 0) & (scores <= BEST_QUALITY)).all():
        raise RangeError(
            what=f"quality spans {scores.min()} to {scores.max()}",
            why="unified quality lies in 0-100",
            mend="pass quality.unified of the faces",
        )
    return Rows(vectors, numbers, scores)


def _check_templates(templates: Array) -> Float32:
    if templates.ndim != 2 or templates.shape[1] < 1 or templates.dtype.kind != "f":
        raise ShapeError(
            what=f"the templates have shape {templates.shape} and type {templates.dtype}",
            why="each face is a row of numbers",
            mend="pass a float array of shape (n, d), such as the embeddings of Faces",
        )
    lengths = np.linalg.norm(templates.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= 1e-3))
    if wrong.size:
        raise RangeError(
            what=f"the template in row {wrong[0]} has length {lengths[wrong[0]]:.4g}",
            why="templates are finite and of length 1, so that a dot product is a cosine",
            mend="use embeddings as the pipeline returns them",
        )
    return np.ascontiguousarray(templates, np.float32)


def _check_column(values: Array, name: str, n: int, kinds: str, dtype: Any) -> Array:
    if values.shape != (n,) or (n and values.dtype.kind not in kinds):
        raise ShapeError(
            what=f"{name} has shape {values.shape} and type {values.dtype}",
            why=f"each of {n} faces has one number",
            mend=f"pass numbers of shape ({n},); np.unique numbers names by return_inverse=True",
        )
    return values.astype(dtype)
