"""The whole way from a picture to a template."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from mien.core.errors import MediaError
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline, Failed, Ok
from mien.faces.quality import QualityGate, Reject
from mien.media.image import load_image
from toys.pictures import encode, orientation_exif

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "embeddings.json").read_text())
SAME = 0.9999


def cosine(left, right) -> float:
    return float(np.dot(left, right))


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels stored so that a reader who obeys the EXIF orientation sees ``pixels``."""
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    return np.ascontiguousarray(undo[orientation](pixels))


@pytest.mark.parametrize("name", sorted(GOLDEN["faces"]))
def test_embeddings_equal_the_golden_ones(analyses, name):
    faces, golden = analyses[name].faces, GOLDEN["faces"][name]
    assert faces.contract == GOLDEN["contract"]
    assert np.abs(faces.boxes[0] - golden["box"]).max() < 0.5
    assert np.abs(faces.landmarks[0] - golden["landmarks"]).max() < 0.5
    assert cosine(faces.embeddings[0], golden["embedding"]) > SAME


def test_one_person_scores_higher_than_two(analyses):
    templates = {name: a.faces.embeddings[0] for name, a in analyses.items()}
    others = [templates[f"obama_{k}"] for k in (1, 2, 3)]
    genuine = [cosine(others[i], others[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    impostor = [cosine(templates["biden_1"], other) for other in others]
    assert min(genuine) > 0.6
    assert max(impostor) < 0.35


def test_templates_have_length_one(analyses):
    for analysis in analyses.values():
        assert np.allclose(np.linalg.norm(analysis.faces.embeddings, axis=1), 1, atol=1e-5)


def test_a_batch_gives_what_single_pictures_give(pipeline, portraits, analyses):
    images = [load_image(path) for path in portraits.values()] * 3
    together = pipeline.analyse_batch(images)
    for analysis, name in zip(together, [*portraits] * 3, strict=True):
        alone = analyses[name].faces
        assert np.abs(analysis.faces.boxes - alone.boxes).max() < 0.05
        assert cosine(analysis.faces.embeddings[0], alone.embeddings[0]) > SAME


def test_threads_do_not_change_templates(portraits, analyses):
    two = FacePipeline.open(PipelineConfig(threads=2))
    for name, path in portraits.items():
        faces = two.analyse(path).faces
        assert cosine(faces.embeddings[0], analyses[name].faces.embeddings[0]) > SAME


def test_engines_give_the_same_templates_and_contract(portraits, analyses):
    other = FacePipeline.open(PipelineConfig(provider="openvino", detector_provider="openvino"))
    for name, path in portraits.items():
        faces = other.analyse(path).faces
        assert faces.contract == analyses[name].faces.contract
        assert cosine(faces.embeddings[0], analyses[name].faces.embeddings[0]) > SAME


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_exif_orientations_give_one_template(pipeline, portraits, orientation):
    upright = load_image(portraits["obama_2"]).pixels
    stored = encode(
        turned(upright, orientation), "PNG", exif=orientation_exif(orientation).tobytes()
    )
    faces = pipeline.analyse(stored).faces
    reference = pipeline.analyse(upright).faces
    assert np.abs(faces.boxes - reference.boxes).max() < 1e-3
    assert cosine(faces.embeddings[0], reference.embeddings[0]) > 0.99999


def test_swapped_channels_are_noticed(pipeline, portraits):
    """The one mistake that every face library's users make: it costs accuracy and shows nothing."""
    pixels = load_image(portraits["obama_1"]).pixels
    right = pipeline.analyse(pixels).faces.embeddings[0]
    swapped = pipeline.analyse(np.ascontiguousarray(pixels[:, :, ::-1])).faces.embeddings[0]
    mended = load_image(np.ascontiguousarray(pixels[:, :, ::-1]), channel_order="bgr")
    assert cosine(right, swapped) < 0.98
    assert cosine(right, pipeline.analyse(mended).faces.embeddings[0]) > 0.99999


def test_a_picture_can_come_as_path_bytes_pillow_or_array(pipeline, portraits):
    path = portraits["obama_3"]
    sources = [path, str(path), path.read_bytes(), PilImage.open(path), load_image(path).pixels]
    templates = [pipeline.analyse(source).faces.embeddings[0] for source in sources]
    assert all(cosine(templates[0], other) > 0.99999 for other in templates[1:])


def test_many_pictures_come_back_in_order_with_failures_in_place(pipeline, portraits, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(portraits["obama_1"].read_bytes()[:500])
    sources = [*portraits.values(), broken, tmp_path / "absent.png", *portraits.values()]
    outcomes = list(pipeline.analyse_many(sources, workers=2))
    assert [outcome.source for outcome in outcomes] == [str(source) for source in sources]
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Ok] * 4 + [Failed] * 2 + [Ok] * 4
    assert all(isinstance(outcomes[k].error, MediaError) for k in (4, 5))


def test_one_and_two_workers_agree(pipeline, portraits):
    sources = list(portraits.values()) * 5
    one = list(pipeline.analyse_many(sources, workers=1))
    two = list(pipeline.analyse_many(sources, workers=2))
    for a, b in zip(one, two, strict=True):
        left, right = a.analysis.faces.embeddings[0], b.analysis.faces.embeddings[0]
        assert cosine(left, right) > SAME


def test_sources_are_read_lazily(pipeline, portraits):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield portraits["biden_1"]

    outcomes = pipeline.analyse_many(endless(), workers=1)
    next(outcomes)
    outcomes.close()
    assert taken <= 64


def test_a_picture_without_a_face_gives_no_rows(pipeline):
    analysis = pipeline.analyse(np.full((300, 400, 3), 128, np.uint8))
    assert len(analysis.faces) == len(analysis.refused) == 0
    assert analysis.main_face() is None
    assert analysis.main_reasons() == ()


def test_a_face_below_the_gate_is_refused_with_reasons(pipeline, portraits):
    small = PilImage.open(portraits["obama_1"]).resize((160, 200))
    analysis = pipeline.analyse(small, gate=QualityGate(min_inter_eye_px=60))
    assert len(analysis.faces) == 0
    assert Reject.SMALL_BOUNDING_BOX in analysis.reasons[0]
    assert analysis.refused.embeddings is None
    assert analysis.main_face() is None
    assert Reject.SMALL_BOUNDING_BOX in analysis.main_reasons()


def test_a_refused_main_face_is_not_replaced_by_a_bystander(pipeline, portraits):
    big = PilImage.open(portraits["obama_1"]).convert("RGB").resize((400, 500))
    dark = PilImage.eval(big, lambda v: v // 6)
    scene = PilImage.new("RGB", (900, 600), (90, 110, 130))
    scene.paste(dark, (250, 50))
    scene.paste(PilImage.open(portraits["biden_1"]).resize((132, 300)), (0, 300))
    found = pipeline.analyse(scene)
    assert len(found.faces) == 2
    gated = pipeline.analyse(scene, gate=QualityGate(min_luminance=0.15, min_sharpness=0))
    assert len(gated.faces) == 1
    assert gated.main_face() is None
    assert Reject.LOW_BRIGHTNESS in gated.main_reasons()


def test_which_main_keeps_one_face(pipeline, portraits):
    scene = PilImage.new("RGB", (1100, 600), (90, 110, 130))
    scene.paste(PilImage.open(portraits["obama_1"]).resize((400, 500)), (350, 50))
    scene.paste(PilImage.open(portraits["biden_1"]).resize((132, 300)), (0, 300))
    every, main = pipeline.analyse(scene), pipeline.analyse(scene, which="main")
    assert len(every.faces) == 2
    assert len(main.faces) == 1
    row = every.main_face()
    assert cosine(every.faces.embeddings[row], main.faces.embeddings[0]) > SAME


def test_detect_gives_faces_without_templates(pipeline, portraits):
    faces = pipeline.detect(portraits["obama_1"])
    assert len(faces) == 1
    assert faces.embeddings is None
    assert faces.contract == ""


def test_notes_of_the_reader_are_kept(pipeline, portraits):
    file = BytesIO()
    PilImage.open(portraits["obama_1"]).convert("CMYK").save(file, "JPEG")
    analysis = pipeline.analyse(file.getvalue())
    assert any("CMYK" in note for note in analysis.notes)
