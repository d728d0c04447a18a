"""The verification protocol, on the portraits and on a pipeline made of paper."""

import numpy as np
import pytest

from mien.core.errors import MissingError, RangeError
from mien.faces.align import Alignment
from mien.faces.detect.protocol import Detections
from mien.faces.pipeline import FacePipeline
from mien.systems.recognition.verification import Pair, evaluate_verification, read_pairs
from toys.pictures import encode


class PaperDetector:
    """Finds one face in the middle of every picture that is not black."""

    name = "paper"
    fingerprint = "1"

    def detect(self, images):
        return [self.look(image) for image in images]

    def look(self, image):
        if image.max() < 10:
            return Detections.none()
        height, width = image.shape[:2]
        unit = np.array([[0.34, 0.46], [0.66, 0.46], [0.5, 0.64], [0.37, 0.82], [0.63, 0.82]])
        points = (unit * (width, height)).astype(np.float32)
        box = np.array([[0, 0, width, height]], np.float32)
        return Detections(box, points[None], np.array([0.9], np.float32))


class PaperEmbedder:
    """A template from the picture's upper left grey levels: one hue, one direction."""

    name = "paper"
    fingerprint = "1"
    dim = 8

    def crop(self, pixels, box, alignment: Alignment):
        return pixels[:8, :8]

    def embed(self, crops):
        rows = np.array([crop[0, :, 0] for crop in crops], np.float32).reshape(-1, 8) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path):
    """24 pictures: each person has a direction, the two photos of one are nearly equal."""
    rng = np.random.default_rng(5)
    for person in range(12):
        stripe = rng.integers(20, 255, 8)
        for photo in range(2):
            picture = np.full((64, 64, 3), 128, np.uint8)
            picture[:, :8] = np.clip(stripe + rng.integers(-3, 4, 8), 11, 255)[None, :, None]
            (tmp_path / f"{person}_{photo}.png").write_bytes(encode(picture, "PNG"))
    (tmp_path / "black.png").write_bytes(encode(np.zeros((64, 64, 3), np.uint8), "PNG"))
    (tmp_path / "cut.png").write_bytes(encode(np.zeros((64, 64, 3), np.uint8), "PNG")[:40])
    return tmp_path


@pytest.fixture
def paper():
    return FacePipeline(PaperDetector(), PaperEmbedder())


def pairs_of(count=12):
    same = [Pair(f"{k}_0.png", f"{k}_1.png", same=True) for k in range(count)]
    other = [Pair(f"{k}_0.png", f"{(k + 1) % count}_1.png", same=False) for k in range(count)]
    return [pair for both in zip(same, other, strict=True) for pair in both]


def test_people_of_paper_are_told_apart(paper, folder):
    report = evaluate_verification(paper, pairs_of(), folder)
    assert report.accuracy.mean > 0.9
    assert report.failures_to_enrol == 0
    assert (report.n_pairs, report.n_genuine, report.n_images) == (24, 12, 24)


def test_scores_are_the_cosines_of_the_pairs(paper, folder):
    pairs = pairs_of()
    report = evaluate_verification(paper, pairs, folder)
    left = paper.analyse(folder / pairs[3].left).faces.embeddings[0]
    right = paper.analyse(folder / pairs[3].right).faces.embeddings[0]
    assert report.scores[3] == pytest.approx(float(left @ right), abs=1e-6)
    assert report.rows()[3]["same"] is False


def test_a_picture_without_a_face_makes_its_pairs_wrong_and_is_counted(paper, folder):
    whole = evaluate_verification(paper, pairs_of(), folder)
    unusable = [Pair("black.png", "0_0.png", same=True), Pair("cut.png", "0_0.png", same=False)]
    pairs = [*pairs_of(), *unusable]
    report = evaluate_verification(paper, pairs, folder)
    assert report.failures_to_enrol == 2
    assert report.unreadable == 1
    assert list(report.scores[-2:]) == [-np.inf, -np.inf]
    assert report.accuracy.mean < whole.accuracy.mean
    assert report.as_record()["fte"] == pytest.approx(2 / 26)
    wrong = ~np.isfinite(report.scores)
    assert report.accuracy_interval.estimate <= 1 - wrong.mean()


def test_one_and_two_workers_give_the_same_figures(paper, folder):
    one = evaluate_verification(paper, pairs_of(), folder, workers=1)
    two = evaluate_verification(paper, pairs_of(), folder, workers=2)
    assert np.array_equal(one.scores, two.scores)
    assert (one.workers, two.workers) == (1, 2)


def test_progress_is_told(paper, folder):
    seen = []
    evaluate_verification(paper, pairs_of(), folder, progress=lambda *now: seen.append(now))
    assert seen[-1] == (24, 24)
    assert len(seen) == 24


def test_pairs_are_read_from_a_table(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("left,right,same\na.jpg,b.jpg,1\na.jpg,c.jpg,0\n")
    one, two = read_pairs(file)
    assert one == Pair("a.jpg", "b.jpg", same=True)
    assert two == Pair("a.jpg", "c.jpg", same=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("left,right,same\na.jpg,b.jpg,maybe\n", "line 2 of"),
        ("one,two\na.jpg,b.jpg\n", "write the columns left,right,same"),
        ("left,right,same\n", "holds no pairs"),
    ],
)
def test_a_table_that_is_no_list_of_pairs_is_refused(tmp_path, text, words):
    file = tmp_path / "pairs.csv"
    file.write_text(text)
    with pytest.raises(RangeError, match=words):
        read_pairs(file)


def test_missing_files_are_named(paper, folder, tmp_path):
    with pytest.raises(MissingError, match="pairs.csv cannot be read"):
        read_pairs(tmp_path / "pairs.csv")
    with pytest.raises(MissingError, match="1 of 25 pictures do not exist, such as gone.png"):
        evaluate_verification(paper, [*pairs_of(), Pair("gone.png", "0_0.png", same=True)], folder)
