"""Batches: a data set, an order, and how items are put together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mien.core.errors import ConfigError
from mien.core.seeds import generator
from mien.data.dataset import Batch, Dataset
from mien.data.order import DataOrder

ItemT = TypeVar("ItemT")
BatchT = TypeVar("BatchT", bound=Batch)


@dataclass(frozen=True, slots=True)
class Feed(Generic[ItemT, BatchT]):
    """Where a run gets its batches from. The same step always gives the same batch.

    Attributes:
        dataset: The items.
        order: In which order they come; its length is the data set's.
        collate: Makes a batch of some items.
    """

    dataset: Dataset[ItemT]
    order: DataOrder
    collate: Callable[[Sequence[ItemT]], BatchT]

    def __post_init__(self) -> None:
        if len(self.dataset) != self.order.length:
            raise ConfigError(
                what=f"the order is for {self.order.length} items",
                why=f"the data set has {len(self.dataset)}",
                mend="make the order with length=len(dataset)",
                path="order.length",
            )

    def batch(self, step: int, *, share: int = 0, shares: int = 1) -> BatchT:
        """One share of the batch of a step; see `DataOrder.places`."""
        return self._read(self.order.places(step, share=share, shares=shares))

    def sweep(self) -> Iterator[BatchT]:
        """Every item of the first epoch once, the last batch perhaps smaller: for validation."""
        order = self.order
        for start in range(0, order.length, order.batch_size):
            yield self._read(range(start, min(start + order.batch_size, order.length)))

    def _read(self, places: range) -> BatchT:
        # Random numbers by place: an item is the same however a step is cut into shares.
        return self.collate(
            [
                self.dataset.item(
                    self.order.item_at(place), generator(self.order.seed, "item", place)
                )
                for place in places
            ]
        )
