"""Directions on the mesh: normals of vertices, and which of them the key light reaches."""

import math
from typing import Final

import numpy as np

from mien.core.types import Array, Float32, Float64
from mien.studio._compiled import compiled
from mien.studio.raster import rasterise
from mien.studio.scene import Light

SHADOW_CELLS: Final = 120  # along an edge of the shadow map


def key_direction(light: Light) -> Float64:
    """(3,) unit vector towards the key light."""
    flat = math.cos(light.elevation)
    return np.array(
        [
            flat * math.sin(light.azimuth),
            math.sin(light.elevation),
            flat * math.cos(light.azimuth),
        ]
    )


def shadows(
    vertices: Float64, normals: Float64, triangles: Array, sides: Array, light: Light
) -> Float64:
    """(n,) how much of the key light reaches each vertex: 1 all, 0 none; soft at the edges."""
    if light.shadow == 0 or light.key == 0:
        return np.ones(len(vertices))
    z = key_direction(light)
    x = np.array([z[2], 0.0, -z[0]]) / math.hypot(z[0], z[2])
    y = np.array([z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]])
    lifted = vertices + normals * 1.5
    view = np.stack([_dot(lifted, axis) for axis in (x, y, z)], 1)
    scale = SHADOW_CELLS / 340.0
    points = np.stack([view[:, 0] * scale, -view[:, 1] * scale], 1) + SHADOW_CELLS / 2
    plain = np.stack([_dot(vertices, axis) for axis in (x, y, z)], 1)
    drawn = np.stack([plain[:, 0] * scale, -plain[:, 1] * scale], 1) + SHADOW_CELLS / 2
    near = 1.0 / (2000.0 - plain[:, 2])
    seen = rasterise(drawn, near, triangles, sides, SHADOW_CELLS)
    lit = np.ones(len(vertices))
    _look_up(points, 1.0 / (2000.0 - view[:, 2]), seen.nearness, lit)
    return 1.0 - light.shadow * (1.0 - lit)


def vertex_normals(vertices: Float64, triangles: Array) -> Float64:
    """(n, 3) unit normals, weighted by area; zero for vertices of no triangle."""
    normals = np.zeros_like(vertices)
    _sum_normals(vertices, triangles, normals)
    return normals


def _dot(rows: Float64, axis: Float64) -> Float64:
    return np.asarray(rows[:, 0] * axis[0] + rows[:, 1] * axis[1] + rows[:, 2] * axis[2])


@compiled
def _sum_normals(vertices: Float64, triangles: Array, normals: Float64) -> None:
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(normals.shape[0]):
        length = math.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if length > 0.0:
            for axis in range(3):
                normals[v, axis] /= length


@compiled
def _look_up(points: Float64, near: Float64, seen: Float32, lit: Float64) -> None:
    size = seen.shape[0]
    for v in range(points.shape[0]):
        column, row = int(points[v, 0]), int(points[v, 1])
        if column < 2 or row < 2 or column >= size - 2 or row >= size - 2:
            continue
        depth = 1.0 / near[v]
        free = 0
        for i in range(-2, 3, 2):
            for j in range(-2, 3, 2):
                there = seen[row + i, column + j]
                if there == 0.0 or depth < 1.0 / there + 2.5:
                    free += 1
        lit[v] = free / 9.0
