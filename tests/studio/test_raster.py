"""Which triangle a sample sees."""

import numpy as np

from mien.studio.raster import rasterise

OPEN = (("jawOpen", 0.7),)


def test_the_nearer_triangle_is_seen_and_backs_are_not():
    points = np.array([[0.0, 0], [0, 8], [8, 0], [0, 0], [0, 8], [8, 0]])
    nearness = np.array([0.1, 0.1, 0.1, 0.2, 0.2, 0.2])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    both = rasterise(points, nearness, triangles, np.ones(2, np.uint8), 8)
    assert both.triangle[1, 1] == 1
    assert both.triangle[7, 7] == -1
    back = rasterise(points, nearness, triangles[:, ::-1].copy(), np.ones(2, np.uint8), 8)
    assert (back.triangle == -1).all()
    two_sided = rasterise(points, nearness, triangles[:, ::-1].copy(), np.full(2, 2, np.uint8), 8)
    assert two_sided.triangle[1, 1] == 1
