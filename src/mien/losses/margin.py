"""Losses that train embeddings by classes, as functions of cosines.

Four ways to make the own class harder to win: no margin, one on the cosine, one on the angle, and
one that adapts to the length of the embedding. `mien.losses.margin_head` holds the class centres
and gives all four one interface.
"""

import math
from typing import Final

import torch
from torch import Tensor

from mien.core.errors import RangeError, ShapeError
from mien.losses._cosines import (
    check_labels,
    check_margin,
    check_rows,
    check_scale,
    cross_entropy,
    target_of,
    with_target,
)

# How near to 0 and pi AdaFace lets angles come; eps in the authors' code.
_ANGLE_GAP_RAD: Final = 1e-3


def normalised_softmax(cos: Tensor, labels: Tensor, *, scale: float = 64.0) -> Tensor:
    """Cross-entropy of scaled cosines: what the margins are added to.

    Source:
        Wang, Xiang, Cheng, Yuille, "NormFace", ACM Multimedia 2017, eq. 6.

    Args:
        cos: (b, k) cosine of each embedding to each class centre.
        labels: (b,) int64, class of each sample, 0 … k-1.
        scale: s in the papers; the radius of the sphere.

    Returns:
        Mean loss over the batch, in nats.

    Raises:
        ShapeError: If the cosines are not (b, k), or labels not (b,) int64.
        RangeError: If a cosine is not finite, a label names no class, or the scale is not positive.
    """
    _check(cos, labels, scale)
    return cross_entropy(cos, labels, scale)


def additive_cosine_margin(
    cos: Tensor, labels: Tensor, *, margin: float = 0.35, scale: float = 64.0
) -> Tensor:
    """Cross-entropy after taking a fixed amount from the cosine to the own class (CosFace).

    Source:
        Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018,
        eq. 4.

    Args:
        cos: As of `normalised_softmax`.
        labels: As of `normalised_softmax`.
        margin: m in the paper, 0 … 1.
        scale: s in the paper.

    Returns:
        Mean loss over the batch, in nats.

    Raises:
        ShapeError: As of `normalised_softmax`.
        RangeError: As of `normalised_softmax`, or if the margin lies outside its range.
    """
    _check(cos, labels, scale)
    return cross_entropy(lower_cosine(cos, labels, margin), labels, scale)


def additive_angular_margin(
    cos: Tensor, labels: Tensor, *, margin_rad: float = 0.5, scale: float = 64.0
) -> Tensor:
    """Cross-entropy after turning each sample away from its own class by a fixed angle (ArcFace).

    Source:
        Deng, Guo, Xue, Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face
        Recognition", CVPR 2019, eq. 3.
        We differ in two points. Past ``pi - margin_rad``, where the cosine would rise again, the
        target is ``cos - margin_rad · sin(margin_rad)``, a straight line in the cosine (the
        authors' own code does so; the paper does not say it; there is a step down where the two
        meet). The square of the sine is kept above the rounding of its type, since its root has no
        slope at 0.

    Args:
        cos: As of `normalised_softmax`.
        labels: As of `normalised_softmax`.
        margin_rad: m in the paper; radians, 0 … pi/2.
        scale: s in the paper.

    Returns:
        Mean loss over the batch, in nats.

    Raises:
        ShapeError: As of `normalised_softmax`.
        RangeError: As of `normalised_softmax`, or if the margin lies outside its range.
    """
    _check(cos, labels, scale)
    return cross_entropy(widen_angle(cos, labels, margin_rad), labels, scale)


def adaptive_margin(
    cos: Tensor, labels: Tensor, levels: Tensor, *, margin: float = 0.4, scale: float = 64.0
) -> Tensor:
    """Cross-entropy after a margin whose kind follows the quality of the sample (AdaFace).

    At level -1 (a short embedding: a poor picture) the margin is ArcFace's, at 0 CosFace's, and at
    1 an angle in the other direction with twice the margin on the cosine: hard samples count more
    where the picture is good.

    Source:
        Kim, Jain, Liu, "AdaFace: Quality Adaptive Margin for Face Recognition", CVPR 2022,
        eqs. 16 to 19; the authors' code (MIT) for what the paper leaves open.
        As in their code, the angle is kept 0.001 from 0 and pi before and after the margin. We
        differ in one point: only the cosine to the own class is treated so, not all of them.

    Args:
        cos: As of `normalised_softmax`.
        labels: As of `normalised_softmax`.
        levels: (b,) in [-1, 1]: the embedding's length among others, from `norm_levels`.
        margin: m in the paper, 0 … 1.
        scale: s in the paper.

    Returns:
        Mean loss over the batch, in nats.

    Raises:
        ShapeError: As of `normalised_softmax`, or if the levels are not (b,).
        RangeError: As of `normalised_softmax`, or if margin or levels lie outside their range.
    """
    _check(cos, labels, scale)
    return cross_entropy(adapt_margin(cos, labels, levels, margin), labels, scale)


def lower_cosine(cos: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The cosines of `additive_cosine_margin` before scaling, (b, k)."""
    check_margin(margin, "margin", 1.0)
    return with_target(cos, labels, target_of(cos, labels) - margin)


def widen_angle(cos: Tensor, labels: Tensor, margin_rad: float) -> Tensor:
    """The cosines of `additive_angular_margin` before scaling, (b, k)."""
    check_margin(margin_rad, "margin_rad", math.pi / 2)
    target = target_of(cos, labels)
    sine = (1 - target.square()).clamp(min=torch.finfo(cos.dtype).eps).sqrt()
    turned = target * math.cos(margin_rad) - sine * math.sin(margin_rad)
    line = target - margin_rad * math.sin(margin_rad)
    turned = torch.where(target > -math.cos(margin_rad), turned, line)
    return with_target(cos, labels, turned)


def adapt_margin(cos: Tensor, labels: Tensor, levels: Tensor, margin: float) -> Tensor:
    """The cosines of `adaptive_margin` before scaling, (b, k)."""
    check_margin(margin, "margin", 1.0)
    _check_levels(levels, len(cos))
    low, high = _ANGLE_GAP_RAD, math.pi - _ANGLE_GAP_RAD
    target = target_of(cos, labels).clamp(-1 + _ANGLE_GAP_RAD, 1 - _ANGLE_GAP_RAD)
    angle_rad = (target.acos() - margin * levels).clamp(low, high)
    return with_target(cos, labels, angle_rad.cos() - (margin * levels + margin))


def norm_levels(
    norms: Tensor, mean: Tensor | float, std: Tensor | float, *, concentration: float = 0.333
) -> Tensor:
    """Where lengths of embeddings stand among others: -1 short, 0 usual, 1 long. No gradient.

    Source:
        Kim, Jain, Liu, "AdaFace", CVPR 2022, eq. 16. The 0.001 beside the deviation is from the
        authors' code.

    Args:
        norms: (b,) lengths of embeddings.
        mean: Mean of lengths.
        std: Standard deviation of lengths.
        concentration: h in the paper: 0.333 puts 68 % of lengths within ±0.333.
    """
    levels = (norms.detach() - mean) / (std + 1e-3) * concentration
    return levels.clamp(-1, 1)


def _check(cos: Tensor, labels: Tensor, scale: float) -> None:
    check_rows(cos, "cosines")
    check_labels(labels, *cos.shape)
    check_scale(scale)


def _check_levels(levels: Tensor, rows: int) -> None:
    if levels.shape != (rows,):
        raise ShapeError(
            what=f"levels have shape {tuple(levels.shape)}",
            why=f"each of the {rows} samples has one",
            mend="pass what norm_levels returns for the same embeddings",
        )
    if not bool((levels.abs() <= 1).all()):  # also for NaN
        raise RangeError(
            what="a level is not in -1 to 1",
            why="the margin would turn further than the paper's",
            mend="pass what norm_levels returns",
        )
