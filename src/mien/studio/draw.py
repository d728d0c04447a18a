"""A scene's picture and its labels. A pure function: the same scene gives the same bytes."""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from mien.core.types import Array, Float32, UInt8
from mien.studio._compiled import compiled
from mien.studio._look import all_triangles, materials, occlusion, patterns, person
from mien.studio._shadows import shadows, vertex_normals
from mien.studio.labels import Labels, label
from mien.studio.place import Placed, place
from mien.studio.raster import Samples, rasterise
from mien.studio.scene import Backdrop, Scene, Sensor
from mien.studio.shade import Surface, shade

_CURVE_STEPS = 4096


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and what is known of it.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        labels: Exact labels, from the geometry.
    """

    image: UInt8
    labels: Labels


def draw(scene: Scene) -> Drawing:
    """Draw a scene.

    Args:
        scene: Everything that the picture depends on.

    Returns:
        The picture and its labels; the same scene gives the same bytes.
    """
    placed = place(scene)
    who = person(scene.identity)
    triangles = all_triangles()
    normals = vertex_normals(placed.vertices, triangles)
    lit = shadows(placed.vertices, normals, triangles, who.sides, scene.light)
    surface = Surface(
        normals, patterns(), who.albedo, who.mixed, occlusion(), lit, triangles, materials()
    )
    samples = _rasterise(placed, who.sides, scene)
    skin, hair = scene.identity.skin, scene.identity.hair
    seen = shade(
        samples, surface, skin=skin, hair=hair, light=scene.light, between=scene.samples == 2
    )
    light = _backdrop(scene.backdrop, scene.size)
    _lay_over(light, seen.colour, seen.region, scene.samples)
    image = _sense(light, scene.sensor)
    # Every second sample is the middle of a pixel.
    middle = slice(scene.samples - 1, None, scene.samples)
    labels = label(
        placed,
        np.ascontiguousarray(samples.nearness[middle, middle]),
        albedo=np.ascontiguousarray(seen.albedo[middle, middle]),
        normals=np.ascontiguousarray(seen.normal[middle, middle]),
        region=np.ascontiguousarray(seen.region[middle, middle]),
    )
    return Drawing(image, labels)


def _rasterise(placed: Placed, sides: Array, scene: Scene) -> Samples:
    """One sample in the middle of each pixel, or also one on each edge and corner between them."""
    near = 1.0 / placed.depth
    if scene.samples == 1:
        return rasterise(placed.points, near, all_triangles(), sides, scene.size)
    return rasterise(placed.points * 2 + 0.5, near, all_triangles(), sides, scene.size * 2 + 1)


def _backdrop(backdrop: Backdrop, size: int) -> Float32:
    rng = np.random.default_rng(backdrop.seed)
    small = min(size, 48)  # it is blurred: mixed small, then enlarged
    down = np.linspace(0, 1, small, dtype=np.float32)[:, None, None]
    upper, lower = (np.array(c, np.float32) for c in (backdrop.upper, backdrop.lower))
    cells = rng.random((backdrop.cells, backdrop.cells, 3), np.float32) - np.float32(0.5)
    cells = cells.mean(2, keepdims=True) * np.float32(1.2) + np.float32(0.3) * cells
    patches = cv2.resize(cells, (small, small), interpolation=cv2.INTER_CUBIC)
    mixed = (upper * (1 - down) + lower * down) * (1 + 2 * backdrop.unrest * patches)
    mixed = np.clip(mixed, 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(mixed, (size, size), interpolation=cv2.INTER_LINEAR))


def _sense(light: Float32, sensor: Sensor) -> UInt8:
    light *= np.float32(sensor.exposure)
    if sensor.blur_px > 0:
        light = cv2.GaussianBlur(light, (0, 0), sensor.blur_px)
    grain = np.zeros((1, 1, 3), np.float32)
    if sensor.noise > 0:
        grain = np.random.default_rng(sensor.seed).standard_normal(light.shape, np.float32)
    image = np.empty(light.shape, np.uint8)
    _develop(light, grain, sensor.noise, _curve(), image)
    return image


@compiled
def _develop(light: Float32, grain: Float32, noise: float, curve: UInt8, image: UInt8) -> None:
    """Noise and the sRGB curve."""
    top = curve.shape[0] - 1
    noisy = grain.shape[0] == light.shape[0]
    for row in range(light.shape[0]):
        for column in range(light.shape[1]):
            for k in range(3):
                value = light[row, column, k]
                if noisy:
                    # Shot noise grows with the root of the light; the rest is the sensor's own.
                    spread = math.sqrt(max(value, 0.0) * 0.9 + 0.02)
                    value += grain[row, column, k] * spread * noise
                image[row, column, k] = curve[int(min(max(value * top + 0.5, 0.0), top))]


@lru_cache(maxsize=1)
def _curve() -> UInt8:
    """The sRGB curve in equal steps of light."""
    x = np.linspace(0, 1, _CURVE_STEPS)
    srgb = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)


@compiled
def _lay_over(light: Float32, colour: Float32, region: UInt8, samples: int) -> None:
    """Put the samples over the backdrop, in place.

    With two samples per pixel the middle counts twice as much as an edge, an edge twice as much
    as a corner: a tent two pixels wide.
    """
    if samples == 1:
        for row in range(light.shape[0]):
            for column in range(light.shape[1]):
                if region[row, column] > 0:
                    light[row, column] = colour[row, column]
        return
    for row in range(light.shape[0]):
        for column in range(light.shape[1]):
            free, red, green, blue = 0.0, 0.0, 0.0, 0.0
            for i in range(3):
                for j in range(3):
                    weight = (2 - abs(i - 1)) * (2 - abs(j - 1)) / 16.0
                    y, x = 2 * row + i, 2 * column + j
                    if region[y, x] == 0:
                        free += weight
                    red += weight * colour[y, x, 0]
                    green += weight * colour[y, x, 1]
                    blue += weight * colour[y, x, 2]
            light[row, column, 0] = light[row, column, 0] * free + red
            light[row, column, 1] = light[row, column, 1] * free + green
            light[row, column, 2] = light[row, column, 2] * free + blue
