from dataclasses import dataclass

import numpy as np
import pytest

from mien.core.errors import ConfigError
from mien.data.feed import Feed
from mien.data.order import DataOrder


class Numbers:
    """Items that hold their own number and what they drew."""

    def __len__(self) -> int:
        return 10

    def item(self, index: int, rng: np.random.Generator) -> tuple[int, float]:
        return index, float(rng.random())


@dataclass(frozen=True)
class Pairs:
    pairs: tuple[tuple[int, float], ...]

    def to(self, device):
        return self


def feed(batch_size: int = 6, seed: int = 3) -> Feed:
    order = DataOrder(10, batch_size, seed)
    return Feed(Numbers(), order, lambda items: Pairs(tuple(items)))


def test_a_batch_holds_the_items_of_its_step() -> None:
    pairs = feed().batch(2).pairs
    assert [index for index, _ in pairs] == DataOrder(10, 6, 3).items(2).tolist()


@pytest.mark.parametrize("shares", [1, 2, 3, 6])
def test_items_are_the_same_however_a_step_is_cut(shares) -> None:
    cut = [feed().batch(4, share=share, shares=shares).pairs for share in range(shares)]
    assert sum(cut, ()) == feed().batch(4).pairs


def test_an_item_draws_anew_in_each_epoch() -> None:
    drawn = [dict(feed(10).batch(epoch).pairs)[7] for epoch in range(3)]
    assert len(set(drawn)) == 3


def test_a_sweep_holds_every_item_once() -> None:
    batches = [batch.pairs for batch in feed(4).sweep()]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(index for batch in batches for index, _ in batch) == list(range(10))
    assert batches == [batch.pairs for batch in feed(4).sweep()]


def test_an_order_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="order is for 9 items; the data set has 10"):
        Feed(Numbers(), DataOrder(9, 3), tuple)
