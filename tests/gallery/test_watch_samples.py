import numpy as np
import pytest

from mien.core.types import Box, UInt8
from mien.faces.detect.protocol import Detections
from mien.faces.pipeline import FacePipeline
from mien.faces.quality import QualityGate, Reject
from mien.gallery.watch.samples import detect_faces, hidden_shares, take_samples
from toys.stage import Actor, Stage, draw_noise, random_face


class SquareFinder:
    """A detector that finds the one white square of a black picture."""

    name = fingerprint = "squares"
    sides: tuple[int, ...] = ()

    def detect(self, images: list[UInt8]) -> list[Detections]:
        self.sides = images[0].shape[:2]
        rows, columns = np.nonzero(images[0][:, :, 0] > 127)
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
        marks = np.repeat(box[:, None, :2], 5, 1)
        return [Detections(box.astype(np.float32), marks.astype(np.float32), np.ones(1, "f4"))]


def test_a_large_frame_is_shrunk_for_the_detector_and_boxes_come_back_in_full_size() -> None:
    frame = np.zeros((901, 1600, 3), np.uint8)
    frame[400:500, 800:960] = 255
    finder = SquareFinder()
    found = detect_faces(FacePipeline(finder, Stage([])), frame, 400)
    assert finder.sides == (225, 400)
    np.testing.assert_allclose(found.boxes, [[800, 400, 960, 500]], atol=4)
    np.testing.assert_allclose(found.landmarks[0], [[800, 400]] * 5, atol=4)
    assert detect_faces(FacePipeline(finder, Stage([])), frame, 1600).boxes.tolist() == [
        [800, 400, 960, 500]
    ]
    assert finder.sides == (901, 1600)


def _stage(count: int, width: float = 90.0) -> tuple[Stage, Detections]:
    rng = np.random.default_rng(0)
    actors = [
        Actor(random_face(rng), lambda t, k=k: (80.0 + 130 * k, 180.0), width=lambda t: width)
        for k in range(count)
    ]
    stage = Stage(actors)
    return stage, stage.detect([draw_noise()])[0]


def test_only_wanted_faces_are_measured_and_all_in_one_batch() -> None:
    stage, found = _stage(4)
    wanted = np.array([True, False, True, True])
    samples = take_samples(stage.pipeline(), draw_noise(), found, wanted, QualityGate.probe())
    assert samples.is_embedded.tolist() == wanted.tolist()
    assert (stage.batches, stage.embedded) == (1, 3)
    np.testing.assert_allclose(np.linalg.norm(samples.templates[wanted], axis=1), 1, rtol=1e-5)
    assert np.isnan(samples.templates[~wanted]).all()
    assert (samples.quality[wanted] > 30).all()
    assert samples.quality[1] == 0
    assert samples.reasons == ((), (), (), ())


def test_each_template_belongs_to_the_face_in_its_row() -> None:
    stage, found = _stage(4)
    samples = take_samples(
        stage.pipeline(), draw_noise(), found, np.ones(4, bool), QualityGate.probe()
    )
    for row, box in enumerate(found.boxes):
        actor = stage.actors[round((float(box[0] + box[2]) / 2 - 80) / 130)]
        assert samples.templates[row] @ actor.face > 0.8


def test_faces_that_fail_the_gate_are_not_embedded_and_say_why() -> None:
    stage, found = _stage(2, width=20.0)
    samples = take_samples(
        stage.pipeline(), draw_noise(), found, np.ones(2, bool), QualityGate.probe()
    )
    assert not samples.is_embedded.any()
    assert stage.batches == 0
    assert all(Reject.SMALL_BOUNDING_BOX in reasons for reasons in samples.reasons)


def test_a_face_whose_landmarks_are_mirrored_is_refused() -> None:
    stage, found = _stage(1)
    mirrored = Detections(found.boxes, found.landmarks[:, [1, 0, 2, 4, 3]], found.scores)
    gate = QualityGate(max_yaw_rad=4.0, max_pitch_rad=4.0)
    samples = take_samples(stage.pipeline(), draw_noise(), mirrored, np.ones(1, bool), gate)
    assert Reject.LANDMARKS_UNRELIABLE in samples.reasons[0]
    assert stage.embedded == 0


def test_a_frame_without_faces_costs_nothing() -> None:
    stage, _ = _stage(0)
    samples = take_samples(
        stage.pipeline(), draw_noise(), Detections.none(), np.zeros(0, bool), QualityGate.probe()
    )
    assert samples.templates.shape == (0, 128)
    assert stage.batches == 0


def test_hidden_shares_agree_with_boxes_one_by_one() -> None:
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 100, (12, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 60, (12, 2))], 1)

    def literal(k: int) -> float:
        mine, worst = Box(*boxes[k]), 0.0
        for j in range(12):
            face = Box(*boxes[j])
            dx, dy = 0.1 * face.width, 0.1 * face.height
            head = Box(face.x0 - dx, face.y0 - dy, face.x1 + dx, face.y1 + dy)
            w = min(mine.x1, head.x1) - max(mine.x0, head.x0)
            h = min(mine.y1, head.y1) - max(mine.y0, head.y0)
            if j != k and w > 0 and h > 0:
                worst = max(worst, w * h / (mine.width * mine.height))
        return worst

    assert hidden_shares(boxes) == pytest.approx([literal(k) for k in range(12)])
    assert hidden_shares(boxes[:1]).tolist() == [0.0]
