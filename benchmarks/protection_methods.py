"""Ways to protect templates that the benchmark compares, all made of the secret rotation.

Each gives rows of length 1, so that the exact search takes them unchanged. Only the rotation is
part of the package; the others are here because they were measured.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mien.core.types import Float32, Float64
from mien.gallery.transform import TemplateTransform

Protect = Callable[[Float32], Float32]
STEPS, RATE = 300, 0.02  # of the solver


@dataclass(frozen=True)
class Method:
    """A way to protect templates.

    Attributes:
        name: Kind and size.
        width: Numbers of a protected template.
        make: The transform of a secret, for templates of a length.
        strength: How many times a wave goes round; 0 for other kinds.
    """

    name: str
    width: int
    make: Callable[[bytes, int], Protect]
    strength: float = 0.0


def methods() -> list[Method]:
    """All candidates, the one without loss first."""
    return [
        Method("rotation", 128, make_rotation),
        *(Method(f"projection-{k}", k, partial(make_projection, width=k)) for k in (96, 64, 32)),
        *(Method(f"signs-{k}", k, partial(make_signs, width=k)) for k in (128, 256, 512)),
        *(
            Method(f"maxima-{n}x{b}", n * b, partial(make_maxima, blocks=n, block=b))
            for n, b in ((128, 4), (256, 4), (128, 16))
        ),
        *(
            Method(f"waves-{k}x{a:g}", k, partial(make_waves, width=k, strength=a), a)
            for k, a in ((128, 1.5), (256, 1.5), (512, 2.5))
        ),
    ]


def make_rotation(secret: bytes, dim: int) -> Protect:
    """The package's own transform."""
    return TemplateTransform.from_secret(secret, dim).apply


def make_projection(secret: bytes, dim: int, *, width: int) -> Protect:
    """The first coordinates of the rotated template, scaled to length 1."""
    basis = directions(secret, width, dim)
    return lambda templates: unit(templates @ basis.T)


def make_signs(secret: bytes, dim: int, *, width: int) -> Protect:
    """Signs along secret directions (BioHashing: Teoh, Ngo, Goh, Pattern Recognition 37, 2004)."""
    basis = directions(secret, width, dim)
    return lambda templates: unit(np.where(templates @ basis.T < 0, -1.0, 1.0))


def make_maxima(secret: bytes, dim: int, *, blocks: int, block: int) -> Protect:
    """Which direction of each block is the nearest, as a row of noughts and a one.

    Index of maximum (Jin, Hwang, Lai, Kim, Teoh, "Ranking-based locality sensitive hashing-enabled
    cancelable biometrics", IEEE TIFS 13(2), 2018), with parts of rotations for its projections.
    """
    basis = directions(secret, blocks * block, dim)

    def protect(templates: Float32) -> Float32:
        along = (templates @ basis.T).reshape(-1, blocks, block)
        ones = along.argmax(axis=2)[:, :, None] == np.arange(block)
        return unit(ones.reshape(len(templates), -1).astype(np.float64))

    return protect


def make_waves(secret: bytes, dim: int, *, width: int, strength: float) -> Protect:
    """cos(strength·z + phase) of each rotated coordinate z: many values of z give one."""
    basis, phase = waves(secret, width, dim, strength)
    return lambda templates: unit(np.cos(templates @ basis.T + phase))


def waves(secret: bytes, width: int, dim: int, strength: float) -> tuple[Float64, Float64]:
    """Directions, scaled so that a coordinate spreads by ``strength`` radians, and phases."""
    stream = hashlib.shake_256(secret + b"phases").digest(4 * width)
    phase = np.frombuffer(stream, "<u4") * (2 * np.pi / 2**32)
    return strength * np.sqrt(dim) * directions(secret, width, dim), phase


def directions(secret: bytes, count: int, dim: int) -> Float64:
    """(count, dim) unit directions: as many secret rotations as that takes, one over the other."""
    parts = [
        TemplateTransform.from_secret(hashlib.sha256(secret + bytes([k])).digest(), dim).matrix
        for k in range(-(-count // dim))
    ]
    return np.concatenate(parts)[:count]


def solve_waves(secret: bytes, method: Method, start: Float64, stolen: Float32) -> Float64:
    """Templates whose waves are nearest to stolen ones: descent by Adam from a first guess."""
    basis, phase = waves(secret, method.width, start.shape[1], method.strength)
    wanted = stolen * np.sqrt(method.width / 2)  # the mean square of a cosine is a half
    found, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, STEPS + 1):
        angle = found @ basis.T + phase
        slope = (-np.sin(angle) * (np.cos(angle) - wanted)) @ basis / method.width
        first += 0.1 * (slope - first)
        second += 0.01 * (slope * slope - second)
        change = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-12)
        found -= RATE * (1 - step / (STEPS + 1)) * change
    return found


def unit(rows: Float64) -> Float32:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
