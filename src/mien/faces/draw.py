"""Drawing answers on pictures: a frame around each face and a label that stays readable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.core.types import UInt8

Tone = Literal["match", "unknown", "ambiguous", "not_comparable", "neutral"]

_TONES: Final[dict[Tone, tuple[int, int, int]]] = {
    # Told apart by the colour-blind too (Okabe and Ito); labels carry the word anyway.
    "match": (0, 128, 96),
    "unknown": (213, 94, 0),
    "ambiguous": (180, 120, 0),
    "not_comparable": (96, 96, 96),
    "neutral": (0, 94, 158),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One face to draw.

    Attributes:
        box: x0 y0 x1 y1 pixels; may reach outside the picture.
        label: Text beside it, one line; may be empty.
        tone: What the colour says.
    """

    box: tuple[float, float, float, float]
    label: str
    tone: Tone = "neutral"


def annotate(pixels: UInt8, marks: Sequence[Mark], *, scale: float = 1.0) -> UInt8:
    """Draw frames and labels on a copy of a picture.

    Lines and letters grow with the picture, so that they look alike on 300 and 6,000 pixels.
    Labels stand above the face, or below where there is no room.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        marks: What to draw; later ones lie on top.
        scale: Size of lines and letters, relative to the usual.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    unit = max(picture.size) / 1000 * scale
    line = max(1, round(3 * unit))
    font = ImageFont.load_default(size=max(10.0, 24 * unit))
    for mark in marks:
        draw.rectangle(_inside(mark.box, picture.size), outline=_TONES[mark.tone], width=line)
    for mark in marks:
        if mark.label:
            _draw_label(draw, mark, picture.size, font, line)
    return np.asarray(picture, np.uint8)


def _inside(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The part of a box that can be seen, at least one pixel large."""
    width, height = size
    x0, y0 = (min(max(v, 0), side - 1) for v, side in zip(box[:2], size, strict=True))
    return x0, y0, max(x0, min(box[2] - 1, width - 1)), max(y0, min(box[3] - 1, height - 1))


def _draw_label(
    draw: ImageDraw.ImageDraw,
    mark: Mark,
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line: int,
) -> None:
    pad = 2 * line
    left, top, right, bottom = draw.textbbox((0, 0), mark.label, font=font)
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x0, y0, _, y1 = _inside(mark.box, size)
    x = min(max(x0, 0), max(size[0] - width, 0))
    y = y0 - height if y0 >= height else min(y1, size[1] - height)
    draw.rectangle((x, y, x + width, y + height), fill=_TONES[mark.tone])
    draw.text((x + pad - left, y + pad - top), mark.label, font=font, fill=(255, 255, 255))
