"""The numbers behind a calibration table: histograms of scores, and rates read between thresholds.

A table holds rates measured at rising thresholds and the smallest rate its sample can support.
Reading never claims less than that, nor anything beyond the ends. Tables themselves, their
provenance and their files are kept by the gallery.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Float64, Ints
from mien.metrics._values import check_rate, check_scores, check_thresholds, record_of


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistogram:
    """Scores counted in bins.

    Attributes:
        edges: (k + 1,) rising; bin i holds edges[i] <= score < edges[i + 1].
        counts: (k,) scores in each bin.
        below: Finite scores under the first edge.
        above: Scores at or over the last edge.
        failures: Scores of -inf.
    """

    edges: Float64
    counts: Ints
    below: int
    above: int
    failures: int

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


@dataclass(frozen=True, slots=True)
class RateAtScore:
    """An error rate read from a table.

    Attributes:
        rate: In (0, 1].
        is_upper_bound: True if the table only shows that the rate is not above this.
    """

    rate: float
    is_upper_bound: bool

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


@dataclass(frozen=True, slots=True)
class ThresholdForRate:
    """The threshold that a tolerated false match rate calls for.

    Attributes:
        threshold: Accept at or above it.
        fmr_asked: The tolerated rate.
        fmr: The rate that ``threshold`` stands for; above ``fmr_asked`` only if not supported.
        supported: False if the table cannot show the rate asked for; ``threshold`` is then the
            lowest one at the smallest rate the table does show.
    """

    threshold: float
    fmr_asked: float
    fmr: float
    supported: bool

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


def score_histogram(scores: ArrayLike, edges: ArrayLike) -> ScoreHistogram:
    """Count scores in fixed bins, losing none.

    Args:
        scores: (n,) similarities, finite or -inf; n >= 1.
        edges: (k + 1,) finite, strictly rising; k >= 1.

    Raises:
        ShapeError: If one of them is not of numbers along one axis.
        RangeError: If scores or edges are out of range.

    Example:
        >>> score_histogram([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]).counts.tolist()
        [1, 1]
    """
    values, borders = check_scores(scores, "scores"), check_thresholds(edges)
    if borders.size < 2:
        raise RangeError(
            what="there is one edge",
            why="a bin lies between two",
            mend="pass at least two edges",
        )
    finite = values[np.isfinite(values)]
    filled = np.bincount(np.searchsorted(borders, finite, side="right"), minlength=borders.size + 1)
    return ScoreHistogram(
        edges=borders,
        counts=filled[1:-1],
        below=int(filled[0]),
        above=int(filled[-1]),
        failures=values.size - finite.size,
    )


def fmr_at_score(
    score: float, thresholds: ArrayLike, fmr: ArrayLike, *, smallest: float
) -> RateAtScore:
    """The false match rate that a threshold equal to ``score`` would have.

    Between thresholds the logarithm of the rate is joined by a straight line, since the tails of
    impostor scores fall about exponentially. Rates below ``smallest`` read as that, as a bound;
    above the last threshold the last rate is a bound; under the first nothing is known but 1.

    Args:
        score: A finite similarity.
        thresholds: (t,) finite, strictly rising.
        fmr: (t,) rates 0-1, never rising.
        smallest: The least rate the sample supports, in (0, 1]; 3 / n by the rule of three.

    Raises:
        ShapeError: If thresholds and rates disagree in length.
        RangeError: If a value lies outside its range, or the rates rise.
    """
    cuts, rates = _check_table(thresholds, fmr, smallest, sign=-1)
    if _check_score(score) < cuts[0]:
        return RateAtScore(1.0, is_upper_bound=True)
    rate = _read(score, cuts, rates)
    return RateAtScore(rate, is_upper_bound=bool(score > cuts[-1] or rate <= smallest))


def fnmr_at_score(
    score: float, thresholds: ArrayLike, fnmr: ArrayLike, *, smallest: float
) -> RateAtScore:
    """The false non-match rate that a threshold equal to ``score`` would have.

    The mirror image of `fmr_at_score`: under the first threshold the first rate is a bound, above
    the last nothing is known but 1.

    Args:
        score: A finite similarity.
        thresholds: (t,) finite, strictly rising.
        fnmr: (t,) rates 0-1, never falling.
        smallest: The least rate the sample supports, in (0, 1].

    Raises:
        ShapeError: If thresholds and rates disagree in length.
        RangeError: If a value lies outside its range, or the rates fall.
    """
    cuts, rates = _check_table(thresholds, fnmr, smallest, sign=1)
    if _check_score(score) > cuts[-1]:
        return RateAtScore(1.0, is_upper_bound=True)
    rate = _read(score, cuts, rates)
    return RateAtScore(rate, is_upper_bound=bool(score < cuts[0] or rate <= smallest))


def threshold_for_fmr(
    asked: float, thresholds: ArrayLike, fmr: ArrayLike, *, smallest: float
) -> ThresholdForRate:
    """The lowest threshold of a table at which the false match rate is not above ``asked``.

    The inverse of `fmr_at_score`, and read along the same lines.

    Args:
        asked: Tolerated rate, in (0, 1].
        thresholds: As in `fmr_at_score`.
        fmr: As in `fmr_at_score`.
        smallest: As in `fmr_at_score`.

    Raises:
        ShapeError: As in `fmr_at_score`.
        RangeError: As in `fmr_at_score`.
    """
    cuts, rates = _check_table(thresholds, fmr, smallest, sign=-1)
    rate = max(check_rate(asked, "fmr"), float(rates[-1]))
    i = int(np.argmax(rates <= rate))
    threshold = float(cuts[i])
    if i > 0 and rates[i] < rate:
        drop = math.log(rates[i - 1]) - math.log(rates[i])
        share = (math.log(rates[i - 1]) - math.log(rate)) / drop
        threshold = float(cuts[i - 1] + share * (cuts[i] - cuts[i - 1]))
    granted = min(rate, float(rates[0]))
    return ThresholdForRate(threshold, asked, granted, supported=granted <= asked)


def _check_table(
    thresholds: ArrayLike, rates: ArrayLike, smallest: float, *, sign: int
) -> tuple[Float64, Float64]:
    """Thresholds, and rates raised to ``smallest`` where they are below it."""
    cuts, values = check_thresholds(thresholds), check_scores(rates, "rates")
    if values.shape != cuts.shape:
        raise ShapeError(
            what=f"there are {cuts.size} thresholds and {values.size} rates",
            why="each threshold has one rate",
            mend="pass arrays of one length",
        )
    if values.min() < 0 or values.max() > 1 or (sign * np.diff(values) < 0).any():
        raise RangeError(
            what="the rates leave 0-1 or go the wrong way",
            why="with the threshold, FMR never rises and FNMR never falls",
            mend="pass them as measured by verification.roc",
        )
    return cuts, np.maximum(values, check_rate(smallest, "smallest"))


def _check_score(score: float) -> float:
    if math.isfinite(score):
        return score
    raise RangeError(
        what=f"score is {score}",
        why="no rate belongs to a comparison that was not made",
        mend="handle failures before asking for a rate",
    )


def _read(score: float, cuts: Float64, rates: Float64) -> float:
    """Log-linear between the cuts, constant beyond them."""
    if cuts.size == 1:
        return float(rates[0])
    i = int(np.clip(np.searchsorted(cuts, score), 1, cuts.size - 1))
    left, right = float(rates[i - 1]), float(rates[i])
    share = float(np.clip((score - cuts[i - 1]) / (cuts[i] - cuts[i - 1]), 0, 1))
    rate = math.pow(left, 1 - share) * math.pow(right, share)
    # Powers round; a flat stretch must read as exactly its own rate.
    return min(max(rate, min(left, right)), max(left, right))
