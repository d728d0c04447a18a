"""Pictures as the page shows them: inside its markup, so that none is written to a disk."""

import base64
from collections.abc import Sequence

from mien.core.types import UInt8
from mien.faces.draw import Mark, annotate
from mien.media.geometry import resize
from mien.reports.html import Html, element, thumbnail

_SIDE_PX = 1000


def marked_picture(pixels: UInt8, marks: Sequence[Mark], *, alt: str, caption: str = "") -> Html:
    """A picture with frames drawn around its faces.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        marks: What to draw.
        alt: What is to be seen, for those who do not see it.
        caption: Stands below.
    """
    scale = min(1.0, _SIDE_PX / max(pixels.shape[:2]))
    small = resize(pixels, scale) if scale < 1 else pixels
    shrunk = [Mark(_scaled(m.box, scale), m.label, m.tone) for m in marks]
    image = thumbnail(annotate(small, shrunk, scale=1.3), alt, side_px=_SIDE_PX)
    words = [element("figcaption", caption)] if caption else []
    return element("figure", image, *words, class_="picture")


def crop_image(jpeg: bytes, alt: str) -> Html:
    """A crop as it was kept."""
    data = base64.b64encode(jpeg).decode()
    return element("img", src=f"data:image/jpeg;base64,{data}", alt=alt)


def initials(name: str) -> Html:
    """Stands for a face of which no crop was kept."""
    parts = name.split()
    letters = "".join(part[0] for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts))
    return element("span", letters.upper() or "?", class_="initials", aria_hidden="true")


def _scaled(
    box: tuple[float, float, float, float], scale: float
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0 * scale, y0 * scale, x1 * scale, y1 * scale
