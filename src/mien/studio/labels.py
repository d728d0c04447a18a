"""What is known of a drawing, from its geometry: nothing here is estimated."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.core.types import Array, Bools, Box, Float32, Float64, UInt8
from mien.studio._look import all_triangles, person
from mien.studio.landmarks import landmark_vertices
from mien.studio.place import Placed, place
from mien.studio.raster import rasterise
from mien.studio.scene import Scene

_HIDDEN_MM = 4.0  # a landmark this far behind what is seen still counts as seen


@dataclass(frozen=True, slots=True)
class Labels:
    """Exact labels of one drawing. Left and right are the subject's.

    Attributes:
        landmarks: Points in pixels by scheme: "ibug68" (68, 2), "five" (5, 2).
        landmarks_mm: The same points (k, 3) in the camera's axes, millimetres.
        visible: (k,) whether each point lies in the picture and nothing hides it.
        box: The smallest box around the face's 68 points.
        depth_mm: (h, w) distance along the camera's axis, inf for the backdrop.
        normals: (h, w, 3) unit, in the camera's axes; 0 for the backdrop.
        region: (h, w) uint8, see `shade.REGIONS`.
        albedo: (h, w, 3) linear; 0 for the backdrop.
    """

    landmarks: dict[str, Float64]
    landmarks_mm: dict[str, Float64]
    visible: dict[str, Bools]
    box: Box
    depth_mm: Float32
    normals: Float32
    region: UInt8
    albedo: Float32

    def as_record(self) -> dict[str, Any]:
        """What fits in a line of JSON: landmarks, visibility, box."""
        return {
            "box": self.box.as_list(2),
            "landmarks": {k: np.round(v, 3).tolist() for k, v in self.landmarks.items()},
            "landmarks_mm": {k: np.round(v, 2).tolist() for k, v in self.landmarks_mm.items()},
            "visible": {k: v.tolist() for k, v in self.visible.items()},
        }


def label(
    placed: Placed, nearness: Float32, *, albedo: Float32, normals: Float32, region: UInt8
) -> Labels:
    """Labels from a placed mesh and maps that were sampled in the middle of each pixel."""
    points: dict[str, Float64] = {}
    space: dict[str, Float64] = {}
    visible: dict[str, Bools] = {}
    for scheme, vertices in landmark_vertices().items():
        points[scheme] = placed.points[vertices]
        space[scheme] = placed.vertices[vertices]
        visible[scheme] = _visible(placed.points[vertices], placed.depth[vertices], nearness)
    seen = nearness > 0
    depth = np.full(nearness.shape, np.inf, np.float32)
    depth[seen] = 1 / nearness[seen]
    low, high = points["ibug68"].min(0), points["ibug68"].max(0)
    return Labels(
        landmarks=points,
        landmarks_mm=space,
        visible=visible,
        box=Box(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        depth_mm=depth,
        normals=normals,
        region=region,
        albedo=albedo,
    )


def flow(first: Scene, second: Scene) -> tuple[Float32, Bools]:
    """Where the surface seen in each pixel of one scene goes in another.

    Args:
        first: The scene whose pixels are asked about.
        second: The same person and size; expression, gaze, pose and camera may differ.

    Returns:
        (h, w, 2) displacement in pixels to the right and down, from the projected corners of the
        triangle that the pixel's middle sees, and (h, w) whether there is a surface at all; 0
        where there is none. Whether the point is hidden in the second scene is not considered.
    """
    before, after = place(first), place(second)
    sides = person(first.identity).sides
    seen = rasterise(before.points, 1 / before.depth, all_triangles(), sides, first.size)
    rows, columns = np.nonzero(seen.triangle >= 0)
    corners = all_triangles()[seen.triangle[rows, columns]]
    weights = _three(seen.weights[rows, columns].astype(np.float64))
    there = (after.vertices[corners] * weights[..., None]).sum(1)
    here = (before.vertices[corners] * weights[..., None]).sum(1)
    found = np.zeros((first.size, first.size, 2), np.float32)
    found[rows, columns] = _seen_at(there, second) - _seen_at(here, first)
    return found, np.asarray(seen.triangle >= 0)


def _seen_at(vertices: Float64, scene: Scene) -> Float64:
    from mien.studio.place import project

    return project(vertices, scene.camera, scene.size)[0]


def _three(two: Array) -> Float64:
    return np.concatenate([two, 1 - two.sum(-1, keepdims=True)], -1)


def _visible(points: Float64, depth: Float64, nearness: Float32) -> Bools:
    size = nearness.shape[0]
    cell = np.floor(points).astype(int)
    inside = (cell >= 0).all(1) & (cell < size).all(1)
    x, y = np.clip(cell, 0, size - 1).T
    near = nearness[y, x]
    front = 1 / np.maximum(near, 1e-9)
    return np.asarray(inside & ((near == 0) | (depth <= front + _HIDDEN_MM)))
