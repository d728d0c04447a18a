"""The head: its data, its shapes, its parameters."""

import json

import numpy as np

from mien.studio.head import (
    load_head,
    rotation,
    turned,
)


def test_the_asset_says_where_it_comes_from():
    about = json.loads(load_head().about)
    assert about["licence"] == "CC0 1.0 Universal"
    assert len(about["sha256"]) == 64


def test_a_shape_parameter_adds_its_shape_literally():
    head = load_head()
    at = head.identity.names.index("nose-volume-incr")
    values = np.zeros(len(head.identity.names))
    values[at] = -0.7
    shape = head.identity.minus[at]
    expected = np.zeros_like(head.vertices)
    for row in range(head.identity.starts[shape], head.identity.starts[shape + 1]):
        expected[head.identity.rows[row]] += 0.7 * 0.005 * head.identity.offsets[row]
    moved = head.person(np.zeros(12), values) - head.vertices
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_a_rotation_follows_the_house_rules():
    ahead, up = np.array([[0.0, 0, 1]]), np.array([[0.0, 1, 0]])
    assert turned(ahead, rotation(0.3, 0, 0))[0, 0] > 0  # to the picture's right
    assert turned(ahead, rotation(0, 0.3, 0))[0, 1] < 0  # down
    assert turned(up, rotation(0, 0, 0.3))[0, 0] > 0  # clockwise
