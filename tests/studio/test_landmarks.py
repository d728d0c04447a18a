"""Landmarks as vertices."""

import numpy as np

from mien.studio.head import (
    load_head,
)
from mien.studio.landmarks import landmark_vertices


def test_landmarks_are_mirror_images_on_the_base_head():
    points = load_head().vertices[landmark_vertices()["ibug68"]]
    for left, right in ((0, 16), (17, 26), (36, 45), (39, 42), (48, 54), (31, 35), (7, 9)):
        np.testing.assert_allclose(points[left] * [-1, 1, 1], points[right], atol=0.2)


def test_landmarks_are_distinct_vertices():
    assert len(set(landmark_vertices()["ibug68"].tolist())) == 68
