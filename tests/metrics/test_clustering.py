import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from mien.core.errors import RangeError, ShapeError
from mien.metrics.clustering import clustering_scores, count_clusters
from references import clustering as reference

LABELINGS = st.lists(
    st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=20
).map(lambda rows: tuple(map(list, zip(*rows, strict=True))))
quickly = settings(max_examples=60, deadline=None)


@quickly
@given(LABELINGS)
def test_scores_equal_the_literal_count_over_pairs_and_items(labels):
    scores = clustering_scores(*labels)
    assert (scores.pairwise.precision, scores.pairwise.recall) == reference.pairwise(*labels)
    cubed = (scores.bcubed.precision, scores.bcubed.recall)
    assert cubed == pytest.approx(reference.bcubed(*labels), abs=1e-12)
    assert scores.purity == pytest.approx(reference.purity(*labels), abs=1e-12)


@quickly
@given(LABELINGS)
def test_adjusted_rand_agrees_with_scikit_learn(labels):
    truth, predicted = map(reference.spread, labels)
    with warnings.catch_warnings():
        # scikit-learn wonders whether toys with many labels are a regression.
        warnings.simplefilter("ignore", UserWarning)
        expected = adjusted_rand_score(truth, predicted)
    assert clustering_scores(*labels).adjusted_rand == pytest.approx(expected, abs=1e-12)


def test_a_large_clustering_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3000, 100_000)
    predicted = np.where(rng.random(truth.size) < 0.8, truth, rng.integers(0, 3000, truth.size))
    scores = clustering_scores(truth, predicted)
    (_, apart), (missed, both) = pair_confusion_matrix(truth, predicted)
    assert scores.pairwise.precision == pytest.approx(both / (both + apart), rel=1e-12)
    assert scores.pairwise.recall == pytest.approx(both / (both + missed), rel=1e-12)
    assert scores.adjusted_rand == pytest.approx(adjusted_rand_score(truth, predicted), abs=1e-12)


@quickly
@given(LABELINGS, st.randoms(use_true_random=False))
def test_order_and_names_of_labels_do_not_matter(labels, shuffler):
    rows = list(zip(*labels, strict=True))
    shuffler.shuffle(rows)
    renamed = [(t, p if p == -1 else 70 - 3 * p) for t, p in rows]
    ours = clustering_scores(*zip(*renamed, strict=True)).as_record()
    theirs = clustering_scores(*labels).as_record()
    for name in ("pairwise", "bcubed"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-12)
    assert (ours["purity"], ours["adjusted_rand"]) == (theirs["purity"], theirs["adjusted_rand"])


@quickly
@given(LABELINGS)
def test_swapping_truth_and_prediction_swaps_precision_and_recall(labels):
    there, back = clustering_scores(*labels), clustering_scores(*reversed(labels))
    assert there.pairwise.precision == back.pairwise.recall
    assert there.bcubed.precision == pytest.approx(back.bcubed.recall, abs=1e-12)
    assert there.adjusted_rand == back.adjusted_rand


@quickly
@given(LABELINGS)
def test_the_truth_agrees_with_itself(labels):
    scores = clustering_scores(labels[0], labels[0])
    assert scores.pairwise.f1 == scores.purity == scores.adjusted_rand == 1
    assert scores.bcubed.f1 == pytest.approx(1, abs=1e-12)


def test_items_alone_form_no_pair_and_one_cluster_each():
    scores = clustering_scores([0, 0, 1, 1], [-1, -1, -1, -1])
    assert (scores.pairwise.precision, scores.pairwise.recall) == (1.0, 0.0)
    assert (scores.bcubed.precision, scores.bcubed.recall) == (1.0, 0.5)
    assert (scores.purity, scores.n_clusters, scores.n_people) == (1.0, 4, 2)


def test_one_cluster_of_everybody_is_complete_and_impure():
    scores = clustering_scores([0, 0, 1, 1], [5, 5, 5, 5])
    assert scores.pairwise.recall == scores.bcubed.recall == 1
    assert scores.purity == 0.5
    assert scores.adjusted_rand == 0


def test_the_harmonic_mean_of_nothing_is_nothing():
    assert clustering_scores([0, 0, -1], [1, 2, 2]).pairwise.f1 == 0


def test_clusters_are_counted():
    assert count_clusters([]) == 0
    assert count_clusters([3, 3, -1, -1, 8]) == 4


def test_no_items_are_refused():
    with pytest.raises(RangeError, match=r"number of items is 0"):
        clustering_scores([], [])


def test_lengths_that_differ_are_refused():
    with pytest.raises(ShapeError, match=r"predicted has shape \(1,\).*shape \(2,\)"):
        clustering_scores([0, 1], [0])


def test_names_instead_of_numbers_are_refused_with_the_mend():
    with pytest.raises(ShapeError, match=r"truth is of type <U3.*np.unique"):
        clustering_scores(["ann", "bob"], [0, 1])


def test_records_are_strict_json_and_hold_f():
    record = json.loads(json.dumps(clustering_scores([0, 0], [0, 0]).as_record(), allow_nan=False))
    assert record["pairwise"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
