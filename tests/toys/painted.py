"""Pictures of people who are numbers: the first pixels say who is shown, and how often.

The detector and the embedder read the number, so that the truth is known for as many people as a
test wants, up to 128. Templates of two people have a cosine near 0, of one person about 0.9.
"""

import time
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.faces.detect.protocol import Detections
from mien.faces.pipeline import FacePipeline
from toys.stage import DIM, LANDMARKS, draw_noise, look_at

NOBODY = 0
"""The number of a picture without a face."""

_FACES = np.linalg.qr(np.random.default_rng(1).normal(size=(DIM, DIM)))[0]
_NOISE = draw_noise(200, 200)
_SIDE = 80
_BOX = np.array([60, 60, 60 + _SIDE, 60 + _SIDE], np.float32)


def paint(person: int, look: int = 0) -> bytes:
    """A picture of a person, BMP; another look is another picture of the same person."""
    pixels = _NOISE.copy()
    pixels[0, 0] = (person // 256, person % 256, look)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


class Painted:
    """Detector and embedder in one.

    Attributes:
        seconds: How long the detector takes for a picture.
        seen: Pictures seen so far.
    """

    name = "painted"
    fingerprint = "painted.1"
    dim = DIM

    def __init__(self) -> None:
        self.seconds = 0.0
        self.seen = 0

    def pipeline(self) -> FacePipeline:
        """As a pipeline."""
        return FacePipeline(self, self)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """One face a picture, or none."""
        time.sleep(self.seconds * len(images))
        self.seen += len(images)
        return [self._detect(pixels) for pixels in images]

    def crop(
        self, pixels: NDArray[np.uint8], box: NDArray[np.float32], alignment: object
    ) -> NDArray[np.uint8]:
        """The pixel that says who it is."""
        return pixels[:1, :1]

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The same template for the same picture."""
        looks = [_look(*(int(v) for v in crop[0, 0])) for crop in crops]
        return np.array(looks, np.float32).reshape(-1, DIM)

    def _detect(self, pixels: NDArray[np.uint8]) -> Detections:
        if _number(pixels) == NOBODY:
            return Detections.none()
        marks = (_BOX[:2] + LANDMARKS * _SIDE)[None].astype(np.float32)
        return Detections(_BOX[None], marks, np.array([0.9], np.float32))


def _number(pixels: NDArray[np.uint8]) -> int:
    return int(pixels[0, 0, 0]) * 256 + int(pixels[0, 0, 1])


def _look(high: int, low: int, look: int) -> NDArray[np.float32]:
    face = _FACES[(high * 256 + low) % DIM]
    return look_at(face, np.random.default_rng((high, low, look)), 0.3)
