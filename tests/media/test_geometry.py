"""Where pixels go, and what becomes of them."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError
from mien.media.geometry import apply_affine, invert_affine, resize, warp_affine
from references.geometry import similarity, warp

RNG = np.random.default_rng(7)
NOISE = RNG.integers(0, 256, (24, 32, 3), np.uint8)


def draw_waves(height: int, width: int) -> np.ndarray:
    """A smooth picture without symmetry; nothing in it is finer than 20 pixels."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    waves = [np.sin(x / 17 + 1) * np.cos(y / 23), np.sin((x + y) / 29), np.cos(x / 19 - y / 31)]
    return (127.5 + 100 * np.stack(waves, 2)).astype(np.uint8)


def centroid(picture: np.ndarray) -> np.ndarray:
    """Centre of brightness (x, y), continuous coordinates."""
    weight = picture[:, :, 0].astype(float)
    rows, columns = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]] + 0.5
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


# Affine maps that neither crush nor stretch by more than about a thousand.
AFFINE = st.builds(
    lambda scale, angle, shear, flip, x, y: np.column_stack(
        [
            similarity(scale, angle, (0, 0))[:, :2] @ [[1, shear], [0, flip]],
            [x, y],
        ]
    ),
    st.floats(0.03, 30),
    st.floats(-math.pi, math.pi),
    st.floats(-2, 2),
    st.sampled_from([-1, 1]),
    st.floats(-5000, 5000),
    st.floats(-5000, 5000),
)
POINTS = st.lists(st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000)), min_size=1).map(
    np.array
)


@given(AFFINE, POINTS)
def test_a_map_is_undone_by_its_inverse(matrix, points) -> None:
    back = apply_affine(invert_affine(matrix), apply_affine(matrix, points))
    np.testing.assert_allclose(back, points, rtol=0, atol=1e-6)


@given(AFFINE)
def test_the_inverse_is_that_of_the_homogeneous_matrix(matrix) -> None:
    expected = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    np.testing.assert_allclose(invert_affine(matrix), expected, rtol=1e-9, atol=1e-9)


def test_points_of_any_leading_shape_are_mapped() -> None:
    matrix = np.array([[2, 0, 1], [0, 3, -1]])
    points = RNG.uniform(0, 9, (4, 5, 2)).astype(np.float32)
    mapped = apply_affine(matrix, points)
    assert mapped.dtype == np.float64
    np.testing.assert_allclose(mapped, points * [2.0, 3.0] + [1, -1], rtol=1e-6)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((2, 3)),
        np.array([[1.0, 2, 0], [2, 4, 0]]),
        np.full((2, 3), np.nan),
        np.array([[1.0, 0, np.inf], [0, 1, 0]]),
    ],
)
def test_a_map_without_inverse_is_refused(matrix) -> None:
    message = r"affine map is \[\[.*not finite, or draws the whole picture into a line or point"
    with pytest.raises(RangeError, match=message):
        invert_affine(matrix)
    with pytest.raises(RangeError, match=message):
        warp_affine(NOISE, matrix, (8, 8))


def test_the_identity_gives_back_the_picture() -> None:
    np.testing.assert_array_equal(warp_affine(NOISE, np.eye(2, 3), (32, 24)), NOISE)


def test_a_shift_by_whole_pixels_moves_whole_pixels_and_draws_black_outside() -> None:
    drawn = warp_affine(NOISE, np.array([[1, 0, 5], [0, 1, -3]]), (32, 24))
    np.testing.assert_array_equal(drawn[:21, 5:], NOISE[3:, :27])
    assert not drawn[21:].any()
    assert not drawn[:, :5].any()


def test_quarter_turns_and_mirrors_are_exact() -> None:
    height, width = NOISE.shape[:2]
    clockwise = np.array([[0, -1, height], [1, 0, 0]])
    around = np.array([[-1, 0, width], [0, -1, height]])
    mirror = np.array([[-1, 0, width], [0, 1, 0]])
    turned = warp_affine(NOISE, clockwise, (height, width))
    np.testing.assert_array_equal(turned, np.rot90(NOISE, -1))
    np.testing.assert_array_equal(warp_affine(NOISE, around, (width, height)), NOISE[::-1, ::-1])
    np.testing.assert_array_equal(warp_affine(NOISE, mirror, (width, height)), NOISE[:, ::-1])


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
def test_a_warp_equals_the_literal_one(scale: float, angle: float) -> None:
    picture = draw_waves(40, 50)
    matrix = similarity(scale, angle, (20.3, 11.8))
    drawn = warp_affine(picture, matrix, (45, 35))
    # OpenCV looks points up to 1/32 pixel; along the frame that is up to 255/32 levels.
    np.testing.assert_allclose(drawn, warp(picture, matrix, (45, 35)), atol=9)
    assert np.abs(drawn - warp(picture, matrix, (45, 35))).mean() < 0.7


@pytest.mark.parametrize("scale", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("angle", [0.0, 0.7, 3.0])
def test_a_dot_lands_where_apply_affine_says(scale: float, angle: float) -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[120, 170] = 255
    matrix = similarity(scale, angle, (0, 0))
    matrix[:, 2] = (30.2, 41.7) - apply_affine(matrix, np.array([170.5, 120.5]))
    drawn = warp_affine(picture, matrix, (64, 80))
    # OpenCV looks points up to 1/32 pixel; a convention mistaken would be off by half a pixel.
    np.testing.assert_allclose(centroid(drawn), (30.2, 41.7), atol=0.1)


@pytest.mark.parametrize("scale", [0.03, 0.13, 0.3, 0.49, 0.5, 0.9])
@pytest.mark.parametrize("angle", [0.0, 0.7, 3.0])
def test_a_spot_lands_where_apply_affine_says_when_shrunk(scale: float, angle: float) -> None:
    rows, columns = np.mgrid[0:700, 0:900] + 0.5
    distance = np.hypot(columns - 470.3, rows - 350.6) * scale
    picture = np.repeat((255 * np.exp(-((distance / 4) ** 2)))[:, :, None], 3, 2).astype(np.uint8)
    matrix = similarity(scale, angle, (0, 0))
    matrix[:, 2] = (30.2, 41.7) - apply_affine(matrix, np.array([470.3, 350.6]))
    drawn = warp_affine(picture, matrix, (64, 80))
    np.testing.assert_allclose(centroid(drawn), (30.2, 41.7), atol=0.02)


@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0])
def test_a_warp_is_undone_by_its_inverse_on_a_smooth_picture(scale: float) -> None:
    picture = draw_waves(120, 160)
    matrix = similarity(scale, 0.5, (60 * scale, 20 * scale))
    there = warp_affine(picture, matrix, (int(260 * scale), int(220 * scale)))
    back = warp_affine(there, invert_affine(matrix), (160, 120))
    error = np.abs(back.astype(int) - picture)[4:-4, 4:-4]
    assert error.max() <= 6
    assert error.mean() < 1.0


@pytest.mark.parametrize(("scale", "spread"), [(1 / 8, 1), (1 / 7.3, 6), (1 / 20, 1)])
def test_a_fine_checkerboard_becomes_flat_grey(scale: float, spread: int) -> None:
    rows, columns = np.mgrid[0:800, 0:800]
    board = np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[:, :, None], 3, 2)
    size = int(800 * scale)
    drawn = warp_affine(board, similarity(scale, 0.0, (0, 0)), (size, size))[1:-1, 1:-1]
    assert np.ptp(drawn) <= spread
    assert abs(drawn.mean() - 127.5) <= 1
    aliased = cv2.warpAffine(board, similarity(scale, 0.0, (0.5, 0)), (size, size))
    assert np.abs(aliased[1:-1, 1:-1] - 127.5).max() > 60  # what it would look like otherwise


def test_shrinking_shows_the_mean_of_what_lies_below_each_pixel() -> None:
    picture = draw_waves(400, 600)
    drawn = warp_affine(picture, similarity(0.1, 0.0, (0, 0)), (60, 40))
    means = picture.reshape(40, 10, 60, 10, 3).mean((1, 3))
    np.testing.assert_allclose(drawn, means, atol=0.51)


def test_shrinking_does_not_depend_on_what_lies_far_outside_the_view() -> None:
    picture = draw_waves(600, 700)
    matrix = similarity(0.2, 0.3, (-30, -50))
    alone = warp_affine(picture, matrix, (50, 40))
    wide = np.zeros((900, 1300, 3), np.uint8)
    wide[:600, :700] = picture
    wide[700:] = 255
    np.testing.assert_allclose(warp_affine(wide, matrix, (50, 40)), alone, atol=2)


def test_a_view_beside_the_picture_is_black() -> None:
    for scale in (0.1, 1.0):
        drawn = warp_affine(
            np.full((99, 99, 3), 255, np.uint8), similarity(scale, 0, (500, 0)), (9, 9)
        )
        assert not drawn.any()


@pytest.mark.parametrize("shape", [(3, 40_000), (40_000, 3)])
def test_pictures_too_long_for_opencv_are_drawn_too(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    picture[-3:, -3:] = 200
    shift = np.array([[1, 0, 5 - shape[1]], [0, 1, 5 - shape[0]]])
    drawn = warp_affine(picture, shift, (5, 5))
    np.testing.assert_array_equal(drawn[2:, 2:], np.full((3, 3, 3), 200))


def test_a_warp_does_not_change_its_arguments() -> None:
    matrix, picture = similarity(0.2, 0.3, (1, 2)), NOISE.copy()
    before = matrix.copy()
    picture.flags.writeable = False
    warp_affine(picture, matrix, (9, 9))
    warp_affine(picture, np.eye(2, 3), (9, 9))
    np.testing.assert_array_equal(matrix, before)


@pytest.mark.parametrize(
    ("scale", "shape"), [(0.5, (12, 16)), (2, (48, 64)), (1.3, (31, 42)), (0.001, (1, 1))]
)
def test_resize_rounds_each_side(scale: float, shape: tuple[int, int]) -> None:
    resized = resize(NOISE, scale)
    assert (resized.shape, resized.dtype) == ((*shape, 3), np.uint8)


@pytest.mark.parametrize("scale", [1.0, 1.01, 0.99])
def test_resize_returns_the_picture_itself_if_nothing_changes(scale: float) -> None:
    assert resize(NOISE, scale) is NOISE


def test_resize_shrinks_by_averaging() -> None:
    means = NOISE.reshape(6, 4, 8, 4, 3).mean((1, 3))
    np.testing.assert_allclose(resize(NOISE, 0.25), means, atol=0.51)


def test_resize_enlarges_as_the_literal_warp_does() -> None:
    picture = draw_waves(20, 30)
    expected = warp(picture, np.array([[2.0, 0, 0], [0, 2, 0]]), (60, 40))[2:-2, 2:-2]
    np.testing.assert_allclose(resize(picture, 2.0)[2:-2, 2:-2], expected, atol=1)
