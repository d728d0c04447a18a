"""Labels follow from the geometry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.types import HeadPose
from mien.studio._look import all_triangles, person
from mien.studio.draw import draw
from mien.studio.labels import flow
from mien.studio.landmarks import landmark_vertices
from mien.studio.place import place
from mien.studio.raster import rasterise
from mien.studio.sampling import draw_scene
from mien.studio.scene import Camera, Scene
from mien.studio.shade import REGIONS

OPEN = (("jawOpen", 0.7),)


@pytest.fixture(scope="module")
def drawing():
    return draw(Scene(size=96))


@pytest.mark.parametrize("seed", range(4))
def test_landmarks_equal_projected_vertices_exactly(seed):
    scene = draw_scene(seed, size=64)
    labels, placed = draw(scene).labels, place(scene)
    for scheme, vertices in landmark_vertices().items():
        assert np.array_equal(labels.landmarks[scheme], placed.points[vertices])
        assert np.array_equal(labels.landmarks_mm[scheme], placed.vertices[vertices])


@given(
    yaw=st.floats(-0.6, 0.6),
    jaw=st.floats(0, 1),
    field=st.floats(220, 320),
    gaze=st.floats(-0.4, 0.4),
)
@settings(max_examples=12)
def test_flow_is_the_finite_difference_of_projected_vertices(yaw, jaw, field, gaze):
    first = Scene(size=48, expression=(("mouthSmileLeft", 0.5),))
    second = replace(
        first,
        expression=(("jawOpen", jaw),),
        pose=HeadPose(yaw, 0.1, -0.05),
        camera=Camera(field_mm=field),
        gaze=(gaze, 0.0),
    )
    found, known = flow(first, second)
    before, after = place(first), place(second)
    sides = person(first.identity).sides
    seen = rasterise(before.points, 1 / before.depth, all_triangles(), sides, first.size)
    assert np.array_equal(known, seen.triangle >= 0)
    for row, column in np.argwhere(known)[::7]:
        corners = all_triangles()[seen.triangle[row, column]]
        here = _cut(before.vertices[corners], first, column + 0.5, row + 0.5)
        there = _project(here @ after.vertices[corners], second)
        expected = there - (column + 0.5, row + 0.5)
        assert np.abs(found[row, column] - expected).max() <= 0.05


def test_flow_to_the_same_scene_is_0():
    scene = draw_scene(3, size=48)
    assert np.abs(flow(scene, scene)[0]).max() == 0


def test_labels_lie_where_the_picture_shows_them(drawing):
    region, points = drawing.labels.region, drawing.labels.landmarks
    for x, y in points["five"][:2]:
        assert REGIONS[region[int(y), int(x)]] == "iris"
    x, y = points["five"][2]
    assert REGIONS[region[int(y), int(x)]] == "skin"
    assert drawing.labels.visible["five"].all()
    assert REGIONS[region[0, 0]] == "background"


def test_a_turned_head_hides_its_far_side():
    labels = draw(Scene(size=128, pose=HeadPose(1.2, 0, 0), samples=1)).labels
    assert labels.visible["ibug68"][:4].all() or labels.visible["ibug68"][36]
    assert not labels.visible["ibug68"][45]


def test_what_lies_outside_the_picture_is_not_visible():
    labels = draw(Scene(size=64, camera=Camera(field_mm=100, shift_mm=(150, 0)))).labels
    assert not labels.visible["ibug68"][0]


def test_depth_and_normals_agree_with_each_other_and_with_the_region(drawing):
    labels = drawing.labels
    seen = labels.region > 0
    assert np.isfinite(labels.depth_mm[seen]).all()
    assert np.isinf(labels.depth_mm[~seen]).all()
    lengths = np.linalg.norm(labels.normals, axis=2)
    np.testing.assert_allclose(lengths[seen], 1, atol=1e-4)
    assert (lengths[~seen] == 0).all()
    assert 780 < labels.depth_mm[seen].min() < 860  # the nose, before a camera at 900 mm
    assert (labels.albedo[seen] >= 0).all()


def _project(point, scene):
    from mien.studio.place import project

    return project(point[None], scene.camera, scene.size)[0][0]


def _cut(triangle, scene, x, y):
    """Weights of the point of a triangle that the ray through a pixel meets, from its plane."""
    camera = scene.camera
    focal = scene.size * camera.distance_mm / camera.field_mm
    eye = np.array([*camera.shift_mm, camera.distance_mm])
    ray = np.array([(x - scene.size / 2) / focal, -(y - scene.size / 2) / focal, -1.0])
    weights = np.linalg.solve(
        np.vstack([np.hstack([triangle.T, -ray[:, None]]), [1, 1, 1, 0]]), [*eye, 1]
    )
    return weights[:3]
