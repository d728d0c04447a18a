import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.metrics.identification import (
    Searches,
    cmc,
    fmr_for_fpir,
    fnir,
    fpir,
    fpir_from_fmr,
    identification_det,
)

LEVELS = st.sampled_from([-math.inf, 0.0, 0.2, 0.4, 0.6])
quickly = settings(max_examples=60, deadline=None)


@st.composite
def searches(draw):
    """Any outcome of searches, at least one mated and one not."""
    mated = [True, False, *draw(st.lists(st.booleans(), max_size=12))]
    best, score, rank = [], [], []
    for is_mated in mated:
        best.append(draw(LEVELS))
        at = draw(st.integers(0, 4)) if is_mated and best[-1] > -math.inf else 0
        own = best[-1] if at == 1 else best[-1] - 0.1 * at
        rank.append(at)
        score.append(own if at else -math.inf)
    return Searches(np.array(best), np.array(mated), np.array(score), np.array(rank))


def toy():
    """Three mated searches (right, wrong, no face), two non-mated."""
    return Searches.from_best(
        [0.9, 0.8, -math.inf, 0.3, 0.5],
        [True, False, False, False, False],
        [True, True, True, False, False],
    )


def test_rates_of_a_worked_example():
    assert fpir(toy(), 0.4) == 0.5
    assert fpir(toy(), 0.5) == 0.5  # at the threshold is accepted
    assert fpir(toy(), 0.51) == 0.0
    assert fnir(toy(), 0.4) == pytest.approx(2 / 3)
    assert fnir(toy(), 0.95) == 1.0


@quickly
@given(searches(), LEVELS.filter(math.isfinite), st.integers(1, 4))
def test_rates_equal_the_literal_count(outcome, threshold, rank):
    rows = list(
        zip(
            outcome.best_score, outcome.is_mated, outcome.mate_score, outcome.mate_rank, strict=True
        )
    )
    alarms = [best >= threshold for best, mated, _, _ in rows if not mated]
    misses = [
        not (1 <= place <= rank and score >= threshold) for _, mated, score, place in rows if mated
    ]
    assert fpir(outcome, threshold) == sum(alarms) / len(alarms)
    assert fnir(outcome, threshold, rank=rank) == sum(misses) / len(misses)


@quickly
@given(searches(), st.integers(1, 4))
def test_every_point_of_the_curve_has_its_own_rates(outcome, rank):
    curve = identification_det(outcome, rank=rank)
    assert curve.fpir.tolist() == [fpir(outcome, t) for t in curve.thresholds]
    assert curve.fnir.tolist() == [fnir(outcome, t, rank=rank) for t in curve.thresholds]
    assert (np.diff(curve.fpir) <= 0).all()
    assert (np.diff(curve.fnir) >= 0).all()
    assert (curve.fpir[-1], curve.fnir[-1]) == (0, 1)


@quickly
@given(searches())
def test_more_ranks_never_miss_more(outcome):
    missed = [fnir(outcome, 0.1, rank=rank) for rank in range(1, 5)]
    assert missed == sorted(missed, reverse=True)


def test_a_search_that_found_no_face_is_a_miss_and_no_false_alarm():
    failed = Searches.from_best([-math.inf] * 2, [False, False], [True, False])
    curve = identification_det(failed)
    assert (curve.fpir.tolist(), curve.fnir.tolist()) == ([0.0], [1.0])


def test_a_mate_who_did_not_come_back_is_a_miss_whatever_the_score():
    outcome = Searches(np.array([0.9]), np.array([True]), np.array([0.8]), np.array([0]))
    assert fnir(outcome, 0.1) == 1


def test_closed_set_curve_counts_places():
    np.testing.assert_allclose(cmc([1, 3, 0, 2, 1, 9], max_rank=4), [2 / 6, 3 / 6, 4 / 6, 4 / 6])


@quickly
@given(st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_closed_set_curve_never_falls_and_equals_the_literal_count(ranks):
    curve = cmc(ranks, max_rank=10)
    expected = [sum(1 <= r <= k for r in ranks) / len(ranks) for k in range(1, 11)]
    assert curve.tolist() == expected


@quickly
@given(st.floats(1e-12, 0.5), st.integers(1, 10_000_000))
def test_rates_of_searches_and_comparisons_are_inverse(rate, n):
    assert fpir_from_fmr(fmr_for_fpir(rate, n), n) == pytest.approx(rate, rel=1e-9, abs=0)


def test_tiny_rates_keep_their_digits():
    assert fpir_from_fmr(1e-18, 1000) == pytest.approx(1e-15, rel=1e-12, abs=0)
    assert fmr_for_fpir(1e-15, 1000) == pytest.approx(1e-18, rel=1e-12, abs=0)


@pytest.mark.parametrize("translate", [fpir_from_fmr, fmr_for_fpir])
def test_certain_rates_stay_certain_and_a_gallery_of_one_changes_nothing(translate):
    assert (translate(0.0, 50), translate(1.0, 50)) == (0.0, 1.0)
    assert translate(0.3, 1) == pytest.approx(0.3, rel=1e-12)


@quickly
@given(st.floats(1e-9, 0.99), st.integers(1, 1000))
def test_larger_galleries_raise_more_alarms(fmr, n):
    assert fpir_from_fmr(fmr, n) <= fpir_from_fmr(fmr, n + 1) <= 1


@pytest.mark.parametrize("translate", [fpir_from_fmr, fmr_for_fpir])
def test_an_empty_gallery_and_impossible_rates_are_refused(translate):
    with pytest.raises(RangeError, match=r"n is 0.*at least 1"):
        translate(0.1, 0)
    with pytest.raises(RangeError, match=r"is 1.5.*lies in \[0, 1\]"):
        translate(1.5, 10)


def test_rates_without_their_kind_of_search_are_refused():
    mated = Searches.from_best([0.9], [True], [True])
    with pytest.raises(RangeError, match=r"number of non-mated searches is 0"):
        fpir(mated, 0.5)
    stranger = Searches.from_best([0.9], [False], [False])
    with pytest.raises(RangeError, match=r"number of mated searches is 0"):
        fnir(stranger, 0.5)


@pytest.mark.parametrize("threshold", [math.nan, -math.inf])
def test_thresholds_that_accept_nothing_found_are_refused(threshold):
    with pytest.raises(RangeError, match=r"threshold is .*found nothing"):
        fpir(toy(), threshold)


def test_a_stranger_cannot_be_found_rightly():
    with pytest.raises(RangeError, match=r"1 non-mated searches are marked right"):
        Searches.from_best([0.9], [True], [False])


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"is_mated has shape \(1,\)"):
        Searches.from_best([0.9, 0.8], [True, True], [True])
    with pytest.raises(RangeError, match=r"mate scores or ranks do not fit"):
        Searches(np.array([0.9]), np.array([True]), np.array([0.9]), np.array([-1]))


def test_no_search_and_bad_ranks_are_refused_by_the_closed_set_curve():
    with pytest.raises(RangeError, match=r"number of searches is 0"):
        cmc([])
    with pytest.raises(RangeError, match=r"smallest rank is -1"):
        cmc([1, -1])
    with pytest.raises(ShapeError, match=r"mate_rank is of type float64"):
        cmc([1.0, 2.0])


def test_records_are_strict_json():
    record = identification_det(toy()).as_record()
    assert json.loads(json.dumps(record, allow_nan=False))["thresholds"][-1] is None
