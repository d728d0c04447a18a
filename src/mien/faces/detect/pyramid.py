"""Which sizes of a picture the detector looks at, and the canvases it looks at them on.

A network such as YuNet sees faces between about 24 and 300 pixels. A face of 20 pixels in a large
photo and one that fills the frame need different sizes of the same picture; this module says which.
The figures behind the constants are in `docs/decisions/0003-alignment.md`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mien.core.types import Float32, UInt8
from mien.media.geometry import resize

STRIDE: Final = 32
"""Canvas sides are multiples of the network's coarsest stride."""

UNBOUNDED: Final = (-np.inf, -np.inf, np.inf, np.inf)
"""The inner rectangle of a canvas that has no neighbours."""

_SEEN_PX: Final = 24.0  # face side in the network's input from which 95 of 100 are found
_WORK_PX: Final = 384.0  # pictures smaller than this are enlarged to it
_COARSE_PX: Final = 128.0  # the coarsest level's long side; shown with a margin around it
_STEP: Final = 3.0
_TILE_PX: Final = 1280
_OVERLAP_PX: Final = 128


@dataclass(frozen=True, slots=True)
class Canvas:
    """A piece of a picture, drawn for the network.

    Attributes:
        pixels: (h, w, 3) uint8, sides multiples of `STRIDE`.
        scale: Canvas pixels per picture pixel, along x and along y; they differ by rounding only.
        offset: Canvas x and y of the picture's upper left corner.
        inner: Canvas rectangle x0 y0 x1 y1; a box that crosses an edge of it lying inside the
            picture belongs to the neighbouring tile.
    """

    pixels: UInt8
    scale: tuple[float, float]
    offset: tuple[float, float]
    inner: tuple[float, float, float, float]

    def to_picture(self, points: Float32) -> Float32:
        """Canvas coordinates (..., 2) to picture coordinates."""
        return np.asarray((points - np.array(self.offset)) / np.array(self.scale), np.float32)


def choose_scales(width: int, height: int, min_face_px: float) -> list[float]:
    """Scales at which to look at a picture, finest first.

    The finest shows a face of ``min_face_px`` with 24 pixels, and is never smaller than 384 pixels
    on the long side, since landmarks are better on larger faces. Each next level is three times
    coarser; the coarsest has 128 pixels and a margin all around, for faces that fill the frame.
    """
    long_side = max(width, height)
    scale = max(_SEEN_PX / min_face_px, _WORK_PX / long_side)
    scales = [scale]
    while long_side * scale / _STEP > _COARSE_PX:
        scale /= _STEP
        scales.append(scale)
    scales.append(_COARSE_PX / long_side)
    return scales


def draw_canvases(pixels: UInt8, min_face_px: float) -> Iterator[Canvas]:
    """Canvases of all levels but the coarsest, finest first, each drawn when it is asked for."""
    height, width = pixels.shape[:2]
    for wanted in choose_scales(width, height, min_face_px)[:-1]:
        level = resize(pixels, wanted)
        yield from _draw_tiles(level, (level.shape[1] / width, level.shape[0] / height))


def draw_with_margin(pixels: UInt8) -> Canvas:
    """The coarsest level: the picture in a canvas with half its size again on every side."""
    height, width = pixels.shape[:2]
    level = resize(pixels, _COARSE_PX / max(width, height))
    scale = level.shape[1] / width, level.shape[0] / height
    left, top = level.shape[1] // 2, level.shape[0] // 2
    canvas = np.zeros((_up(2 * level.shape[0]), _up(2 * level.shape[1]), 3), np.uint8)
    canvas[top : top + level.shape[0], left : left + level.shape[1]] = level
    return Canvas(canvas, scale, (left, top), UNBOUNDED)


def _up(length: int) -> int:
    return (length + STRIDE - 1) // STRIDE * STRIDE


def _draw_tiles(level: UInt8, scale: tuple[float, float]) -> Iterator[Canvas]:
    height, width = level.shape[:2]
    for y0, y1 in _spans(height):
        for x0, x1 in _spans(width):
            canvas = np.zeros((_up(y1 - y0), _up(x1 - x0), 3), np.uint8)
            canvas[: y1 - y0, : x1 - x0] = level[y0:y1, x0:x1]
            inner = (
                0.0 if x0 else -np.inf,
                0.0 if y0 else -np.inf,
                float(x1 - x0) if x1 < width else np.inf,
                float(y1 - y0) if y1 < height else np.inf,
            )
            yield Canvas(canvas, scale, (-x0, -y0), inner)


def _spans(length: int) -> list[tuple[int, int]]:
    """Cover 0 … length with equal spans of at most a tile, neighbours overlapping."""
    if length <= _TILE_PX:
        return [(0, length)]
    count = -(-(length - _OVERLAP_PX) // (_TILE_PX - _OVERLAP_PX))
    size = _up(-(-(length + (count - 1) * _OVERLAP_PX) // count))
    starts = np.linspace(0, length - size, count).astype(int)
    return [(int(start), int(start) + size) for start in starts]
