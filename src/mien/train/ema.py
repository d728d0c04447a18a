"""The moving average of a model's weights, which is often better than the last weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

from mien.core.errors import IntegrityError, RangeError

_UPDATES: Final = "updates"
_AVERAGE: Final = "average."


class Ema:
    """An exponential moving average of all parameters and buffers.

    The decay begins at 2/11 and rises with the number n of updates as (1 + n) / (10 + n) until it
    reaches its value, so that the first weights are soon forgotten. Whole numbers and booleans,
    such as counts, are copied instead.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the model's present weights.

        Raises:
            RangeError: If the decay is not in 0 … 1, 1 excluded.
        """
        if not 0 <= decay < 1:
            raise RangeError(
                what=f"the decay is {decay}",
                why="it is the share that the old average keeps, 0 or more and below 1",
                mend="pass for example 0.999",
            )
        self.decay = decay
        self.updates = 0
        self.average = {name: t.detach().clone() for name, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averaged weights for a while; its own come back to the last bit."""
        own = {name: t.detach().clone() for name, t in model.state_dict().items()}
        model.load_state_dict(self.average)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that `load_state_dict` needs, as tensors."""
        state = {_AVERAGE + name: value for name, value in self.average.items()}
        return state | {_UPDATES: torch.tensor(self.updates)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where another average of the same model was.

        Raises:
            IntegrityError: If it is of another model.
        """
        wanted = {_AVERAGE + name: value.shape for name, value in self.average.items()}
        found = {name: value.shape for name, value in state.items() if name != _UPDATES}
        if wanted != found or _UPDATES not in state:
            raise IntegrityError(
                what="the stored average has other names or shapes than the model",
                why="it is the average of another model",
                mend="build the model as it was when the average was stored",
            )
        self.updates = int(state[_UPDATES])
        for name, value in self.average.items():
            value.copy_(state[_AVERAGE + name])
