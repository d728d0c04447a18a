"""Frames and labels on pictures."""

import numpy as np
import pytest

from mien.faces.draw import Mark, annotate


def grey(height=240, width=320):
    return np.full((height, width, 3), 128, np.uint8)


def test_the_picture_handed_in_stays_as_it_is():
    picture = grey()
    annotate(picture, [Mark((50, 60, 150, 180), "Ada 0.71", "match")])
    assert (picture == 128).all()


def test_the_frame_lies_on_the_box():
    drawn = annotate(grey(), [Mark((50, 60, 150, 180), "")])
    changed = np.argwhere((drawn != 128).any(2))
    assert changed.min(0).tolist() == [60, 50]
    assert changed.max(0).tolist() == [179, 149]
    assert (drawn[100:140, 80:120] == 128).all()


@pytest.mark.parametrize(
    "box", [(0, 0, 40, 30), (290, 0, 320, 30), (0, 200, 60, 240), (-50, -50, 400, 400)]
)
def test_labels_stay_inside_the_picture(box):
    with_label = annotate(grey(), [Mark(box, "somebody unknown 0.12", "unknown")])
    assert with_label.shape == (240, 320, 3)
    frame_only = annotate(grey(), [Mark(box, "", "unknown")])
    assert (with_label != frame_only).any(2).sum() > 300


def test_every_tone_has_a_colour_of_its_own():
    tones = ("match", "unknown", "ambiguous", "not_comparable", "neutral")
    colours = {
        tuple(annotate(grey(), [Mark((50, 60, 150, 180), "", tone)])[60, 100]) for tone in tones
    }
    assert len(colours) == 5


def test_names_in_many_scripts_are_no_error():
    annotate(grey(), [Mark((50, 60, 150, 180), "Žofia Ångström 李 😀 \u202e", "match")])


def test_a_face_wholly_outside_is_no_error():
    assert annotate(grey(), [Mark((900, 900, 950, 950), "far")]).shape == (240, 320, 3)


def test_lines_grow_with_the_picture():
    def line_width(scale):
        box = tuple(v * scale for v in (50, 60, 150, 180))
        drawn = annotate(grey(240 * scale, 320 * scale), [Mark(box, "")])
        return int((drawn[120 * scale, :, :] != 128).any(1)[: 100 * scale].sum())

    assert line_width(8) > line_width(1)
