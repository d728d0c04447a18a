import json
import math

import numpy as np
import pytest

from mien.core.errors import RangeError, ShapeError
from mien.metrics.subject_bootstrap import subject_bootstrap_rates
from references import verification as reference

CUTS = [-0.1, 0.2, 0.4, 0.6]


def pairs(people=12, photos=2, seed=0, habit=0.0):
    """Every pair of photos; ``habit`` is how much a person's own level moves all their scores."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(people), photos)
    i, j = np.triu_indices(subject.size, 1)
    left, right = subject[i], subject[j]
    level = rng.normal(0, habit, people) if habit else np.zeros(people)
    scores = 0.5 * (left == right) + rng.normal(0.1, 0.15, i.size) + level[left] + level[right]
    return scores, left, right, left == right


def test_estimates_are_the_plain_rates_of_the_sample():
    scores, left, right, genuine = pairs()
    scores = scores.round(1)  # so that some lie right on a threshold
    result = subject_bootstrap_rates(scores, left, right, genuine, CUTS, seed=1)
    expected = [reference.rates_at(scores[genuine], scores[~genuine], t) for t in CUTS]
    np.testing.assert_allclose(np.stack([result.fmr, result.fnmr], 1), expected, atol=1e-12)


def test_intervals_equal_the_literal_weighting_of_every_pair():
    scores, left, right, genuine = pairs(people=8)
    result = subject_bootstrap_rates(scores, left, right, genuine, CUTS, seed=5, replicates=20)
    weights = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=20)
    drawn = np.array(
        [[reference.weighted_rates(scores, left, right, w, t) for t in CUTS] for w in weights]
    )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    partly = (result.fmr > 0) & (result.fmr < 1)
    np.testing.assert_allclose(result.fmr_low[partly], low[partly, 0], atol=1e-12)
    np.testing.assert_allclose(result.fmr_high[partly], high[partly, 0], atol=1e-12)
    partly = (result.fnmr > 0) & (result.fnmr < 1)
    assert partly.any()
    np.testing.assert_allclose(result.fnmr_low[partly], low[partly, 1], atol=1e-12)
    np.testing.assert_allclose(result.fnmr_high[partly], high[partly, 1], atol=1e-12)


def test_swapping_the_sides_and_the_order_of_pairs_changes_nothing():
    scores, left, right, genuine = pairs()
    order = np.random.default_rng(9).permutation(scores.size)
    one = subject_bootstrap_rates(scores, left, right, genuine, CUTS, seed=1)
    two = subject_bootstrap_rates(
        scores[order], right[order], left[order], genuine[order], CUTS, seed=1
    )
    assert one.as_record() == two.as_record()


def test_names_may_be_strings():
    scores, left, right, genuine = pairs()
    names = np.array([f"p{i:02d}" for i in range(12)])
    one = subject_bootstrap_rates(scores, left, right, genuine, CUTS, seed=1)
    two = subject_bootstrap_rates(scores, names[left], names[right], genuine, CUTS, seed=1)
    assert one.as_record() == two.as_record()


def test_people_with_habits_widen_the_interval():
    def width(habit):
        result = subject_bootstrap_rates(*pairs(40, habit=habit), [0.3], seed=1)
        return float((result.fmr_high - result.fmr_low)[0])

    assert width(0.2) > 2 * width(0.0)


def test_intervals_hold_the_true_rate_about_as_often_as_they_say():
    truth = 0.5 * math.erfc(0.2 / 0.15 / math.sqrt(2))  # share of N(0.1, 0.15) above 0.3
    hits = 0
    for seed in range(60):
        result = subject_bootstrap_rates(*pairs(25, seed=seed), [0.3], seed=1)
        hits += int(result.fmr_low[0] <= truth <= result.fmr_high[0])
    assert hits >= 50  # 0.95 × 60 = 57, and chance


def test_no_event_is_not_taken_for_certainty():
    scores, left, right, genuine = pairs()
    result = subject_bootstrap_rates(scores, left, right, genuine, [-5.0, 5.0], seed=1)
    assert (result.fmr[1], result.fmr_low[1]) == (0, 0)
    assert result.fmr_high[1] == pytest.approx(1 - 0.025 ** (1 / (~genuine).sum()))
    assert result.fnmr_low[1] == pytest.approx(0.025 ** (1 / genuine.sum()))
    assert result.fmr_low[0] < 1 == result.fmr_high[0]


def test_failures_are_never_accepted():
    scores, left, right, genuine = pairs()
    scores = np.where(genuine, -math.inf, scores)
    result = subject_bootstrap_rates(scores, left, right, genuine, [-9.0], seed=1)
    assert result.fnmr.tolist() == [1.0]


def test_a_mask_against_the_subjects_is_refused():
    scores, left, right, genuine = pairs()
    with pytest.raises(
        RangeError, match=r"pairs are marked against their subjects.*left_subject =="
    ):
        subject_bootstrap_rates(scores, left, right, ~genuine, CUTS, seed=1)


def test_one_kind_of_pair_alone_is_refused():
    with pytest.raises(RangeError, match=r"2 of 2 pairs are genuine.*impostor pairs"):
        subject_bootstrap_rates([0.1, 0.2], [0, 1], [0, 1], [True, True], CUTS, seed=1)


def test_samples_without_both_kinds_are_left_out_and_told():
    # Only person 0 has a genuine pair: a third of all draws miss them.
    arrays = [0.9, 0.1, 0.2, 0.3], [0, 0, 0, 1], [0, 1, 2, 2], [True, False, False, False]
    result = subject_bootstrap_rates(*arrays, [0.15], seed=1, replicates=100)
    assert 30 < result.replicates < 90


def test_no_usable_sample_is_refused():
    # A draw of three people holds all three in 6 of 27 cases: some seed here has to miss.
    def draw_once(seed):
        subject_bootstrap_rates(
            [0.9, 0.1], [0, 1], [0, 2], [True, False], [0.5], seed=seed, replicates=1
        )

    with pytest.raises(RangeError, match=r"none of 1 samples.*add people"):
        list(map(draw_once, range(30)))


def test_thresholds_must_rise():
    with pytest.raises(RangeError, match=r"2 thresholds are not finite and strictly rising"):
        subject_bootstrap_rates(*pairs(), [0.5, 0.5], seed=1)


def test_subjects_of_another_length_are_refused():
    scores, left, right, genuine = pairs()
    with pytest.raises(ShapeError, match=r"shapes \(3,\).*one on either side"):
        subject_bootstrap_rates(scores, left[:3], right, genuine, CUTS, seed=1)


def test_records_are_strict_json():
    result = subject_bootstrap_rates(*pairs(), CUTS, seed=1)
    assert len(json.loads(json.dumps(result.as_record(), allow_nan=False))["fmr_low"]) == 4
