"""The piece of a picture that shows a face, as a small JPEG for people to look at."""

from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from mien.core.types import UInt8
from mien.media.geometry import resize

SIDE_PX: Final = 192
_MARGIN: Final = 0.35  # of the box, on each side
_QUALITY: Final = 85


def crop_jpeg(pixels: UInt8, box: tuple[float, float, float, float]) -> bytes:
    """A square around a face, JPEG, at most 192 pixels wide.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        box: The face, x0 y0 x1 y1 pixels; may reach outside the picture, where the crop is black.
    """
    side = round(max(box[2] - box[0], box[3] - box[1], 1) * (1 + 2 * _MARGIN))
    left = round((box[0] + box[2] - side) / 2)
    top = round((box[1] + box[3] - side) / 2)
    square = np.zeros((side, side, 3), np.uint8)
    height, width = pixels.shape[:2]
    y0, y1 = max(top, 0), min(top + side, height)
    x0, x1 = max(left, 0), min(left + side, width)
    if y0 < y1 and x0 < x1:
        square[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    if side > SIDE_PX:
        square = resize(square, SIDE_PX / side)
    file = BytesIO()
    Image.fromarray(square).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
