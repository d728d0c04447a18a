"""Angles put into a drawn face come out again, with the signs that `HeadPose` states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import ShapeError
from mien.core.types import HeadPose
from mien.faces.pose import _FACE_3D, estimate_poses, head_pose
from references.geometry import rotate_face
from toys.five_points import landmarks_of

ONE_DEGREE = np.radians(1)


def drawn_landmarks(yaw=0.0, pitch=0.0, roll=0.0, scale=2.0, shift=(300.0, 200.0)) -> np.ndarray:
    """The five points of a face seen from afar, angles in degrees."""
    turned = rotate_face(_FACE_3D, *np.radians([yaw, pitch, roll]))
    return turned[:, :2] * scale + shift


@given(
    st.floats(-85, 85),
    st.floats(-70, 70),
    st.floats(-179, 179),
    st.floats(0.1, 50),
    st.floats(-2000, 2000),
)
def test_the_angles_of_a_drawn_face_are_found(yaw, pitch, roll, scale, shift) -> None:
    landmarks = drawn_landmarks(yaw, pitch, roll, scale, (shift, -shift))
    found = estimate_poses(landmarks[None])[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.radians([yaw, pitch, roll]), atol=ONE_DEGREE)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (-25, 15, 40)])
def test_a_camera_at_arm_s_length_shifts_the_angles_by_less_than_the_stated_ten_degrees(angles):
    turned = rotate_face(_FACE_3D, *np.radians(angles))
    depth = 600.0 + turned[:, 2]  # millimetres
    landmarks = 500 * turned[:, :2] / depth[:, None] + 300
    np.testing.assert_allclose(head_pose(landmarks).degrees(), angles, atol=10)


def test_the_words_of_head_pose_hold_for_where_the_nose_goes() -> None:
    middle = drawn_landmarks()[[0, 1, 3, 4]].mean(0)
    at_rest = drawn_landmarks()[2] - middle
    right = drawn_landmarks(yaw=30)
    assert (right[2] - right[[0, 1, 3, 4]].mean(0) - at_rest)[0] > 5  # to the image's right
    down = drawn_landmarks(pitch=20)
    assert (down[2] - down[[0, 1, 3, 4]].mean(0) - at_rest)[1] > 5  # downwards
    clockwise = drawn_landmarks(roll=30)
    assert clockwise[1, 1] > clockwise[0, 1] + 5  # the eye on the image's right goes down
    assert head_pose(right).yaw > 0.4
    assert head_pose(down).pitch > 0.3
    assert head_pose(clockwise).roll > 0.4


def test_a_mirrored_picture_turns_yaw_and_roll_around() -> None:
    landmarks = drawn_landmarks(25, 10, -15)
    mirrored = (landmarks * [-1, 1])[[1, 0, 2, 4, 3]]
    np.testing.assert_allclose(head_pose(mirrored).degrees(), (-25, 10, 15), atol=0.01)


@pytest.mark.parametrize(
    ("name", "yaw_deg"), [("obama_1", 5), ("obama_2", -20), ("obama_3", 15), ("biden_1", 5)]
)
def test_portraits_look_where_one_sees_them_look(name: str, yaw_deg: float) -> None:
    yaw, pitch, roll = head_pose(landmarks_of(name)).degrees()
    assert yaw == pytest.approx(yaw_deg, abs=5)
    assert abs(pitch) < 12
    assert abs(roll) < 8


@pytest.mark.parametrize("value", [0.0, 1e4, np.nan, np.inf])
def test_landmarks_without_extent_give_nan(value: float) -> None:
    assert np.isnan(estimate_poses(np.full((1, 5, 2), value))).all()


def test_landmarks_on_one_line_give_nan() -> None:
    line = np.column_stack([[0, 40, 20, 5, 35], np.zeros(5)])
    assert np.isnan(estimate_poses(line[None])).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_faulty_face_does_not_touch_its_neighbours(value: float) -> None:
    good, bad = drawn_landmarks(20, 5, -10), drawn_landmarks()
    bad[2, 0] = value
    found = estimate_poses(np.stack([good, bad, good]))
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], np.radians([[20, 5, -10]] * 2), atol=ONE_DEGREE)


def test_no_faces_give_no_rows() -> None:
    assert estimate_poses(np.zeros((0, 5, 2))).shape == (0, 3)


def test_one_face_is_the_first_of_several() -> None:
    landmarks = drawn_landmarks(20, 5, -10)
    assert head_pose(landmarks) == HeadPose(*map(float, estimate_poses(landmarks[None])[0]))


@pytest.mark.parametrize("shape", [(5, 2), (1, 4, 2), (1, 5, 3), (10,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"landmarks have shape .*needs \(n, 5, 2\).*\[None\]"):
        estimate_poses(np.zeros(shape))
