"""Drawings: the picture, and labels that follow from the geometry."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mien.studio._look import person
from mien.studio.draw import draw
from mien.studio.sampling import draw_scene
from mien.studio.scene import Scene

GOLDEN = Path(__file__).parents[1] / "golden" / "studio"
OPEN = (("jawOpen", 0.7),)


def test_a_drawing_depends_on_its_scene_alone():
    code = (
        "import hashlib; from mien.studio.draw import draw; "
        "from mien.studio.sampling import draw_scene; "
        "print(hashlib.sha256(draw(draw_scene(7, size=64)).image.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    draw(draw_scene(8, size=64))  # whatever was drawn before
    digest = hashlib.sha256(draw(draw_scene(7, size=64)).image.tobytes()).hexdigest()
    assert digest == other.stdout.strip()


def test_a_drawing_is_what_it_was():
    # Sines and blurs round differently on other processors: the picture is compared, not its bytes.
    golden = np.asarray(Image.open(GOLDEN / "scene-7.png")).astype(int)
    drawn = draw(draw_scene(7, size=64)).image.astype(int)
    assert np.abs(drawn - golden).mean() < 0.5
    assert (np.abs(drawn - golden) > 8).mean() < 0.01


def test_a_person_drawn_before_changes_nothing():
    scene = draw_scene(5, size=48)
    first = draw(scene).image
    person.cache_clear()
    draw(draw_scene(6, size=48))
    assert np.array_equal(first, draw(scene).image)


def test_samples_between_pixels_change_no_label():
    fine, coarse = draw(Scene(size=64)).labels, draw(Scene(size=64, samples=1)).labels
    assert np.array_equal(fine.region, coarse.region)
    np.testing.assert_allclose(fine.depth_mm, coarse.depth_mm, rtol=1e-5)
