import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mien.core.errors import InputError, RangeError, ShapeError
from mien.metrics.verification import auc, d_prime, det_curve, eer, roc, tar_at_far
from references import verification as reference

# Few distinct values, so that ties are common; -inf is a failure to enrol.
SCORES = st.lists(
    st.sampled_from([-math.inf, -0.5, 0.0, 0.1, 0.2, 0.3, 0.5, 0.9]), min_size=1, max_size=25
)
RATES = st.sampled_from([0.001, 0.04, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9, 1.0])
quickly = settings(max_examples=60, deadline=None)


def sample(seed=0, genuine=300, impostor=2000):
    rng = np.random.default_rng(seed)
    return rng.normal(0.6, 0.15, genuine), rng.normal(0.05, 0.12, impostor)


@quickly
@given(SCORES, SCORES)
def test_every_point_of_the_curve_equals_the_literal_count(genuine, impostor):
    curve = roc(genuine, impostor)
    expected = [reference.rates_at(genuine, impostor, t) for t in curve.thresholds]
    assert list(zip(curve.fmr, curve.fnmr, strict=True)) == expected


@quickly
@given(SCORES, SCORES)
def test_the_curve_is_bounded_and_monotone_and_ends_accepting_nothing(genuine, impostor):
    curve = roc(genuine, impostor)
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.fmr) <= 0).all()
    assert (np.diff(curve.fnmr) >= 0).all()
    assert (curve.thresholds[-1], curve.fmr[-1], curve.fnmr[-1]) == (math.inf, 0, 1)


@quickly
@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_the_order_of_the_scores_does_not_matter(genuine, impostor, shuffler):
    mixed_genuine, mixed_impostor = list(genuine), list(impostor)
    shuffler.shuffle(mixed_genuine)
    shuffler.shuffle(mixed_impostor)
    assert eer(mixed_genuine, mixed_impostor) == eer(genuine, impostor)
    assert auc(mixed_genuine, mixed_impostor) == auc(genuine, impostor)
    assert tar_at_far(mixed_genuine, mixed_impostor, 0.1) == tar_at_far(genuine, impostor, 0.1)


@quickly
@given(SCORES, SCORES)
def test_auc_equals_the_count_over_all_combinations(genuine, impostor):
    assert auc(genuine, impostor) == pytest.approx(reference.auc(genuine, impostor), abs=1e-12)


@quickly
@given(SCORES, SCORES)
def test_equal_error_rate_equals_the_walk_along_the_curve(genuine, impostor):
    expected = reference.equal_error_rate(genuine, impostor)
    assert eer(genuine, impostor).rate == pytest.approx(expected, abs=1e-12)


def test_auc_and_curve_agree_with_scikit_learn():
    genuine, impostor = (np.round(s, 2) for s in sample())  # rounding makes ties
    truth = np.repeat([1, 0], [genuine.size, impostor.size])
    pooled = np.concatenate([genuine, impostor])
    fpr, tpr, thresholds = roc_curve(truth, pooled, drop_intermediate=False)
    curve = roc(genuine, impostor)
    assert auc(genuine, impostor) == pytest.approx(roc_auc_score(truth, pooled), abs=1e-12)
    np.testing.assert_array_equal(curve.thresholds[::-1], thresholds)
    np.testing.assert_allclose(curve.fmr[::-1], fpr, atol=1e-12)
    np.testing.assert_allclose(1 - curve.fnmr[::-1], tpr, atol=1e-12)


def test_equal_error_threshold_has_the_rates_it_reports():
    genuine, impostor = sample()
    point = eer(genuine, impostor)
    assert (point.fmr, point.fnmr) == reference.rates_at(genuine, impostor, point.threshold)
    assert min(point.fmr, point.fnmr) <= point.rate <= max(point.fmr, point.fnmr)
    curve = roc(genuine, impostor)
    assert abs(point.fmr - point.fnmr) == np.abs(curve.fmr - curve.fnmr).min()


@quickly
@given(SCORES, SCORES, RATES)
def test_measured_far_is_never_above_the_one_asked(genuine, impostor, far):
    point = tar_at_far(genuine, impostor, far)
    fmr, fnmr = reference.rates_at(genuine, impostor, point.threshold)
    assert point.far_measured == fmr <= far
    assert point.tar == pytest.approx(1 - fnmr, abs=1e-12)


@quickly
@given(SCORES, SCORES, RATES)
def test_no_other_threshold_within_the_far_has_a_higher_tar(genuine, impostor, far):
    expected = reference.best_tar(genuine, impostor, far)
    assert tar_at_far(genuine, impostor, far).tar == expected


def test_a_smaller_threshold_would_break_the_far():
    genuine, impostor = sample()
    point = tar_at_far(genuine, impostor, 0.01)
    just_below = math.nextafter(point.threshold, -math.inf)
    assert reference.rates_at(genuine, impostor, just_below)[0] > 0.01


@pytest.mark.parametrize("n", [10, 49, 98, 103, 1000])
def test_a_far_of_one_in_n_allows_one_in_n_despite_rounding(n):
    assert tar_at_far([0.9], np.arange(n), 1 / n).far_measured == 1 / n


def test_the_threshold_for_float32_scores_holds_in_float32():
    impostor = np.array([0.1, 0.2, 0.3], np.float32)
    point = tar_at_far(np.array([0.9], np.float32), impostor, 0.34)
    assert (impostor >= point.threshold).sum() == 1
    assert np.float32(point.threshold) == point.threshold


@pytest.mark.parametrize(("impostors", "supported"), [(299, False), (300, True)])
def test_rule_of_three_decides_what_a_sample_supports(impostors, supported):
    point = tar_at_far([0.9], np.linspace(0, 0.5, impostors), 0.01)
    assert point.supported is supported
    assert ("at least 300" in point.reason) is not supported


def test_failures_count_as_errors_and_are_never_dropped():
    point = tar_at_far([0.9, -math.inf], [0.1, 0.0, -math.inf, -math.inf], 1.0)
    assert (point.tar, point.far_measured) == (0.5, 0.5)


def test_failures_everywhere_give_chance():
    nothing = [-math.inf] * 3
    assert eer(nothing, nothing).rate == 0.5
    assert auc(nothing, nothing) == 0.5
    assert roc(nothing, nothing).thresholds.tolist() == [math.inf]
    assert tar_at_far(nothing, nothing, 0.1).threshold == math.inf


def test_one_impostor_is_enough_to_count_but_supports_nothing():
    point = tar_at_far([0.9, 0.2], [0.3], 0.001)
    assert (point.far_measured, point.tar, point.supported) == (0.0, 0.5, False)


def test_perfect_separation_has_no_error():
    assert eer([0.9, 0.8], [0.1, 0.2]).rate == 0
    assert auc([0.9, 0.8], [0.1, 0.2]) == 1


def test_det_curve_keeps_points_of_the_full_curve_and_its_end():
    genuine, impostor = sample()
    full, thin = roc(genuine, impostor), det_curve(genuine, impostor, points=20)
    at = np.searchsorted(full.thresholds, thin.thresholds)
    assert thin.thresholds.size <= 21
    np.testing.assert_array_equal(full.fmr[at], thin.fmr)
    np.testing.assert_array_equal(full.fnmr[at], thin.fnmr)
    assert thin.fmr[0] == 1
    assert thin.thresholds[-1] == math.inf


def test_d_prime_of_known_distributions():
    genuine, impostor = [1.0, 3.0], [-1.0, 1.0]  # means 2 and 0, deviations 1
    assert d_prime(genuine, impostor) == pytest.approx(2.0)
    assert d_prime(impostor, genuine) == pytest.approx(-2.0)


def test_d_prime_refuses_failures():
    with pytest.raises(RangeError, match=r"1 scores are -inf.*report the failures"):
        d_prime([0.5, -math.inf], [0.1, 0.2])


def test_d_prime_refuses_scores_without_spread():
    with pytest.raises(RangeError, match=r"divides by their spread"):
        d_prime([0.5, 0.5], [0.1, 0.1])


@pytest.mark.parametrize("metric", [roc, eer, auc, det_curve, d_prime])
def test_empty_input_is_refused_by_name(metric):
    with pytest.raises(RangeError, match=r"there are no impostor scores.*at least one"):
        metric([0.5], [])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_plus_infinity_are_refused(bad):
    with pytest.raises(RangeError, match=r"genuine scores hold.*score a failure to enrol as -inf"):
        roc([0.5, bad], [0.1])


def test_scores_of_the_wrong_shape_are_refused():
    with pytest.raises(ShapeError, match=r"shape \(1, 2\).*one axis"):
        roc([[0.5, 0.4]], [0.1])


@pytest.mark.parametrize("far", [0.0, -0.1, 1.1, math.nan])
def test_a_far_outside_its_range_is_refused(far):
    with pytest.raises(InputError, match=r"far is .*lies in \(0, 1\]"):
        tar_at_far([0.5], [0.1], far)


def test_records_are_strict_json_and_write_infinity_as_null():
    record = roc([0.9], [0.1]).as_record()
    assert json.loads(json.dumps(record, allow_nan=False))["thresholds"] == [0.1, 0.9, None]
    json.dumps(eer([0.9], [0.1]).as_record(), allow_nan=False)
    assert tar_at_far([0.9], [0.1], 0.5).as_record()["supported"] is False
