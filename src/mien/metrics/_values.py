"""Values at the door of the metrics: scores, rates and labels coming in, records going out.

The rule for scores stands here once: a similarity is finite, or -inf where no comparison could
be made. No metric is computed here.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Array, Bools, Float64


def check_scores(values: ArrayLike, name: str) -> Float64:
    """Scores as a one-axis float64 array.

    Args:
        values: (n,) similarities, finite or -inf; n >= 1.
        name: What to call them in an error.

    Raises:
        ShapeError: If they are not numbers along one axis.
        RangeError: If there is none, or one is NaN or +inf.
    """
    scores = _numbers(values, name)
    if scores.size == 0:
        raise RangeError(
            what=f"there are no {name}",
            why="a rate over nothing has no value",
            mend="pass at least one",
        )
    n_nan, n_inf = int(np.isnan(scores).sum()), int(np.isposinf(scores).sum())
    if n_nan or n_inf:
        raise RangeError(
            what=f"the {name} hold {n_nan} NaN and {n_inf} +inf",
            why="a similarity is finite, or -inf where no comparison could be made",
            mend="score a failure to enrol as -inf, and look for the fault behind the others",
        )
    return scores


def check_thresholds(values: ArrayLike) -> Float64:
    """Thresholds as a float64 array (n,), n >= 1, finite and strictly rising.

    Raises:
        ShapeError: If they are not numbers along one axis.
        RangeError: If there is none, one is not finite, or they do not rise.
    """
    thresholds = _numbers(values, "thresholds")
    if (
        thresholds.size == 0
        or not np.isfinite(thresholds).all()
        or (np.diff(thresholds) <= 0).any()
    ):
        raise RangeError(
            what=f"the {thresholds.size} thresholds are not finite and strictly rising",
            why="they cut the scores into ordered bins",
            mend="pass np.unique(thresholds) of finite values",
        )
    return thresholds


def check_flags(values: ArrayLike, name: str, *, length: int) -> Bools:
    """True/false marks as an array (length,).

    Raises:
        ShapeError: If they are not booleans, or not one for each item.
    """
    flags = np.asarray(values)
    if flags.dtype != np.bool_ or flags.shape != (length,):
        raise ShapeError(
            what=f"{name} has shape {flags.shape} and type {flags.dtype}",
            why=f"one boolean is needed for each of {length} items",
            mend=f"pass a bool array of shape ({length},)",
        )
    return flags


def check_labels(values: ArrayLike, name: str, *, length: int | None = None) -> Array:
    """Labels, whole numbers, as an array (n,).

    Raises:
        ShapeError: If they are not whole numbers along one axis, or not ``length`` of them.
    """
    labels = np.asarray(values)
    expected = f"({length},)" if length is not None else "(n,)"
    if labels.ndim != 1 or (length is not None and labels.size != length):
        raise ShapeError(
            what=f"{name} has shape {labels.shape}",
            why="each item has one label",
            mend=f"pass an array of shape {expected}",
        )
    if labels.size and labels.dtype.kind not in "iu":
        raise ShapeError(
            what=f"{name} is of type {labels.dtype}",
            why="labels are whole numbers",
            mend="number the names first, as np.unique(names, return_inverse=True) does",
        )
    return labels.astype(np.int64)


def check_rate(value: float, name: str, *, zero: bool = False, one: bool = True) -> float:
    """A rate or probability; ``zero`` and ``one`` say whether the ends are allowed.

    Raises:
        RangeError: If it lies outside.
    """
    if 0 < value < 1 or (zero and value == 0) or (one and value == 1):
        return float(value)
    span = f"{'[' if zero else '('}0, 1{']' if one else ')'}"
    raise RangeError(
        what=f"{name} is {value}",
        why=f"it lies in {span}",
        mend="pass a fraction, such as 0.001 for one in a thousand",
    )


def check_count(value: int, name: str, *, least: int = 1) -> int:
    """A count of at least ``least``.

    Raises:
        RangeError: If it is smaller.
    """
    if value >= least:
        return int(value)
    raise RangeError(
        what=f"{name} is {value}",
        why=f"at least {least} is needed",
        mend=f"pass {least} or more",
    )


def record_of(result: Any) -> dict[str, object]:
    """A result dataclass as a mapping that strict JSON can hold; infinite values become None."""
    return {f.name: _plain(getattr(result, f.name)) for f in dataclasses.fields(result)}


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return record_of(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _numbers(values: ArrayLike, name: str) -> Float64:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "fiu"):
        raise ShapeError(
            what=f"the {name} have shape {array.shape} and type {array.dtype}",
            why="numbers along one axis are needed",
            mend="pass a float array of shape (n,)",
        )
    return array.astype(np.float64)
