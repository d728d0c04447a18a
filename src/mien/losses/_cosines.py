"""Checks and small steps that all margin losses share. Private to this folder."""

import torch
from torch import Tensor
from torch.nn import functional

from mien.core.errors import RangeError, ShapeError


def check_labels(labels: Tensor, rows: int, n_classes: int) -> None:
    """Refuse labels that are not one class number a row."""
    if labels.shape != (rows,) or not rows or labels.dtype != torch.int64:
        raise ShapeError(
            what=f"labels have shape {tuple(labels.shape)} and type {labels.dtype}",
            why=f"each of the {rows} rows has one class, as an int64 number",
            mend=f"pass int64 labels of shape ({rows},)",
        )
    low, high = (int(v) for v in labels.aminmax())
    if low < 0 or high >= n_classes:
        raise RangeError(
            what=f"labels reach from {low} to {high}",
            why=f"there are {n_classes} classes, 0 to {n_classes - 1}",
            mend="number the classes without gaps, or make the loss for more of them",
        )


def check_rows(rows: Tensor, name: str, width: int | None = None) -> None:
    """Refuse what is not at least one row of finite floating-point numbers."""
    wanted = "k" if width is None else str(width)
    is_wrong = rows.ndim != 2 or (width is not None and rows.shape[1] != width)
    if is_wrong or not rows.numel() or not rows.is_floating_point():
        raise ShapeError(
            what=f"{name} have shape {tuple(rows.shape)} and type {rows.dtype}",
            why=f"one row of {wanted} floating-point numbers is needed for each sample",
            mend=f"pass a tensor of shape (b, {wanted}), b at least 1",
        )
    if not bool(torch.isfinite(rows).all()):
        raise RangeError(
            what=f"{name} hold NaN or infinity",
            why="the loss and every gradient would be NaN from here on",
            mend="lower the learning rate, clip gradients, or look for a broken sample",
        )


def check_margin(margin: float, name: str, limit: float) -> None:
    """Refuse margins outside 0 to a limit."""
    if not 0 <= margin <= limit:
        raise RangeError(
            what=f"{name} is {margin}",
            why=f"it lies from 0, which is no margin, to {limit:.4g}",
            mend="pass a value between; 0.3 to 0.5 is usual",
        )


def check_scale(scale: float) -> None:
    """Refuse scales that are not positive and finite."""
    if not 0 < scale < float("inf"):
        raise RangeError(
            what=f"scale is {scale}",
            why="it is the radius of the sphere that embeddings are put on",
            mend="pass a positive number; 64 is usual, fewer classes take less",
        )


def target_of(cos: Tensor, labels: Tensor) -> Tensor:
    """The cosine of each sample to its own class: (b, k) to (b,)."""
    return cos.gather(1, labels[:, None])[:, 0]


def with_target(cos: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """The cosines with those to the own class replaced: (b, k), never in place."""
    return cos.scatter(1, labels[:, None], target[:, None])


def cross_entropy(cos: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Mean cross-entropy of scaled cosines, in nats."""
    return functional.cross_entropy(cos * scale, labels)
