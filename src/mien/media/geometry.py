"""Resizing and warping pictures without aliasing, in continuous coordinates.

A point (x, y) is measured from the upper left corner of the picture, so the first pixel's centre is
(0.5, 0.5). OpenCV counts from pixel centres; the half pixel is added and taken away here and
nowhere else. Where landmarks come from, and what is warped, is not this module's business.
"""

import math
from typing import Final

import cv2
import numpy as np

from mien.core.errors import RangeError
from mien.core.types import Array, Float64, UInt8

_WARP_SIDE_PX: Final = 32_766  # OpenCV warps no larger picture


def resize(pixels: UInt8, scale: float) -> UInt8:
    """Resize by one factor: area averaging when shrinking, bilinear when enlarging.

    Args:
        pixels: (h, w, 3) uint8.
        scale: Output pixels per input pixel, above 0.

    Returns:
        (h', w', 3) uint8 with each side rounded, at least 1. The input itself if nothing changes.
    """
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return pixels
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=mode), np.uint8)


def warp_affine(pixels: UInt8, matrix: Array, size: tuple[int, int]) -> UInt8:
    """Draw a picture through an affine map, black outside.

    When the map shrinks, the part of the picture that is needed is first reduced by area averaging,
    so that a face of 1,000 pixels does not alias into a crop of 112.

    Args:
        pixels: (h, w, 3) uint8.
        matrix: (2, 3), picture point to output point, continuous coordinates.
        size: Output (width, height) in pixels.

    Returns:
        (height, width, 3) uint8.

    Raises:
        RangeError: If the map cannot be inverted or is not finite.
    """
    matrix = np.asarray(matrix, np.float64)
    factor = max(1, int(min(1 / _scale_of(matrix) + 1e-9, 1e6)))
    if factor > 1 or max(pixels.shape[:2]) > _WARP_SIDE_PX:
        pixels, matrix = _reduce(pixels, matrix, size, factor)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    drawn = cv2.warpAffine(pixels, shifted, size, flags=cv2.INTER_LINEAR)
    return np.asarray(drawn, np.uint8)


def invert_affine(matrix: Array) -> Float64:
    """The inverse of a (2, 3) affine map.

    Raises:
        RangeError: If it has none, or is not finite.
    """
    _scale_of(np.asarray(matrix, np.float64))
    return np.asarray(cv2.invertAffineTransform(np.asarray(matrix, np.float64)), np.float64)


def apply_affine(matrix: Array, points: Array) -> Float64:
    """Map points (..., 2) through a (2, 3) affine map."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def _scale_of(matrix: Float64) -> float:
    """Output pixels per picture pixel, as the root of the change of area; above 0."""
    area = abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    if not np.isfinite(matrix).all() or area == 0:
        raise RangeError(
            what=f"the affine map is {matrix.tolist()}",
            why="it is not finite, or draws the whole picture into a line or point",
            mend="refuse such faces: see `Alignment.fault`",
        )
    return math.sqrt(area)


def _reduce(
    pixels: UInt8, matrix: Float64, size: tuple[int, int], factor: int
) -> tuple[UInt8, Float64]:
    """Cut out what the map will show, and shrink it by a whole factor."""
    width, height = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    seen = apply_affine(invert_affine(matrix), corners)
    bounds = np.array([pixels.shape[1], pixels.shape[0]])
    low = np.clip(np.floor(seen.min(0)) - factor, 0, bounds - 1).astype(int)
    high = np.clip(np.ceil(seen.max(0)) + factor, low + 1, bounds).astype(int)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    small_size = np.maximum(1, np.round((high - low) / factor)).astype(int)
    small = cv2.resize(part, small_size.tolist(), interpolation=cv2.INTER_AREA)
    step = (high - low) / small_size
    reduced = matrix.copy()
    reduced[:, :2] = matrix[:, :2] * step
    reduced[:, 2] = matrix[:, :2] @ low + matrix[:, 2]
    return np.asarray(small, np.uint8), reduced
