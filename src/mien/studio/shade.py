"""Light on what the rasteriser saw: colours before the sensor, in linear RGB.

Lambert's law with light that bleeds round the edge of skin (red most), Blinn's highlights, a room
that is brighter above, and one shadow map for the key light. Patterns (iris, brows, freckles,
strands of hair) are computed where they are seen, from positions on the base mesh, so that they
stick to the face.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from mien.core.types import Array, Float32, Float64, UInt8
from mien.studio._compiled import compiled
from mien.studio._materials import eye_at, hair_at, mouth_at, skin_at
from mien.studio._shadows import key_direction
from mien.studio.raster import Samples
from mien.studio.scene import Hair, Light, Skin

SKIN, EYE, TEETH, TONGUE, INNER_MOUTH, HAIR = range(6)
"""Materials of triangles."""

REGIONS: Final = (
    "background", "skin", "brow", "eye_white", "iris", "lips", "teeth", "tongue", "inner_mouth",
    "hair", "cloth",
)  # fmt: skip
"""Names of the numbers in a region map."""

_JUMP: Final = 0.006  # in nearness, relative: half a centimetre at arm's length


class Surface(NamedTuple):
    """The mesh as the shading needs it, one row a vertex.

    Attributes:
        normals: (n, 3) unit, towards the outside.
        rest: (n, 3) positions on the base mesh; of eyes relative to their middle.
        albedo: (n, 3) linear.
        lips: (n,) how much a vertex is lip, 0-1; of hair, how much it is hair.
        occlusion: (n,) 0 (hidden in a fold) to 1 (open).
        lit: (n,) how much of the key light reaches each vertex, 0-1.
        triangles: (t, 3).
        material: (t,) uint8.
    """

    normals: Float64
    rest: Float64
    albedo: Float64
    lips: Float64
    occlusion: Float64
    lit: Float64
    triangles: Array
    material: Array


class Shaded(NamedTuple):
    """What `shade` finds for each sample.

    Attributes:
        colour: (s, s, 3) linear.
        albedo: (s, s, 3) linear.
        normal: (s, s, 3) unit.
        region: (s, s) uint8, see `REGIONS`.
    """

    colour: Float32
    albedo: Float32
    normal: Float32
    region: UInt8


def shade(
    samples: Samples, surface: Surface, *, skin: Skin, hair: Hair, light: Light, between: bool
) -> Shaded:
    """Colour, albedo, normal and region of each sample.

    Args:
        samples: What is seen.
        surface: The mesh, turned as it is seen.
        skin: Parameters of the patterns.
        hair: The same.
        light: The lights.
        between: Whether every second row and column lies between pixels. There, colour is taken
            over from the pixels around where these agree, and albedo and normals may be missing.

    Returns:
        Four maps, 0 where nothing is.
    """
    size = samples.triangle.shape[0]
    maps = np.zeros((size, size, 9), np.float32)
    region = np.zeros((size, size), np.uint8)
    columns = (surface.lips, surface.occlusion, surface.lit)
    attributes = np.concatenate(
        [surface.normals, surface.rest, surface.albedo, *(column[:, None] for column in columns)], 1
    )
    looks, lamps = looks_of(skin, hair), _lamps(light)
    mesh = (attributes, surface.triangles, surface.material, looks, lamps)
    todo = np.ones((size, size), np.uint8)
    if between:
        todo[0::2], todo[:, 0::2] = 0, 0
        _shade(samples.triangle, samples.weights, *mesh, todo, maps, region)
        _take_over(samples.triangle, samples.nearness, surface.material, todo, maps, region)
    _shade(samples.triangle, samples.weights, *mesh, todo, maps, region)
    return Shaded(maps[..., :3], maps[..., 3:6], maps[..., 6:], region)


def looks_of(skin: Skin, hair: Hair) -> Float64:
    """(16,) what `_materials` needs to know of a person."""
    return np.array(
        [
            *(skin.freckles, skin.mottle, skin.gloss, skin.brow, skin.brow_arch),
            *skin.iris,
            *(hair.curl, hair.grey),
            *_brow_colour(skin, hair),
            *hair.colour,
        ]
    )


def _brow_colour(skin: Skin, hair: Hair) -> Float64:
    dark = 0.55 * np.array(hair.colour) * (1 - 0.5 * hair.grey) + 0.25 * hair.grey
    return np.asarray(np.minimum(dark, 0.5 - 0.42 * skin.melanin))


def _lamps(light: Light) -> Float64:
    """(5, 3) direction of the key, half way to the camera; colours of key, fill and room."""
    key = key_direction(light)
    half = key + np.array([0.0, 0.0, 1.0])
    half /= max(1e-9, float(np.sqrt((half * half).sum())))
    warm = np.array([1 + 0.12 * light.warmth, 1.0, 1 - 0.22 * light.warmth])
    cool = np.array([1 - 0.05 * light.warmth, 1.0, 1 + 0.1 * light.warmth])
    return np.stack([key, half, light.key * warm, light.fill * cool, light.room * cool])


@compiled
def _shade(  # noqa: PLR0917  compiled functions take arrays one by one
    triangle: Array,
    weights: Float32,
    attributes: Float64,
    triangles: Array,
    material: Array,
    looks: Float64,
    lamps: Float64,
    todo: UInt8,
    maps: Float32,
    region: Array,
) -> None:
    mixed = np.empty(12)
    for row in range(triangle.shape[0]):
        for column in range(triangle.shape[1]):
            t = triangle[row, column]
            if t < 0 or todo[row, column] == 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb = weights[row, column, 0], weights[row, column, 1]
            wc = 1.0 - wa - wb
            for k in range(12):
                mixed[k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
            length = math.sqrt(mixed[0] ** 2 + mixed[1] ** 2 + mixed[2] ** 2)
            for k in range(3):
                mixed[k] /= max(1e-9, length)
            kind = material[t]
            if kind == 0:
                label, bleed, gloss, sharp = skin_at(mixed, looks)
            elif kind == 1:
                label, bleed, gloss, sharp = eye_at(mixed, looks)
                # The upper lid and its lashes shade the eye.
                mixed[10] *= min(1.0, max(0.35, 1.0 - (mixed[4] - 1.5) * 0.12))
            elif kind == 5:
                label, bleed, gloss, sharp = hair_at(mixed, looks)
                if mixed[2] < 0:  # the inner side of hanging hair
                    for k in range(3):
                        mixed[k] = -mixed[k]
            else:
                label, bleed, gloss, sharp = mouth_at(mixed, kind)
            region[row, column] = label
            _light(mixed, lamps, bleed, gloss, sharp, maps, row, column)


@compiled
def _take_over(  # noqa: PLR0917
    triangle: Array, nearness: Float32, material: Array, todo: UInt8, maps: Float32, region: Array
) -> None:
    """Colour between pixels' middles where these agree: their mean. Where not, it is to do."""
    size = region.shape[0]
    for row in range(size):
        r0, r1 = (row, row) if row % 2 == 1 else (row - 1, row + 1)
        for column in range(size):
            t = triangle[row, column]
            todo[row, column] = 0
            if t < 0 or (row % 2 == 1 and column % 2 == 1):
                continue
            c0, c1 = (column, column) if column % 2 == 1 else (column - 1, column + 1)
            if r0 < 0 or c0 < 0 or r1 >= size or c1 >= size:
                todo[row, column] = 1
                continue
            label, near = region[r0, c0], nearness[row, column]
            far = max(abs(nearness[r0, c0] - near), abs(nearness[r1, c1] - near))
            if (
                label == 0
                or region[r1, c1] != label
                or region[r0, c1] != label
                or region[r1, c0] != label
                or far > _JUMP * near
                or material[triangle[r0, c0]] != material[t]
            ):
                todo[row, column] = 1
                continue
            region[row, column] = label
            for k in range(3):
                sum_ = maps[r0, c0, k] + maps[r0, c1, k] + maps[r1, c0, k] + maps[r1, c1, k]
                maps[row, column, k] = sum_ * np.float32(0.25)


@compiled
def _light(  # noqa: PLR0917
    mixed: Float64,
    lamps: Float64,
    bleed: float,
    gloss: float,
    sharp: float,
    maps: Float32,
    row: int,
    column: int,
) -> None:
    """Light on one sample: colour, albedo and normal into ``maps``."""
    x, y, z, open_, reached = mixed[0], mixed[1], mixed[2], mixed[10], mixed[11]
    facing = x * lamps[0, 0] + y * lamps[0, 1] + z * lamps[0, 2]
    side = max(0.0, -x * lamps[0, 0] * 0.8 + y * 0.1 + z * 0.6) * (0.3 + 0.7 * open_)
    room = (0.62 + 0.38 * y) * open_
    shine = x * lamps[1, 0] + y * lamps[1, 1] + z * lamps[1, 2]
    # Schlick's cheap stand-in for a power ("Fast alternatives to Phong", 1994), brought nearer.
    steep = 1.6 * sharp
    shine = shine / (steep - steep * shine + shine) if shine > 0.0 else 0.0
    mirror = shine * gloss * reached * open_
    for k in range(3):
        around = bleed * (1.0 if k == 0 else (0.55 if k == 1 else 0.42))
        through = max(0.0, (facing + around) / (1.0 + around)) * (0.45 + 0.55 * open_)
        # In shadow skin still passes on some red.
        through *= reached + (1 - reached) * 0.1 * around
        light = lamps[2, k] * through + lamps[3, k] * side + lamps[4, k] * room
        maps[row, column, k] = mixed[6 + k] * light + mirror * lamps[2, k]
        maps[row, column, 3 + k] = mixed[6 + k]
        maps[row, column, 6 + k] = mixed[k]
