"""Where training runs: the device, and how several processes act as one.

The loop talks to a `Runtime` only. Processes hold the same weights; each computes the gradients of
its share of the batch, and then all take the mean. Models are not wrapped, so that weights have
the same names however many processes there are.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from mien.core.errors import ConfigError
from mien.core.optional import require

Precision = Literal["float32", "bfloat16"]


class Runtime(Protocol):
    """What the loop asks of the machine. Every call is made by all processes, in one order."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0. The first writes the files."""

    @property
    def ranks(self) -> int:
        """How many processes there are."""

    @property
    def device(self) -> torch.device:
        """Where model and batches are."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Computes in the chosen precision within; off on CPU."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those already there."""

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, in place, by their mean over the processes."""

    def clip_gradients(self, parameters: Iterable[nn.Parameter], max_norm: float | None) -> float:
        """Shorten the gradient to a length.

        Returns:
            The length it had.
        """

    def gather(self, values: Tensor) -> Tensor:
        """(processes, …): a tensor of one shape from every process, in the order of ranks."""

    def wait(self) -> None:
        """Wait until all processes are here."""


class PlainRuntime:
    """One process on one device."""

    rank = 0
    ranks = 1

    def __init__(
        self, device: str | torch.device = "cpu", *, precision: Precision = "float32"
    ) -> None:
        """Run on a device.

        Raises:
            ConfigError: If the device is not there, or cannot compute in that precision.
        """
        self.device = torch.device(device)
        self.precision = precision
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                what=f"the device is {str(device)!r}",
                why="this machine, or this build of torch, has no CUDA",
                mend="pass 'cpu', or install a build of torch with CUDA",
                path="device",
            )
        if self.device.type == "cpu" and precision != "float32":
            raise ConfigError(
                what=f"the precision is {precision!r} on a CPU",
                why="autocast is off there",
                mend="pass 'float32', or another device",
                path="precision",
            )

    def autocast(self) -> AbstractContextManager[Any]:
        """See `Runtime.autocast`."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def backward(self, loss: Tensor) -> None:
        """See `Runtime.backward`."""
        loss.backward()  # type: ignore[no-untyped-call]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """See `Runtime.average`: the mean of one is itself."""

    def clip_gradients(self, parameters: Iterable[nn.Parameter], max_norm: float | None) -> float:
        """See `Runtime.clip_gradients`."""
        limit = float("inf") if max_norm is None else max_norm
        return float(nn.utils.clip_grad_norm_(parameters, limit))

    def gather(self, values: Tensor) -> Tensor:
        """See `Runtime.gather`."""
        return values[None]

    def wait(self) -> None:
        """See `Runtime.wait`: there is nobody to wait for."""


class AccelerateRuntime(PlainRuntime):
    """Several processes, begun by ``accelerate launch`` or ``torchrun``."""

    def __init__(self, *, device: Literal["cpu", "auto"] = "auto") -> None:
        """Join the other processes.

        Args:
            device: ``cpu``, or whatever ``accelerate`` chooses for this process.

        Raises:
            ExtraMissingError: If ``accelerate`` is not installed.
        """
        accelerate = require("accelerate", extra="train")
        self._accelerator: Any = accelerate.Accelerator(cpu=device == "cpu")
        super().__init__(self._accelerator.device)
        self.rank = self._accelerator.process_index
        self.ranks = self._accelerator.num_processes

    def autocast(self) -> AbstractContextManager[Any]:
        """See `Runtime.autocast`; the precision is what ``accelerate`` was launched with."""
        context: AbstractContextManager[Any] = self._accelerator.autocast()
        return context

    def backward(self, loss: Tensor) -> None:
        """See `Runtime.backward`."""
        self._accelerator.backward(loss)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """See `Runtime.average`. One message for each type of number, not one for each tensor."""
        for dtype in sorted({t.dtype for t in tensors}, key=str):
            group = [t for t in tensors if t.dtype == dtype]
            flat = torch.cat([t.detach().reshape(-1) for t in group])
            mean = self._accelerator.reduce(flat, "mean")
            for t, part in zip(group, mean.split([t.numel() for t in group]), strict=True):
                t.detach().copy_(part.view_as(t))

    def gather(self, values: Tensor) -> Tensor:
        """See `Runtime.gather`."""
        gathered: Tensor = self._accelerator.gather(values.to(self.device)[None].contiguous())
        return gathered

    def wait(self) -> None:
        """See `Runtime.wait`."""
        self._accelerator.wait_for_everyone()
