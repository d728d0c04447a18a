"""The order in which items are seen: a pure function of seed and step.

The epochs' permutations stand one after another as an endless stream, and a step takes the next
``batch_size`` places of it. Nothing is dropped at the end of an epoch and nothing is repeated in
it; a batch may hold the end of one and the beginning of the next. Where a run is in its data is
therefore its step, and to resume is to go on counting.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mien.core.errors import RangeError
from mien.core.seeds import generator
from mien.core.types import Ints


def permutation(seed: int, epoch: int, length: int) -> Ints:
    """The order of one epoch.

    Returns:
        (length,) int64: every number below ``length`` once.
    """
    return generator(seed, "order", epoch).permutation(length)


@dataclass(frozen=True, slots=True)
class DataOrder:
    """Which items each step sees.

    Attributes:
        length: Items in the data set.
        batch_size: Items of one step, over all its parts and all processes.
        seed: Seed of the run.
        is_shuffled: Whether each epoch has an order of its own; otherwise 0, 1, 2 …
    """

    length: int
    batch_size: int
    seed: int = 0
    is_shuffled: bool = True

    def __post_init__(self) -> None:
        for name in ("length", "batch_size"):
            if getattr(self, name) < 1:
                raise RangeError(
                    what=f"{name} is {getattr(self, name)}",
                    why="a step needs at least one item",
                    mend="pass 1 or more",
                )

    def places(self, step: int, *, share: int = 0, shares: int = 1) -> range:
        """The places in the stream that one share of a step takes.

        Args:
            step: Number of the step, from 0.
            share: Which of the equal shares; the shares of a step follow one another.
            shares: Into how many a step is cut: its parts times the processes.

        Raises:
            RangeError: If the batch cannot be cut so, or step or share lie outside their range.
        """
        if step < 0 or not 0 <= share < shares:
            raise RangeError(
                what=f"share {share} of {shares} of step {step} is asked for",
                why="both are counted from 0",
                mend="pass a share below the number of shares, and a step from 0",
            )
        if self.batch_size % shares:
            raise RangeError(
                what=f"a batch of {self.batch_size} items is to be cut into {shares} shares",
                why="the mean of their means is the batch's mean only if all are of one size",
                mend="choose a batch size that is a multiple of parts times processes",
            )
        size = self.batch_size // shares
        start = step * self.batch_size + share * size
        return range(start, start + size)

    def item_at(self, place: int) -> int:
        """The number of the item that stands at a place of the stream."""
        epoch, rest = divmod(place, self.length)
        return int(_known(self.seed, epoch, self.length)[rest]) if self.is_shuffled else rest

    def items(self, step: int, *, share: int = 0, shares: int = 1) -> Ints:
        """(n,) numbers of the items that one share of a step sees; see `places`."""
        places = self.places(step, share=share, shares=shares)
        return np.array([self.item_at(place) for place in places], np.int64)


@lru_cache(maxsize=4)  # a batch on the border of two epochs, of a data set and of another
def _known(seed: int, epoch: int, length: int) -> Ints:
    return permutation(seed, epoch, length)
