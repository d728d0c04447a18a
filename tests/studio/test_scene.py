"""Scenes: what they take and what they refuse."""

import math

import pytest

from mien.core.errors import ConfigError, RangeError
from mien.studio.action_units import face_units
from mien.studio.head import (
    check_range,
)
from mien.studio.sampling import draw_identity
from mien.studio.scene import (
    Camera,
    Hair,
    Identity,
    Light,
    Scene,
    Sensor,
    Skin,
    named,
    parameter_names,
)


def test_there_are_52_face_units_and_more_than_100_shape_parameters():
    names = parameter_names()
    assert len(names["expression"]) == 52
    assert len(names["shape"]) > 100
    assert len(set(names["shape"])) == len(names["shape"])


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown face unit 'jawOpn'.*'jawOpen'"):
        Scene(expression=(("jawOpn", 0.5),))
    with pytest.raises(ConfigError, match="unknown shape parameter 'nose-lenght'"):
        Identity(shape=(("nose-lenght", 0.5),))
    with pytest.raises(ConfigError, match="unknown action unit 'AU3'"):
        face_units({"AU3": 1.0})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scene(expression=(("jawOpen", 1.2),)), "face unit 'jawOpen' is 1.2"),
        (lambda: Scene(expression=(("jawOpen", math.nan),)), "is nan"),
        (lambda: Scene(gaze=(2.0, 0.0)), r"gaze \(yaw\)"),
        (lambda: Scene(size=8), "Scene.size is 8"),
        (lambda: Scene(samples=3), "Scene.samples"),
        (lambda: Identity(shape=(("head-round", -0.1),)), "from 0 to 1"),
        (lambda: Identity(origin=(0.0, 0.0, 0.0)), "all zeros"),
        (lambda: Identity(sex=-0.1), "Identity.sex"),
        (lambda: Skin(melanin=1.5), "Skin.melanin"),
        (lambda: Skin(iris=(0.1, 2.0, 0.1)), "Skin.iris"),
        (lambda: Hair(top_mm=-1), "Hair.top_mm"),
        (lambda: Camera(distance_mm=10), "Camera.distance_mm"),
        (lambda: Light(key=9), "Light.key"),
        (lambda: Sensor(noise=1), "Sensor.noise"),
        (lambda: face_units({"AU12": 5.5}), "intensity of AU12"),
        (lambda: check_range("x", math.inf, 0, 1), "x is inf"),
        (lambda: draw_identity(-1), "seed is -1"),
    ],
)
def test_values_out_of_range_are_refused(make, words):
    with pytest.raises(RangeError, match=words):
        make()


def test_named_leaves_out_zeros_and_sorts():
    assert named({"b": 1.0, "a": 0.5, "c": 0.0}) == (("a", 0.5), ("b", 1.0))
