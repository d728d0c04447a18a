"""Every measure moves the right way when a face is spoiled on purpose."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import ConfigError
from mien.faces.align import crop_face, fit_alignment
from mien.faces.quality import COMPONENTS, QualityGate, QualityTable, Reject, measure_quality
from references.light import (
    entropy_bits,
    histogram_overlap,
    laplacian_deviation,
    mean_and_variance,
    share_between,
)
from toys.five_points import LANDMARKS, landmarks_of, load_portrait

CROP = crop_face(load_portrait("obama_1"), fit_alignment(landmarks_of("obama_1")))
GOOD = {
    "boxes": np.array([[100.0, 100, 200, 220]]),
    "landmarks": np.array([[[130.0, 150], [170, 150], [150, 170], [135, 190], [165, 190]]]),
    "poses": np.zeros((1, 3)),
    "residuals": np.array([0.08]),
    "confidences": np.array([0.95]),
    "picture_size": (400, 300),
}


def measure(crop: np.ndarray = CROP, **changes: object) -> QualityTable:
    return measure_quality([crop], **(GOOD | changes))


def native(name: str, crop: np.ndarray = CROP, **changes: object) -> float:
    return float(measure(crop, **changes).column(name)[0])


def score(name: str, crop: np.ndarray = CROP, **changes: object) -> float:
    return float(measure(crop, **changes).scores[0, COMPONENTS.index(name)])


def reasons(crop: np.ndarray = CROP, gate: QualityGate | None = None, **changes: object):
    return measure(crop, **changes).rejects(gate or QualityGate.enrolment())[0]


def brightened(factor: float) -> np.ndarray:
    return np.clip(CROP * float(factor), 0, 255).astype(np.uint8)


def blurred(sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(CROP, (0, 0), sigma)


def half_shaded(factor: float) -> np.ndarray:
    """A face made symmetric, so evenly lit, and then darkened on one side."""
    even = (CROP.astype(float) + CROP[:, ::-1]) / 2
    return np.concatenate([even[:, :56] * factor, even[:, 56:]], 1).astype(np.uint8)


def tinted(red: float, green: float, blue: float) -> np.ndarray:
    return np.clip(CROP * [red, green, blue], 0, 255).astype(np.uint8)


def falls(values: list[float]) -> bool:
    return bool((np.diff(values) < 0).all())


def test_a_good_portrait_passes_the_strict_gate() -> None:
    assert reasons() == ()
    assert measure().unified[0] > 70


def test_blur_lowers_sharpness_until_the_face_is_refused() -> None:
    crops = [CROP, *map(blurred, (1, 2, 4, 8))]
    assert falls([native("sharpness", crop) for crop in crops])
    assert falls([score("sharpness", crop) for crop in crops])
    assert reasons(crops[-1]) == (Reject.LOW_SHARPNESS,)


def test_darkness_lowers_luminance_and_fills_the_shadows() -> None:
    crops = [brightened(f) for f in (1, 0.5, 0.25, 0.1, 0.03)]
    assert falls([native("luminance_mean", crop) for crop in crops])
    assert falls([score("luminance_mean", crop) for crop in crops])
    assert falls([score("under_exposure_prevention", crop) for crop in crops[:4]])
    assert native("under_exposure_prevention", crops[-1]) == 1
    assert falls([native("dynamic_range", crop) for crop in crops])
    assert Reject.LOW_BRIGHTNESS in reasons(crops[-1])
    assert Reject.LOW_BRIGHTNESS in reasons(crops[-1], QualityGate.probe())


def test_glare_raises_luminance_and_burns_the_lights() -> None:
    crops = [brightened(f) for f in (1, 1.6, 2.5, 6)]
    assert falls([-native("luminance_mean", crop) for crop in crops])
    assert falls([-native("over_exposure_prevention", crop) for crop in crops])
    assert falls([score("over_exposure_prevention", crop) for crop in crops[:3]])
    assert score("over_exposure_prevention", crops[-1]) == 0
    assert Reject.HIGH_BRIGHTNESS in reasons(crops[-1])


def test_a_shadow_on_one_half_lowers_uniformity() -> None:
    crops = [half_shaded(f) for f in (1, 0.85, 0.5)]
    assert falls([native("illumination_uniformity", crop) for crop in crops])
    assert falls([score("illumination_uniformity", crop) for crop in crops])
    assert native("illumination_uniformity", crops[0]) == pytest.approx(1)
    assert native("illumination_uniformity", crops[1][:, ::-1]) == pytest.approx(
        native("illumination_uniformity", crops[1])
    )


@pytest.mark.parametrize(
    "colour", [(0.4, 1, 1.6), (0.5, 1.4, 0.5), (1.2, 0.4, 1.4)], ids=["blue", "green", "magenta"]
)
def test_a_colour_cast_is_far_from_skin(colour: tuple[float, float, float]) -> None:
    assert native("natural_colour") == 0
    assert native("natural_colour", tinted(*colour)) > 10
    assert score("natural_colour", tinted(*colour)) < 75


def test_a_flat_face_has_no_range_and_no_variance() -> None:
    flat = np.full((112, 112, 3), 140, np.uint8)
    for name in ("dynamic_range", "luminance_variance", "sharpness"):
        assert native(name, flat) == score(name, flat) == 0


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 100, 100), 1.0),
        ((-50, 0, 50, 100), 0.5),
        ((350, -25, 450, 75), 0.375),
        ((0, 280, 100, 380), 0.2),
        ((500, 500, 600, 600), 0.0),
        ((-100, -100, 500, 400), 0.4),
        ((50, 50, 50, 80), 0.0),
    ],
)
def test_a_face_cut_off_by_the_frame_counts_by_its_share_inside(box, share: float) -> None:
    boxes = np.array([box], float)
    assert native("crop_of_the_face_image", boxes=boxes) == pytest.approx(share)
    refused = (Reject.FACE_CUT_OFF,) if share < 0.8 else ()
    assert reasons(boxes=boxes) == refused


def test_turning_the_head_costs_points_either_way() -> None:
    for axis, name in enumerate(("head_pose_yaw", "head_pose_pitch", "head_pose_roll")):
        poses = [np.eye(3)[axis][None] * angle for angle in (0, 0.4, 0.8, 1.1)]
        values = [score(name, poses=pose) for pose in poses]
        assert falls(values)
        assert values == [score(name, poses=-pose) for pose in poses]
        assert native(name, poses=-poses[1]) == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("pose", "refused"),
    [((0.79, 0, 0), False), ((-0.81, 0, 0), True), ((0, 0.61, 0), True), ((0, 0, 3.1), False)],
)
def test_profiles_and_nods_are_refused_and_rolls_are_not(pose, refused: bool) -> None:
    assert reasons(poses=np.array([pose])) == ((Reject.EXTREME_POSE,) if refused else ())


def test_the_distance_of_the_eyes_is_corrected_for_yaw() -> None:
    assert native("inter_eye_distance") == pytest.approx(40)
    turned = np.array([[np.radians(60), 0, 0]])
    assert native("inter_eye_distance", poses=turned) == pytest.approx(80)
    profile = np.array([[np.pi / 2, 0, 0]])
    assert native("inter_eye_distance", poses=profile) == pytest.approx(200)  # at most five times


@pytest.mark.parametrize(("scale", "refused"), [(0.51, ()), (0.49, (Reject.SMALL_BOUNDING_BOX,))])
def test_small_faces_are_refused(scale: float, refused) -> None:
    assert reasons(landmarks=GOOD["landmarks"] * scale) == refused


def test_a_doubtful_detection_is_refused_and_costs_points() -> None:
    assert reasons(confidences=np.array([0.69])) == (Reject.LOW_CONFIDENCE,)
    assert falls(
        [score("detection_confidence", confidences=np.array([c])) for c in (0.9, 0.7, 0.6)]
    )
    assert falls([score("landmark_fit", residuals=np.array([r])) for r in (0.05, 0.15, 0.3)])


def test_all_faults_of_a_face_are_named() -> None:
    codes = reasons(
        blurred(8) // 50,
        landmarks=GOOD["landmarks"] / 10,
        poses=np.array([[1.3, 0, 0]]),
        confidences=np.array([0.2]),
        boxes=np.array([[-90.0, 0, 10, 100]]),
    )
    assert set(codes) == set(Reject) - {Reject.HIGH_BRIGHTNESS, Reject.LANDMARKS_UNRELIABLE}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_is_refused_and_keeps_the_score_in_range(value: float) -> None:
    pose = measure(poses=np.full((1, 3), np.nan))
    assert pose.rejects(QualityGate.probe()) == [(Reject.EXTREME_POSE,)]
    points = measure(landmarks=np.full((1, 5, 2), np.nan))
    assert points.rejects(QualityGate.probe()) == [(Reject.SMALL_BOUNDING_BOX,)]
    doubt = measure(confidences=np.array([np.nan]))
    assert doubt.rejects(QualityGate.probe()) == [(Reject.LOW_CONFIDENCE,)]
    fit = measure(residuals=np.array([value]))
    for table in (pose, points, doubt, fit):
        assert 0 <= table.unified[0] < measure().unified[0]


TONES = {
    "deep": (64, 40, 30),
    "dark": (96, 62, 46),
    "brown": (141, 98, 73),
    "tan": (188, 140, 108),
    "light": (232, 190, 165),
    "pale": (247, 221, 204),
}


def draw_face(tone: tuple[int, int, int]) -> np.ndarray:
    """A shaded oval of one skin colour with eyes, nose and mouth, lit from the front."""
    y, x = np.mgrid[0:112, 0:112]
    light = 1 - 0.25 * ((x - 56) / 56) ** 2 - 0.15 * ((y - 60) / 56) ** 2
    face = light[:, :, None] * tone
    for cx, cy, rx, ry, shade in ((38, 52, 8, 4, 0.35), (73, 52, 8, 4, 0.35), (56, 92, 15, 4, 0.6)):
        face[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] *= shade
    face[(abs(x - 56) < 3) & (abs(y - 66) < 12)] *= 1.1
    return np.clip(face, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("gate", [QualityGate.probe(), QualityGate.enrolment()])
@pytest.mark.parametrize("name", list(TONES))
def test_no_skin_tone_is_refused_for_its_brightness(name: str, gate: QualityGate) -> None:
    crop = draw_face(TONES[name])
    assert not {Reject.LOW_BRIGHTNESS, Reject.HIGH_BRIGHTNESS} & set(reasons(crop, gate))
    assert native("natural_colour", crop) < 3
    assert score("luminance_mean", crop) > 20


@pytest.fixture(scope="module")
def grey_crop() -> np.ndarray:
    noise = np.random.default_rng(3).normal(120, 60, (112, 112))
    grey = np.clip(noise + np.arange(112), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, 2)


def test_measures_of_light_equal_the_literal_ones(grey_crop: np.ndarray) -> None:
    face = grey_crop[20:108, 16:96, 0]
    mean, variance = mean_and_variance(face)
    left, right = grey_crop[62:84, 28:50, 0], grey_crop[62:84, 62:84, 0]
    expected = {
        "luminance_mean": mean,
        "luminance_variance": variance,
        "dynamic_range": entropy_bits(face),
        "under_exposure_prevention": share_between(face, 0, 25),
        "over_exposure_prevention": share_between(face, 247, 255),
        "sharpness": laplacian_deviation(face) / np.sqrt(mean * 255),
        "illumination_uniformity": histogram_overlap(left, right, 8),
    }
    assert expected["under_exposure_prevention"] > 0
    assert expected["over_exposure_prevention"] > 0
    for name, value in expected.items():
        assert native(name, grey_crop) == pytest.approx(value, rel=1e-5), name


def test_what_lies_outside_the_inner_face_does_not_count() -> None:
    framed = CROP.copy()
    framed[:20] = framed[108:] = framed[:, :16] = framed[:, 96:] = 0
    np.testing.assert_array_equal(measure(framed).native, measure(CROP).native)


def test_faces_are_measured_row_by_row() -> None:
    crops = [CROP, blurred(3), brightened(0.3)]
    rng = np.random.default_rng(5)
    several = {
        "boxes": np.array([[0.0, 0, 50, 60], [-20, 10, 50, 90], [100, 100, 200, 300]]),
        "landmarks": rng.uniform(0, 90, (3, 5, 2)),
        "poses": rng.uniform(-1, 1, (3, 3)),
        "residuals": rng.uniform(0, 0.3, 3),
        "confidences": rng.uniform(0.5, 1, 3),
    }
    together = measure_quality(crops, **several, picture_size=(300, 200))
    assert len(together) == 3
    for k, crop in enumerate(crops):
        alone = measure(
            crop, **{n: v[k : k + 1] for n, v in several.items()}, picture_size=(300, 200)
        )
        np.testing.assert_array_equal(together.take(np.array([k])).native, alone.native)
        np.testing.assert_array_equal(together.scores[k], alone.scores[0])
    assert (
        together.rejects(QualityGate.enrolment())[1]
        == together.take(np.array([False, True, False])).rejects(QualityGate.enrolment())[0]
    )


def test_no_faces_give_an_empty_table() -> None:
    empty = measure_quality(
        [],
        boxes=np.zeros((0, 4)),
        landmarks=np.zeros((0, 5, 2)),
        poses=np.zeros((0, 3)),
        residuals=np.zeros(0),
        confidences=np.zeros(0),
        picture_size=(10, 10),
    )
    assert (len(empty), empty.native.shape, empty.unified.shape) == (0, (0, 15), (0,))
    assert empty.rejects(QualityGate.probe()) == []


@given(st.lists(st.floats(0, 100), min_size=15, max_size=15))
def test_the_unified_score_lies_between_the_worst_and_the_best_component(scores) -> None:
    table = QualityTable(np.zeros((1, 15), np.float32), np.array([scores], np.float32))
    floored = np.maximum(scores, 1)
    assert floored.min() * 0.999 <= table.unified[0] <= floored.max() * 1.001
    assert table.unified[0] == pytest.approx(float(np.prod(floored ** (1 / 15))), rel=1e-4)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-2, 2),
    st.floats(0, 1),
    st.floats(-500, 500),
)
def test_scores_stay_in_range_whatever_comes(seed, angle, confidence, place) -> None:
    rng = np.random.default_rng(seed)
    crop = rng.integers(0, 256, (112, 112, 3), np.uint8) // rng.integers(1, 9, dtype=np.uint8)
    table = measure(
        crop,
        poses=np.full((1, 3), angle),
        confidences=np.array([confidence]),
        boxes=np.array([[place, place, place + 80, place + 90]]),
    )
    assert ((table.scores >= 0) & (table.scores <= 100)).all()
    assert 0 <= table.unified[0] <= 100


@pytest.mark.parametrize("name", list(LANDMARKS))
def test_the_packaged_portraits_pass_for_brightness_colour_and_fit(name: str) -> None:
    alignment = fit_alignment(landmarks_of(name))
    crop = crop_face(load_portrait(name), alignment)
    assert reasons(crop, residuals=np.array([alignment.residual])) == ()
    assert native("natural_colour", crop) == 0


def test_enrolment_is_stricter_than_probing() -> None:
    loose, strict = QualityGate.probe(), QualityGate.enrolment()
    for name in ("min_inter_eye_px", "min_sharpness", "min_luminance", "min_confidence"):
        assert getattr(strict, name) > getattr(loose, name)
    for name in ("max_yaw_rad", "max_pitch_rad", "max_luminance"):
        assert getattr(strict, name) < getattr(loose, name)
    assert strict.min_visible > loose.min_visible


@pytest.mark.parametrize("limits", [(0.5, 0.5), (-0.1, 0.9), (0.1, 1.1), (float("nan"), 0.9)])
def test_a_gate_that_lets_nothing_through_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=rf"luminance limits are {limits[0]} and {limits[1]}"):
        QualityGate(min_luminance=limits[0], max_luminance=limits[1])


def test_reject_codes_are_their_own_words() -> None:
    assert [str(code) for code in Reject] == [code.name for code in Reject]
