"""What a data set and a batch are, as Protocols. Nothing here reads a file."""

from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Item_co = TypeVar("Item_co", covariant=True)


class Dataset(Protocol[Item_co]):
    """Items by number. Reading one must not depend on which were read before."""

    def __len__(self) -> int:
        """How many items there are."""

    def item(self, index: int, rng: np.random.Generator) -> Item_co:
        """One item.

        Args:
            index: Its number, 0 … len - 1.
            rng: For whatever is random in it, such as a crop; no other source may be used, so
                that an item is the same whichever process reads it.
        """


class Batch(Protocol):
    """Some items as tensors: a frozen dataclass of each system's own."""

    def to(self, device: "torch.device") -> Self:
        """The same batch with its tensors on a device."""
