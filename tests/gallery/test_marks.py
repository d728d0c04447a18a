"""Verdicts as words, colours and drawn pictures."""

import numpy as np
import pytest

from mien.faces.draw import Mark
from mien.gallery.decide import Decision, Verdict, not_comparable
from mien.gallery.gallery import Identification
from mien.gallery.marks import label_of, marks_of, tone_of, write_picture
from mien.media.image import load_image


def verdict(decision, person=None, score=0.7123):
    return Verdict(decision, person, score, None, ())


@pytest.mark.parametrize(
    ("given", "label", "tone"),
    [
        (verdict(Decision.MATCH, "Ada"), "Ada 0.71", "match"),
        (verdict(Decision.UNKNOWN), "unknown 0.71", "unknown"),
        (verdict(Decision.AMBIGUOUS), "ambiguous 0.71", "ambiguous"),
        (verdict(Decision.DIFFERENT), "different 0.71", "unknown"),
        (not_comparable(["LOW_SHARPNESS"]), "not comparable", "not_comparable"),
    ],
)
def test_every_decision_has_its_words_and_colour(given, label, tone):
    assert label_of(given) == label
    assert tone_of(given) == tone


def test_each_face_gets_a_mark():
    answers = [Identification((1.0, 2.0, 3.0, 4.0), verdict(Decision.MATCH, "Ada"))]
    assert marks_of(answers) == [Mark((1.0, 2.0, 3.0, 4.0), "Ada 0.71", "match")]


def test_pictures_are_written_whole(tmp_path):
    grey = np.full((120, 160, 3), 128, np.uint8)
    write_picture(tmp_path / "deep" / "p.jpg", grey, [Mark((20, 20, 90, 90), "", "match")])
    drawn = load_image(tmp_path / "deep" / "p.jpg").pixels
    assert drawn.shape == grey.shape
    assert abs(int(drawn[20, 50, 1]) - 128) > 5 or abs(int(drawn[20, 50, 0]) - 128) > 30
