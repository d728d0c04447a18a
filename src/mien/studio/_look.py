"""What a person's surface is made of: colours of vertices, materials of triangles, folds.

Computed once per person and kept; the patterns finer than the mesh are the shading's.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from mien.core.types import Array, Float64, Ints
from mien.studio._hair import coverage, hair_sides, hair_vertices, shell
from mien.studio._materials import noise_at
from mien.studio._shadows import vertex_normals
from mien.studio.head import (
    BODY,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    TONGUE,
    UPPER_TEETH,
    eye_centre,
    load_head,
)
from mien.studio.raster import rasterise
from mien.studio.scene import Identity
from mien.studio.shade import EYE, HAIR, INNER_MOUTH, SKIN, TEETH
from mien.studio.shade import TONGUE as TONGUE_MATERIAL

# Lightest to darkest, sRGB; chosen by eye between the ends of the Monk scale.
_TONES: Final = np.array(
    [(247, 214, 192), (236, 190, 160), (217, 164, 128), (181, 125, 90), (130, 84, 58),
     (87, 55, 39), (55, 35, 27)]
)  # fmt: skip


class Person(NamedTuple):
    """One person at rest, with everything that does not move.

    Attributes:
        rest: (n, 3) head vertices at rest.
        shell: (m, 3) hair vertices at rest.
        sides: (t,) from how many sides each triangle is seen.
        albedo: (n + m, 3) linear.
        mixed: (n + m,) how much a vertex is lip, or of the shell how much it is hair.
    """

    rest: Float64
    shell: Float64
    sides: Array
    albedo: Float64
    mixed: Float64


@lru_cache(maxsize=64)
def person(identity: Identity) -> Person:
    """A person, kept for the next picture of the same."""
    head = load_head()
    macro = head.macros.values(identity.macro(), "mixture")
    shape = head.identity.values(dict(identity.shape), "shape parameter")
    rest = head.person(macro, shape)
    cover = coverage(identity.hair)
    normals = vertex_normals(rest, head.triangles)
    hair = hair_vertices(rest, normals, cover, identity.hair)
    own = np.ones(len(head.triangles), np.uint8)
    sides = np.concatenate([own, hair_sides(cover, identity.hair)])
    skin = _albedo(identity, cover)
    made = shell()
    hanging = np.tile(identity.hair.colour, (len(made.sheet), 1))
    albedo = np.concatenate([skin, skin[made.scalp], hanging])
    mixed = np.concatenate([_lips(), cover[made.scalp], np.ones(len(made.sheet))])
    return Person(rest, hair, sides, albedo, mixed)


@lru_cache(maxsize=1)
def all_triangles() -> Ints:
    """(t, 3) the head's triangles, then the hair's."""
    return np.concatenate([load_head().triangles, shell().triangles])


@lru_cache(maxsize=1)
def materials() -> Array:
    """(t,) material of each triangle."""
    head = load_head()
    part = head.part[head.triangles[:, 0]]
    inside = _is_body_inside()[head.triangles].all(1)
    kinds = np.full(len(part), SKIN, np.uint8)
    kinds[inside] = INNER_MOUTH
    kinds[(part == LEFT_EYE) | (part == RIGHT_EYE)] = EYE
    kinds[(part == UPPER_TEETH) | (part == LOWER_TEETH)] = TEETH
    kinds[part == TONGUE] = TONGUE_MATERIAL
    return np.concatenate([kinds, np.full(len(shell().triangles), HAIR, np.uint8)])


@lru_cache(maxsize=1)
def patterns() -> Float64:
    """(n + m, 3) positions on the base mesh that patterns hang on."""
    head = load_head()
    rest = head.vertices.copy()
    for eye in (LEFT_EYE, RIGHT_EYE):
        of = head.part == eye
        rest[of] -= eye_centre(rest[of])
    made = shell()
    turn, down = made.sheet[:, 0], made.sheet[:, 1]
    hanging = np.stack([90 * np.sin(turn), 60 - 140 * down, 90 * np.cos(turn) - 40], 1)
    return np.concatenate([rest, head.vertices[made.scalp], hanging])


@lru_cache(maxsize=1)
def occlusion() -> Float64:
    """(n + m,) how open each vertex lies to the room, from 64 directions, on the base mesh."""
    head = load_head()
    normals = vertex_normals(head.vertices, head.triangles)
    sides = np.ones(len(head.triangles), np.uint8)
    total, weight = np.zeros(len(normals)), np.zeros(len(normals))
    for direction in _sphere(64):
        facing = np.maximum(0.0, (normals * direction).sum(1))
        total += facing * _reached(head.vertices + normals, direction, head.triangles, sides)
        weight += facing
    found = total / np.maximum(weight, 1e-9)
    found = np.clip(found * 1.15, 0, 1)
    found[head.part != BODY] = 0.75
    found[(head.part == UPPER_TEETH) | (head.part == LOWER_TEETH)] = 0.75
    found[head.part == TONGUE] = 0.4
    found[_is_body_inside()] = 0.16
    made = shell()
    return np.concatenate([found, found[made.scalp], 1 - 0.35 * made.sheet[:, 1]])


def _sphere(count: int) -> Float64:
    at = np.arange(count) + 0.5
    height = 1 - 2 * at / count
    turn = at * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - height * height)
    return np.stack([flat * np.cos(turn), height, flat * np.sin(turn)], 1)


def _reached(points: Float64, z: Float64, triangles: Ints, sides: Array) -> Float64:
    x = np.array([z[2], 0.0, -z[0]]) / np.hypot(z[0], z[2])
    y = np.cross(z, x)
    view = np.stack([(points * axis).sum(1) for axis in (x, y, z)], 1)
    at = np.stack([view[:, 0], -view[:, 1]], 1) * 0.5 + 100
    depth = 3000.0 - view[:, 2]
    seen = rasterise(at, 1 / depth, triangles, sides, 200).nearness
    cell = np.clip(at.astype(int), 0, 199)
    there = seen[cell[:, 1], cell[:, 0]]
    return np.asarray((there == 0) | (depth < 1 / np.maximum(there, 1e-9) + 4.0), np.float64)


@lru_cache(maxsize=1)
def _is_body_inside() -> Array:
    head = load_head()
    return (head.masks["inside-mouth"] > 0.5) & (head.masks["lips"] < 0.3)


def _lips() -> Float64:
    return load_head().masks["lips"].astype(np.float64)


def _linear(srgb: Array) -> Float64:
    scaled = np.asarray(srgb, np.float64) / 255
    return np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)


def _albedo(identity: Identity, cover: Float64) -> Float64:
    head = load_head()
    skin, hair = identity.skin, identity.hair
    at = skin.melanin * (len(_TONES) - 1)
    low = min(int(at), len(_TONES) - 2)
    tones = _linear(_TONES)
    tone = tones[low] + (tones[low + 1] - tones[low]) * (at - low)
    albedo = np.tile(tone, (len(cover), 1))
    patch = 1 + 0.32 * skin.mottle * (_patches()[:, None] - 0.5) * np.array([0.5, 1, 1])
    albedo *= patch
    fair = 1 - 0.75 * skin.melanin
    albedo *= 1 - _rosy()[:, None] * skin.redness * np.array([0.02, 0.3, 0.26]) * fair
    albedo *= 1 - _bearded()[:, None] * skin.stubble * np.array([0.55, 0.5, 0.45])
    lids = head.masks["eyelids"][:, None] * np.array([0.5, 0.6, 0.6])
    albedo *= 1 - lids * (0.3 + 0.7 * skin.lashes)
    lip = np.array([0.86, 0.5, 0.5]) * (1 - 0.25 * skin.melanin)
    mask = head.masks["lips"][:, None]
    albedo *= 1 - mask * skin.lips * (1 - lip) * 1.25
    grown = np.array(hair.colour) + (0.36 - np.array(hair.colour)) * hair.grey * 0.75
    scalp = cover * cover * (0.6 if hair.top_mm < 2 else 0.9)
    albedo += (grown * 0.9 - albedo) * scalp[:, None]
    return _paint(albedo, identity)


@lru_cache(maxsize=1)
def _patches() -> Float64:
    """(n,) unevenness of skin about a centimetre wide, 0-1."""
    found = np.zeros(len(load_head().vertices))
    noise_at(load_head().vertices, 0.11, found)
    return found


def _paint(albedo: Float64, identity: Identity) -> Float64:
    head = load_head()
    rest, part = head.vertices, head.part
    albedo[_is_body_inside()] = (0.25, 0.06, 0.05)
    albedo[(part == LEFT_EYE) | (part == RIGHT_EYE)] = (0.74, 0.7, 0.66)
    albedo[(part == UPPER_TEETH) | (part == LOWER_TEETH)] = (0.78, 0.72, 0.6)
    albedo[part == TONGUE] = (0.5, 0.16, 0.15)
    height = -150 + 0.42 * np.abs(rest[:, 0]) + np.where(rest[:, 2] < -60, 45, 0)
    albedo[(part == BODY) & (rest[:, 1] < height)] = identity.cloth
    return albedo


@lru_cache(maxsize=1)
def _rosy() -> Float64:
    head = load_head()
    x, y, z = np.abs(head.vertices[:, 0]), head.vertices[:, 1], head.vertices[:, 2]
    cheeks = np.exp(-(((x - 42) / 17) ** 2) - ((y + 10) / 15) ** 2) * (z > 0)
    nose = 0.8 * np.exp(-((x / 13) ** 2) - ((y + 14) / 11) ** 2) * (z > 30)
    chin = 0.35 * np.exp(-((x / 16) ** 2) - ((y + 82) / 12) ** 2) * (z > 20)
    return np.clip(cheeks + nose + chin + 0.6 * head.masks["ears"], 0, 1)


@lru_cache(maxsize=1)
def _bearded() -> Float64:
    head = load_head()
    x, y, z = np.abs(head.vertices[:, 0]), head.vertices[:, 1], head.vertices[:, 2]
    upper = np.interp(x, [0, 22, 30, 45, 60, 70], [-27, -28, -40, -42, -25, 12])
    below = np.clip((upper - y) / 9, 0, 1)
    neck = np.clip((y + 112 - 0.25 * z) / 22, 0, 1)
    front = np.clip((z + 30) / 20, 0, 1)
    return np.asarray(below * neck * front * (1 - head.masks["lips"]) * (head.part == BODY))
