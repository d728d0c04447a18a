import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mien.core.errors import IntegrityError
from mien.core.weights import resolve_weights
from mien.faces.align import crop_face, fit_alignment
from mien.faces.embed.sface import SfaceEmbedder, normalise
from mien.faces.engines import open_engine
from toys.five_points import LANDMARKS, landmarks_of, load_portrait
from toys.networks import expanded

SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"


class ToyEngine:
    """Remembers what it was given; answers with fixed rows."""

    provider = "toy"
    threads = 1

    def __init__(self, row: float = 1.0) -> None:
        self.row = row
        self.seen: list[np.ndarray] = []

    def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.seen.append(batch)
        rows = np.ones((len(batch), 128), np.float32)
        rows[-1, 5] = self.row
        return {"fc1": rows}


@pytest.fixture(scope="module")
def embedder() -> SfaceEmbedder:
    engine = open_engine(expanded("sface", split_prelu=True), threads=1)
    return SfaceEmbedder(engine, weights_sha256=SHA256)


@pytest.fixture(scope="module")
def crops() -> dict[str, np.ndarray]:
    return {n: crop_face(load_portrait(n), fit_alignment(landmarks_of(n))) for n in LANDMARKS}


def test_the_template_is_the_one_that_opencv_makes(embedder, crops) -> None:
    recogniser = cv2.FaceRecognizerSF.create(str(resolve_weights("sface").path), "")
    for name, crop in crops.items():
        theirs = recogniser.feature(np.ascontiguousarray(crop[:, :, ::-1]))[0]
        (ours,) = embedder.embed([crop])
        assert ours @ theirs / np.linalg.norm(theirs) >= 0.9999, name


def test_templates_have_length_one(embedder, crops) -> None:
    templates = embedder.embed(list(crops.values()))
    assert (templates.shape, templates.dtype) == ((4, 128), np.float32)
    np.testing.assert_allclose(np.linalg.norm(templates, axis=1), 1, atol=1e-6)


def test_a_batch_gives_what_single_crops_give(embedder, crops) -> None:
    many = [np.roll(crop, k, axis=1) for crop in crops.values() for k in range(5)]  # 20: 8 + 8 + 4
    together = embedder.embed(many)
    alone = np.concatenate([embedder.embed([crop]) for crop in many])
    assert (together * alone).sum(1).min() >= 0.9999
    assert len(np.unique(together.round(4), axis=0)) == 20


def test_one_person_s_photos_are_nearer_than_another_s(embedder, crops) -> None:
    cosines = np.triu(np.inner(*[embedder.embed(list(crops.values()))] * 2), 1)
    assert list(crops)[3] == "biden_1"
    same, other = cosines[:3, :3][np.triu_indices(3, 1)], cosines[:3, 3]
    assert same.min() > 0.5
    assert other.max() < 0.3


def test_red_and_blue_exchanged_would_be_noticed(embedder, crops) -> None:
    for name, crop in crops.items():
        right, wrong = embedder.embed([crop, crop[:, :, ::-1]])
        assert right @ wrong < 0.99, name


def test_a_mirrored_face_is_nearly_the_same_and_an_upturned_one_is_not(embedder, crops) -> None:
    crop = crops["obama_1"]
    straight, mirrored, upturned = embedder.embed([crop, crop[:, ::-1], crop[::-1]])
    assert straight @ mirrored > 0.9
    assert straight @ upturned < 0.6


def test_the_network_gets_red_first_as_float_up_to_255() -> None:
    engine = ToyEngine()
    crop = np.zeros((112, 112, 3), np.uint8)
    crop[7, 30] = (255, 20, 3)
    SfaceEmbedder(engine, weights_sha256=SHA256).embed([crop])
    (batch,) = engine.seen
    assert (batch.shape, batch.dtype) == ((1, 3, 112, 112), np.float32)
    np.testing.assert_array_equal(batch[0, :, 7, 30], [255, 20, 3])
    assert batch.sum() == 278


@pytest.mark.parametrize(("count", "parts"), [(1, [1]), (8, [8]), (9, [8, 1]), (20, [8, 8, 4])])
def test_crops_go_to_the_network_by_eights(count: int, parts: list[int]) -> None:
    engine = ToyEngine()
    crops = [np.full((112, 112, 3), k, np.uint8) for k in range(count)]
    SfaceEmbedder(engine, weights_sha256=SHA256).embed(crops)
    assert [len(batch) for batch in engine.seen] == parts
    order = np.concatenate([batch[:, 0, 0, 0] for batch in engine.seen])
    np.testing.assert_array_equal(order, range(count))


def test_no_crops_give_no_rows_and_ask_no_network() -> None:
    engine = ToyEngine()
    templates = SfaceEmbedder(engine, weights_sha256=SHA256).embed([])
    assert (templates.shape, templates.dtype) == ((0, 128), np.float32)
    assert engine.seen == []


def test_the_crop_is_the_aligned_one(embedder) -> None:
    photo, alignment = load_portrait("obama_2"), fit_alignment(landmarks_of("obama_2"))
    crop = embedder.crop(photo, np.array([0.0, 0, 10, 10]), alignment)
    assert (crop.shape, crop.dtype) == ((112, 112, 3), np.uint8)
    np.testing.assert_array_equal(crop, crop_face(photo, alignment))


def test_the_fingerprint_holds_weights_and_code_version(monkeypatch) -> None:
    embedder = SfaceEmbedder(ToyEngine(), weights_sha256=SHA256)
    assert (embedder.name, embedder.dim) == ("sface", 128)
    assert embedder.fingerprint == "fb143eea07838aa5.1"
    monkeypatch.setattr(SfaceEmbedder, "code_version", 2)
    assert SfaceEmbedder(ToyEngine(), weights_sha256=SHA256).fingerprint == "fb143eea07838aa5.2"


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(2, 9)),
        elements=st.floats(-9, 9, width=32),
    ).filter(lambda rows: (np.linalg.norm(rows, axis=1) > 1e-3).all())
)
def test_rows_keep_their_direction_and_get_length_one(raw) -> None:
    unit = normalise(raw)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)
    lengths = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(unit * lengths, raw, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_template_that_is_not_finite_is_refused(value: float) -> None:
    message = r"template that is not finite, or zero; .*told from any other face; .*mien doctor"
    with pytest.raises(IntegrityError, match=message):
        normalise(np.array([[1.0, 0.0], [value, 1.0]], np.float32))
    embedder = SfaceEmbedder(ToyEngine(row=value), weights_sha256=SHA256)
    with pytest.raises(IntegrityError, match=message):
        embedder.embed([np.zeros((112, 112, 3), np.uint8)] * 2)


@pytest.mark.parametrize("length", [0.0, 1e-9])
def test_a_template_without_length_is_refused(length: float) -> None:
    with pytest.raises(IntegrityError, match="not finite, or zero"):
        normalise(np.array([[1.0, 0.0], [length, 0.0]], np.float32))
