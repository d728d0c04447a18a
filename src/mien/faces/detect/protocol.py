"""What every detector can do, and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mien.core.errors import ShapeError
from mien.core.types import Array, Float32, UInt8


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces found in one picture, best score first.

    Attributes:
        boxes: (n, 4) x0 y0 x1 y1 in pixels; may reach outside the picture.
        landmarks: (n, 5, 2) x, y in pixels, in the order of `core.types.FIVE_POINTS`.
        scores: (n,) in 0-1; the detector's own confidence, not a probability.
    """

    boxes: Float32
    landmarks: Float32
    scores: Float32

    def __post_init__(self) -> None:
        n = len(self.scores)
        shapes = (self.boxes.shape, self.landmarks.shape, self.scores.shape)
        if shapes != ((n, 4), (n, 5, 2), (n,)):
            raise ShapeError(
                what=f"detections have shapes {shapes}",
                why="they must be (n, 4), (n, 5, 2) and (n,)",
                mend="return one row a face from the detector",
            )

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, which: Array) -> "Detections":
        """The rows named by an index array or mask, in that order."""
        return Detections(self.boxes[which], self.landmarks[which], self.scores[which])

    @staticmethod
    def none() -> "Detections":
        """No face at all."""
        return Detections(
            np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32)
        )


class Detector(Protocol):
    """Finds faces. Implementations are safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """Short name, such as ``"yunet"``."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the landmarks could: hash of the weights and version of the code."""

    def detect(self, images: Sequence[UInt8]) -> list[Detections]:
        """Find the faces of several pictures.

        Args:
            images: RGB pictures, each (h, w, 3) uint8, sizes may differ.

        Returns:
            One `Detections` a picture, in the same order.
        """
