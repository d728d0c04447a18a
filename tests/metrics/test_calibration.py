import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.metrics.calibration import (
    fmr_at_score,
    fnmr_at_score,
    score_histogram,
    threshold_for_fmr,
)

CUTS = [0.0, 0.2, 0.4, 0.6]
FMR = [0.5, 1e-2, 1e-4, 0.0]
FNMR = [0.0, 1e-3, 1e-2, 0.2]
SMALLEST = 1e-5
SCORES = st.floats(-0.3, 0.9)
quickly = settings(max_examples=60, deadline=None)


@quickly
@given(st.lists(st.sampled_from([-math.inf, -2.0, 0.0, 0.1, 0.5, 1.0, 3.0]), min_size=1))
def test_histogram_loses_no_score(scores):
    bins = score_histogram(scores, [0.0, 0.5, 1.0])
    assert bins.counts.tolist() == [
        sum(0 <= s < 0.5 for s in scores),
        sum(0.5 <= s < 1 for s in scores),
    ]
    total = bins.counts.sum() + bins.below + bins.above + bins.failures
    assert total == len(scores)
    assert bins.failures == scores.count(-math.inf)


def test_histogram_agrees_with_numpy():
    scores = np.random.default_rng(0).normal(size=1000)
    edges = np.linspace(-1, 1, 21)
    np.testing.assert_array_equal(
        score_histogram(scores, edges).counts, np.histogram(scores, edges)[0]
    )


def test_one_edge_makes_no_bin():
    with pytest.raises(RangeError, match=r"one edge.*at least two"):
        score_histogram([0.1], [0.5])


@pytest.mark.parametrize(("score", "rate"), list(zip(CUTS[:3], FMR[:3], strict=True)))
def test_rates_at_thresholds_are_those_of_the_table(score, rate):
    read = fmr_at_score(score, CUTS, FMR, smallest=SMALLEST)
    assert (read.rate, read.is_upper_bound) == (pytest.approx(rate, rel=1e-12), False)


def test_halfway_between_thresholds_lies_the_geometric_mean():
    assert fmr_at_score(0.3, CUTS, FMR, smallest=SMALLEST).rate == pytest.approx(1e-3)
    assert fnmr_at_score(0.3, CUTS, FNMR, smallest=SMALLEST).rate == pytest.approx(10**-2.5)


@quickly
@given(SCORES, SCORES)
def test_rates_are_monotone_in_the_score(one, other):
    low, high = sorted([one, other])
    fmr = [fmr_at_score(s, CUTS, FMR, smallest=SMALLEST).rate for s in (low, high)]
    fnmr = [fnmr_at_score(s, CUTS, FNMR, smallest=SMALLEST).rate for s in (low, high)]
    assert 1 >= fmr[0] >= fmr[1] >= SMALLEST
    assert SMALLEST <= fnmr[0] <= fnmr[1] <= 1


def test_beyond_the_table_only_bounds_are_claimed():
    readings = [
        fmr_at_score(0.7, CUTS, FMR, smallest=SMALLEST),
        fmr_at_score(0.7, CUTS, [0.5, 0.4, 0.3, 0.2], smallest=SMALLEST),
        fmr_at_score(-0.1, CUTS, FMR, smallest=SMALLEST),
        fnmr_at_score(-0.1, CUTS, FNMR, smallest=SMALLEST),
        fnmr_at_score(-0.1, CUTS, [0.1, 0.2, 0.3, 0.4], smallest=SMALLEST),
        fnmr_at_score(0.7, CUTS, FNMR, smallest=SMALLEST),
    ]
    assert [r.rate for r in readings] == [SMALLEST, 0.2, 1, SMALLEST, 0.1, 1]
    assert all(r.is_upper_bound for r in readings)


def test_a_rate_that_the_sample_cannot_support_is_a_bound():
    read = fmr_at_score(0.4, CUTS, FMR, smallest=1e-3)
    assert (read.rate, read.is_upper_bound) == (1e-3, True)


def test_a_table_of_one_row_can_be_read():
    assert fmr_at_score(0.5, [0.5], [0.1], smallest=0.01).rate == pytest.approx(0.1)
    assert threshold_for_fmr(0.2, [0.5], [0.1], smallest=0.01).threshold == 0.5


@quickly
@given(st.floats(SMALLEST, 1.0))
def test_the_threshold_for_a_rate_has_that_rate_or_less(asked):
    found = threshold_for_fmr(asked, CUTS, FMR, smallest=SMALLEST)
    read = fmr_at_score(found.threshold, CUTS, FMR, smallest=SMALLEST)
    assert found.supported
    assert read.rate <= asked * (1 + 1e-9)
    assert found.fmr == pytest.approx(read.rate, rel=1e-9)


@quickly
@given(st.floats(SMALLEST * 1.01, 0.49))
def test_a_lower_threshold_would_exceed_the_rate(asked):
    found = threshold_for_fmr(asked, CUTS, FMR, smallest=SMALLEST)
    lower = fmr_at_score(found.threshold - 1e-6, CUTS, FMR, smallest=SMALLEST)
    assert lower.rate > asked


def test_a_rate_below_the_support_gets_the_strictest_threshold_and_is_told_so():
    found = threshold_for_fmr(1e-7, CUTS, FMR, smallest=SMALLEST)
    assert (found.threshold, found.fmr, found.supported) == (0.6, SMALLEST, False)


def test_a_table_that_never_gets_there_says_so():
    found = threshold_for_fmr(1e-3, [0.1, 0.2], [0.5, 0.1], smallest=SMALLEST)
    assert (found.threshold, found.fmr, found.supported) == (0.2, 0.1, False)


def test_rates_that_go_the_wrong_way_are_refused():
    with pytest.raises(RangeError, match=r"wrong way; with the threshold, FMR never rises"):
        fmr_at_score(0.1, CUTS, FNMR, smallest=SMALLEST)
    with pytest.raises(RangeError, match=r"wrong way"):
        fnmr_at_score(0.1, CUTS, FMR, smallest=SMALLEST)


def test_a_failure_has_no_rate():
    with pytest.raises(RangeError, match=r"score is -inf.*not made"):
        fmr_at_score(-math.inf, CUTS, FMR, smallest=SMALLEST)


def test_tables_of_two_lengths_are_refused():
    with pytest.raises(ShapeError, match=r"4 thresholds and 2 rates"):
        fmr_at_score(0.1, CUTS, [0.2, 0.1], smallest=SMALLEST)


def test_an_empty_table_is_refused():
    with pytest.raises(RangeError, match=r"the 0 thresholds"):
        fmr_at_score(0.1, [], [], smallest=SMALLEST)


@pytest.mark.parametrize("asked", [0.0, 2.0])
def test_impossible_rates_are_refused(asked):
    with pytest.raises(RangeError, match=r"fmr is .*\(0, 1\]"):
        threshold_for_fmr(asked, CUTS, FMR, smallest=SMALLEST)


def test_records_are_strict_json():
    for result in (
        score_histogram([0.1, -math.inf], [0.0, 1.0]),
        fmr_at_score(0.1, CUTS, FMR, smallest=SMALLEST),
        threshold_for_fmr(0.1, CUTS, FMR, smallest=SMALLEST),
    ):
        json.dumps(result.as_record(), allow_nan=False)
