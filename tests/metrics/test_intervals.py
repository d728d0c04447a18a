import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import bootstrap as scipy_bootstrap

from mien.core.errors import RangeError
from mien.metrics.intervals import (
    bootstrap_interval,
    bound_without_events,
    clopper_pearson_interval,
    supports_rate,
    wilson_interval,
)

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.5, 0.9, 0.95, 0.999])
quickly = settings(max_examples=60, deadline=None)


@quickly
@given(COUNTS, LEVELS)
def test_wilson_agrees_with_scipy(counts, confidence):
    ours = wilson_interval(*counts, confidence=confidence)
    theirs = binomtest(*counts).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=1e-12)


@quickly
@given(COUNTS, LEVELS)
def test_clopper_pearson_agrees_with_scipy(counts, confidence):
    ours = clopper_pearson_interval(*counts, confidence=confidence)
    theirs = binomtest(*counts).proportion_ci(confidence, method="exact")
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("events", [0, 1, 220, 1_100_000, 2_199_999])
def test_clopper_pearson_holds_for_millions_of_trials(events):
    ours = clopper_pearson_interval(events, 2_200_000)
    theirs = binomtest(events, 2_200_000).proportion_ci(method="exact")
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), rel=1e-6, abs=0)


def test_clopper_pearson_holds_close_to_the_mean_where_the_fraction_is_slow():
    ours = clopper_pearson_interval(500_000, 1_000_000, confidence=0.01)
    theirs = binomtest(500_000, 1_000_000).proportion_ci(0.01, method="exact")
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), rel=1e-8, abs=0)


@quickly
@given(COUNTS, LEVELS)
def test_intervals_hold_the_estimate_and_stay_within_0_and_1(counts, confidence):
    for interval in (
        wilson_interval(*counts, confidence=confidence),
        clopper_pearson_interval(*counts, confidence=confidence),
    ):
        assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


def test_the_bound_without_events_is_the_rate_at_which_none_is_seen_one_time_in_twenty():
    bound = bound_without_events(500)
    assert (1 - bound) ** 500 == pytest.approx(0.05)
    assert bound == pytest.approx(3 / 500, rel=0.01)


@pytest.mark.parametrize("rate", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
def test_rule_of_three_is_exact_at_its_edge(rate):
    least = round(3 / rate)
    assert supports_rate(least, rate)
    assert not supports_rate(least - 1, rate)


def test_rule_of_three_forgives_rounding():
    assert all(supports_rate(n, 3 / n) for n in range(3, 1000))


def test_bootstrap_of_a_mean_agrees_with_scipy():
    units = np.random.default_rng(3).normal(size=200)
    ours = bootstrap_interval(lambda x: float(x.mean()), units, seed=1, replicates=4000)
    theirs = scipy_bootstrap((units,), np.mean, method="percentile", rng=2).confidence_interval
    assert ours.estimate == units.mean()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_bootstrap_is_repeated_by_its_seed():
    units = np.arange(30.0)
    first, again, other = (
        bootstrap_interval(np.median, units, seed=s, replicates=50) for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_bootstrap_draws_whole_rows():
    units = np.repeat(np.arange(10.0)[:, None], 2, axis=1)
    interval = bootstrap_interval(lambda x: float((x[:, 0] - x[:, 1]).sum()), units, seed=0)
    assert (interval.low, interval.high) == (0, 0)


def test_bootstrap_refuses_a_statistic_that_is_not_always_defined():
    def fails_often(x):
        return float("nan") if x[0] else 1.0

    with pytest.raises(RangeError, match=r"not finite on \d+ samples.*more units"):
        bootstrap_interval(fails_often, np.array([0, 1]), seed=0, replicates=50)


def test_bootstrap_refuses_no_units():
    with pytest.raises(RangeError, match=r"number of units is 0"):
        bootstrap_interval(np.mean, np.array([]), seed=0)


@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
def test_impossible_counts_are_refused(interval):
    with pytest.raises(RangeError, match=r"6 events in 5 trials.*pass 0 … 5"):
        interval(6, 5)
    with pytest.raises(RangeError, match=r"trials is 0"):
        interval(0, 0)
    with pytest.raises(RangeError, match=r"confidence is 1"):
        interval(1, 5, confidence=1.0)


def test_records_are_strict_json():
    record = json.loads(json.dumps(wilson_interval(1, 10).as_record(), allow_nan=False))
    assert record["method"] == "wilson"
