"""Which sizes of a picture the detector looks at, and the canvases it looks at them on.

A network such as YuNet sees faces between about 10 and 300 pixels. A face of 20 pixels in a large
photo and one that fills the frame need different sizes of the same picture; this module says which.
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

_SEEN_PX: Final = 12.0  # smallest face side that YuNet finds reliably in its input
_WORK_PX: Final = 384.0  # pictures smaller than this are enlarged to it
_COARSE_PX: Final = 160.0  # the coarsest level's long side; shown with a margin around it
_STEP: Final = 3.0
_TILE_PX: Final = 1280
_OVERLAP_PX: Final = 128


@dataclass(frozen=True, slots=True)
class Canvas:
    """A piece of a picture, drawn for the network.

    Attributes:
        pixels: (h, w, 3) uint8, sides multiples of `STRIDE`.
        scale: Canvas pixels per picture pixel.
        offset_x: Canvas x of the picture's left edge.
        offset_y: Canvas y of the picture's upper edge.
        inner: Canvas rectangle x0 y0 x1 y1; a box that crosses an edge of it lying inside the
            picture belongs to the neighbouring tile.
    """

    pixels: UInt8
    scale: float
    offset_x: float
    offset_y: float
    inner: tuple[float, float, float, float]

    def to_picture(self, points: Float32) -> Float32:
        """Canvas coordinates (..., 2) to picture coordinates."""
        shift = np.array([self.offset_x, self.offset_y], np.float32)
        return np.asarray((points - shift) / self.scale, np.float32)


def choose_scales(width: int, height: int, min_face_px: float) -> list[float]:
    """Scales at which to look at a picture, finest first.

    The finest shows a face of ``min_face_px`` with 12 pixels, and is never smaller than 384 pixels
    on the long side (landmarks are better on larger faces: `docs/decisions/0003-alignment.md`).
    Each next level is three times coarser; the coarsest has 160 pixels and a margin all around, for
    faces that fill the frame.
    """
    long_side = max(width, height)
    scale = max(min(1.0, _SEEN_PX / min_face_px), _WORK_PX / long_side)
    scales = [scale]
    while long_side * scale / _STEP > _COARSE_PX:
        scale /= _STEP
        scales.append(scale)
    scales.append(_COARSE_PX / long_side)
    return scales


def draw_canvases(pixels: UInt8, min_face_px: float) -> Iterator[Canvas]:
    """All canvases of a picture, finest level first."""
    height, width = pixels.shape[:2]
    scales = choose_scales(width, height, min_face_px)
    for scale in scales[:-1]:
        yield from _draw_tiles(resize(pixels, scale), scale)
    yield _draw_with_margin(resize(pixels, scales[-1]), scales[-1])


def _up(length: int) -> int:
    return (length + STRIDE - 1) // STRIDE * STRIDE


def _draw_tiles(level: UInt8, scale: float) -> Iterator[Canvas]:
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
            yield Canvas(canvas, scale, -x0, -y0, inner)


def _spans(length: int) -> list[tuple[int, int]]:
    """Cover 0 … length with spans of at most a tile, neighbours overlapping."""
    if length <= _TILE_PX:
        return [(0, length)]
    step = _TILE_PX - _OVERLAP_PX
    count = -(-(length - _OVERLAP_PX) // step)
    starts = np.linspace(0, length - _TILE_PX, count).astype(int)
    return [(int(start), int(start) + _TILE_PX) for start in starts]


def _draw_with_margin(level: UInt8, scale: float) -> Canvas:
    """The picture in the middle of a canvas with half its size again on every side."""
    height, width = level.shape[:2]
    left, top = width // 2, height // 2
    canvas = np.zeros((_up(2 * height), _up(2 * width), 3), np.uint8)
    canvas[top : top + height, left : left + width] = level
    return Canvas(canvas, scale, left, top, UNBOUNDED)
