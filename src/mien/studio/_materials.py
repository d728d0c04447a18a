"""Patterns and materials at one sample: what noise, skin, eyes, hair and mouth look like.

Each function returns the region and how the surface reflects: how far light bleeds round its edge,
how strong its highlight is and how sharp. ``mixed`` is the sample's row of attributes: normal,
position on the base mesh (of an eye, from its middle), albedo, which is changed in place, share of
lip or hair, openness, light; ``looks`` are the parameters of `shade.looks_of`. The row is passed
whole because slices would cost more than the arithmetic.
"""

import math

from mien.core.types import Float64
from mien.studio._compiled import compiled

Reflection = tuple[int, float, float, float]
"""Region, bleeding, strength and sharpness of the highlight."""


@compiled
def _hash(x: int, y: int, z: int) -> float:
    h = (x * 374761393 + y * 668265263 + z * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@compiled
def noise(x: float, y: float, z: float) -> float:
    """Value noise, 0-1, of period 1."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for k in range(8):
        i, j, m = k & 1, (k >> 1) & 1, k >> 2
        weight = (u if i else 1 - u) * (v if j else 1 - v) * (w if m else 1 - w)
        total += weight * _hash(ix + i, iy + j, iz + m)
    return total


@compiled
def noise_at(points: Float64, scale: float, found: Float64) -> None:
    """Value noise, 0-1, at points (n, 3) times a scale, into ``found`` (n,)."""
    for v in range(points.shape[0]):
        found[v] = noise(points[v, 0] * scale, points[v, 1] * scale, points[v, 2] * scale)


@compiled
def _brow(x: float, y: float, arch: float, full: float) -> float:
    """Cover of the brows at a point of the base mesh, 0-1."""
    along = (abs(x) - 10.5) / 43.0
    if along < -0.05 or along > 1.05:
        return 0.0
    middle = 35.0 + 4.6 * math.sin(min(1.0, max(0.0, along)) * 2.7) * (0.35 + 0.75 * arch)
    half = (1.6 + 3.4 * full) * (1.0 - 0.62 * along * along)
    edge = min(1.0, max(0.0, (half - abs(y - middle)) / 1.6 + 0.4))
    ends = min(1.0, max(0.0, along * 7 + 0.3)) * min(1.0, max(0.0, (1.0 - along) * 5))
    return edge * ends * (0.45 + 0.5 * full)


@compiled
def skin_at(mixed: Float64, looks: Float64) -> Reflection:
    """Skin and lips, freckles, brows; and clothes, below the collar."""
    x, y, z, lip = mixed[3], mixed[4], mixed[5], mixed[9]
    if y < -150 + 0.42 * abs(x) + (45 if z < -60 else 0):
        return 10, 0.1, 0.0, 14.0
    region, gloss, sharp = 1, 0.03 + 0.13 * looks[2], 14.0
    if lip > 0.45:
        region, gloss, sharp = 5, gloss + 0.08, 28.0
    if looks[1] > 0.0:
        patch = 1.0 - 0.14 * looks[1] * noise(x * 0.6, y * 0.6, z * 0.6)
        mixed[6] *= 0.5 + 0.5 * patch
        mixed[7] *= patch
        mixed[8] *= patch
    if looks[0] > 0.0 and z > 10 and -50 < y < 60 and lip < 0.2:
        spot = noise(x * 0.38 + 7, y * 0.38, z * 0.38) - 0.86 + 0.22 * looks[0]
        spot = min(0.5, max(0.0, spot * 5))
        mixed[6] *= 1 - 0.45 * spot
        mixed[7] *= 1 - 0.7 * spot
        mixed[8] *= 1 - 0.8 * spot
    if looks[3] > 0.0 and 26 < y < 50 and z > 5:
        brow = _brow(x, y, looks[4], looks[3])
        if brow > 0.0:
            brow = min(1.0, brow * (0.72 + 0.5 * noise(x * 1.1, y * 0.5, 3.0)))
            for k in range(3):
                mixed[6 + k] += (looks[10 + k] - mixed[6 + k]) * brow
            gloss *= 1 - brow
            region = 2 if brow > 0.4 else region
    return region, 0.32, gloss, sharp


@compiled
def eye_at(mixed: Float64, looks: Float64) -> Reflection:
    """The white of the eye, iris and pupil."""
    away = math.sqrt(mixed[3] * mixed[3] + mixed[4] * mixed[4])
    if mixed[5] <= 0 or away >= 6.9:
        return 3, 0.3, 0.55, 180.0
    rim = min(1.0, (6.9 - away) / 1.1)
    ring = 0.65 + 0.7 * noise(math.atan2(mixed[4], mixed[3]) * 5, away * 0.5, 1.0)
    ring *= (0.35 + 0.65 * rim) * min(1.0, max(0.0, (away - 2.3) / 0.6))
    mix = min(1.0, rim * 1.5)
    for k in range(3):
        mixed[6 + k] += (looks[5 + k] * ring + 0.004 - mixed[6 + k]) * mix
    return 4, 0.3, 0.55, 180.0


@compiled
def hair_at(mixed: Float64, looks: Float64) -> Reflection:
    """Strands of hair; the skin between them where it is thin."""
    curl, x, y, z = looks[8], mixed[3], mixed[4], mixed[5]
    fine = 1.0 - 0.75 * curl
    around = math.atan2(x, z + 40.0) * 22.0
    strand = noise(around * 1.7, y * (0.02 + 0.25 * curl), z * 0.03)
    coarse, clump = 0.05 + 0.25 * curl, 0.5
    if curl > 0.25:
        clump = noise(x * (0.05 + coarse), y * coarse, z * (0.05 + coarse))
    tone = 0.5 + 0.65 * fine * strand + (0.4 + 0.7 * (1 - fine)) * clump
    white = looks[9] * (0.55 + 0.45 * strand)
    # At the hairline single strands end earlier or later than others.
    covered = min(1.0, max(0.0, 1.9 * mixed[9] + 0.9 * strand - 0.75))
    for k in range(3):
        grown = looks[13 + k] + (0.36 - looks[13 + k]) * white
        mixed[6 + k] += (grown * tone - mixed[6 + k]) * covered
    return (9 if covered > 0.5 else 1), 0.25, (0.03 + 0.05 * strand) * covered, 9.0


@compiled
def mouth_at(mixed: Float64, kind: int) -> Reflection:
    """Teeth (kind 2) with gaps between them, tongue (3), inside of the mouth."""
    if kind == 2:
        shade = 0.78 + 0.22 * min(1.0, 4 * abs(math.sin(mixed[3] * 0.42)))
        for k in range(3):
            mixed[6 + k] *= shade
        return 6, 0.1, 0.15, 40.0
    if kind == 3:
        return 7, 0.3, 0.12, 20.0
    return 8, 0.1, 0.0, 20.0
