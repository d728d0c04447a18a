import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.metrics.unlinkability import chance_linkability, linkability, local_linkability
from references import unlinkability as reference

# Multiples of 1/64 plus a little: no score lies on an edge of a bin, where rounding would decide.
SCORES = st.lists(st.integers(-40, 40).map(lambda k: (k + 0.37) / 64), min_size=1, max_size=40)
quickly = settings(max_examples=80, deadline=None)


@quickly
@given(SCORES, SCORES, st.sampled_from([1, 7, 16]), st.sampled_from([0.1, 1.0, 5.0]))
def test_the_measure_equals_the_literal_one(mated, non_mated, bins, omega):
    mated, non_mated = [-1.0, *mated], [1.0, *non_mated]
    found = linkability(mated, non_mated, bins=bins, omega=omega)
    expected = reference.system(mated, non_mated, bins, omega)
    assert found.system == pytest.approx(expected, abs=1e-12)


@quickly
@given(SCORES, SCORES)
def test_it_lies_between_nought_and_one(mated, non_mated):
    found = linkability(mated, non_mated)
    assert 0 <= found.system <= 1
    assert ((found.local >= 0) & (found.local <= 1)).all()


@quickly
@given(SCORES)
def test_equal_scores_cannot_be_linked(scores):
    assert linkability(scores, scores).system == 0


def test_scores_without_overlap_link_fully():
    rng = np.random.default_rng(0)
    assert linkability(rng.uniform(0.6, 0.9, 500), rng.uniform(0, 0.4, 700)).system == 1


def test_it_does_not_matter_which_way_the_score_runs():
    rng = np.random.default_rng(1)
    mated, non_mated = rng.normal(1, 1, 4000), rng.normal(0, 1, 4000)
    mirrored = linkability(-mated, -non_mated).system
    assert linkability(mated, non_mated).system == pytest.approx(mirrored, abs=2e-3)


def test_two_normal_distributions_give_the_integral():
    rng = np.random.default_rng(2)
    found = linkability(rng.normal(1, 1, 400_000), rng.normal(0, 1, 400_000), bins=100)
    s, step = np.linspace(-8, 9, 20_001, retstep=True)
    p = np.exp(-((s - 1) ** 2) / 2) / math.sqrt(2 * math.pi)
    q = np.exp(-(s**2) / 2) / math.sqrt(2 * math.pi)
    expected = float((p * np.maximum((p - q) / (p + q), 0)).sum() * step)
    assert found.system == pytest.approx(expected, abs=0.005)


def test_half_the_mated_scores_apart_from_the_rest_give_a_half():
    mated = [0.0, 0.0, 1.0, 1.0]
    assert linkability(mated, [0.0], bins=2).system == pytest.approx(0.5)


def test_the_prior_moves_the_measure():
    local = local_linkability(np.array([0.2]), np.array([0.2]), omega=3.0)
    assert local == pytest.approx(0.5)


def test_small_samples_look_linkable_and_the_chance_level_says_so():
    rng = np.random.default_rng(3)
    mated, non_mated = rng.normal(size=300), rng.normal(size=300)
    chance = chance_linkability(mated, non_mated, seed=0)
    assert chance > 0.1
    assert linkability(mated, non_mated).system == pytest.approx(chance, abs=0.06)


def test_the_chance_level_falls_with_the_sample():
    rng = np.random.default_rng(4)
    few = chance_linkability(rng.normal(size=200), rng.normal(size=200), seed=0)
    many = chance_linkability(rng.normal(size=20_000), rng.normal(size=20_000), seed=0)
    assert many < few / 3


def test_scores_that_are_all_equal_fall_into_one_bin():
    found = linkability([0.5, 0.5], [0.5])
    assert found.local.tolist() == [0.0]
    assert found.system == 0


def test_counts_and_record_are_plain():
    record = linkability([0.1, 0.2, 0.3], [0.1, 0.4], bins=3).as_record()
    assert (record["n_mated"], record["n_non_mated"]) == (3, 2)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_failure_is_no_linkage_score():
    with pytest.raises(RangeError, match="1 mated scores are -inf"):
        linkability([0.1, -math.inf], [0.2])


@pytest.mark.parametrize("omega", [0, -1.0, math.inf, math.nan])
def test_a_ratio_of_probabilities_is_positive(omega):
    with pytest.raises(RangeError, match="omega"):
        linkability([0.1], [0.2], omega=omega)


def test_bins_repeats_and_shapes_are_checked():
    with pytest.raises(RangeError, match="bins is 0"):
        linkability([0.1], [0.2], bins=0)
    with pytest.raises(RangeError, match="repeats is 0"):
        chance_linkability([0.1], [0.2], repeats=0, seed=0)
    with pytest.raises(ShapeError, match="non-mated scores"):
        linkability([0.1], [[0.2]])
    with pytest.raises(RangeError, match="no mated scores"):
        linkability([], [0.2])
