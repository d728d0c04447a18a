import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from mien.core.errors import ShapeError
from mien.core.weights import resolve_weights
from mien.faces.align import ARCFACE_112, crop_face, fit_alignment
from mien.media.geometry import apply_affine, invert_affine
from references.geometry import fit_similarity, similarity
from toys.five_points import LANDMARKS, landmarks_of, load_portrait

GOAL = ARCFACE_112 + 0.5  # continuous coordinates
ANGLES = [0, 45, 90, 135, 180, 225, 270, 315]

SIMILARITIES = st.builds(
    lambda scale, angle, x, y: similarity(scale, angle, (x, y)),
    st.floats(0.2, 50),
    st.floats(-np.pi, np.pi),
    st.floats(-3000, 3000),
    st.floats(-3000, 3000),
)
WOBBLES = st.lists(st.floats(-8, 8), min_size=10, max_size=10).map(
    lambda v: np.array(v).reshape(5, 2)
)


def turned(points: np.ndarray, degrees: float, scale: float = 1.5) -> np.ndarray:
    return apply_affine(similarity(scale, np.radians(degrees), (200, 300)), points)


@given(SIMILARITIES, WOBBLES)
def test_the_fit_equals_literal_least_squares(matrix, wobble) -> None:
    landmarks = apply_affine(matrix, GOAL + wobble)
    fit = fit_alignment(landmarks)
    expected = fit_similarity(landmarks, GOAL)
    np.testing.assert_allclose(
        apply_affine(fit.matrix, landmarks), apply_affine(expected, landmarks), atol=1e-6
    )
    np.testing.assert_allclose(fit.matrix[:, :2], expected[:, :2], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_fit_equals_that_of_skimage(seed: int) -> None:
    landmarks = np.random.default_rng(seed).uniform(0, 400, (5, 2))
    reference = SimilarityTransform.from_estimate(landmarks, GOAL)
    fit = fit_alignment(landmarks)
    np.testing.assert_allclose(fit.matrix, reference.params[:2], rtol=1e-9, atol=1e-9)
    error = np.sqrt((reference.residuals(landmarks, GOAL) ** 2).mean())
    assert fit.residual == pytest.approx(error / np.linalg.norm(GOAL[1] - GOAL[0]))


@given(SIMILARITIES)
def test_a_face_of_the_template_s_shape_fits_exactly(matrix) -> None:
    fit = fit_alignment(apply_affine(matrix, GOAL))
    assert (fit.fault, fit.residual) == (None, pytest.approx(0, abs=1e-9))
    np.testing.assert_allclose(fit.matrix, invert_affine(matrix), rtol=1e-6, atol=1e-6)


@given(SIMILARITIES, WOBBLES)
def test_an_alignment_is_undone_by_its_inverse(matrix, wobble) -> None:
    landmarks = apply_affine(matrix, GOAL + wobble)
    fit = fit_alignment(landmarks)
    back = apply_affine(invert_affine(fit.matrix), apply_affine(fit.matrix, landmarks))
    np.testing.assert_allclose(back, landmarks, atol=1e-6)


@given(SIMILARITIES, WOBBLES)
def test_the_residual_does_not_depend_on_where_the_face_stands(matrix, wobble) -> None:
    near, far = fit_alignment(GOAL + wobble), fit_alignment(apply_affine(matrix, GOAL + wobble))
    assert far.residual == pytest.approx(near.residual, abs=1e-9)
    assert far.fault == near.fault


@given(WOBBLES, st.floats(0.2, 5), st.floats(-np.pi, np.pi))
def test_the_map_is_a_similarity_without_reflection(wobble, scale, angle) -> None:
    fit = fit_alignment(apply_affine(similarity(scale, angle, (50, 60)), GOAL + wobble))
    (a, b), (c, d) = fit.matrix[:, :2]
    assert (a, c) == (pytest.approx(d), pytest.approx(-b))
    assert a * d - b * c > 0


@pytest.mark.parametrize("degrees", ANGLES)
def test_mirrored_landmarks_are_refused_however_the_face_is_turned(degrees: float) -> None:
    mirrored = turned(GOAL * [-1, 1], degrees)
    swapped = turned(GOAL, degrees)[[1, 0, 2, 4, 3]]
    assert fit_alignment(mirrored).fault == "mirrored"
    assert fit_alignment(swapped).fault == "mirrored"


@pytest.mark.parametrize("degrees", ANGLES)
def test_a_turned_face_is_not_mirrored(degrees: float) -> None:
    assert fit_alignment(turned(GOAL, degrees)).fault is None


@pytest.mark.parametrize("name", list(LANDMARKS))
def test_real_faces_fit(name: str) -> None:
    fit = fit_alignment(landmarks_of(name))
    assert fit.fault is None
    assert fit.residual < 0.1


@pytest.mark.parametrize("value", [0.0, 1e4, np.nan, np.inf, -np.inf])
def test_landmarks_in_one_spot_are_degenerate(value: float) -> None:
    fit = fit_alignment(np.full((5, 2), value))
    assert (fit.fault, fit.residual) == ("degenerate", np.inf)
    np.testing.assert_array_equal(fit.matrix, np.eye(2, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_landmark_that_is_not_finite_makes_the_face_degenerate(value: float) -> None:
    landmarks = GOAL.copy()
    landmarks[2, 0] = value
    assert fit_alignment(landmarks).fault == "degenerate"


def test_a_face_of_a_pixel_is_degenerate() -> None:
    assert fit_alignment(100 + GOAL / 100).fault == "degenerate"


@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize("along", [[0, 1, 2, 3, 4], [0, 10, 5, 0, 10], [-2, 2, 0, -1, 1]])
def test_landmarks_on_one_line_are_degenerate(along: list[float], degrees: float) -> None:
    line = np.column_stack([along, np.zeros(5)]) * 20.0
    assert fit_alignment(turned(line, degrees)).fault == "degenerate"


@pytest.mark.parametrize("degrees", ANGLES)
def test_landmarks_that_are_no_face_are_a_misfit(degrees: float) -> None:
    nose_far_above = GOAL + np.eye(5)[2][:, None] * [0, -120]
    fit = fit_alignment(turned(nose_far_above, degrees))
    assert fit.fault == "misfit"
    assert fit.residual > 0.5


def test_another_template_is_obeyed() -> None:
    goal = ARCFACE_112 * 2 + [7, -3]
    fit = fit_alignment(GOAL, goal)
    np.testing.assert_allclose(apply_affine(fit.matrix, GOAL), goal + 0.5)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (4, 2), (1, 5, 2), (68, 2)])
def test_another_number_of_points_is_refused(shape: tuple[int, ...]) -> None:
    message = rf"landmarks have shape \({', '.join(map(str, shape))},?\).*five points of x and y"
    with pytest.raises(ShapeError, match=message):
        fit_alignment(np.zeros(shape))
    with pytest.raises(ShapeError, match=r"the template \(4, 2\)"):
        fit_alignment(GOAL, np.zeros((4, 2)))


@pytest.mark.parametrize("name", list(LANDMARKS))
@pytest.mark.parametrize(("scale", "degrees"), [(1.3, 25), (0.7, -80), (1.0, 180), (2.1, 4)])
def test_the_crop_does_not_depend_on_how_the_photo_was_turned(
    name: str, scale: float, degrees: float
) -> None:
    photo, landmarks = load_portrait(name), landmarks_of(name)
    matrix = similarity(scale, np.radians(degrees), (0, 0))
    matrix[:, 2] = (500, 600) - apply_affine(matrix, landmarks.mean(0))
    # OpenCV counts from pixel centres.
    centred = np.column_stack([matrix[:, :2], apply_affine(matrix, np.full(2, 0.5)) - 0.5])
    moved = cv2.warpAffine(photo, centred, (1000, 1200), flags=cv2.INTER_CUBIC)
    straight = crop_face(photo, fit_alignment(landmarks))
    again = crop_face(moved, fit_alignment(apply_affine(matrix, landmarks)))
    difference = np.abs(straight[8:104, 8:104].astype(float) - again[8:104, 8:104])
    assert difference.mean() < 4
    shifted = np.abs(straight[8:104, 9:105].astype(float) - again[8:104, 8:104])
    assert shifted.mean() > 1.5 * difference.mean()  # one pixel off would be seen


@pytest.mark.parametrize("name", ["obama_3", "biden_1"])  # not shrunk by half, so no averaging
def test_the_crop_is_the_one_that_opencv_cuts(name: str) -> None:
    """OpenCV's landmarks count from pixel centres, ours from the picture's corner."""
    photo, landmarks = load_portrait(name), landmarks_of(name)
    recogniser = cv2.FaceRecognizerSF.create(str(resolve_weights("sface").path), "")
    row = np.concatenate([np.zeros(4), (landmarks - 0.5).ravel(), [1.0]]).astype(np.float32)
    theirs = recogniser.alignCrop(photo[:, :, ::-1], row)[:, :, ::-1]
    ours = crop_face(photo, fit_alignment(landmarks))
    assert np.abs(ours.astype(float) - theirs).mean() < 0.01  # half a pixel off: above 3


def test_what_lies_beyond_the_picture_is_black() -> None:
    photo = np.full((60, 60, 3), 200, np.uint8)
    crop = crop_face(photo, fit_alignment(GOAL * 0.5 + [-20, 10]))
    assert crop.shape == (112, 112, 3)
    assert not crop[:, :38].any()
    assert (crop[20:90, 45:] == 200).all()
