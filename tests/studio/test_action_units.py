"""Action units: what they move, and that none moves nothing."""

import numpy as np
import pytest

from mien.studio.action_units import ACTION_UNITS, face_units
from mien.studio.head import (
    load_head,
)
from mien.studio.place import place
from mien.studio.scene import (
    Scene,
)


def test_all_action_units_at_0_are_the_neutral_face_exactly():
    at_rest = place(Scene())
    none = place(Scene(expression=face_units(dict.fromkeys(ACTION_UNITS, 0.0))))
    zeros = tuple((name, 0.0) for name in load_head().units.names)
    assert np.array_equal(at_rest.vertices, none.vertices)
    assert np.array_equal(at_rest.vertices, place(Scene(expression=zeros)).vertices)


@pytest.mark.parametrize("unit", list(ACTION_UNITS))
def test_every_action_unit_moves_the_face_more_the_stronger_it_is(unit):
    rest = place(Scene()).vertices
    half = np.abs(place(Scene(expression=face_units({unit: 2.0}))).vertices - rest).max()
    full = np.abs(place(Scene(expression=face_units({unit: 5.0}))).vertices - rest).max()
    assert full > 1.0  # mm
    assert full > half > 0


def test_action_units_that_share_a_face_unit_add_up_to_at_most_1():
    assert face_units({"AU26": 5.0, "AU27": 5.0}) == (("jawOpen", 1.0),)
    assert face_units({"AU26": 2.5}) == (("jawOpen", 0.25),)
