"""Optimisers from a configuration, and their states as named tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.core.errors import IntegrityError
from mien.train.config import FitConfig
from mien.train.schedule import SCHEDULES


@dataclass(frozen=True, slots=True)
class ParamGroup:
    """Parameters that are treated alike.

    Attributes:
        parameters: Which they are.
        lr_scale: Their rate as a multiple of the base rate.
        weight_decay: Their own; None: that of the configuration.
    """

    parameters: tuple[nn.Parameter, ...]
    lr_scale: float = 1.0
    weight_decay: float | None = None


def build_optimiser(groups: Sequence[ParamGroup], config: FitConfig) -> torch.optim.Optimizer:
    """The optimiser that a configuration names."""
    as_torch = [
        {
            "params": list(group.parameters),
            "lr_scale": group.lr_scale,
            "weight_decay": config.weight_decay
            if group.weight_decay is None
            else group.weight_decay,
        }
        for group in groups
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(as_torch, lr=config.lr, momentum=config.momentum, nesterov=True)
    return torch.optim.AdamW(as_torch, lr=config.lr, betas=config.betas)


def set_rate(optimiser: torch.optim.Optimizer, config: FitConfig, step: int) -> float:
    """Set the rates of all groups for a step, counted from 0.

    Returns:
        The base rate of that step.
    """
    rate = config.lr * SCHEDULES[config.schedule](
        step,
        steps=config.steps,
        warmup_steps=config.warmup_steps,
        final_ratio=config.final_lr_ratio,
    )
    for group in optimiser.param_groups:
        group["lr"] = rate * group["lr_scale"]
    return rate


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers of each parameter: ``"<number>.<name>"`` → tensor.

    The settings of its groups are not in it; they come from the configuration.
    """
    state: Mapping[int, Mapping[str, Tensor]] = optimiser.state_dict()["state"]
    return {f"{number}.{name}": t for number, of in state.items() for name, t in of.items()}


def load_optimiser_state(optimiser: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Give an optimiser back what it remembered.

    Raises:
        IntegrityError: If the state is of other parameters.
    """
    whole = optimiser.state_dict()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    remembered: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        number, _, name = key.partition(".")
        known = number.isdecimal() and int(number) < len(parameters)
        if not known or value.shape not in {torch.Size(), parameters[int(number)].shape}:
            raise IntegrityError(
                what=f"the stored state of the optimiser has {key} of shape {tuple(value.shape)}",
                why="the model has no such parameter",
                mend="build the model as it was when the state was stored",
            )
        remembered.setdefault(int(number), {})[name] = value.clone()
    optimiser.load_state_dict(whole | {"state": remembered})
