"""Decisions: from scores and tolerated error rates to Match, Unknown, Ambiguous, NotComparable.

A decision always says which error rate its threshold stands for. There is no "confidence %": a
cosine is not a probability, and a calibrated rate is a property of a threshold, not of one face.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mien.core.errors import ConfigError, RangeError
from mien.gallery.calibration import CalibrationTable
from mien.metrics.identification import fmr_for_fpir, fpir_from_fmr

AMBIGUITY_MARGIN: Final = 0.05
"""Cosine by which the best person must lead the second best."""


class Decision(StrEnum):
    """What an identification or a comparison may answer."""

    MATCH = "match"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    NOT_COMPARABLE = "not_comparable"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, and the error rates that it stands for.

    Attributes:
        threshold: Accept at or above this cosine.
        fmr: False match rate of one comparison at the threshold.
        fmr_interval: Lower and upper end of that rate.
        fpir: Expected false positive identification rate in the gallery; None for a comparison
            of two pictures.
        fpir_interval: Its ends, from those of the FMR.
        comparisons: Comparisons that one search makes; 1 for two pictures.
        supported: Whether the calibration can show the rate asked for.
        warning: In words, if it cannot.
    """

    threshold: float
    fmr: float
    fmr_interval: tuple[float, float]
    fpir: float | None
    fpir_interval: tuple[float, float] | None
    comparisons: int
    supported: bool
    warning: str | None


def point_for_fmr(table: CalibrationTable, fmr: float) -> OperatingPoint:
    """The threshold for comparing two pictures at a tolerated false match rate.

    If the table's sample is too small for the rate, the strictest threshold that it supports comes
    back, with a warning.

    Raises:
        RangeError: If the rate lies outside (0, 1].
    """
    found = table.threshold_for(fmr)
    return OperatingPoint(
        threshold=found.threshold,
        fmr=found.fmr,
        fmr_interval=table.fmr_interval_at(found.threshold),
        fpir=None,
        fpir_interval=None,
        comparisons=1,
        supported=found.supported,
        warning=None if found.supported else _too_small(table, f"FMR {fmr:.2g}", found.fmr),
    )


def point_for_fpir(table: CalibrationTable, fpir: float, comparisons: int) -> OperatingPoint:
    """The threshold for searching a gallery at a tolerated rate of false alarms.

    FPIR = 1 - (1 - FMR)^N holds if the N comparisons of a search are independent
    (ISO/IEC 19795-1); real ones are correlated, so the true rate is usually lower.

    Args:
        table: Calibration of the gallery's contract.
        fpir: Tolerated share of searches for unknown people that name somebody, in (0, 1).
        comparisons: Templates that a search is compared with; none counts as one.

    Raises:
        RangeError: If a value lies outside its range.
    """
    if not 0 < fpir < 1:
        raise RangeError(
            what=f"fpir is {fpir}",
            why="it is the share of unknown faces that may be named wrongly",
            mend="pass a value such as 0.01",
        )
    n = comparisons or 1
    asked = fmr_for_fpir(fpir, n)
    found = table.threshold_for(asked)
    low, high = table.fmr_interval_at(found.threshold)
    words = f"FPIR {fpir:.2g} over {n} templates (FMR {asked:.2g})"
    return OperatingPoint(
        threshold=found.threshold,
        fmr=found.fmr,
        fmr_interval=(low, high),
        fpir=fpir_from_fmr(found.fmr, n),
        fpir_interval=(fpir_from_fmr(low, n), fpir_from_fmr(high, n)),
        comparisons=n,
        supported=found.supported,
        warning=None if found.supported else _too_small(table, words, found.fmr),
    )


def _too_small(table: CalibrationTable, asked: str, granted: float) -> str:
    return (
        f"the calibration has {table.n_impostor} different-person pairs and cannot show {asked}; "
        f"the strictest threshold that it supports stands for FMR {granted:.2g}"
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person that a face resembles.

    Attributes:
        person: Name in the gallery.
        score: Highest cosine with one of the person's templates.
        face_id: The template that gave it.
        person_id: Opaque id of the person, if the store keeps one.
    """

    person: str
    score: float
    face_id: str
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one face.

    Attributes:
        decision: The answer.
        person: Who it is; None unless the decision is a match.
        score: Highest cosine; None if nothing was compared.
        point: Threshold and error rates behind the decision; None if nothing was compared.
        reasons: Why, in words or reject codes.
        candidates: The most similar people, best first.
        person_id: Opaque id of ``person``; None unless the decision is a match.
    """

    decision: Decision
    person: str | None
    score: float | None
    point: OperatingPoint | None
    reasons: tuple[str, ...]
    candidates: tuple[Candidate, ...] = ()
    person_id: str | None = None


def decide(
    candidates: Sequence[Candidate], point: OperatingPoint, *, margin: float = AMBIGUITY_MARGIN
) -> Verdict:
    """Who a face is, from the most similar people of a gallery.

    Args:
        candidates: Best first; two at least if the gallery has two people.
        point: Threshold and its error rates.
        margin: Cosine by which the best person must lead.

    Returns:
        A match if the best reaches the threshold and leads by the margin; ambiguous if it reaches
        the threshold and does not lead; otherwise unknown.

    Raises:
        ConfigError: If the margin is negative.
        RangeError: If a score is not finite.
    """
    if not margin >= 0:
        raise ConfigError(
            what=f"margin is {margin}",
            why="it is a difference of two cosines, the larger first",
            mend="pass 0 or more",
        )
    warnings = (point.warning,) if point.warning else ()
    if not candidates:
        return Verdict(Decision.UNKNOWN, None, None, point, ("the gallery is empty", *warnings))
    if not all(math.isfinite(candidate.score) for candidate in candidates):
        raise RangeError(
            what=f"scores are {[candidate.score for candidate in candidates]}",
            why="a score that is no number reaches no threshold and misses none",
            mend="check the templates for values that are not finite",
        )
    best = candidates[0]
    lead = best.score - candidates[1].score if len(candidates) > 1 else float("inf")
    person, person_id = None, None
    if best.score < point.threshold:
        decision = Decision.UNKNOWN
        why = f"best score {best.score:.3f} is below the threshold {point.threshold:.3f}"
    elif lead < margin:
        decision = Decision.AMBIGUOUS
        why = f"two people are closer than the margin: {lead:.3f} < {margin:.3f}"
    else:
        decision, person = Decision.MATCH, best.person
        person_id = best.person_id
        why = f"score {best.score:.3f} reaches the threshold {point.threshold:.3f}"
    reasons = (why, *warnings)
    return Verdict(decision, person, best.score, point, reasons, tuple(candidates), person_id)


def decide_pair(score: float, point: OperatingPoint) -> Verdict:
    """Whether two faces are one person: a match, or different.

    Raises:
        RangeError: If the score is no cosine.
    """
    if not -1.0001 <= score <= 1.0001:
        raise RangeError(
            what=f"score is {score}",
            why="a cosine lies between -1 and 1",
            mend="compare templates of length 1",
        )
    same = score >= point.threshold
    words = "reaches" if same else "is below"
    why = f"score {score:.3f} {words} the threshold {point.threshold:.3f}"
    warnings = (point.warning,) if point.warning else ()
    decision = Decision.MATCH if same else Decision.DIFFERENT
    return Verdict(decision, None, score, point, (why, *warnings))


def not_comparable(reasons: Sequence[str]) -> Verdict:
    """A face that must not be compared, with the reasons."""
    return Verdict(Decision.NOT_COMPARABLE, None, None, None, tuple(reasons))
