"""Search among many people, some of whom are not enrolled: error rates in ISO/IEC 19795-1 terms.

Rates are counted over finished searches; how a search is done is the gallery's matter. The two
functions at the end translate between one comparison's false match rate and a whole search's.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError
from mien.core.types import Bools, Float64, Ints
from mien.metrics._values import (
    check_count,
    check_flags,
    check_labels,
    check_rate,
    check_scores,
    record_of,
)


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """What came back from n searches, one row each.

    Attributes:
        best_score: (n,) score of the best candidate; -inf if none came back or no face was found.
        is_mated: (n,) true where the person searched for is enrolled.
        mate_score: (n,) score of the right person; -inf where absent and for non-mated rows.
        mate_rank: (n,) place of the right person, 1 is first; 0 if not among the candidates.
    """

    best_score: Float64
    is_mated: Bools
    mate_score: Float64
    mate_rank: Ints

    def __post_init__(self) -> None:
        """Refuse rows that do not fit each other."""
        best = check_scores(self.best_score, "best scores")
        check_flags(self.is_mated, "is_mated", length=best.size)
        rank = check_labels(self.mate_rank, "mate_rank", length=best.size)
        if check_scores(self.mate_score, "mate scores").size != best.size or (rank < 0).any():
            raise RangeError(
                what="mate scores or ranks do not fit the searches",
                why="each search has one mate score, and a rank of 0 or more",
                mend="mark a mate that did not come back by score -inf and rank 0",
            )

    @classmethod
    def from_best(cls, best_score: ArrayLike, is_right: ArrayLike, is_mated: ArrayLike) -> Self:
        """Searches of which only the best candidate is known.

        Args:
            best_score: (n,) score of the best candidate, -inf if none.
            is_right: (n,) booleans, true where it is the right person.
            is_mated: (n,) booleans, true where the person is enrolled.

        Raises:
            ShapeError: If lengths or types disagree.
            RangeError: If scores are out of range, or a non-mated search is marked right.
        """
        best = check_scores(best_score, "best scores")
        right = check_flags(is_right, "is_right", length=best.size)
        mated = check_flags(is_mated, "is_mated", length=best.size)
        if (right & ~mated).any():
            raise RangeError(
                what=f"{(right & ~mated).sum()} non-mated searches are marked right",
                why="nobody can be the right answer for a person who is not enrolled",
                mend="mark them mated, or not right",
            )
        return cls(best, mated, np.where(right, best, -math.inf), right.astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class IdentificationCurve:
    """Both identification error rates at rising thresholds.

    Attributes:
        thresholds: (t,) rising; the last is +inf, at which nobody is named.
        fpir: (t,) false positive identification rate, 0-1, never rising.
        fnir: (t,) false negative identification rate, 0-1, never falling.
        rank: The right person must be among this many best candidates.
        n_mated: Searches behind ``fnir``.
        n_nonmated: Searches behind ``fpir``.
    """

    thresholds: Float64
    fpir: Float64
    fnir: Float64
    rank: int
    n_mated: int
    n_nonmated: int

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values; an infinite threshold is null."""
        return record_of(self)


def fpir(searches: Searches, threshold: float) -> float:
    """Share of non-mated searches that name somebody: best score >= ``threshold``.

    Raises:
        RangeError: If there is no non-mated search, or the threshold is NaN or -inf.
    """
    best = np.sort(_nonmated_scores(searches))
    return float(_reaching(best, _check_threshold(threshold)) / best.size)


def fnir(searches: Searches, threshold: float, *, rank: int = 1) -> float:
    """Share of mated searches that miss the right person.

    A hit needs both: a place among the first ``rank`` and a score >= ``threshold``. A failure to
    enrol or to find a face is a miss.

    Raises:
        RangeError: If there is no mated search, ``rank`` is below 1, or the threshold is NaN or
            -inf.
    """
    mates = np.sort(_hit_scores(searches, rank))
    missed = np.searchsorted(mates, _check_threshold(threshold), side="left")
    return float(missed / mates.size)


def identification_det(searches: Searches, *, rank: int = 1) -> IdentificationCurve:
    """FPIR against FNIR at every distinct finite score and at +inf.

    Raises:
        RangeError: If mated or non-mated searches are missing, or ``rank`` is below 1.
    """
    best = np.sort(_nonmated_scores(searches))
    mates = np.sort(_hit_scores(searches, rank))
    pooled = np.unique(np.concatenate([best, mates]))
    thresholds = np.append(pooled[np.isfinite(pooled)], math.inf)
    return IdentificationCurve(
        thresholds=thresholds,
        fpir=_reaching(best, thresholds) / best.size,
        fnir=np.searchsorted(mates, thresholds, side="left") / mates.size,
        rank=rank,
        n_mated=mates.size,
        n_nonmated=best.size,
    )


def cmc(mate_rank: ArrayLike, *, max_rank: int = 10) -> Float64:
    """Cumulative match characteristic of a closed set: everybody searched for is enrolled.

    Args:
        mate_rank: (n,) place of the right person, 1 is first; 0 where absent from the candidates.
        max_rank: Number of places to report, at least 1.

    Returns:
        (max_rank,) share of searches with the right person in the first 1, 2, … places; no
        threshold is applied.

    Raises:
        ShapeError: If ranks are not whole numbers along one axis.
        RangeError: If there is no search, a rank is negative or ``max_rank`` is below 1.

    Example:
        >>> cmc([1, 2, 0, 1], max_rank=3).tolist()
        [0.5, 0.75, 0.75]
    """
    ranks = check_labels(mate_rank, "mate_rank")
    check_count(ranks.size, "number of searches")
    places = check_count(max_rank, "max_rank")
    check_count(int(ranks.min()), "smallest rank", least=0)
    hits = np.bincount(ranks[ranks <= places], minlength=places + 1)[1:]
    return np.asarray(np.cumsum(hits) / ranks.size, np.float64)


def fpir_from_fmr(fmr: float, n: int) -> float:
    """Chance that a search among n people raises a false alarm: 1 - (1 - fmr)^n.

    It holds if the n comparisons of one search are independent. Real ones are correlated (some
    faces resemble everybody), so this overstates the rate for the typical face.

    Args:
        fmr: False match rate of one comparison, in [0, 1].
        n: People in the gallery, at least 1.

    Raises:
        RangeError: If one of them lies outside its range.

    Example:
        >>> round(fpir_from_fmr(1e-6, 10_000), 6)
        0.00995
    """
    people = check_count(n, "n")
    rate = check_rate(fmr, "fmr", zero=True)
    return 1.0 if rate == 1 else -math.expm1(people * math.log1p(-rate))


def fmr_for_fpir(fpir: float, n: int) -> float:
    """The false match rate that a tolerated false alarm rate leaves to one comparison.

    The inverse of `fpir_from_fmr`.

    Args:
        fpir: Tolerated share of searches with a false alarm, in [0, 1].
        n: People in the gallery, at least 1.

    Raises:
        RangeError: If one of them lies outside its range.
    """
    people = check_count(n, "n")
    rate = check_rate(fpir, "fpir", zero=True)
    return 1.0 if rate == 1 else -math.expm1(math.log1p(-rate) / people)


def _nonmated_scores(searches: Searches) -> Float64:
    check_count(int((~searches.is_mated).sum()), "number of non-mated searches")
    return searches.best_score[~searches.is_mated]


def _hit_scores(searches: Searches, rank: int) -> Float64:
    """Scores of the right people, -inf where not within ``rank``."""
    check_count(int(searches.is_mated.sum()), "number of mated searches")
    places = searches.mate_rank[searches.is_mated]
    within = (places >= 1) & (places <= check_count(rank, "rank"))
    return np.where(within, searches.mate_score[searches.is_mated], -math.inf)


def _check_threshold(threshold: float) -> float:
    if math.isnan(threshold) or threshold == -math.inf:
        raise RangeError(
            what=f"threshold is {threshold}",
            why="it would accept searches that found nothing",
            mend="pass a finite score, or +inf to name nobody",
        )
    return threshold


def _reaching(ordered: Float64, threshold: Float64 | float) -> Float64:
    return np.asarray(ordered.size - np.searchsorted(ordered, threshold, side="left"), np.float64)
