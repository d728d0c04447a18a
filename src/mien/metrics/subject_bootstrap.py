"""Intervals for error rates of pairs, by resampling the people behind them.

Pairs that share a person rise and fall together, so intervals that take pairs for independent
trials are too narrow. Here people are drawn, and each pair counts as often as its people were.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Array, Bools, Float64, Ints
from mien.metrics._values import (
    check_count,
    check_flags,
    check_rate,
    check_scores,
    check_thresholds,
    record_of,
)
from mien.metrics.intervals import clopper_pearson_interval


@dataclass(frozen=True, slots=True, eq=False)
class RateIntervals:
    """Error rates at thresholds, each with a two-sided interval.

    Attributes:
        thresholds: (t,) rising; accepted means ``score >= threshold``.
        fmr: (t,) false match rate on the whole sample, 0-1.
        fmr_low: (t,) lower ends.
        fmr_high: (t,) upper ends.
        fnmr: (t,) false non-match rate on the whole sample, 0-1.
        fnmr_low: (t,) lower ends.
        fnmr_high: (t,) upper ends.
        confidence: In (0, 1).
        n_subjects: People drawn from.
        replicates: Samples drawn that held genuine and impostor pairs.
    """

    thresholds: Float64
    fmr: Float64
    fmr_low: Float64
    fmr_high: Float64
    fnmr: Float64
    fnmr_low: Float64
    fnmr_high: Float64
    confidence: float
    n_subjects: int
    replicates: int

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Pairs merged by people and bin: ``count`` pairs of ``left`` and ``right`` in ``bin``."""

    left: Ints
    right: Ints
    bin: Ints
    count: Float64


def subject_bootstrap_rates(
    scores: ArrayLike,
    left_subject: ArrayLike,
    right_subject: ArrayLike,
    genuine_mask: ArrayLike,
    thresholds: ArrayLike,
    *,
    replicates: int = 200,
    seed: int,
    confidence: float = 0.95,
) -> RateIntervals:
    """Percentile intervals of FMR and FNMR at thresholds, drawing people with replacement.

    If person i is drawn w_i times, a genuine pair of i counts w_i times and an impostor pair of
    i and j counts w_i·w_j times. Where no event was seen, or nothing but events, every sample
    agrees and the spread is nought; there the exact binomial interval of the pair count is given
    instead. It takes pairs for independent, so the truth may be wider still.

    Source:
        Bolle, Ratha, Pankanti, "Error analysis of pattern recognition systems - the subsets
        bootstrap", CVIU 93, 2004; Poh, Martin, Bengio, "Performance generalization in biometric
        authentication using joint user-specific and sample bootstraps", TPAMI 29, 2007. The
        product weights of impostor pairs are those of Owen, "The pigeonhole bootstrap", Annals of
        Applied Statistics 1, 2007, with one draw of people for both sides.

    Args:
        scores: (n,) similarities, finite or -inf, which no threshold accepts.
        left_subject: (n,) who is on the left of each pair; whole numbers or strings.
        right_subject: (n,) who is on the right.
        genuine_mask: (n,) booleans, true where both are one person.
        thresholds: (t,) finite and strictly rising.
        replicates: Samples to draw. Those without any genuine, or any impostor, pair are left out.
        seed: Of the random generator; the same seed gives the same intervals.
        confidence: In (0, 1).

    Raises:
        ShapeError: If the arrays disagree in length or type.
        RangeError: If scores or thresholds are out of range, the mask contradicts the subjects, a
            kind of pair is missing, or no sample held both kinds.
    """
    values = check_scores(scores, "scores")
    genuine = check_flags(genuine_mask, "genuine_mask", length=values.size)
    left, right, n_subjects = _number_subjects(left_subject, right_subject, genuine)
    cuts = check_thresholds(thresholds)
    tail = (1 - check_rate(confidence, "confidence", one=False)) / 2
    bins = np.searchsorted(cuts, values, side="right").astype(np.int64)  # thresholds reached
    shape = (n_subjects, n_subjects, cuts.size + 1)
    same = _merge(left[genuine], right[genuine], bins[genuine], shape)
    different = _merge(left[~genuine], right[~genuine], bins[~genuine], shape)
    weights = _draw_weights(n_subjects, check_count(replicates, "replicates"), seed)
    fmr, fnmr = _rates(same, different, weights, cuts.size)
    fmr_low, fmr_high = _ends(fmr, tail, int((~genuine).sum()))
    fnmr_low, fnmr_high = _ends(fnmr, tail, int(genuine.sum()))
    return RateIntervals(
        thresholds=cuts,
        fmr=fmr[0],
        fmr_low=fmr_low,
        fmr_high=fmr_high,
        fnmr=fnmr[0],
        fnmr_low=fnmr_low,
        fnmr_high=fnmr_high,
        confidence=confidence,
        n_subjects=n_subjects,
        replicates=len(fmr) - 1,
    )


def _number_subjects(
    left_subject: ArrayLike, right_subject: ArrayLike, genuine: Bools
) -> tuple[Ints, Ints, int]:
    left, right = np.asarray(left_subject), np.asarray(right_subject)
    if left.shape != genuine.shape or right.shape != genuine.shape:
        raise ShapeError(
            what=f"subjects have shapes {left.shape} and {right.shape}",
            why=f"each of {genuine.size} pairs has one on either side",
            mend=f"pass two arrays of shape ({genuine.size},)",
        )
    contrary = int(((left == right) != genuine).sum())
    if contrary:
        raise RangeError(
            what=f"{contrary} pairs are marked against their subjects",
            why="a pair is genuine exactly when both sides are one person",
            mend="build the mask as left_subject == right_subject",
        )
    if genuine.all() or not genuine.any():
        raise RangeError(
            what=f"{genuine.sum()} of {genuine.size} pairs are genuine",
            why="both error rates are asked for",
            mend="pass genuine and impostor pairs",
        )
    people, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    return numbers[: left.size], numbers[left.size :], people.size


def _merge(left: Ints, right: Ints, bins: Ints, shape: tuple[int, int, int]) -> _Cells:
    first, second = np.minimum(left, right), np.maximum(left, right)
    keys, count = np.unique(np.ravel_multi_index((first, second, bins), shape), return_counts=True)
    a, b, c = np.unravel_index(keys, shape)
    return _Cells(a, b, c, count.astype(np.float64))


def _draw_weights(n_subjects: int, replicates: int, seed: int) -> Array:
    """(1 + r, s) how often each person counts: once in the first row, as drawn in the others."""
    chances = np.full(n_subjects, 1 / n_subjects)
    drawn = np.random.default_rng(seed).multinomial(n_subjects, chances, size=replicates)
    return np.concatenate([np.ones((1, n_subjects), drawn.dtype), drawn])


def _rates(
    same: _Cells, different: _Cells, weights: Array, n_thresholds: int
) -> tuple[Float64, Float64]:
    """(1 + u, t) FMR and FNMR, of the sample itself and of the u usable draws."""
    impostor = np.empty((len(weights), n_thresholds + 1))
    genuine = np.empty_like(impostor)
    for row, drawn in enumerate(weights):
        w = drawn.astype(np.float64)
        genuine[row] = _accepted(same, w[same.left], n_thresholds)
        impostor[row] = _accepted(different, w[different.left] * w[different.right], n_thresholds)
    usable = (genuine[:, 0] > 0) & (impostor[:, 0] > 0)
    if usable.sum() < 2:
        raise RangeError(
            what=f"none of {len(weights) - 1} samples of people holds genuine and impostor pairs",
            why="too few people have both",
            mend="add people, or draw more samples",
        )
    matched, passed = genuine[usable], impostor[usable]
    return passed[:, 1:] / passed[:, :1], (matched[:, :1] - matched[:, 1:]) / matched[:, :1]


def _accepted(cells: _Cells, weight: Float64, n_thresholds: int) -> Float64:
    """(t + 1,) weight of all pairs, then of those that each threshold accepts."""
    histogram = np.bincount(cells.bin, weight * cells.count, minlength=n_thresholds + 1)
    return np.cumsum(histogram[::-1]).astype(np.float64)[::-1]


def _ends(rates: Float64, tail: float, trials: int) -> tuple[Float64, Float64]:
    low, high = np.quantile(rates[1:], [tail, 1 - tail], axis=0)
    never = clopper_pearson_interval(0, trials, confidence=1 - 2 * tail).high
    return np.where(rates[0] == 1, 1 - never, low), np.where(rates[0] == 0, never, high)
