import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.core.errors import RangeError, ShapeError
from mien.faces.fusion import ScoreFusion, fit_fusion
from mien.metrics.verification import d_prime

NAMES = ("sface", "dlib")
quickly = settings(max_examples=60, deadline=None)
SCORES = arrays(np.float64, (7, 2), elements=st.floats(-1, 1, width=16), unique=True)


def reference_fusion(impostors, scores, weights):
    """Slow and literal: Jain, Nandakumar, Ross 2005, the z-score, then the weighted sum."""
    fused = []
    for row in scores:
        total = 0.0
        for column, weight in enumerate(weights):
            seen = [r[column] for r in impostors]
            mean = sum(seen) / len(seen)
            variance = sum((s - mean) ** 2 for s in seen) / (len(seen) - 1)
            total += weight / sum(weights) * (row[column] - mean) / math.sqrt(variance)
        fused.append(total)
    return fused


@quickly
@given(SCORES, SCORES, st.tuples(st.floats(0.1, 9), st.floats(0, 9)))
def test_fusion_is_the_weighted_sum_of_z_scores(impostors, scores, weights):
    fused = fit_fusion(impostors, NAMES, weights=weights).fuse(scores)
    np.testing.assert_allclose(fused, reference_fusion(impostors, scores, weights), atol=1e-8)


def test_the_fit_says_what_it_rests_on():
    fusion = fit_fusion([[0.0, 10.0], [0.2, 30.0], [-math.inf, 20.0]], NAMES, weights=[3, 1])
    assert fusion.names == NAMES
    assert fusion.means == pytest.approx((0.1, 20.0))
    assert fusion.deviations == pytest.approx((math.sqrt(0.02), math.sqrt(200)))
    assert fusion.weights == (0.75, 0.25)
    assert fusion.n_impostors == 2


@quickly
@given(SCORES, SCORES, st.floats(0.01, 100), st.floats(-100, 100))
def test_the_scale_of_an_embedder_does_not_matter(impostors, scores, factor, shift):
    stretch = np.array([1.0, factor]), np.array([0.0, shift])
    plain = fit_fusion(impostors, NAMES).fuse(scores)
    stretched = fit_fusion(impostors * stretch[0] + stretch[1], NAMES).fuse(
        scores * stretch[0] + stretch[1]
    )
    np.testing.assert_allclose(stretched, plain, rtol=1e-5, atol=1e-5)


def test_impostors_have_mean_zero_and_every_embedder_the_same_say():
    rng = np.random.default_rng(0)
    impostors = rng.normal([0.02, 0.8], [0.1, 0.03], (500, 2))
    fusion = fit_fusion(impostors, NAMES)
    assert fusion.fuse(impostors).mean() == pytest.approx(0, abs=1e-12)
    step = fusion.fuse([[0.12, 0.8], [0.02, 0.83], [0.02, 0.8]])
    assert step[0] - step[2] == pytest.approx(step[1] - step[2], rel=0.1)


def test_all_the_weight_on_one_embedder_keeps_its_order():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 2))
    fused = fit_fusion(rng.normal(size=(50, 2)), NAMES, weights=[0, 1]).fuse(scores)
    np.testing.assert_array_equal(np.argsort(fused), np.argsort(scores[:, 1]))


def test_two_independent_embedders_separate_better_than_one():
    rng = np.random.default_rng(2)
    impostor, genuine = rng.normal(0, 1, (2000, 2)), rng.normal(3, 1, (2000, 2))
    fusion = fit_fusion(rng.normal(0, 1, (2000, 2)), NAMES)
    fused = d_prime(fusion.fuse(genuine), fusion.fuse(impostor))
    assert fused == pytest.approx(3 * math.sqrt(2), abs=0.2)


def test_three_embedders_may_be_fused():
    fusion = fit_fusion(np.random.default_rng(3).normal(size=(9, 3)), ["a", "b", "c"])
    assert fusion.weights == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert fusion.fuse(np.zeros((4, 3))).shape == (4,)


def test_a_comparison_that_one_embedder_could_not_make_stays_undone():
    fusion = fit_fusion([[0.0, 0.0], [1.0, 1.0]], NAMES, weights=[1, 0])
    fused = fusion.fuse([[0.5, 0.5], [-math.inf, 0.5], [0.5, -math.inf], [-math.inf, -math.inf]])
    assert fused.tolist() == [0.0, -math.inf, -math.inf, -math.inf]


def test_no_pairs_give_no_scores():
    assert fit_fusion([[0, 0], [1, 1]], NAMES).fuse(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros((2, 3)), np.array([["a", "b"]])])
def test_scores_of_another_shape_are_refused(scores):
    fusion = fit_fusion([[0, 0], [1, 1]], NAMES)
    with pytest.raises(ShapeError, match=r"each of 2 embedders.*shape \(n, 2\)"):
        fusion.fuse(scores)
    with pytest.raises(ShapeError, match=r"scores have shape"):
        fit_fusion(scores, NAMES)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_no_similarities_are_refused(bad):
    fusion = fit_fusion([[0, 0], [1, 1]], NAMES)
    with pytest.raises(RangeError, match=r"NaN and . \+inf; a similarity is finite, or -inf"):
        fusion.fuse([[0.1, bad]])
    with pytest.raises(RangeError, match=r"hold"):
        fit_fusion([[0.1, bad], [0, 0]], NAMES)


@pytest.mark.parametrize(
    "impostors",
    [
        np.zeros((0, 2)),
        [[0.1, 0.2]],
        [[0.1, 0.2], [-math.inf, 0.3]],
        [[0.1, 0.2], [0.3, 0.2]],
    ],
)
def test_too_few_impostors_or_none_that_vary_are_refused(impostors):
    with pytest.raises(RangeError, match=r"are finite, too few or without any spread"):
        fit_fusion(impostors, NAMES)


def test_weights_of_another_number_are_refused():
    with pytest.raises(ShapeError, match=r"weights have shape \(3,\).*pass 2 weights"):
        fit_fusion([[0, 0], [1, 1]], NAMES, weights=[1, 1, 1])


@pytest.mark.parametrize("weights", [[0, 0], [1, -1], [1, math.nan], [math.inf, 1]])
def test_weights_out_of_range_are_refused(weights):
    with pytest.raises(RangeError, match=r"finite and not negative, and one at least is above 0"):
        fit_fusion([[0, 0], [1, 1]], NAMES, weights=weights)


def test_a_fusion_with_unequal_columns_is_refused():
    with pytest.raises(ShapeError, match=r"2 names and \[2, 1, 2\] means"):
        ScoreFusion(NAMES, (0.0, 0.0), (1.0,), (0.5, 0.5), 9)


def test_a_fusion_that_divides_by_nothing_is_refused():
    with pytest.raises(RangeError, match=r"deviations \(1.0, 0.0\).*scores that vary"):
        ScoreFusion(NAMES, (0.0, 0.0), (1.0, 0.0), (0.5, 0.5), 9)


@pytest.mark.parametrize("weights", [(0.5, 0.6), (1.5, -0.5)])
def test_a_fusion_whose_weights_are_no_shares_is_refused(weights):
    with pytest.raises(RangeError, match=r"not negative, together 1"):
        ScoreFusion(NAMES, (0.0, 0.0), (1.0, 1.0), weights, 9)
