"""The settings of a training run. No torch: recipes are read and checked without it."""

from dataclasses import dataclass
from typing import Final, Literal

from mien.core.errors import ConfigError
from mien.train.schedule import Schedule

Optimiser = Literal["adamw", "sgd"]


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How long, how fast and how watched a model is trained.

    Attributes:
        steps: Steps of the whole run; each changes the weights once.
        seed: For dropout and whatever else is random in training; the data have their own.
        parts: Into how many a step's batch is cut, so that larger ones fit into memory.
        optimiser: ``adamw`` or ``sgd`` with Nesterov's momentum.
        lr: Base learning rate.
        schedule: What the rate does after the warm-up.
        warmup_steps: Steps during which the rate rises.
        final_lr_ratio: Share of the base rate at the end.
        weight_decay: Of groups that do not say their own.
        betas: Of ``adamw``.
        momentum: Of ``sgd``.
        max_grad_norm: Length to which the gradient is cut; None: it is left.
        ema_decay: Decay of the averaged weights; None: no average is kept.
        log_every: Steps between lines of the logbook.
        validate_every: Steps between validations; 0: only at the end.
        checkpoint_every: Steps between checkpoints; 0: only at the end.
    """

    steps: int
    seed: int = 0
    parts: int = 1
    optimiser: Optimiser = "adamw"
    lr: float = 1e-3
    schedule: Schedule = "cosine"
    warmup_steps: int = 0
    final_lr_ratio: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    max_grad_norm: float | None = 1.0
    ema_decay: float | None = None
    log_every: int = 10
    validate_every: int = 0
    checkpoint_every: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "parts", "log_every"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        for name in ("seed", "warmup_steps", "validate_every", "checkpoint_every"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("lr", self.lr, 0 < self.lr < float("inf"), "a number above 0")
        _check("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        _check("final_lr_ratio", self.final_lr_ratio, 0 <= self.final_lr_ratio <= 1, "0 … 1")
        _check("warmup_steps", self.warmup_steps, self.warmup_steps < self.steps, "below steps")
        _check("momentum", self.momentum, 0 < self.momentum < 1, "between 0 and 1")
        _check("betas", self.betas, all(0 <= b < 1 for b in self.betas), "two from 0, below 1")
        norm, decay = self.max_grad_norm, self.ema_decay
        _check("max_grad_norm", norm, norm is None or norm > 0, "above 0, or left out")
        _check("ema_decay", decay, decay is None or 0 <= decay < 1, "from 0, below 1, or left out")


WATCHING: Final = frozenset({"log_every", "validate_every", "checkpoint_every"})
"""Settings that only say when to look: a run may be resumed with others."""


def _check(name: str, value: object, ok: bool, wanted: str) -> None:  # noqa: FBT001
    if not ok:
        raise ConfigError(
            what=f"{name} is {value!r}",
            why=f"it must be {wanted}",
            mend="correct the value",
            path=name,
        )
