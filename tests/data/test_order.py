import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError
from mien.data.order import DataOrder, permutation

lengths = st.integers(1, 60)
seeds = st.integers(0, 2**32)


@given(seeds, st.integers(0, 100), lengths)
def test_an_epoch_holds_every_item_once(seed, epoch, length) -> None:
    order = permutation(seed, epoch, length)
    assert sorted(order.tolist()) == list(range(length))
    assert np.array_equal(order, permutation(seed, epoch, length))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(permutation(seed, epoch, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@given(seeds, lengths, st.integers(1, 20), st.integers(1, 12))
def test_the_steps_are_the_epochs_one_after_another(seed, length, batch_size, steps) -> None:
    order = DataOrder(length, batch_size, seed)
    seen = np.concatenate([order.items(step) for step in range(steps)])
    epochs = [permutation(seed, epoch, length) for epoch in range(len(seen) // length + 1)]
    assert seen.tolist() == np.concatenate(epochs)[: len(seen)].tolist()


@given(seeds, lengths, st.integers(1, 6), st.integers(1, 4), st.integers(0, 30))
def test_shares_do_not_overlap_and_make_up_the_batch(seed, length, size, shares, step) -> None:
    order = DataOrder(length, size * shares, seed)
    cut = [order.items(step, share=share, shares=shares) for share in range(shares)]
    assert {len(share) for share in cut} == {size}
    assert np.concatenate(cut).tolist() == order.items(step).tolist()
    places = [order.places(step, share=share, shares=shares) for share in range(shares)]
    assert len({place for share in places for place in share}) == size * shares


@given(seeds, lengths, st.integers(0, 500))
def test_a_step_needs_no_memory_of_the_steps_before_it(seed, length, step) -> None:
    walked = DataOrder(length, 3, seed)
    for earlier in range(max(0, step - 5), step):
        walked.items(earlier)
    assert walked.items(step).tolist() == DataOrder(length, 3, seed).items(step).tolist()


def test_without_shuffling_items_come_as_they_are_numbered() -> None:
    order = DataOrder(5, 3, is_shuffled=False)
    assert [order.items(step).tolist() for step in range(3)] == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]


@pytest.mark.parametrize(("length", "batch_size", "name"), [(0, 1, "length"), (1, 0, "batch_size")])
def test_an_order_of_nothing_is_refused(length, batch_size, name) -> None:
    with pytest.raises(RangeError, match=f"{name} is 0"):
        DataOrder(length, batch_size)


def test_a_batch_that_cannot_be_cut_evenly_is_refused() -> None:
    with pytest.raises(RangeError, match="batch of 8 items is to be cut into 3 shares"):
        DataOrder(10, 8).items(0, share=0, shares=3)


@pytest.mark.parametrize(("step", "share"), [(-1, 0), (0, 2), (0, -1)])
def test_steps_and_shares_out_of_range_are_refused(step, share) -> None:
    with pytest.raises(RangeError, match="both are counted from 0"):
        DataOrder(10, 8).places(step, share=share, shares=2)
