"""Frozen values that every floor speaks in: boxes, landmarks, head pose.

Coordinates: the origin is the upper left corner of the upper left pixel, x grows to the right,
y grows downwards, so the centre of the first pixel is (0.5, 0.5). Boxes are half-open.
Left and right of a face are the *subject's*, as in anatomy: the right eye is on the image's left.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import RangeError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Array = NDArray[Any]

FIVE_POINTS: Final = ("right_eye", "left_eye", "nose", "right_mouth_corner", "left_mouth_corner")
"""Order of the five landmarks everywhere in mien."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels, half-open: x0 <= x < x1, y0 <= y < y1.

    It may reach outside the picture: a face cut off by the frame keeps its full extent.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        values = (self.x0, self.y0, self.x1, self.y1)
        if not all(map(math.isfinite, values)) or self.x1 < self.x0 or self.y1 < self.y0:
            raise RangeError(
                what=f"box is {values}",
                why="corners must be finite, with x0 <= x1 and y0 <= y1",
                mend="pass (x0, y0, x1, y1), not (x, y, width, height)",
            )

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (x, y) in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def iou(self, other: "Box") -> float:
        """Intersection over union with another box, 0-1; two empty boxes give 0."""
        w = min(self.x1, other.x1) - max(self.x0, other.x0)
        h = min(self.y1, other.y1) - max(self.y0, other.y0)
        if w <= 0 or h <= 0:
            return 0.0
        shared = w * h
        union = self.width * self.height + other.width * other.height - shared
        return shared / union if union > 0 else 0.0

    def as_list(self, digits: int = 1) -> list[float]:
        """[x0, y0, x1, y1], rounded, for records."""
        return [round(float(v), digits) for v in (self.x0, self.y0, self.x1, self.y1)]


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head rotation in radians.

    Attributes:
        yaw: Positive when the subject's face turns to the image's right; (-pi, pi].
        pitch: Positive when the face turns down.
        roll: Positive clockwise as seen in the image.
    """

    yaw: float
    pitch: float
    roll: float

    def degrees(self) -> tuple[float, float, float]:
        """(yaw, pitch, roll) in degrees."""
        return math.degrees(self.yaw), math.degrees(self.pitch), math.degrees(self.roll)
