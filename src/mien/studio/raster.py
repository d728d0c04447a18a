"""Triangles to samples: which triangle each sample of a picture sees, and where on it.

Knows nothing of faces, colours or lights. A sample is the centre of a cell of a square grid;
triangles seen from behind are skipped unless they are marked as two-sided.
"""

from typing import NamedTuple

import numpy as np

from mien.core.types import Array, Float32, Float64
from mien.studio._compiled import compiled


class Samples(NamedTuple):
    """What each sample of a square grid sees.

    Attributes:
        triangle: (s, s) int32 number of the nearest triangle, -1 where there is none.
        weights: (s, s, 2) weights of its first and second corner, correct in perspective; the
            third's is what is missing to 1.
        nearness: (s, s) 1 / depth, 0 where there is nothing.
    """

    triangle: Array
    weights: Float32
    nearness: Float32


def rasterise(
    points: Float64, nearness: Float64, triangles: Array, sides: Array, size: int
) -> Samples:
    """Find the nearest triangle for each sample.

    Args:
        points: (n, 2) projected vertices in samples; the first sample's centre is (0.5, 0.5).
        nearness: (n,) 1 / depth of each vertex; triangles with a corner of 0 or less are skipped.
        triangles: (t, 3) int vertex numbers, counter-clockwise as seen from outside.
        sides: (t,) uint8, from how many sides a triangle is seen: 0, 1 or 2.
        size: Samples along an edge of the grid.

    Returns:
        The samples. Of triangles at the same depth the one with the lower number is seen.
    """
    triangle = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 2), np.float32)
    near = np.zeros((size, size), np.float32)
    _fill(points, nearness, triangles, sides, triangle, weights, near)
    return Samples(triangle, weights, near)


@compiled
def _fill(  # noqa: PLR0917  compiled functions take arrays one by one
    points: Float64,
    nearness: Float64,
    triangles: Array,
    sides: Array,
    triangle: Array,
    weights: Float32,
    near: Float32,
) -> None:
    size = triangle.shape[0]
    for t in range(triangles.shape[0]):
        if sides[t] == 0:
            continue
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ia, ib, ic = nearness[a], nearness[b], nearness[c]
        if ia <= 0.0 or ib <= 0.0 or ic <= 0.0:
            continue
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        # y grows downwards: counter-clockwise outside has a negative area here.
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0 or (area > 0.0 and sides[t] == 1):
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x1 = min(size - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y0 = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y1 = min(size - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        if x0 > x1 or y0 > y1:
            continue
        scale = 1.0 / area
        a_x, a_y = (by - cy) * scale, (cx - bx) * scale
        b_x, b_y = (cy - ay) * scale, (ax - cx) * scale
        for row in range(y0, y1 + 1):
            wa_row = (row + 0.5 - cy) * a_y - (cx - 0.5) * a_x
            wb_row = (row + 0.5 - cy) * b_y - (cx - 0.5) * b_x
            for column in range(x0, x1 + 1):
                wa = wa_row + column * a_x
                wb = wb_row + column * b_x
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                seen = np.float32(wa * ia + wb * ib + wc * ic)
                if seen > near[row, column]:
                    near[row, column] = seen
                    triangle[row, column] = t
                    weights[row, column, 0] = wa * ia / seen
                    weights[row, column, 1] = wb * ib / seen
