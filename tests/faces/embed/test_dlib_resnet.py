import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest

from mien.core.errors import (
    ExtraMissingError,
    IntegrityError,
    RangeError,
    RefusedError,
    ShapeError,
)
from mien.core.weights import resolve_weights
from mien.faces.align import fit_alignment
from mien.faces.embed.dlib_resnet import DlibEmbedder
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline
from mien.media.geometry import warp_affine
from mien.media.image import load_image

dlib = pytest.importorskip("dlib", reason="comes with the extra dlib")

PHOTOS = ("obama_1", "obama_2", "obama_3", "biden_1")


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return FacePipeline.open(PipelineConfig(embedder="dlib"))


@pytest.fixture(scope="module")
def embedder(pipeline: FacePipeline) -> DlibEmbedder:
    return pipeline.embedder


@pytest.fixture(scope="module")
def portraits(pipeline: FacePipeline):
    """Pixels, box and alignment of the main face of each photo."""
    found = []
    for name in PHOTOS:
        pixels = load_image(str(files("mien") / "assets" / "photos" / f"{name}.jpg")).pixels
        (faces,) = pipeline.detector.detect([pixels])
        found.append((pixels, faces.boxes[0], fit_alignment(faces.landmarks[0])))
    return found


@pytest.fixture(scope="module")
def chips(embedder: DlibEmbedder, portraits):
    return [embedder.crop(*portrait) for portrait in portraits]


@pytest.fixture(scope="module")
def templates(embedder: DlibEmbedder, chips):
    return embedder.embed(chips)


def test_one_person_is_nearer_than_two(templates):
    cosines = templates @ templates.T
    assert cosines[:3, :3].min() > cosines[:3, 3].max() + 0.05


def test_dlibs_own_rule_agrees_on_raw_templates(chips):
    network = dlib.face_recognition_model_v1(str(resolve_weights("dlib_resnet").path))
    raw = np.array([network.compute_face_descriptor(chip) for chip in chips])
    distances = np.linalg.norm(raw[:, None] - raw[None], axis=2)
    assert distances[:3, :3].max() < 0.6 < distances[:3, 3].min()


def test_templates_are_dlibs_own_scaled_to_length_one(chips, templates):
    network = dlib.face_recognition_model_v1(str(resolve_weights("dlib_resnet").path))
    raw = np.array([network.compute_face_descriptor(chip) for chip in chips])
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert templates.dtype == np.float32
    np.testing.assert_allclose(templates, expected, atol=1e-6)


def test_the_chip_agrees_with_dlibs_own_road_from_detector_to_chip(embedder, portraits, chips):
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(resolve_weights("dlib_5_points").path))
    own = []
    for pixels, _, _ in portraits:
        largest = max(detector(pixels, 0), key=lambda rectangle: rectangle.area())
        own.append(dlib.get_face_chip(pixels, predictor(pixels, largest), 150, 0.25))
    cosines = (embedder.embed(own) * embedder.embed(chips)).sum(1)
    assert cosines.min() > 0.98


def test_a_batch_gives_what_single_calls_give(embedder, chips, templates):
    single = np.concatenate([embedder.embed([chip]) for chip in chips])
    np.testing.assert_array_equal(single, templates)


def test_no_crops_give_no_templates(embedder):
    assert embedder.embed([]).shape == (0, 128)


def test_threads_agree_with_one_thread(embedder, portraits, templates):
    work = [0, 1, 2, 3] * 4

    def embed(k: int) -> np.ndarray:
        return embedder.embed([embedder.crop(*portraits[k])])[0]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(embed, work))
    np.testing.assert_array_equal(results, templates[work])


@pytest.mark.parametrize("degrees", [-20, 20])
def test_a_tilted_head_gives_the_same_template(pipeline, portraits, templates, degrees):
    pixels = portraits[0][0]
    height, width = pixels.shape[:2]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[c, -s], [s, c]])
    shift = np.array([width, height]) / 2 @ (np.eye(2) - rotation.T)
    picture = warp_affine(pixels, np.column_stack([rotation, shift]), (width, height))
    (found,) = pipeline.detector.detect([picture])
    chip = pipeline.embedder.crop(picture, found.boxes[0], fit_alignment(found.landmarks[0]))
    assert pipeline.embedder.embed([chip])[0] @ templates[0] > 0.98


@pytest.mark.parametrize("scale", [0.15, 0.5, 4.0])
def test_size_hardly_matters(embedder, portraits, templates, scale):
    pixels, box, alignment = portraits[0]
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    chip = embedder.crop(warp_affine(pixels, matrix, size), box * scale, alignment)
    assert embedder.embed([chip])[0] @ templates[0] > 0.97


def test_a_face_cut_off_by_the_frame_is_black_beyond_it_and_still_known(
    embedder, portraits, templates
):
    pixels, box, alignment = portraits[0]
    chin = int(box[3] - (box[3] - box[1]) * 0.12)
    chip = embedder.crop(pixels[:chin], box, alignment)
    assert chip.shape == (150, 150, 3)
    assert (chip[-10:] == 0).all()
    similarities = templates @ embedder.embed([chip])[0]
    assert similarities[0] > 0.9
    assert similarities.argmax() == 0


@pytest.mark.parametrize("away", [1e3, 1e6, 1e9, -1e9])
def test_a_face_far_outside_the_picture_gives_a_black_chip(embedder, portraits, away):
    pixels, box, alignment = portraits[0]
    chip = embedder.crop(pixels, box.astype(float) + away, alignment)
    assert chip.shape == (150, 150, 3)
    assert not chip.any()
    assert np.linalg.norm(embedder.embed([chip])) == pytest.approx(1)


@pytest.mark.parametrize("box", [[10, 10, 10.01, 10.01], [-1e6, -1e6, 1e6, 1e6]])
def test_tiny_and_huge_boxes_give_chips(embedder, portraits, box):
    pixels, _, alignment = portraits[0]
    assert embedder.crop(pixels, np.array(box), alignment).shape == (150, 150, 3)


@pytest.mark.parametrize(
    "box", [[5, 5, 5, 9], [9, 9, 5, 5], [9, 5, 5, 9], [0, 0, np.inf, 9], [0, np.nan, 9, 9]]
)
def test_a_box_without_area_is_refused(embedder, portraits, box):
    pixels, _, alignment = portraits[0]
    with pytest.raises(RangeError, match=r"face's box is \[.*x0 < x1 and y0 < y1"):
        embedder.crop(pixels, np.array(box, float), alignment)


def test_the_picture_is_neither_written_to_nor_needed_in_one_piece(embedder, portraits, chips):
    pixels, box, alignment = portraits[0]
    wide = np.repeat(pixels, 2, axis=1)[:, ::2]
    wide.setflags(write=False)
    before = wide.copy()
    np.testing.assert_array_equal(embedder.crop(wide, box, alignment), chips[0])
    np.testing.assert_array_equal(wide, before)


@pytest.mark.parametrize(
    "crop", [np.zeros((112, 112, 3), np.uint8), np.zeros((150, 150, 3), np.float32)]
)
def test_crops_of_another_embedder_are_refused(embedder, crop):
    with pytest.raises(ShapeError, match=r"takes \(150, 150, 3\) of uint8; pass what `Dlib"):
        embedder.embed([crop])


def test_the_pipeline_names_dlib_in_its_contract_and_finds_the_person(pipeline, templates):
    photo = str(files("mien") / "assets" / "photos" / "obama_2.jpg")
    faces = pipeline.analyse(photo, which="main").faces
    assert faces.contract.startswith("dlib-128-")
    np.testing.assert_allclose(faces.embeddings[0], templates[1], atol=1e-6)


def test_the_fingerprint_holds_both_weights_and_the_code(embedder):
    assert embedder.fingerprint == "55533b28a95800a5.c4b1e9804792707d.1"
    assert embedder.dim == 128


def test_without_the_package_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ExtraMissingError, match=r"'dlib'.*run: pip install 'mien\[dlib\]'"):
        DlibEmbedder.open()


def test_commercial_use_is_refused():
    with pytest.raises(RefusedError, match="commercial use of 'dlib_resnet' is not known"):
        DlibEmbedder.open(require="commercial")


def test_a_file_of_another_kind_is_refused():
    five_points = resolve_weights("dlib_5_points")
    with pytest.raises(IntegrityError, match="not a model that dlib's face_recognition_model_v1"):
        DlibEmbedder(network=five_points, predictor=five_points)


def test_the_package_that_holds_the_weights_is_not_imported(embedder):
    assert "face_recognition_models" not in sys.modules
