"""Margin losses, slow and literal: one row at a time, in float64, by the papers' formulas."""

import math

import numpy as np


def reference_softmax(cos: np.ndarray, labels: np.ndarray, s: float) -> float:
    """NormFace, eq. 6."""
    return _mean_loss(cos, labels, s, lambda c, _: c)


def reference_cosface(cos: np.ndarray, labels: np.ndarray, m: float, s: float) -> float:
    """CosFace, eq. 4."""
    return _mean_loss(cos, labels, s, lambda c, _: c - m)


def reference_arcface(cos: np.ndarray, labels: np.ndarray, m: float, s: float) -> float:
    """ArcFace, eq. 3; past pi - m the line of the authors' code."""

    def own(c: float, _: int) -> float:
        theta = math.acos(c)
        return math.cos(theta + m) if theta < math.pi - m else c - m * math.sin(math.pi - m)

    return _mean_loss(cos, labels, s, own)


def reference_adaface(
    cos: np.ndarray, labels: np.ndarray, levels: np.ndarray, m: float, s: float, gap: float = 1e-3
) -> float:
    """AdaFace, eqs. 18 and 19; the gap beside 0 and pi from the authors' code."""

    def own(c: float, row: int) -> float:
        g_angle = -m * levels[row]
        g_add = m * levels[row] + m
        theta = math.acos(min(max(c, gap - 1), 1 - gap))
        return math.cos(min(max(theta + g_angle, gap), math.pi - gap)) - g_add

    return _mean_loss(cos, labels, s, own)


def reference_levels(norms: np.ndarray, mean: float, std: float, h: float) -> np.ndarray:
    """AdaFace, eq. 16."""
    return np.array([min(max((n - mean) / (std + 1e-3) * h, -1), 1) for n in norms])


def reference_moving(old: float, new: float, alpha: float) -> float:
    """AdaFace, eq. 17, with alpha the weight of the new batch as in the authors' code."""
    return alpha * new + (1 - alpha) * old


def _mean_loss(cos, labels, s, own) -> float:
    losses = []
    for row, (values, label) in enumerate(zip(cos.astype(np.float64), labels, strict=True)):
        logits = [s * float(v) for v in values]
        logits[label] = s * own(float(values[label]), row)
        top = max(logits)
        losses.append(top + math.log(sum(math.exp(v - top) for v in logits)) - logits[label])
    return float(np.mean(losses))
