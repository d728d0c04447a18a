"""The head: a mesh, the shapes it can take, and which part of a face each vertex belongs to.

Positions are in millimetres: x to the subject's left (the picture's right), y up, z out of the
face; the origin lies in the middle of the head. What a person looks like otherwise (skin, hair
colour) and how the head stands before the camera is decided elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from mien.core.errors import ConfigError, RangeError
from mien.core.types import Array, Float32, Float64, Ints
from mien.studio._compiled import compiled

BODY, LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH, TONGUE = range(6)
"""Parts of the mesh, as `Head.part` counts them."""

ORIGINS: Final = ("african", "asian", "caucasian")
"""The three corners between which face shapes are mixed. They are the asset's names for its
shapes, not a statement about people."""

_STEP_MM: Final = 0.005
_ENDS: Final = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
    ("l", "r"),
)


@dataclass(frozen=True, slots=True)
class Shapes:
    """A family of sparse offsets, and which of them each named parameter moves.

    Attributes:
        names: The parameters, in order.
        low: (p,) smallest value of each: -1 if it has two directions, else 0. The largest is 1.
        minus: (p,) shape that a negative value adds, -1 for none.
        plus: (p,) shape that a positive value adds.
        starts: (k + 1,) where the rows of each shape begin.
        rows: Vertex numbers.
        offsets: (r, 3) int16 offsets in steps of 0.005 mm.
    """

    names: tuple[str, ...]
    low: Ints
    minus: Ints
    plus: Ints
    starts: Array
    rows: Array
    offsets: Array

    def values(self, named: Mapping[str, float], what: str) -> Float64:
        """A full vector from named values; the others are 0.

        Raises:
            ConfigError: If a name is unknown.
            RangeError: If a value is out of range or not finite.
        """
        check_names(named, self.names, what)
        vector = np.zeros(len(self.names))
        numbers = {name: number for number, name in enumerate(self.names)}
        for name, value in named.items():
            at = numbers[name]
            check_range(f"{what} {name!r}", value, float(self.low[at]), 1.0)
            vector[at] = value
        return vector

    def add_to(self, vertices: Float64, values: Float64) -> None:
        """Add the shapes to the vertices in place; a value of 0 changes no bit."""
        _add(vertices, values, self.minus, self.plus, self.starts, self.rows, self.offsets)


@dataclass(frozen=True, slots=True)
class Head:
    """The mesh and its shapes. Arrays are shared: do not write to them.

    Attributes:
        vertices: (n, 3) the base mesh; nobody looks like it, people add shapes.
        triangles: (t, 3) int64 vertex numbers, counter-clockwise from outside.
        part: (n,) the part of each vertex, see `BODY` and its neighbours.
        masks: Weights 0-1 of each vertex: "lips", "eyelids", "ears", "inside-mouth".
        macros: Mixtures of origin, sex and age.
        identity: Facial shape parameters.
        units: The 52 face units (ARKit names).
        about: Where the data come from, their licence and hash.
    """

    vertices: Float64
    triangles: Ints
    part: Array
    masks: Mapping[str, Float32]
    macros: Shapes
    identity: Shapes
    units: Shapes
    about: str

    def person(self, macro: Float64, identity: Float64) -> Float64:
        """The vertices of one person at rest."""
        vertices = self.vertices.copy()
        self.macros.add_to(vertices, macro)
        self.identity.add_to(vertices, identity)
        for eye in (LEFT_EYE, RIGHT_EYE):
            of = self.part == eye
            vertices[of] = _round_again(self.vertices[of], vertices[of])
        return vertices

    def express(self, person: Float64, units: Float64, gaze: tuple[float, float]) -> Float64:
        """A person's vertices with face units applied and the eyes turned.

        Args:
            person: What `person` returned; all units 0 and gaze (0, 0) give it back exactly.
            units: (52,) weights.
            gaze: Yaw to the picture's right and pitch downwards, in radians.
        """
        vertices = person.copy()
        self.units.add_to(vertices, units)
        if gaze != (0.0, 0.0):
            turn = rotation(*gaze, 0.0)
            for eye in (LEFT_EYE, RIGHT_EYE):
                of = self.part == eye
                centre = eye_centre(person[of])
                vertices[of] = turned(vertices[of] - centre, turn) + centre
        return vertices


def eye_centre(eye: Float64) -> Float64:
    """The middle of an eyeball from its vertices."""
    return np.asarray((eye.min(0) + eye.max(0)) / 2)


def rotation(yaw: float, pitch: float, roll: float) -> Float64:
    """(3, 3) rotation: first pitch (down), then yaw (to the right), then roll (clockwise)."""
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def turned(points: Float64, turn: Float64) -> Float64:
    """Points (n, 3) under a rotation. Written out: BLAS may round differently per machine."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    return np.stack([turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z for k in range(3)], 1)


def check_names(named: Mapping[str, float], known: Sequence[str], what: str) -> None:
    """Refuse names that are not known, with the nearest that are.

    Raises:
        ConfigError: If a name is unknown.
    """
    unknown = sorted(named.keys() - set(known))
    if unknown:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0], known, 3, 0.3) or list(known[:3])
        raise ConfigError(
            what=f"unknown {what} {unknown[0]!r}",
            why=f"there are {len(known)}, and it is none of them",
            mend=f"use one such as {', '.join(map(repr, near))}",
            name=unknown[0],
        )


def check_range(what: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high].

    Raises:
        RangeError: If it is outside or not finite.
    """
    if not low <= value <= high:  # also refuses NaN
        raise RangeError(
            what=f"{what} is {value}",
            why=f"it must lie from {low:g} to {high:g}",
            mend="choose a value in that range",
            value=value,
            low=low,
            high=high,
        )


def _round_again(ball: Float64, shaped: Float64) -> Float64:
    """An eyeball where a shape put it and as large, but round and looking straight ahead.

    Shapes bend the balls a little; the gaze would then not be where the pupil points.
    """
    middle, there = ball.mean(0), shaped.mean(0)
    scale = np.sqrt(((shaped - there) ** 2).sum() / ((ball - middle) ** 2).sum())
    return np.asarray((ball - middle) * scale + there)


@lru_cache(maxsize=1)
def load_head() -> Head:
    """The packaged head, read once."""
    with (files("mien") / "assets/studio/head.npz").open("rb") as file:
        data = dict(np.load(file, allow_pickle=False))
    about = str(data["about"])
    names = ("lips", "eyelids", "ears", "inside-mouth")
    masks = {name: data["masks"][:, k].astype(np.float32) / 255 for k, name in enumerate(names)}
    return Head(
        vertices=data["vertices"].astype(np.float64),
        triangles=data["triangles"].astype(np.int64),
        part=data["part"],
        masks=masks,
        macros=_shapes(data, "macro", paired=False),
        identity=_shapes(data, "identity", paired=True),
        units=_shapes(data, "unit", paired=False),
        about=about,
    )


def _shapes(data: Mapping[str, Any], kind: str, *, paired: bool) -> Shapes:
    stored = [str(name) for name in data[f"{kind}_names"]]
    found: dict[str, list[int]] = {}
    for at, name in enumerate(stored):
        stem, _, end = name.rpartition("-")
        sides = [(a, b) for a, b in _ENDS if end in {a, b} and f"{stem}-{a}" in stored]
        sides = [(a, b) for a, b in sides if f"{stem}-{b}" in stored]
        if paired and sides:
            # Named by its positive end: some stems move along several axes.
            found.setdefault(f"{stem}-{sides[0][1]}", [-1, -1])[sides[0].index(end)] = at
        else:
            found[name] = [-1, at]
    pairs = np.array(list(found.values()), np.int64)
    return Shapes(
        names=tuple(found),
        low=np.where(pairs[:, 0] >= 0, -1, 0),
        minus=pairs[:, 0].copy(),
        plus=pairs[:, 1].copy(),
        starts=data[f"{kind}_starts"],
        rows=data[f"{kind}_rows"],
        offsets=data[f"{kind}_offsets"],
    )


@compiled
def _add(  # noqa: PLR0917  compiled functions take arrays one by one
    vertices: Float64,
    values: Float64,
    minus: Ints,
    plus: Ints,
    starts: Array,
    rows: Array,
    offsets: Array,
) -> None:
    for p in range(values.shape[0]):
        value = values[p]
        shape = plus[p] if value > 0.0 else minus[p]
        if value == 0.0 or shape < 0:
            continue
        step = abs(value) * _STEP_MM
        for r in range(starts[shape], starts[shape + 1]):
            v = rows[r]
            for axis in range(3):
                vertices[v, axis] += step * offsets[r, axis]
