"""People and scenes by chance: everything drawn from one seed."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mien.core.types import HeadPose
from mien.studio.head import check_range, load_head
from mien.studio.scene import (
    Backdrop,
    Camera,
    Colour,
    Hair,
    Identity,
    Light,
    Scene,
    Sensor,
    Skin,
    named,
)

_IRISES: Final = (
    (0.045, 0.02, 0.01), (0.09, 0.045, 0.02), (0.16, 0.1, 0.04), (0.13, 0.15, 0.07),
    (0.12, 0.18, 0.24), (0.2, 0.24, 0.27),
)  # fmt: skip
_HAIRS: Final = (
    (0.008, 0.006, 0.005), (0.02, 0.012, 0.008), (0.055, 0.03, 0.016), (0.11, 0.06, 0.03),
    (0.26, 0.16, 0.075), (0.2, 0.06, 0.02), (0.4, 0.28, 0.15),
)  # fmt: skip
_CHANGED: Final = 0.4  # share of the facial parameters that differ from 0 in a person
_SPREAD: Final = 0.36
_CALM: Final = ("asym", "ear", "head", "forehead")  # stems that are moved less
_CAREFUL: Final = ("mouth-laugh", "eye-bag", "mouth-dimples", "nose-septum", "head-age", "eye-push")


def draw_identity(seed: int, *, sex: float | None = None, age: float | None = None) -> Identity:
    """A person by chance.

    Args:
        seed: Which person; the same seed is the same person.
        sex: 0 (female shape) to 1 (male shape); by default by chance, half and half.
        age: 0 (young adult) to 1 (old); by default by chance.

    Returns:
        The person. Face shape, skin and hair follow one mixture of origins, loosely.

    Raises:
        RangeError: If the seed is negative, or sex or age not from 0 to 1.
    """
    check_range("seed", seed, 0, 2**63)
    rng = np.random.default_rng([seed, 1])
    male = bool(rng.random() < 0.5)
    by_chance = float(np.clip(rng.normal(0.88 if male else 0.12, 0.1), 0, 1))
    years = float(rng.beta(1.1, 2.2))
    sex = by_chance if sex is None else sex
    age = years if age is None else age
    origin = rng.dirichlet((0.45, 0.45, 0.45))
    african, asian, caucasian = (float(v) for v in origin)
    dark = 0.86 * african + 0.36 * asian + 0.2 * caucasian
    melanin = float(np.clip(rng.normal(dark, 0.11), 0.02, 1))
    return Identity(
        origin=(african, asian, caucasian),
        sex=sex,
        age=age,
        shape=_shape(rng),
        skin=_skin(rng, melanin=melanin, male=sex > 0.5, age=age),
        hair=_hair(rng, melanin=melanin, african=african, male=sex > 0.5, age=age),
        cloth=_colour(rng, 0.02, 0.5),
    )


def draw_scene(
    seed: int, *, identity: Identity | None = None, size: int = 128, frontal: bool = False
) -> Scene:
    """A scene by chance.

    Args:
        seed: Which scene.
        identity: Who is seen; by default the person of the same seed.
        size: Width and height in pixels.
        frontal: Whether the head faces the camera, within 8 degrees, and is nearly at rest.

    Returns:
        The scene.
    """
    who = draw_identity(seed) if identity is None else identity
    rng = np.random.default_rng([seed, 2])
    reach = 0.14 if frontal else 0.55
    angles = np.clip(rng.normal(0, 0.45, 3), -1, 1) * reach * np.array([1, 0.5, 0.4])
    return Scene(
        identity=who,
        expression=_expression(rng, 0.35 if frontal else 0.8),
        gaze=(float(rng.normal(0, 0.08)), float(rng.normal(0, 0.05))),
        pose=HeadPose(*(float(angle) for angle in angles)),
        camera=Camera(
            distance_mm=float(rng.uniform(600, 1600)),
            field_mm=float(rng.uniform(250, 330)),
            shift_mm=(float(rng.normal(0, 6)), float(rng.normal(14, 6))),
        ),
        light=_light(rng),
        backdrop=Backdrop(
            _colour(rng, 0.02, 0.8),
            _colour(rng, 0.02, 0.6),
            float(rng.uniform(0, 0.7)),
            int(rng.integers(3, 12)),
            int(rng.integers(2**31)),
        ),
        sensor=Sensor(
            exposure=float(rng.uniform(0.85, 1.25)),
            noise=float(rng.uniform(0.002, 0.02)),
            blur_px=float(max(0.0, rng.normal(0.1, 0.3))) * size / 128,
            seed=int(rng.integers(2**31)),
        ),
        size=size,
    )


def _shape(rng: np.random.Generator) -> tuple[tuple[str, float], ...]:
    shapes = load_head().identity
    values = {}
    for name, low in zip(shapes.names, shapes.low, strict=True):
        value, chosen = rng.normal(0, _SPREAD), rng.random() < _CHANGED
        if name.startswith(_CALM):
            value *= 0.6
        if name.startswith(_CAREFUL):
            value *= 0.35
        if low == 0:
            value = abs(value)
        if chosen:
            values[name] = round(float(np.clip(value, low, 1)), 3)
    return named(values)


def _skin(rng: np.random.Generator, *, melanin: float, male: bool, age: float) -> Skin:
    light_eyes = melanin < 0.32 and rng.random() < 0.6
    iris = _pick(rng, _IRISES[2:] if light_eyes else _IRISES[:2], 0.2)
    return Skin(
        melanin=melanin,
        redness=float(rng.beta(2, 3)),
        freckles=float(max(0, rng.normal(0.1, 0.35))) % 1 if melanin < 0.4 else 0.0,
        mottle=float(np.clip(rng.beta(2, 3) + 0.3 * age, 0, 1)),
        gloss=float(rng.beta(2, 2.5)),
        stubble=float(max(0.0, min(1.0, rng.normal(0.35, 0.4)))) if male else 0.0,
        lips=float(rng.beta(3, 4)) if male else float(rng.beta(3.5, 2)),
        brow=float(np.clip(rng.normal(0.62 if male else 0.42, 0.18), 0.1, 1)),
        brow_arch=float(np.clip(rng.normal(0.3 if male else 0.6, 0.25), 0, 1)),
        lashes=float(np.clip(rng.normal(0.35 if male else 0.7, 0.2), 0, 1)),
        iris=iris,
    )


def _hair(
    rng: np.random.Generator, *, melanin: float, african: float, male: bool, age: float
) -> Hair:
    dark = melanin > 0.42 or rng.random() < 0.35
    colour = _pick(rng, _HAIRS[:2] if dark else _HAIRS[1:], 0.25)
    curl = float(np.clip(rng.normal(0.15 + 0.7 * african, 0.15), 0, 1))
    shaved = male and rng.random() < 0.14
    receded = male and rng.random() < 0.15 + 0.5 * age
    long = not male and rng.random() < 0.62
    top = 0.8 if shaved else float(rng.uniform(5, 24) + 14 * max(0.0, curl - 0.5))
    side = (
        rng.uniform(0.3, 0.5)
        if long
        else rng.uniform(0.15, 0.75)
        if male
        else rng.uniform(0.4, 0.9)
    )
    return Hair(
        top_mm=top,
        sides_mm=float(min(40.0, top * side)) if not long else float(rng.uniform(3, 10)),
        length_mm=float(rng.uniform(25, 150)) if long else 0.0,
        fringe_mm=float(rng.uniform(-24, -6) if receded else np.clip(rng.normal(4, 9), -10, 36)),
        temples_mm=float(rng.uniform(12, 34)) if receded else float(rng.uniform(0, 14)),
        curl=curl,
        grey=float(np.clip((age - 0.45) * 1.9 + rng.normal(0, 0.15), 0, 0.95))
        if age > 0.3
        else 0.0,
        colour=colour,
    )


def _expression(rng: np.random.Generator, reach: float) -> tuple[tuple[str, float], ...]:
    smile = max(0.0, rng.normal(0.15, 0.35))
    open_ = max(0.0, rng.normal(-0.15, 0.3))
    brows = rng.normal(0, 0.35)
    values = {
        "mouthSmileLeft": smile,
        "mouthSmileRight": smile * rng.uniform(0.85, 1.1),
        "cheekSquintLeft": smile * 0.4,
        "cheekSquintRight": smile * 0.4,
        "jawOpen": open_,
        "browInnerUp": max(0.0, brows),
        "browDownLeft": max(0.0, -brows),
        "browDownRight": max(0.0, -brows),
        "eyeBlinkLeft": (lid := max(0.0, rng.normal(0.02, 0.1))),
        "eyeBlinkRight": lid,
        "mouthPucker": max(0.0, rng.normal(-0.4, 0.35)),
    }
    return named({k: round(float(np.clip(v * reach, 0, 1)), 3) for k, v in values.items()})


def _light(rng: np.random.Generator) -> Light:
    return Light(
        azimuth=float(np.clip(rng.normal(0, 0.6), -1.4, 1.4)),
        elevation=float(np.clip(rng.normal(0.5, 0.3), -0.4, 1.2)),
        key=float(rng.uniform(0.45, 0.95)),
        fill=float(rng.uniform(0.1, 0.4)),
        room=float(rng.uniform(0.2, 0.5)),
        warmth=float(np.clip(rng.normal(0.1, 0.4), -1, 1)),
        shadow=float(rng.uniform(0.3, 1)),
    )


def _pick(rng: np.random.Generator, colours: Sequence[Colour], spread: float) -> Colour:
    chosen = np.array(colours[int(rng.integers(len(colours)))]) * np.exp(rng.normal(0, spread))
    red, green, blue = (float(v) for v in np.clip(chosen, 0, 1))
    return red, green, blue


def _colour(rng: np.random.Generator, low: float, high: float) -> Colour:
    grey = np.exp(rng.uniform(np.log(low), np.log(high)))
    red, green, blue = (float(v) for v in np.clip(grey * np.exp(rng.normal(0, 0.25, 3)), 0, 1))
    return red, green, blue
