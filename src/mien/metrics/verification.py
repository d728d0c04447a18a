"""How well scores separate pairs of one person (genuine) from pairs of two (impostor).

Rates, curves and operating points are exact step functions of the sample: nothing is binned or
smoothed. Fold protocols live in ``folds``, uncertainty in ``intervals``.

Conventions, everywhere in this file:

* Scores are similarities. A pair is accepted when ``score >= threshold``.
* A score of -inf stands for a pair that could not be compared, such as a face that was not found.
  It is counted and never accepted: a false non-match if genuine, a true one if impostor
  (ISO/IEC 19795-1 calls such rates generalised). NaN and +inf are refused.
* FMR is the share of impostor pairs accepted, FNMR the share of genuine pairs not accepted,
  TAR = 1 - FNMR. FAR is the older word for FMR and means the same here.
* In records, an infinite threshold ("accept nothing") is null.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError
from mien.core.types import Float64
from mien.metrics._values import check_count, check_rate, check_scores, record_of
from mien.metrics.intervals import supports_rate


@dataclass(frozen=True, slots=True, eq=False)
class ErrorCurve:
    """Both error rates at rising thresholds.

    Attributes:
        thresholds: (n,) rising; the last is +inf, which accepts nothing.
        fmr: (n,) false match rate at each threshold, 0-1, never rising.
        fnmr: (n,) false non-match rate at each threshold, 0-1, never falling.
        n_genuine: Genuine pairs behind the rates, failures included.
        n_impostor: Impostor pairs behind the rates, failures included.
    """

    thresholds: Float64
    fmr: Float64
    fnmr: Float64
    n_genuine: int
    n_impostor: int

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values; a full curve has as many points as scores."""
        return record_of(self)


@dataclass(frozen=True, slots=True)
class EqualErrorPoint:
    """Where both error rates meet.

    Attributes:
        rate: Equal error rate, 0-1, by straight line between the two neighbouring points.
        threshold: The observed score at which the rates differ least.
        fmr: False match rate measured at ``threshold``.
        fnmr: False non-match rate measured at ``threshold``.
    """

    rate: float
    threshold: float
    fmr: float
    fnmr: float

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is gained at a tolerated false accept rate.

    Attributes:
        far_asked: The tolerated rate, 0-1.
        threshold: The smallest threshold that keeps to it on this sample.
        far_measured: The rate at that threshold; never above ``far_asked``.
        tar: Share of genuine pairs accepted there, 0-1.
        supported: Whether the sample is large enough to speak of this rate (rule of three).
        reason: Why it is not supported; empty if it is.
    """

    far_asked: float
    threshold: float
    far_measured: float
    tar: float
    supported: bool
    reason: str = ""

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


def roc(genuine: ArrayLike, impostor: ArrayLike) -> ErrorCurve:
    """Both error rates at every distinct finite score, and at +inf.

    The curve stops at the lowest finite score: with failures it does not reach FMR = 1, FNMR = 0.

    Args:
        genuine: (n,) scores of pairs of one person, finite or -inf.
        impostor: (m,) scores of pairs of two people, finite or -inf.

    Raises:
        RangeError: If one of them is empty or holds NaN or +inf.

    Example:
        >>> curve = roc([0.9, 0.5], [0.5, 0.1])
        >>> curve.thresholds.tolist(), curve.fmr.tolist(), curve.fnmr.tolist()
        ([0.1, 0.5, 0.9, inf], [1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0])
    """
    same, different = _sorted_scores(genuine, impostor)
    pooled = np.unique(np.concatenate([same, different]))
    thresholds = np.append(pooled[np.isfinite(pooled)], math.inf)
    return ErrorCurve(
        thresholds=thresholds,
        fmr=_accepted(different, thresholds) / different.size,
        fnmr=np.searchsorted(same, thresholds, side="left") / same.size,
        n_genuine=same.size,
        n_impostor=different.size,
    )


def det_curve(genuine: ArrayLike, impostor: ArrayLike, *, points: int = 100) -> ErrorCurve:
    """The curve of `roc`, thinned for drawing on logarithmic or normal-deviate axes.

    Source:
        Martin, Doddington, Kamm, Ordowski, Przybocki, "The DET curve in assessment of detection
        task performance", Eurospeech 1997.

    Args:
        genuine: As in `roc`.
        impostor: As in `roc`.
        points: Number of false match rates, evenly spaced in the logarithm from 1/m to 1. For each
            the lowest threshold is kept that does not exceed it; points that coincide are merged.

    Raises:
        RangeError: As in `roc`, or if ``points`` is below 2.
    """
    curve = roc(genuine, impostor)
    lowest = -math.log10(curve.n_impostor)
    asked = np.logspace(lowest, 0.0, check_count(points, "points", least=2))
    first = np.searchsorted(-curve.fmr, -asked, side="left")
    keep = np.unique(np.append(first, curve.thresholds.size - 1))
    return ErrorCurve(
        thresholds=curve.thresholds[keep],
        fmr=curve.fmr[keep],
        fnmr=curve.fnmr[keep],
        n_genuine=curve.n_genuine,
        n_impostor=curve.n_impostor,
    )


def eer(genuine: ArrayLike, impostor: ArrayLike) -> EqualErrorPoint:
    """The equal error rate.

    Steps rarely meet exactly, so the two points on either side of FMR = FNMR are joined by a
    straight line. Below the lowest finite score the curve is closed at FMR = 1, FNMR = 0.

    Args:
        genuine: As in `roc`.
        impostor: As in `roc`.

    Raises:
        RangeError: As in `roc`.

    Example:
        >>> eer([0.9, 0.8], [0.2, 0.1]).rate
        0.0
    """
    curve = roc(genuine, impostor)
    fmr = np.concatenate([[1.0], curve.fmr])
    gap = np.concatenate([[0.0], curve.fnmr]) - fmr  # from -1 to 1, never falling
    right = int(np.argmax(gap >= 0))
    left = right - 1
    share = -gap[left] / (gap[right] - gap[left])
    nearest = int(np.argmin(np.abs(gap[1:])))
    return EqualErrorPoint(
        rate=float(fmr[left] + share * (fmr[right] - fmr[left])),
        threshold=float(curve.thresholds[nearest]),
        fmr=float(curve.fmr[nearest]),
        fnmr=float(curve.fnmr[nearest]),
    )


def auc(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Area under the ROC: the chance that a genuine pair outscores an impostor pair, ties halved.

    Two failures tie, so pairs that could not be compared are worth a coin toss among themselves.

    Source:
        Hanley, McNeil, "The meaning and use of the area under a receiver operating characteristic
        curve", Radiology 143, 1982 (the Mann-Whitney form).

    Args:
        genuine: As in `roc`.
        impostor: As in `roc`.

    Returns:
        0-1; 0.5 is chance.

    Raises:
        RangeError: As in `roc`.
    """
    same, different = _sorted_scores(genuine, impostor)
    below = int(np.searchsorted(different, same, side="left").sum())
    not_above = int(np.searchsorted(different, same, side="right").sum())
    return (below + not_above) / (2 * same.size * different.size)


def tar_at_far(genuine: ArrayLike, impostor: ArrayLike, far: float) -> OperatingPoint:
    """The share of genuine pairs accepted while impostors pass at most at a given rate.

    The threshold is the next number above the first impostor score that has to be kept out, in
    the precision of the scores; so ties never push the measured rate above the one asked. It is
    not set below the lowest finite score, and is +inf if no score is finite.

    Args:
        genuine: As in `roc`.
        impostor: As in `roc`.
        far: Tolerated false accept rate, in (0, 1].

    Raises:
        RangeError: As in `roc`, or if ``far`` lies outside its range. A sample too small for the
            rate raises nothing: see ``OperatingPoint.supported``.

    Example:
        >>> point = tar_at_far([0.9, 0.8, 0.3], [0.4, 0.2, 0.1, 0.0], 0.25)
        >>> point.far_measured, round(point.tar, 3), point.supported
        (0.25, 1.0, False)
    """
    same, different = _sorted_scores(genuine, impostor)
    rate = check_rate(far, "far")
    precision = np.result_type(np.asarray(genuine), np.asarray(impostor))
    threshold = _strictest_needed(same, different, rate, precision)
    return OperatingPoint(
        far_asked=rate,
        threshold=threshold,
        far_measured=float(_accepted(different, threshold) / different.size),
        tar=float(_accepted(same, threshold) / same.size),
        supported=supports_rate(different.size, rate),
        reason=_why_unsupported(different.size, rate),
    )


def d_prime(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Distance of the two means in units of the pooled spread; about 4 or more separates well.

    Source:
        Daugman, "Biometric decision landscapes", Cambridge TR 482, 2000. We differ in one point:
        the sign is kept, so a score that runs backwards shows as a negative value.

    Args:
        genuine: (n,) finite scores.
        impostor: (m,) finite scores.

    Raises:
        RangeError: As in `roc`; also if a score is -inf, which has no mean, or nothing varies.
    """
    same, different = _sorted_scores(genuine, impostor)
    failures = int(np.isneginf(same).sum() + np.isneginf(different).sum())
    if failures:
        raise RangeError(
            what=f"{failures} scores are -inf",
            why="a failure has no place in a mean, and leaving it out would flatter the result",
            mend="pass the finite scores, and report the failures beside the value",
        )
    spread = math.sqrt((same.var() + different.var()) / 2)
    if spread == 0:
        raise RangeError(
            what="all genuine scores are equal, and all impostor scores are",
            why="d' divides by their spread",
            mend="pass scores of more pairs",
        )
    return float((same.mean() - different.mean()) / spread)


def _sorted_scores(genuine: ArrayLike, impostor: ArrayLike) -> tuple[Float64, Float64]:
    same = check_scores(genuine, "genuine scores")
    different = check_scores(impostor, "impostor scores")
    return np.sort(same), np.sort(different)


def _accepted(ordered: Float64, threshold: Float64 | float) -> Float64:
    """How many of the sorted scores reach each threshold; thresholds are above -inf."""
    return np.asarray(ordered.size - np.searchsorted(ordered, threshold, side="left"), np.float64)


def _strictest_needed(
    same: Float64, different: Float64, far: float, precision: np.dtype[np.generic]
) -> float:
    allowed = _allowed_events(different.size, far)
    if allowed < np.isfinite(different).sum():
        kept_out = different[different.size - 1 - allowed]
        # A float32 score compared with a float64 step above itself would be rounded back onto it.
        kind = precision.type if precision.kind == "f" else np.float64
        return float(np.nextafter(kind(kept_out), kind(math.inf)))
    pooled = np.concatenate([same, different])
    return float(pooled[np.isfinite(pooled)].min(initial=math.inf))


def _why_unsupported(trials: int, far: float) -> str:
    if supports_rate(trials, far):
        return ""
    least = math.ceil(3 / far)
    return f"{trials} impostor pairs; at least {least} are needed to bound a rate of {far:g}"


def _allowed_events(trials: int, rate: float) -> int:
    """The largest k with k / trials <= rate, safe from the rounding of ``rate * trials``."""
    k = min(trials, math.floor(rate * trials) + 1)
    while k / trials > rate:
        k -= 1
    return k
