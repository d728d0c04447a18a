"""Decisions follow the scores, say which error rate they stand for, and carry every warning."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ConfigError, RangeError
from mien.gallery.calibration import Provenance, calibrate
from mien.gallery.decide import (
    AMBIGUITY_MARGIN,
    Candidate,
    Decision,
    OperatingPoint,
    decide,
    decide_pair,
    not_comparable,
    point_for_fmr,
    point_for_fpir,
)
from toys.templates import draw_people

POINT = OperatingPoint(
    threshold=0.4,
    fmr=1e-4,
    fmr_interval=(5e-5, 2e-4),
    fpir=0.01,
    fpir_interval=(0.005, 0.02),
    comparisons=100,
    supported=True,
    warning=None,
)
SCORES = st.floats(-1, 1)
quickly = settings(max_examples=200, deadline=None)


def candidates(*scores: float) -> list[Candidate]:
    return [Candidate(f"person {k}", score, f"face {k}") for k, score in enumerate(scores)]


@pytest.fixture(scope="module")
def table():
    provenance = Provenance(
        data="toy", date="2026-01-02", version="0.0", selection="all", seed=3, replicates=40
    )
    return calibrate(*draw_people(40, 3, spread=1.3), contract="toy", provenance=provenance)[0]


def test_who_reaches_the_threshold_and_leads_is_the_match():
    verdict = decide(candidates(0.6, 0.3), POINT)
    assert (verdict.decision, verdict.person, verdict.score) == (Decision.MATCH, "person 0", 0.6)
    assert verdict.point is POINT
    assert verdict.reasons == ("score 0.600 reaches the threshold 0.400",)
    assert [c.score for c in verdict.candidates] == [0.6, 0.3]


def test_the_only_person_needs_no_lead():
    assert decide(candidates(0.4), POINT).decision is Decision.MATCH


def test_who_stays_below_the_threshold_is_unknown():
    verdict = decide(candidates(0.399, 0.1), POINT)
    assert (verdict.decision, verdict.person, verdict.score) == (Decision.UNKNOWN, None, 0.399)
    assert verdict.reasons == ("best score 0.399 is below the threshold 0.400",)
    assert len(verdict.candidates) == 2


def test_two_people_too_close_are_ambiguous():
    verdict = decide(candidates(0.6, 0.57), POINT)
    assert (verdict.decision, verdict.person) == (Decision.AMBIGUOUS, None)
    assert verdict.reasons == ("two people are closer than the margin: 0.030 < 0.050",)
    assert decide(candidates(0.6, 0.57), POINT, margin=0.01).decision is Decision.MATCH


def test_a_close_second_does_not_matter_below_the_threshold():
    assert decide(candidates(0.3, 0.3), POINT).decision is Decision.UNKNOWN


def test_in_an_empty_gallery_everybody_is_unknown():
    verdict = decide([], POINT)
    assert (verdict.decision, verdict.person, verdict.score) == (Decision.UNKNOWN, None, None)
    assert verdict.reasons == ("the gallery is empty",)
    assert verdict.candidates == ()


@pytest.mark.parametrize("scores", [(), (0.1,), (0.6,), (0.6, 0.59)])
def test_the_warning_of_the_calibration_is_carried_by_every_answer(scores):
    point = replace(POINT, supported=False, warning="the sample is too small")
    assert decide(candidates(*scores), point).reasons[-1] == "the sample is too small"


@pytest.mark.parametrize("score", [0.2, 0.7])
def test_the_warning_of_the_calibration_is_carried_by_every_comparison(score):
    point = replace(POINT, supported=False, warning="the sample is too small")
    assert decide_pair(score, point).reasons[-1] == "the sample is too small"


@pytest.mark.parametrize("margin", [-0.01, math.nan])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(ConfigError, match=r"margin is (-0\.01|nan); it is a difference.*0 or more"):
        decide(candidates(0.6), POINT, margin=margin)


@pytest.mark.parametrize("scores", [(math.nan,), (math.inf, 0.1), (0.6, math.nan)])
def test_a_score_that_is_no_number_matches_nobody(scores):
    with pytest.raises(RangeError, match=r"scores are \[.*reaches no threshold"):
        decide(candidates(*scores), POINT)


@quickly
@given(st.lists(SCORES, max_size=4), SCORES, SCORES, st.floats(0, 0.5))
def test_a_higher_threshold_never_gives_more_matches(scores, one, other, margin):
    low, high = sorted((one, other))
    found = candidates(*sorted(scores, reverse=True))
    lax, strict = (decide(found, replace(POINT, threshold=t), margin=margin) for t in (low, high))
    if strict.decision is Decision.MATCH:
        assert (lax.decision, lax.person) == (Decision.MATCH, strict.person)
    if lax.decision is Decision.UNKNOWN:
        assert strict.decision is Decision.UNKNOWN


@quickly
@given(st.lists(SCORES, min_size=1, max_size=4), SCORES)
def test_a_match_is_the_best_and_reaches_threshold_and_margin(scores, threshold):
    ordered = sorted(scores, reverse=True)
    verdict = decide(candidates(*ordered), replace(POINT, threshold=threshold))
    leads = len(ordered) < 2 or ordered[0] - ordered[1] >= AMBIGUITY_MARGIN
    matched = ordered[0] >= threshold and leads
    assert (verdict.decision is Decision.MATCH) == matched
    assert verdict.person == ("person 0" if matched else None)


def test_a_pair_is_one_person_at_the_threshold_and_not_below():
    same, different = decide_pair(0.4, POINT), decide_pair(0.3999, POINT)
    assert (same.decision, different.decision) == (Decision.MATCH, Decision.DIFFERENT)
    assert (same.person, same.score, same.candidates) == (None, 0.4, ())
    assert same.reasons == ("score 0.400 reaches the threshold 0.400",)
    assert different.reasons == ("score 0.400 is below the threshold 0.400",)


@pytest.mark.parametrize("score", [1.1, -1.1, math.nan, math.inf])
def test_what_is_no_cosine_is_not_compared(score):
    with pytest.raises(RangeError, match=r"score is .*between -1 and 1.*length 1"):
        decide_pair(score, POINT)


def test_rounding_above_one_is_still_a_cosine():
    assert decide_pair(1.00001, POINT).decision is Decision.MATCH


def test_not_comparable_gives_its_reasons_and_nothing_else():
    verdict = not_comparable(["too_small", "blurred"])
    assert verdict.decision is Decision.NOT_COMPARABLE
    assert verdict.reasons == ("too_small", "blurred")
    assert (verdict.person, verdict.score, verdict.point, verdict.candidates) == (None,) * 3 + ((),)


def test_decisions_are_plain_words():
    words = ["match", "unknown", "ambiguous", "not_comparable", "different"]
    assert [str(decision) for decision in Decision] == words


@pytest.mark.parametrize("asked", [0.1, 0.01, 0.001])
def test_a_supported_rate_stands_for_itself(table, asked):
    point = point_for_fmr(table, asked)
    assert (point.fmr, point.supported, point.warning) == (asked, True, None)
    assert point.threshold == table.threshold_for(asked).threshold
    assert point.fmr_interval == table.fmr_interval_at(point.threshold)
    assert point.fmr_interval[0] <= asked <= point.fmr_interval[1]
    assert (point.fpir, point.fpir_interval, point.comparisons) == (None, None, 1)


def test_an_unsupported_rate_is_answered_with_a_warning(table):
    point = point_for_fmr(table, 1e-6)
    assert not point.supported
    assert point.fmr == pytest.approx(3 / 7020)
    assert point.warning == (
        "the calibration has 7020 different-person pairs and cannot show FMR 1e-06; "
        "the strictest threshold that it supports stands for FMR 0.00043"
    )


@pytest.mark.parametrize(("fpir", "n"), [(0.3, 1), (0.1, 10), (0.01, 10), (0.5, 400)])
def test_false_alarms_add_up_over_the_gallery(table, fpir, n):
    point = point_for_fpir(table, fpir, n)
    assert point.supported
    assert point.warning is None
    assert point.comparisons == n
    assert point.fpir == pytest.approx(1 - (1 - point.fmr) ** n, rel=1e-9)
    assert point.fpir == pytest.approx(fpir, rel=1e-9)
    ends = [1 - (1 - end) ** n for end in point.fmr_interval]
    assert point.fpir_interval == pytest.approx(ends, rel=1e-9)
    assert point.threshold == point_for_fmr(table, point.fmr).threshold


def test_a_gallery_too_large_for_the_calibration_gets_a_warning_and_the_true_rate(table):
    point = point_for_fpir(table, 0.01, 10_000)
    assert not point.supported
    assert "cannot show FPIR 0.01 over 10000 templates (FMR 1e-06)" in point.warning
    assert point.fpir == pytest.approx(1 - (1 - 3 / 7020) ** 10_000)
    assert point.fpir > 0.9


def test_a_larger_gallery_never_gets_a_lower_threshold(table):
    thresholds = [point_for_fpir(table, 0.1, n).threshold for n in (1, 2, 5, 20, 100, 10_000)]
    assert thresholds == sorted(thresholds)


def test_an_empty_gallery_counts_as_one_template(table):
    assert point_for_fpir(table, 0.01, 0) == point_for_fpir(table, 0.01, 1)


@pytest.mark.parametrize("fpir", [0.0, 1.0, -0.1, math.nan])
def test_impossible_rates_of_false_alarms_are_refused(table, fpir):
    with pytest.raises(RangeError, match=r"fpir is .*named wrongly.*such as 0\.01"):
        point_for_fpir(table, fpir, 10)


def test_a_negative_gallery_is_refused(table):
    with pytest.raises(RangeError, match=r"n is -5; at least 1 is needed"):
        point_for_fpir(table, 0.01, -5)
