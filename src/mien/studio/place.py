"""A scene's mesh in space and in the picture: expression, gaze, pose, camera."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from mien.core.types import Float64
from mien.studio._hair import shell
from mien.studio._look import Person, patterns, person
from mien.studio.head import load_head, rotation, turned
from mien.studio.scene import Camera, Scene

_PIVOT: Final = np.array([0.0, -60.0, -45.0])  # where the head turns on the neck, mm


@dataclass(frozen=True, slots=True)
class Placed:
    """A scene's mesh before the camera.

    Attributes:
        vertices: (n, 3) in millimetres, in the camera's axes: x right, y up, z towards it; the
            origin is the middle of the head at rest.
        points: (n, 2) pixels; the centre of the first pixel is (0.5, 0.5).
        depth: (n,) millimetres before the camera.
    """

    vertices: Float64
    points: Float64
    depth: Float64


def place(scene: Scene) -> Placed:
    """Where each vertex of a scene's mesh lies, in space and in the picture."""
    who = person(scene.identity)
    vertices = _posed(who, scene)
    points, depth = project(vertices, scene.camera, scene.size)
    return Placed(vertices, points, depth)


def project(vertices: Float64, camera: Camera, size: int) -> tuple[Float64, Float64]:
    """Pixels (n, 2) and depth (n,) of points in the camera's axes."""
    depth = camera.distance_mm - vertices[:, 2]
    focal = size * camera.distance_mm / camera.field_mm
    right = (vertices[:, 0] - camera.shift_mm[0]) * focal / depth
    up = (vertices[:, 1] - camera.shift_mm[1]) * focal / depth
    return np.stack([size / 2 + right, size / 2 - up], 1), depth


def _posed(who: Person, scene: Scene) -> Float64:
    head = load_head()
    units = head.units.values(dict(scene.expression), "face unit")
    body = head.express(who.rest, units, scene.gaze)
    # The cap follows the scalp below it, the sheet the head as a whole.
    cap = who.shell.copy()
    scalp = shell().scalp
    cap[: len(scalp)] += body[scalp] - who.rest[scalp]
    vertices = np.concatenate([body, cap])
    pose = scene.pose
    if (pose.yaw, pose.pitch, pose.roll) == (0.0, 0.0, 0.0):
        return vertices
    turn = rotation(pose.yaw, pose.pitch, pose.roll)
    away = turned(vertices - _PIVOT, turn) + _PIVOT - vertices
    return np.asarray(vertices + away * _follows()[:, None])


@lru_cache(maxsize=1)
def _follows() -> Float64:
    """(n + m,) how far each vertex turns with the head: 1 above the neck, 0 at the shoulders."""
    at = np.concatenate([load_head().vertices, patterns()[len(load_head().vertices) :]])
    along = np.clip((at[:, 1] + 0.5 * at[:, 2] + 160) / 75, 0, 1)
    return np.asarray(along * along * (3 - 2 * along))
