"""Partial FC: a margin loss against a sample of the classes, for very many people.

With a million people the cosines to all centres take more memory and time than the network. It is
enough to compete with some of the others in each step.
"""

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import RangeError
from mien.losses._cosines import check_labels
from mien.losses.margin_head import MarginLoss


def sample_classes(labels: Tensor, n_classes: int, *, rate: float, seed: int, step: int) -> Tensor:
    """Which classes take part in one step: all of the batch, and others drawn evenly.

    The same arguments give the same classes, on every machine.

    Source:
        An et al., "Killing Two Birds with One Stone: Efficient and Robust Training of Face
        Recognition CNNs by Partial FC", CVPR 2022, section 3.

    Args:
        labels: (b,) int64, classes of the batch.
        n_classes: Number of classes.
        rate: r in the paper: share of the classes that take part, above 0 and up to 1. If the batch
            alone has more, exactly those of the batch take part.
        seed: Seed of the run.
        step: Number of the step in the run.

    Returns:
        (c,) int64, sorted, each class once; on the device of the labels.

    Raises:
        ShapeError: If labels are not (b,) int64.
        RangeError: If a label names no class, or a number lies outside its range.
    """
    _check_draw(rate, seed, step)
    check_labels(labels, labels.numel(), n_classes)
    own = np.unique(labels.cpu().numpy())
    order = np.random.default_rng((seed, step)).permutation(n_classes)
    others = order[~np.isin(order, own, assume_unique=True)]
    wanted = max(0, round(rate * n_classes) - len(own))
    kept = np.sort(np.concatenate([own, others[:wanted]]))
    return torch.from_numpy(kept).to(labels.device)


class PartialFC(nn.Module):
    """A margin loss that competes with a share of the classes in each training step.

    Called as `MarginLoss` is. The count of steps is part of the state, so that a resumed run draws
    what the whole run would have drawn. Outside training all classes take part.

    Source:
        As of `sample_classes`. We differ in one point: centres that do not take part have a
        gradient of zero instead of none, so an optimiser with momentum or weight decay still moves
        them.

    Args:
        loss: The loss and its centres.
        rate: r in the paper; 1 is the loss itself.
        seed: Seed of the run.

    Raises:
        RangeError: If a number lies outside its range.
    """

    step: Tensor

    def __init__(self, loss: MarginLoss, *, rate: float = 0.1, seed: int = 0) -> None:
        super().__init__()
        _check_draw(rate, seed, 0)
        self.loss = loss
        self.rate = rate
        self.seed = seed
        self.register_buffer("step", torch.tensor(0, dtype=torch.int64))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over the batch, in nats; arguments and errors as of `MarginLoss`."""
        competing = self._draw(labels) if self.training and self.rate < 1 else None
        loss: Tensor = self.loss(embeddings, labels, competing=competing)
        if self.training:
            self.step += 1
        return loss

    def _draw(self, labels: Tensor) -> Tensor:
        return sample_classes(
            labels, self.loss.n_classes, rate=self.rate, seed=self.seed, step=int(self.step)
        )


def _check_draw(rate: float, seed: int, step: int) -> None:
    if not 0 < rate <= 1:
        raise RangeError(
            what=f"rate is {rate}",
            why="it is the share of classes that take part",
            mend="pass a number above 0 and up to 1; 0.1 is the paper's",
        )
    if seed < 0 or step < 0:
        raise RangeError(
            what=f"seed is {seed}, step is {step}",
            why="numbers below 0 seed no generator",
            mend="pass 0 or more",
        )
