import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.metrics.folds import assign_folds, best_threshold, fold_accuracy
from references import verification as reference

PAIRS = st.lists(
    st.tuples(st.sampled_from([-math.inf, -0.2, 0.0, 0.1, 0.3, 0.7]), st.booleans()),
    min_size=1,
    max_size=25,
)
quickly = settings(max_examples=60, deadline=None)


@quickly
@given(PAIRS)
def test_no_threshold_is_more_accurate_than_the_best(pairs):
    scores, same = zip(*pairs, strict=True)
    threshold = best_threshold(scores, same)
    accuracy = reference.accuracy(scores, same, threshold)
    assert accuracy == reference.best_accuracy(scores, same)


def test_the_threshold_lies_in_the_middle_of_the_best_stretch():
    assert best_threshold([0.0, 0.2, 0.6, 1.0], [False, False, True, True]) == pytest.approx(0.4)


def test_the_widest_of_several_best_stretches_is_taken():
    scores = [0.0, 0.1, 0.2, 1.0]  # 0.05 and 0.6 are right three times; 0.6 has more room
    assert best_threshold(scores, [False, True, False, True]) == pytest.approx(0.6)


def test_neighbouring_floats_are_still_told_apart():
    low = 0.5
    high = math.nextafter(low, 1)
    threshold = best_threshold([low, high], [False, True])
    assert low < threshold <= high


def test_rejecting_everything_needs_a_threshold_above_the_highest_score():
    assert best_threshold([0.1, 0.9], [False, False]) > 0.9


def test_nothing_compared_gives_a_threshold_that_accepts_nothing():
    assert best_threshold([-math.inf, -math.inf], [True, False]) == math.inf


def test_each_fold_is_judged_by_a_threshold_from_the_others():
    scores = np.array([0.1, 0.9, 0.5, 0.6])
    same = np.array([False, True, False, True])
    result = fold_accuracy(scores, same, [0, 0, 1, 1])
    assert result.thresholds == (pytest.approx(0.55), pytest.approx(0.5))
    assert result.per_fold == (1.0, 0.5)
    assert result.mean == 0.75
    assert result.standard_error == pytest.approx(np.std([1, 0.5], ddof=1) / math.sqrt(2))


def test_a_failure_is_wrong_whatever_the_truth():
    scores = np.array([0.1, 0.9, -math.inf, -math.inf, 0.1, 0.9])
    same = np.array([False, True, False, True, False, True])
    assert fold_accuracy(scores, same, [0, 0, 1, 1, 2, 2]).per_fold == (1.0, 0.0, 1.0)


@quickly
@given(PAIRS.filter(lambda pairs: len(pairs) > 3), st.randoms(use_true_random=False))
def test_accuracy_is_bounded_and_ignores_order(pairs, shuffler):
    rows = [(s, y, i % 3) for i, (s, y) in enumerate(pairs)]
    mixed = list(rows)
    shuffler.shuffle(mixed)
    result = fold_accuracy(*map(list, zip(*rows, strict=True)))
    assert result == fold_accuracy(*map(list, zip(*mixed, strict=True)))
    assert 0 <= result.mean <= 1


def test_one_fold_is_refused():
    with pytest.raises(RangeError, match=r"number of folds is 1.*at least 2"):
        fold_accuracy([0.1, 0.2], [True, False], [0, 0])


def test_marks_that_are_not_booleans_are_refused():
    with pytest.raises(ShapeError, match=r"same has shape \(2,\) and type int.*one boolean"):
        fold_accuracy([0.1, 0.2], [1, 0], [0, 1])


def test_records_are_strict_json():
    result = fold_accuracy([-math.inf, -math.inf], [True, False], [0, 1])
    assert json.loads(json.dumps(result.as_record(), allow_nan=False))["thresholds"] == [None, None]


@quickly
@given(st.integers(10, 40), st.integers(2, 10))
def test_folds_without_groups_differ_by_at_most_one_pair(n, k):
    sizes = np.bincount(assign_folds(n, k), minlength=k)
    assert sizes.max() - sizes.min() <= 1


@quickly
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_no_person_is_in_two_folds(drawn):
    # People of different towns never meet, and there are at least three towns.
    towns = [(0, 0, 1), (1, 0, 1), (2, 0, 1), *drawn]
    groups = np.array([(10 * town + a, 10 * town + b) for town, a, b in towns])
    folds = assign_folds(len(groups), 3, groups=groups)
    assert set(folds.tolist()) == {0, 1, 2}
    for a, b in itertools.combinations(range(3), 2):
        assert not set(groups[folds == a].ravel()) & set(groups[folds == b].ravel())


def test_one_number_a_pair_is_kept_together():
    folds = assign_folds(6, 2, groups=[7, 7, 7, 8, 9, 9])
    assert folds.tolist() == [0, 0, 0, 1, 1, 1]


def test_linked_people_cannot_be_cut_into_folds():
    chain = np.array([[0, 1], [1, 2], [2, 3]])
    with pytest.raises(RangeError, match=r"into 1 separate sets.*fewer folds"):
        assign_folds(3, 2, groups=chain)


def test_groups_of_the_wrong_shape_are_refused():
    with pytest.raises(ShapeError, match=r"groups have shape \(2,\).*shape \(3,\) or \(3, 2\)"):
        assign_folds(3, 2, groups=[1, 2])


def test_more_folds_than_pairs_are_refused():
    with pytest.raises(RangeError, match=r"n_pairs is 3.*at least 10"):
        assign_folds(3)
