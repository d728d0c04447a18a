"""Where the mesh lies."""

import math

import numpy as np
import pytest

from mien.studio.head import (
    LEFT_EYE,
    RIGHT_EYE,
    eye_centre,
    load_head,
)
from mien.studio.landmarks import landmark_vertices
from mien.studio.place import place
from mien.studio.scene import (
    Scene,
)


def test_the_jaw_opens_the_inner_lips_and_leaves_the_eyes():
    points = landmark_vertices()["ibug68"]
    rest, wide = place(Scene()), place(Scene(expression=(("jawOpen", 1.0),)))
    gap = wide.vertices[points[62], 1] - wide.vertices[points[66], 1]
    assert gap > 15
    assert np.array_equal(rest.vertices[points[36:48]], wide.vertices[points[36:48]])


@pytest.mark.parametrize(("yaw", "pitch"), [(0.3, 0.0), (0.0, 0.25), (-0.4, -0.2)])
def test_a_gaze_turns_the_pupils_there_about_the_eyes_middles(yaw, pitch):
    head = load_head()
    placed = place(Scene(gaze=(yaw, pitch)))
    for part, pupil in zip((RIGHT_EYE, LEFT_EYE), landmark_vertices()["five"][:2], strict=True):
        rest = place(Scene()).vertices[: len(head.part)][head.part == part]
        line = placed.vertices[pupil] - eye_centre(rest)
        line = line / np.linalg.norm(line)
        assert math.atan2(line[0], line[2]) == pytest.approx(yaw, abs=1e-4)
        assert -math.asin(line[1]) == pytest.approx(pitch, abs=1e-4)
