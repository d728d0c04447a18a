import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.losses.margin import (
    adapt_margin,
    adaptive_margin,
    additive_angular_margin,
    additive_cosine_margin,
    lower_cosine,
    norm_levels,
    normalised_softmax,
    widen_angle,
)
from references.margins import (
    reference_adaface,
    reference_arcface,
    reference_cosface,
    reference_levels,
    reference_softmax,
)

torch.set_num_threads(1)

SEEDS = st.integers(0, 2**31)
MARGINS = st.floats(0, 1)
SCALES = st.floats(0.5, 64)


def sample(seed: int, b: int = 6, k: int = 5):
    rng = np.random.default_rng(seed)
    cos = torch.from_numpy(rng.uniform(-0.999, 0.999, (b, k)))
    labels = torch.from_numpy(rng.integers(0, k, b))
    levels = torch.from_numpy(rng.uniform(-1, 1, b))
    return cos, labels, levels


def losses(seed: int, margin: float, scale: float = 8.0) -> dict[str, float]:
    cos, labels, levels = sample(seed)
    return {
        "cosine": additive_cosine_margin(cos, labels, margin=margin, scale=scale).item(),
        "angle": additive_angular_margin(cos, labels, margin_rad=margin, scale=scale).item(),
        "adaptive": adaptive_margin(cos, labels, levels, margin=margin, scale=scale).item(),
    }


@given(SEEDS, MARGINS, SCALES)
def test_losses_equal_the_papers_formulas(seed, margin, scale):
    cos, labels, levels = sample(seed)
    c, y = cos.numpy(), labels.numpy()
    pairs = [
        (normalised_softmax(cos, labels, scale=scale), reference_softmax(c, y, scale)),
        (
            additive_cosine_margin(cos, labels, margin=margin, scale=scale),
            reference_cosface(c, y, margin, scale),
        ),
        (
            additive_angular_margin(cos, labels, margin_rad=margin, scale=scale),
            reference_arcface(c, y, margin, scale),
        ),
        (
            adaptive_margin(cos, labels, levels, margin=margin, scale=scale),
            reference_adaface(c, y, levels.numpy(), margin, scale),
        ),
    ]
    for seen, expected in pairs:
        assert seen.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradients_equal_finite_differences():
    cos, labels, levels = sample(3)
    cos = (cos * 0.9).requires_grad_()
    for loss in (
        lambda c: normalised_softmax(c, labels, scale=4.0),
        lambda c: additive_cosine_margin(c, labels, scale=4.0),
        lambda c: additive_angular_margin(c, labels, scale=4.0),
        lambda c: adaptive_margin(c, labels, levels, scale=4.0),
    ):
        assert torch.autograd.gradcheck(loss, (cos,))


@given(SEEDS)
def test_margin_zero_is_the_softmax(seed):
    cos, labels, _ = sample(seed)
    plain = normalised_softmax(cos, labels, scale=8.0).item()
    assert losses(seed, 0.0) == pytest.approx(dict.fromkeys(losses(seed, 0.0), plain), rel=1e-9)


@given(SEEDS, MARGINS, MARGINS)
def test_the_loss_grows_with_the_margin_on_cosine_and_angle(seed, one, other):
    small, large = losses(seed, min(one, other)), losses(seed, max(one, other))
    assert large["cosine"] >= small["cosine"] - 1e-9
    assert large["angle"] >= small["angle"] - 1e-9


@given(SEEDS, MARGINS, MARGINS)
def test_the_adaptive_loss_grows_with_the_margin_where_samples_are_poor_or_usual(seed, one, other):
    cos, labels, levels = sample(seed)
    small, large = (
        adaptive_margin(cos, labels, -levels.abs(), margin=m, scale=8.0).item()
        for m in sorted((one, other))
    )
    assert large >= small - 1e-9


@given(SEEDS)
def test_other_names_of_the_classes_and_another_order_change_nothing(seed):
    cos, labels, levels = sample(seed)
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.permutation(len(cos)))
    names = torch.from_numpy(rng.permutation(cos.shape[1]))
    renamed = cos[rows][:, names]
    new_labels = torch.argsort(names)[labels[rows]]
    for loss in (normalised_softmax, additive_cosine_margin, additive_angular_margin):
        torch.testing.assert_close(loss(renamed, new_labels), loss(cos, labels))
    torch.testing.assert_close(
        adaptive_margin(renamed, new_labels, levels[rows]), adaptive_margin(cos, labels, levels)
    )


def test_the_adaptive_margin_is_arcface_when_poor_cosface_when_usual_and_turned_when_good():
    cos, labels, _ = sample(9)
    cos = cos * 0.6  # so that the angle with the margin stays below pi
    ones = torch.ones(len(cos), dtype=cos.dtype)
    torch.testing.assert_close(adapt_margin(cos, labels, -ones, 0.4), widen_angle(cos, labels, 0.4))
    torch.testing.assert_close(
        adapt_margin(cos, labels, 0 * ones, 0.4), lower_cosine(cos, labels, 0.4)
    )
    own = cos.gather(1, labels[:, None])[:, 0]
    seen = adapt_margin(cos, labels, ones, 0.4).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(seen, (own.acos() - 0.4).cos() - 0.8)


def test_past_pi_the_angular_target_is_a_line_that_goes_on_falling():
    theta = torch.linspace(0.01, math.pi - 0.01, 500, dtype=torch.float64)
    cos = torch.stack([theta.cos(), torch.zeros_like(theta)], dim=1)
    target = widen_angle(cos, torch.zeros(500, dtype=torch.int64), 0.5)[:, 0]
    assert (target.diff() < 0).all()
    past = theta > math.pi - 0.5
    torch.testing.assert_close(
        target[past], theta[past].cos() - 0.5 * math.sin(0.5), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("value", [1.0, -1.0, 1 + 1e-7, -1 - 1e-7])
def test_gradients_are_finite_where_embedding_and_centre_are_one_line(value):
    for loss in (normalised_softmax, additive_cosine_margin, additive_angular_margin):
        cos = torch.full((2, 3), value, requires_grad=True)
        loss(cos, torch.tensor([0, 2])).backward()
        assert torch.isfinite(cos.grad).all()
    cos = torch.full((2, 3), value, requires_grad=True)
    adaptive_margin(cos, torch.tensor([0, 2]), torch.tensor([1.0, -1.0])).backward()
    assert torch.isfinite(cos.grad).all()


def test_cosines_are_not_changed_in_place():
    cos, labels, levels = sample(2)
    before = cos.clone()
    lower_cosine(cos, labels, 0.3)
    widen_angle(cos, labels, 0.3)
    adapt_margin(cos, labels, levels, 0.3)
    assert torch.equal(cos, before)


def test_levels_equal_the_papers_formula_and_pass_no_gradient():
    norms = torch.tensor([0.1, 18.0, 20.0, 25.0, 900.0], dtype=torch.float64, requires_grad=True)
    levels = norm_levels(norms, 20.0, 4.0)
    expected = reference_levels(norms.detach().numpy(), 20.0, 4.0, 0.333)
    np.testing.assert_allclose(levels.numpy(), expected, rtol=1e-12)
    assert levels[0] == -1
    assert levels[2] == 0
    assert levels[4] == 1
    assert not levels.requires_grad


COS, LABELS = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("cos", "labels", "error", "words"),
    [
        (COS[0], LABELS, ShapeError, r"cosines have shape \(3,\)"),
        (COS[:0], LABELS[:0], ShapeError, r"cosines have shape \(0, 3\).*b at least 1"),
        (COS.long(), LABELS, ShapeError, "cosines have .* type torch.int64"),
        (COS, LABELS[:3], ShapeError, r"labels have shape \(3,\).*each of the 4 rows"),
        (COS, LABELS.int(), ShapeError, "labels have .* type torch.int32"),
        (COS, LABELS[:, None], ShapeError, r"labels have shape \(4, 1\)"),
        (COS, LABELS + 1, RangeError, "labels reach from 1 to 3; there are 3 classes, 0 to 2"),
        (COS, LABELS - 1, RangeError, "labels reach from -1 to 1"),
        (COS + math.nan, LABELS, RangeError, "cosines hold NaN or infinity"),
        (COS + math.inf, LABELS, RangeError, "cosines hold NaN or infinity"),
    ],
)
def test_bad_input_is_refused_by_every_loss(cos, labels, error, words):
    for loss in (normalised_softmax, additive_cosine_margin, additive_angular_margin):
        with pytest.raises(error, match=words):
            loss(cos, labels)
    with pytest.raises(error, match=words):
        adaptive_margin(cos, labels, torch.zeros(4))


def test_margins_scales_and_levels_out_of_range_are_refused():
    with pytest.raises(RangeError, match="margin is -0.1; it lies from 0"):
        additive_cosine_margin(COS, LABELS, margin=-0.1)
    with pytest.raises(RangeError, match=r"margin_rad is 2; .* to 1\.571"):
        additive_angular_margin(COS, LABELS, margin_rad=2)
    with pytest.raises(RangeError, match="margin is nan"):
        adaptive_margin(COS, LABELS, torch.zeros(4), margin=math.nan)
    with pytest.raises(RangeError, match="scale is 0"):
        normalised_softmax(COS, LABELS, scale=0)
    with pytest.raises(RangeError, match="a level is not in -1 to 1"):
        adaptive_margin(COS, LABELS, torch.tensor([0, 0, math.nan, 0]))
    with pytest.raises(ShapeError, match=r"levels have shape \(3,\); each of the 4 samples"):
        adaptive_margin(COS, LABELS, torch.zeros(3))
