import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.core.errors import ConfigError, RangeError, ShapeError
from mien.losses.margin import (
    adaptive_margin,
    additive_angular_margin,
    additive_cosine_margin,
    norm_levels,
    normalised_softmax,
)
from mien.losses.margin_head import (
    DEFAULT_MARGINS,
    AdaptiveMargin,
    AngularMargin,
    CosineMargin,
    MarginLoss,
    NoMargin,
    build_margin_loss,
)
from references.margins import reference_moving

torch.set_num_threads(1)

DIM, PEOPLE = 6, 5


def batch(seed: int = 0, b: int = 8, dtype: torch.dtype = torch.float64):
    draw = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(b, DIM, generator=draw, dtype=torch.float64) * 8
    return embeddings.to(dtype), torch.randint(0, PEOPLE, (b,), generator=draw)


def head(name: str, **options) -> MarginLoss:
    draw = torch.Generator().manual_seed(1)
    return build_margin_loss(name, DIM, PEOPLE, generator=draw, **options)


def cosines(loss: MarginLoss, embeddings: torch.Tensor) -> torch.Tensor:
    rows = embeddings / embeddings.norm(dim=1, keepdim=True)
    centres = loss.centres / loss.centres.norm(dim=1, keepdim=True)
    return rows @ centres.T


@pytest.mark.parametrize("name", DEFAULT_MARGINS)
def test_the_module_equals_its_functional_twin(name):
    loss = head(name).double().eval()
    embeddings, labels = batch()
    cos = cosines(loss, embeddings)
    levels = norm_levels(embeddings.norm(dim=1), 20.0, 100.0)
    expected = {
        "softmax": lambda: normalised_softmax(cos, labels),
        "cosface": lambda: additive_cosine_margin(cos, labels),
        "arcface": lambda: additive_angular_margin(cos, labels),
        "adaface": lambda: adaptive_margin(cos, labels, levels),
    }[name]()
    torch.testing.assert_close(loss(embeddings, labels), expected)


@pytest.mark.parametrize("name", DEFAULT_MARGINS)
def test_gradients_to_embeddings_and_centres_equal_finite_differences(name):
    loss = head(name, scale=4.0).double().eval()
    embeddings, labels = batch(2, b=4)

    def run(rows, centres):
        return torch.func.functional_call(loss, {"centres": centres}, (rows, labels))

    # Lengths move AdaFace's levels, which pass no gradient; past 100 they are all taken for 100.
    rows = (embeddings * 1000 if name == "adaface" else embeddings).requires_grad_()
    centres = (loss.centres.detach() * 100).requires_grad_()
    assert torch.autograd.gradcheck(run, (rows, centres))


@pytest.mark.parametrize("name", DEFAULT_MARGINS)
def test_the_length_of_a_centre_does_not_count(name):
    loss = head(name).double().eval()
    embeddings, labels = batch()
    before = loss(embeddings, labels)
    with torch.no_grad():
        loss.centres *= torch.rand(PEOPLE, 1) + 0.5
    torch.testing.assert_close(loss(embeddings, labels), before)


@pytest.mark.parametrize("name", DEFAULT_MARGINS)
def test_the_module_and_its_state_survive_a_file(name, tmp_path):
    loss = head(name)
    loss(*batch(dtype=torch.float32))
    save_file(loss.state_dict(), tmp_path / "head.safetensors")
    fresh = build_margin_loss(name, DIM, PEOPLE)
    fresh.load_state_dict(load_file(tmp_path / "head.safetensors"))
    again = batch(4, dtype=torch.float32)
    assert torch.equal(fresh.eval()(*again), loss.eval()(*again))


@pytest.mark.parametrize("name", DEFAULT_MARGINS)
def test_embeddings_learn_their_classes(name):
    loss = head(name, scale=16.0)
    labels = torch.arange(PEOPLE).repeat(4)
    embeddings = torch.nn.Parameter(
        torch.randn(len(labels), DIM, generator=torch.Generator().manual_seed(8))
    )
    steps = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.05)
    for _ in range(120):
        steps.zero_grad()
        loss(embeddings, labels).backward()
        steps.step()
    assert (cosines(loss, embeddings).argmax(dim=1) == labels).all()


def test_the_same_generator_draws_the_same_centres():
    assert torch.equal(head("arcface").centres, head("arcface").centres)


def test_mixed_precision_is_computed_in_float32():
    loss = head("arcface")
    embeddings, labels = batch(dtype=torch.float32)
    half = embeddings.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = loss(half, labels)
    assert seen.dtype == torch.float32
    expected = additive_angular_margin(cosines(loss, half.float()), labels)
    torch.testing.assert_close(seen, expected)


def test_an_embedding_of_length_zero_has_a_finite_loss_and_gradient():
    for name in DEFAULT_MARGINS:
        embeddings, labels = torch.zeros(3, DIM, requires_grad=True), torch.arange(3)
        head(name)(embeddings, labels).backward()
        assert torch.isfinite(embeddings.grad).all()


def test_lengths_are_averaged_over_training_batches_only():
    margin = AdaptiveMargin(momentum=0.25)
    cos, labels = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    norms = torch.tensor([1.0, 5.0, 7.0, 5000.0])
    bounded = np.array([1.0, 5.0, 7.0, 100.0])
    margin(cos, labels, norms)
    assert margin.mean.item() == pytest.approx(reference_moving(20, bounded.mean(), 0.25))
    assert margin.std.item() == pytest.approx(reference_moving(100, bounded.std(ddof=1), 0.25))
    before = margin.mean.item(), margin.std.item()
    margin.eval()(cos, labels, norms)
    margin.train()(cos[:1], labels[:1], norms[:1])
    assert (margin.mean.item(), margin.std.item()) == before


def test_competing_classes_alone_make_the_loss():
    loss = head("cosface").double()
    embeddings, _ = batch()
    labels = torch.tensor([1, 3, 3, 4, 1, 4, 4, 1])
    kept = torch.tensor([1, 3, 4])
    expected = additive_cosine_margin(
        cosines(loss, embeddings)[:, kept], torch.searchsorted(kept, labels)
    )
    torch.testing.assert_close(loss(embeddings, labels, competing=kept), expected)
    with pytest.raises(RangeError, match="class of a sample is not among the competing ones"):
        loss(embeddings, labels, competing=kept[:2])


def test_bad_embeddings_and_labels_are_refused():
    loss = head("arcface")
    embeddings, labels = batch(dtype=torch.float32)
    with pytest.raises(ShapeError, match=r"embeddings have shape \(8, 5\).*one row of 6"):
        loss(embeddings[:, :5], labels)
    with pytest.raises(RangeError, match="embeddings hold NaN or infinity.*learning rate"):
        loss(embeddings * math.nan, labels)
    with pytest.raises(ShapeError, match=r"labels have shape \(7,\)"):
        loss(embeddings, labels[:7])
    with pytest.raises(RangeError, match="there are 5 classes, 0 to 4"):
        loss(embeddings, torch.full((8,), 5))


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ConfigError, match="'sphereface'; there are softmax, cosface"):
        build_margin_loss("sphereface", DIM, PEOPLE)
    with pytest.raises(ConfigError, match="softmax is given the margin 0.2; it has none"):
        build_margin_loss("softmax", DIM, PEOPLE, margin=0.2)
    with pytest.raises(RangeError, match="there are 1 classes of 6 numbers"):
        MarginLoss(DIM, 1, NoMargin())
    with pytest.raises(RangeError, match="scale is -1"):
        MarginLoss(DIM, PEOPLE, scale=-1)
    with pytest.raises(RangeError, match="margin is 1.5"):
        CosineMargin(1.5)
    with pytest.raises(RangeError, match="margin_rad is -1"):
        AngularMargin(-1)
    with pytest.raises(RangeError, match="margin is 7"):
        AdaptiveMargin(7)
    with pytest.raises(RangeError, match="momentum is 0"):
        AdaptiveMargin(momentum=0)
    with pytest.raises(RangeError, match="concentration is 2"):
        AdaptiveMargin(concentration=2)
