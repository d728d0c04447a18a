"""At which sizes a picture is looked at, and on which canvases."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.detect.pyramid import STRIDE, choose_scales, draw_canvases, draw_with_margin
from toys.pictures import draw_corner

SIDES = st.integers(1, 5000)


@given(SIDES, SIDES, st.floats(8, 200))
def test_the_smallest_face_is_shown_large_enough(width, height, min_face_px):
    scales = choose_scales(width, height, min_face_px)
    assert scales[0] * min_face_px >= 24 - 1e-6
    assert scales[0] * max(width, height) >= 384 - 1e-6


@given(SIDES, SIDES, st.floats(8, 200))
def test_levels_leave_no_gap_between_them(width, height, min_face_px):
    """A face that is too large for one level is of good size on the next."""
    scales = choose_scales(width, height, min_face_px)
    assert all(fine / coarse <= 3 * 1.0001 for fine, coarse in pairwise(scales))
    assert scales[-1] * max(width, height) == pytest.approx(128)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 700), st.integers(1, 700))
def test_canvases_fit_the_networks_stride(width, height):
    picture = np.zeros((height, width, 3), np.uint8)
    for canvas in [*draw_canvases(picture, 60), draw_with_margin(picture)]:
        assert canvas.pixels.shape[0] % STRIDE == canvas.pixels.shape[1] % STRIDE == 0
        assert canvas.pixels.shape[0] <= 1280 + STRIDE


def test_every_point_of_a_large_picture_is_seen_whole_by_some_tile():
    """The overlap is wide enough for a face of 128 pixels to be uncut in one of two neighbours."""
    picture = np.zeros((3000, 4000, 3), np.uint8)
    finest = max(c.scale[0] for c in draw_canvases(picture, 20))
    tiles = [c for c in draw_canvases(picture, 20) if c.scale[0] == finest]
    assert len(tiles) > 4
    rng = np.random.default_rng(0)
    for x, y in rng.uniform((60, 60), (3940, 2940), (500, 2)):
        half = 50
        seen = False
        for tile in tiles:
            low = np.array([x - half, y - half]) * tile.scale + tile.offset
            high = np.array([x + half, y + half]) * tile.scale + tile.offset
            size = tile.pixels.shape[1::-1]
            seen = seen or bool((low > 4).all() and (high < np.array(size) - 4).all())
        assert seen


def test_a_point_goes_to_the_canvas_and_back():
    picture = draw_corner(900, 1500)
    for canvas in [*draw_canvases(picture, 30), draw_with_margin(picture)]:
        point = np.array([[700.0, 400.0]], np.float32)
        there = point * canvas.scale + canvas.offset
        assert np.allclose(canvas.to_picture(there.astype(np.float32)), point, atol=0.01)


def test_the_coarsest_level_has_a_margin_all_around():
    last = draw_with_margin(np.full((300, 400, 3), 200, np.uint8))
    shown = np.argwhere(last.pixels.any(2))
    assert shown.min() > 30
    assert (shown.max(0) < np.array(last.pixels.shape[:2]) - 20).all()
