"""Materials where they belong."""

import numpy as np

from mien.studio.draw import draw
from mien.studio.scene import Hair, Identity, Scene
from mien.studio.shade import REGIONS

OPEN = (("jawOpen", 0.7),)


def test_an_open_mouth_shows_its_inside():
    shown = {REGIONS[n] for n in np.unique(draw(Scene(size=96, expression=OPEN)).labels.region)}
    assert {"lips", "teeth", "tongue", "brow", "eye_white", "iris", "hair", "cloth"} <= shown


def test_closed_eyes_hide_the_pupils():
    blink = (("eyeBlinkLeft", 1.0), ("eyeBlinkRight", 1.0))
    labels = draw(Scene(size=96, expression=blink)).labels
    assert not (labels.region == REGIONS.index("iris")).any()


def test_long_hair_is_seen_and_shaved_hair_is_thin():
    long = draw(Scene(size=64, identity=Identity(hair=Hair(length_mm=120)))).labels.region
    short = draw(Scene(size=64, identity=Identity(hair=Hair(top_mm=0.5, sides_mm=0.5)))).labels
    hair = REGIONS.index("hair")
    assert (long == hair).sum() > (short.region == hair).sum() + 100
