import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.losses.margin_head import build_margin_loss
from mien.losses.partial_fc import PartialFC, sample_classes

torch.set_num_threads(1)

DIM, PEOPLE = 4, 40


def loss_at(rate: float, seed: int = 0, name: str = "cosface") -> PartialFC:
    draw = torch.Generator().manual_seed(1)
    return PartialFC(
        build_margin_loss(name, DIM, PEOPLE, scale=8.0, generator=draw), rate=rate, seed=seed
    )


def batch(seed: int = 0, b: int = 8):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(b, DIM, generator=draw), torch.randint(0, PEOPLE, (b,), generator=draw)


@given(
    st.lists(st.integers(0, 29), min_size=1, max_size=60),
    st.floats(0.01, 1),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)
def test_the_batch_always_takes_part_and_the_share_is_kept(labels, rate, seed, step):
    kept = sample_classes(torch.tensor(labels), 30, rate=rate, seed=seed, step=step)
    assert set(labels) <= set(kept.tolist())
    assert (kept.diff() > 0).all()
    assert kept[0] >= 0
    assert kept[-1] < 30
    assert len(kept) == max(len(set(labels)), round(rate * 30))
    again = sample_classes(torch.tensor(labels), 30, rate=rate, seed=seed, step=step)
    assert torch.equal(kept, again)


def test_others_are_drawn_evenly_over_the_steps():
    labels = torch.tensor([0, 1])
    seen = torch.zeros(20)
    for step in range(600):
        seen[sample_classes(labels, 20, rate=0.5, seed=3, step=step)] += 1
    assert (seen[:2] == 600).all()
    expected = 600 * 8 / 18
    assert ((seen[2:] - expected).abs() < 5 * (expected * 10 / 18) ** 0.5).all()


@pytest.mark.parametrize("name", ["softmax", "cosface", "arcface", "adaface"])
def test_rate_one_is_the_loss_itself_with_the_same_gradients(name):
    part, whole = loss_at(1.0, name=name), loss_at(1.0, name=name).loss
    embeddings, labels = batch()
    one, other = part(embeddings, labels), whole(embeddings, labels)
    one.backward()
    other.backward()
    assert torch.equal(one, other)
    assert torch.equal(part.loss.centres.grad, whole.centres.grad)


def test_centres_that_do_not_take_part_have_no_gradient():
    loss = loss_at(0.5)
    embeddings, labels = batch()
    loss(embeddings, labels).backward()
    kept = sample_classes(labels, PEOPLE, rate=0.5, seed=0, step=0)
    moved = loss.loss.centres.grad.abs().sum(dim=1).nonzero()[:, 0]
    assert torch.equal(moved, kept)


def test_outside_training_all_classes_take_part_and_no_step_is_counted():
    loss = loss_at(0.2)
    loss(*batch())
    assert loss.step == 1
    loss.eval()
    assert torch.equal(loss(*batch()), loss.loss(*batch()))
    assert loss.step == 1


def test_each_step_draws_anew():
    loss = loss_at(0.3)
    embeddings, labels = batch()
    assert len({loss(embeddings, labels).item() for _ in range(5)}) == 5


def test_a_resumed_run_draws_what_the_whole_run_would_have():
    whole, first = loss_at(0.3, seed=5), loss_at(0.3, seed=5)
    expected = [whole(*batch(k)).item() for k in range(4)]
    seen = [first(*batch(k)).item() for k in range(2)]
    second = loss_at(0.3, seed=5)
    second.load_state_dict(first.state_dict())
    assert [*seen, *(second(*batch(k)).item() for k in (2, 3))] == expected


def test_a_refused_batch_is_no_step():
    loss = loss_at(0.3)
    embeddings, labels = batch()
    with pytest.raises(RangeError, match="embeddings hold NaN"):
        loss(embeddings * float("nan"), labels)
    assert loss.step == 0


def test_bad_arguments_are_refused():
    labels = torch.tensor([0, 1])
    for rate in (0.0, 1.1, float("nan")):
        with pytest.raises(RangeError, match="rate is .*; it is the share of classes"):
            loss_at(rate)
    with pytest.raises(RangeError, match="seed is -1, step is 0"):
        loss_at(0.5, seed=-1)
    with pytest.raises(RangeError, match="labels reach from 0 to 1; there are 1 classes"):
        sample_classes(labels, 1, rate=0.5, seed=0, step=0)
    with pytest.raises(ShapeError, match=r"labels have shape \(0,\)"):
        sample_classes(labels[:0], 3, rate=0.5, seed=0, step=0)
    with pytest.raises(ShapeError, match=r"labels have shape \(2, 1\)"):
        sample_classes(labels[:, None], 3, rate=0.5, seed=0, step=0)
