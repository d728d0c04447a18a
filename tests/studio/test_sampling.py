"""People and scenes by chance."""

import numpy as np

from mien.studio.draw import draw
from mien.studio.place import place
from mien.studio.sampling import draw_identity, draw_scene
from mien.studio.scene import (
    Scene,
)

OPEN = (("jawOpen", 0.7),)


def test_seeds_give_different_people_and_a_seed_the_same():
    points = [place(Scene(identity=draw_identity(seed))).vertices[:4000] for seed in range(12)]
    apart = [np.abs(a - b).mean() for i, a in enumerate(points) for b in points[:i]]
    assert min(apart) > 0.5  # mm
    assert draw_identity(3) == draw_identity(3)


def test_people_look_different():
    pictures = [
        draw(Scene(identity=draw_identity(seed), size=48)).image.astype(float) for seed in range(6)
    ]
    apart = [np.abs(a - b).mean() for i, a in enumerate(pictures) for b in pictures[:i]]
    assert min(apart) > 4


def test_the_default_pipeline_finds_drawn_faces(pipeline):
    found = [
        len(pipeline.analyse(draw(draw_scene(seed, frontal=True)).image).faces)
        for seed in range(12)
    ]
    assert found == [1] * 12
