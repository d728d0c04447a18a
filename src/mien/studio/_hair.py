"""A shell of hair: a lifted copy of the scalp, and a sheet that hangs from it.

Both are built once on the base mesh; how thick and long they are is set per person. What colour
they have is decided by the shading.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from mien.core.types import Array, Float64, Ints
from mien.studio.head import BODY, load_head
from mien.studio.scene import Hair

_HAIRLINE: Final = np.array(
    # around the head, radians from the front; height of the hairline on the base mesh, mm
    [(0.0, 96.0), (0.45, 92.0), (0.9, 64.0), (1.12, 42.0), (1.25, 10.0), (1.38, 8.0),
     (1.45, 32.0), (1.75, 34.0), (2.0, 8.0), (2.3, -28.0), (3.15, -42.0)]
)  # fmt: skip
_AXIS_Z: Final = -40.0  # the vertical axis about which the hairline is described
_EDGE_MM: Final = 15.0  # over which the shell rises from the skin
_SUNK_MM: Final = -1.5  # below the skin where there is no hair
_COLUMNS: Final = 41  # of the hanging sheet
_ROWS: Final = 9
_SHEET_FROM: Final = 1.1  # radians from the front where the sheet begins
_SHEET_TOP: Final = 62.0


@dataclass(frozen=True, slots=True)
class Shell:
    """The mesh of the hair, in the numbering that follows the head's vertices.

    Attributes:
        scalp: (m,) the head's vertex below each vertex of the cap.
        triangles: (t, 3) cap, then sheet.
        caps: How many of the triangles are the cap's.
        sheet: (s, 2) of each sheet vertex: radians around the head, 0-1 from top to tip.
    """

    scalp: Ints
    triangles: Ints
    caps: int
    sheet: Float64


@lru_cache(maxsize=1)
def shell() -> Shell:
    """The packaged head's shell."""
    head = load_head()
    rest = head.vertices
    above = rest[:, 1] - _described()[1]
    wanted = (head.part == BODY) & (above > -50) & (head.masks["ears"] < 0.05) & (rest[:, 1] > -60)
    chosen = head.triangles[wanted[head.triangles].all(1)]
    scalp = np.unique(chosen)
    renumber = np.zeros(len(rest), np.int64)
    renumber[scalp] = np.arange(len(scalp)) + len(rest)
    turn = np.linspace(_SHEET_FROM, 2 * np.pi - _SHEET_FROM, _COLUMNS)
    down = np.linspace(0, 1, _ROWS)
    sheet = np.stack(np.meshgrid(turn, down, indexing="ij"), -1).reshape(-1, 2)
    hanging = _grid(_COLUMNS, _ROWS) + len(rest) + len(scalp)
    triangles = np.concatenate([renumber[chosen], hanging])
    return Shell(scalp, triangles, len(chosen), sheet)


def coverage(hair: Hair) -> Float64:
    """(n,) where the head's skin carries hair, 0-1."""
    head = load_head()
    rest = head.vertices
    around, line = _described()
    front = np.clip(1.1 - around, 0, 1)
    line = line - hair.fringe_mm * np.minimum(1.0, front * 1.6)
    line += hair.temples_mm * np.exp(-(((around - 0.62) / 0.22) ** 2))
    on = np.clip((rest[:, 1] - line) / _EDGE_MM + 0.5, 0, 1)
    on[(head.part != BODY) | (head.masks["ears"] > 0.3)] = 0
    return np.asarray(on * on * (3 - 2 * on))


def hair_vertices(person: Float64, normals: Float64, cover: Float64, hair: Hair) -> Float64:
    """Cap and sheet of a person at rest."""
    made = shell()
    scalp = made.scalp
    height = np.clip((load_head().vertices[scalp, 1] - 40) / 70, 0, 1)
    thickness = hair.sides_mm + (hair.top_mm - hair.sides_mm) * height
    lift = np.where(cover[scalp] > 0, cover[scalp] ** 1.5 * thickness + 0.6, _SUNK_MM)
    cap = person[scalp] + normals[scalp] * lift[:, None]
    return np.concatenate([cap, _sheet(made.sheet, hair)])


def hair_sides(cover: Float64, hair: Hair) -> Array:
    """(t,) from how many sides each triangle of the shell is seen; 0 where there is no hair."""
    made = shell()
    local = np.zeros(made.triangles.max() + 1, bool)
    local[len(cover) : len(cover) + len(made.scalp)] = cover[made.scalp] > 0
    sides = np.zeros(len(made.triangles), np.uint8)
    sides[: made.caps] = local[made.triangles[: made.caps]].any(1)
    sides[made.caps :] = 2 if hair.length_mm > 0 else 0
    return sides


@lru_cache(maxsize=1)
def _described() -> tuple[Float64, Float64]:
    """Of each vertex: radians around the head, and the height of the plain hairline there."""
    rest = load_head().vertices
    around = np.arctan2(np.abs(rest[:, 0]), rest[:, 2] - _AXIS_Z)
    return around, np.interp(around, *_HAIRLINE.T)


def _sheet(sheet: Float64, hair: Hair) -> Float64:
    turn, down = sheet[:, 0], sheet[:, 1]
    out = 4.0 + 0.8 * hair.sides_mm
    wave = 1.5 * np.sin(9 * turn) * down * (1 + 2 * hair.curl)
    side = np.abs(np.sin(turn))
    front = np.clip(np.cos(turn), 0, 1)
    flare = 8.0 * np.sin(np.pi * np.minimum(1, down * 1.2))
    radius_x = 76.0 + out + flare + wave
    radius_z = np.where(np.cos(turn) < 0, 104.0 + out - 30 * down, 60.0) + wave
    bottom = -20.0 - hair.length_mm * (0.85 + 0.15 * (1 - side)) + 12 * front
    return np.stack(
        [
            radius_x * np.sin(turn),
            _SHEET_TOP + (bottom - _SHEET_TOP) * down,
            -45.0 + radius_z * np.cos(turn),
        ],
        1,
    )


def _grid(columns: int, rows: int) -> Ints:
    at = np.arange(columns * rows).reshape(columns, rows)
    a, b, c, d = at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]
    pairs = [np.stack(p, -1).reshape(-1, 3) for p in ((a, b, c), (a, c, d))]
    return np.concatenate(pairs).astype(np.int64)
