"""Learning rates over time: pure functions of the step.

Each gives a factor to multiply the base rate with. Steps are counted from 0, and ``steps`` is the
number of steps of the whole run.
"""

import math
from typing import Final, Literal

Schedule = Literal["constant", "linear", "cosine"]


def constant(step: int, *, steps: int, warmup_steps: int = 0, final_ratio: float = 0.0) -> float:
    """1 after the warm-up. ``final_ratio`` is not looked at."""
    del steps, final_ratio
    return _warmup(step, warmup_steps)


def linear(step: int, *, steps: int, warmup_steps: int = 0, final_ratio: float = 0.0) -> float:
    """From 1 at the end of the warm-up along a straight line to ``final_ratio``."""
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    return 1 - (1 - final_ratio) * _progress(step, steps, warmup_steps)


def cosine(step: int, *, steps: int, warmup_steps: int = 0, final_ratio: float = 0.0) -> float:
    """From 1 at the end of the warm-up along half a cosine to ``final_ratio``.

    Source:
        Loshchilov, Hutter, "SGDR", ICLR 2017, eq. 5, with one period. We differ in the warm-up
        before it, which the paper does not have.
    """
    if step < warmup_steps:
        return _warmup(step, warmup_steps)
    wave = (1 + math.cos(math.pi * _progress(step, steps, warmup_steps))) / 2
    return final_ratio + (1 - final_ratio) * wave


SCHEDULES: Final = {"constant": constant, "linear": linear, "cosine": cosine}
"""The schedules by the name that a configuration gives them."""


def _warmup(step: int, warmup_steps: int) -> float:
    """From 1 / warmup_steps, not 0: the first step shall move something."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def _progress(step: int, steps: int, warmup_steps: int) -> float:
    return min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
