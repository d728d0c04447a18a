"""Which way up regions of a picture were measured, and how to turn them.

Regions are corners in fractions of width and height. Reading and writing them is
`mien.media.xmp`, which also says where the rules come from.
"""

from typing import Final, Literal

import numpy as np

from mien.media._regions import Corners
from mien.media.pixels import turn_upright

Frame = Literal["stored", "upright"]

_ASPECT_TOLERANCE: Final = 0.02  # small copies are rounded to whole pixels


def find_frame(
    stated: tuple[float, float] | None, size: tuple[int, int], orientation: int
) -> Frame | None:
    """Which way up regions were measured.

    Args:
        stated: (width, height) that the regions were measured on, if that is known.
        size: (width, height) of the upright picture.
        orientation: 1 to 8, how the stored picture has to be turned.

    Returns:
        None if it was another crop of the picture.
    """
    if stated is None or _same_aspect(stated, swap_sides(size, orientation)):
        return "stored"
    return "upright" if _same_aspect(stated, size) else None


def swap_sides(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The stored size of an upright picture, or the upright size of a stored one."""
    return (size[1], size[0]) if orientation > 4 else size


def to_stored(corners: Corners, orientation: int) -> Corners:
    """A region of the upright picture as one of the stored picture, in fractions."""
    origin, right, down = _stored_corners(orientation)
    (ax, ay), (bx, by) = (
        [o + u * r + v * d for o, r, d in zip(origin, right, down, strict=True)]
        for u, v in (corners[:2], corners[2:])
    )
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def to_upright(corners: Corners, orientation: int) -> Corners:
    """A region of the stored picture as one of the upright picture, in fractions."""
    origin, right, down = _stored_corners(orientation)
    (ax, ay), (bx, by) = (
        [
            sum((p - o) * a for p, o, a in zip(point, origin, axis, strict=True))
            for axis in (right, down)
        ]
        for point in (corners[:2], corners[2:])
    )
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def _stored_corners(orientation: int) -> tuple[list[float], list[float], list[float]]:
    """Where the upright picture's top left corner, its right and its down lie in the stored one.

    A picture of its own coordinates, turned by the code that turns all pictures.
    """
    grid = np.zeros((2, 2, 3), np.uint8)
    grid[:, 1, 0] = grid[1, :, 1] = 1
    turned = turn_upright(grid, orientation)[0].astype(float)
    origin, right, down = turned[0, 0], turned[0, 1] - turned[0, 0], turned[1, 0] - turned[0, 0]
    return origin[:2].tolist(), right[:2].tolist(), down[:2].tolist()


def _same_aspect(one: tuple[float, float], other: tuple[float, float]) -> bool:
    left, right = one[0] * other[1], one[1] * other[0]
    return abs(left - right) <= _ASPECT_TOLERANCE * max(left, right)
