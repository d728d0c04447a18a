"""Score-level fusion: one similarity from those of several embedders.

Cosines of different networks lie on different scales. Each is brought to the scale of its own
impostor scores, then they are added with weights. Whether that gains anything over the better
network alone is a question of measurement: ``benchmarks/fusion.py`` asks it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Array, Float64


@dataclass(frozen=True, slots=True)
class ScoreFusion:
    """How the scores of k embedders become one.

    Attributes:
        names: The embedders, in the order of the columns.
        means: Mean impostor score of each.
        deviations: Standard deviation of each one's impostor scores, above 0.
        weights: Weight of each, not negative; their sum is 1.
        n_impostors: Impostor pairs that means and deviations were estimated on.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    n_impostors: int

    def __post_init__(self) -> None:
        columns = (self.means, self.deviations, self.weights)
        if not self.names or any(len(column) != len(self.names) for column in columns):
            raise ShapeError(
                what=f"there are {len(self.names)} names and {[len(c) for c in columns]} means, "
                "deviations and weights",
                why="each embedder has one of each",
                mend="use fit_fusion",
            )
        if not np.isfinite(columns).all() or min(self.deviations) <= 0:
            raise RangeError(
                what=f"means are {self.means}, deviations {self.deviations}, "
                f"weights {self.weights}",
                why="all must be finite, and scores are divided by the deviations",
                mend="use fit_fusion on scores that vary",
            )
        if min(self.weights) < 0 or not np.isclose(sum(self.weights), 1.0):
            raise RangeError(
                what=f"weights are {self.weights}",
                why="they are shares of the fused score: not negative, together 1",
                mend="use fit_fusion, which divides them by their sum",
            )

    def fuse(self, scores: ArrayLike) -> Float64:
        """Weighted sum of the normalised scores.

        Args:
            scores: (n, k) similarities, finite or -inf, columns as in ``names``.

        Returns:
            (n,) similarities, higher for the same person; not cosines, so that a threshold must be
            found for them anew. A row with -inf, a comparison that one of the embedders could not
            make, is -inf: thresholds for sums do not hold for parts of them.

        Raises:
            ShapeError: If the scores are not numbers of shape (n, k).
            RangeError: If one is NaN or +inf.
        """
        values = _check_scores(scores, len(self.names))
        compared = np.isfinite(values).all(1)
        fused = np.full(len(values), -np.inf)
        normalised = (values[compared] - self.means) / self.deviations
        fused[compared] = normalised @ np.array(self.weights)
        return fused


def fit_fusion(
    impostor_scores: ArrayLike, names: Sequence[str], *, weights: Sequence[float] | None = None
) -> ScoreFusion:
    """Estimate each embedder's scale on pairs of two people.

    Source:
        Jain, Nandakumar, Ross, "Score normalization in multimodal biometric systems", Pattern
        Recognition 38, 2005, section 3 (z-score); Ross, Jain, "Information fusion in biometrics",
        Pattern Recognition Letters 24, 2003 (sum rule). We differ in one point: mean and deviation
        come from impostor scores alone, so that they do not depend on how many pairs of one person
        the sample happens to hold.

    Args:
        impostor_scores: (m, k) similarities of pairs of two people, finite or -inf, of data that
            the fusion will not be judged on. Rows with -inf are left out.
        names: The k embedders.
        weights: k numbers, not negative and not all 0; only their ratios matter. None weighs all
            alike.

    Returns:
        The fusion.

    Raises:
        ShapeError: If the scores are not of shape (m, k), or there are not k weights.
        RangeError: If a score is NaN or +inf, fewer than two rows are finite, the scores of an
            embedder do not vary, or the weights are out of range.

    Example:
        >>> fusion = fit_fusion([[0.0, 10.0], [0.2, 30.0]], ["a", "b"])
        >>> fusion.fuse([[0.1, 20.0], [0.2, 30.0]]).round(3).tolist()
        [0.0, 0.707]
    """
    values = _check_scores(impostor_scores, len(names))
    finite = values[np.isfinite(values).all(1)]
    if len(finite) < 2 or (np.ptp(finite, axis=0) == 0).any():
        raise RangeError(
            what=f"of {len(values)} impostor rows {len(finite)} are finite, "
            "too few or without any spread",
            why="a mean and a deviation are estimated for every embedder",
            mend="pass scores of more pairs of different people",
        )
    return ScoreFusion(
        names=tuple(names),
        means=tuple(finite.mean(0).tolist()),
        deviations=tuple(finite.std(0, ddof=1).tolist()),
        weights=_shares(weights, len(names)),
        n_impostors=len(finite),
    )


def _shares(weights: Sequence[float] | None, k: int) -> tuple[float, ...]:
    given = np.ones(k) if weights is None else np.asarray(weights, np.float64)
    if given.shape != (k,):
        raise ShapeError(
            what=f"weights have shape {given.shape}",
            why=f"each of {k} embedders has one",
            mend=f"pass {k} weights, or leave them out to weigh all alike",
        )
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise RangeError(
            what=f"weights are {given.tolist()}",
            why="a weight is finite and not negative, and one at least is above 0",
            mend="pass numbers such as 2 and 1; only their ratios matter",
        )
    return tuple((given / given.sum()).tolist())


def _check_scores(scores: ArrayLike, k: int) -> Float64:
    values: Array = np.asarray(scores)
    if values.ndim != 2 or values.shape[1] != k or values.dtype.kind not in "fiu":
        raise ShapeError(
            what=f"scores have shape {values.shape} and type {values.dtype}",
            why=f"each pair has one number from each of {k} embedders",
            mend=f"pass numbers of shape (n, {k}), one column for each embedder",
        )
    n_nan, n_inf = int(np.isnan(values).sum()), int(np.isposinf(values).sum())
    if n_nan or n_inf:
        raise RangeError(
            what=f"the scores hold {n_nan} NaN and {n_inf} +inf",
            why="a similarity is finite, or -inf where no comparison could be made",
            mend="score a failure to enrol as -inf, and look for the fault behind the others",
        )
    return values.astype(np.float64)
