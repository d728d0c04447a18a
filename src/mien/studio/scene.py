"""What a picture of one head is made from: a frozen, checked set of numbers.

A `Scene` holds everything; the same scene always gives the same bytes. Who is seen (`Identity`)
and how (expression, gaze, pose, camera, light, backdrop, sensor) are kept apart, so that one
person can be drawn many times. Chance enters only in `sampling`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from mien.core.errors import RangeError
from mien.core.types import HeadPose
from mien.studio.head import ORIGINS, check_range, load_head

Named = tuple[tuple[str, float], ...]
"""Parameters by name, as pairs, so that a scene is frozen and can be a key."""

Colour = tuple[float, float, float]
"""Linear red, green and blue, 0-1."""

MAX_ANGLE: Final = 1.6  # radians, of the head
MAX_GAZE: Final = 0.7
MIN_SIZE: Final = 16
MAX_SIZE: Final = 2048


def named(values: Mapping[str, float]) -> Named:
    """A mapping as sorted pairs; zeros are left out."""
    return tuple(sorted((name, float(value)) for name, value in values.items() if value != 0.0))


@dataclass(frozen=True, slots=True)
class Skin:
    """Colours of the skin, the lips, the brows and the eyes.

    Attributes:
        melanin: 0 (lightest) to 1 (darkest).
        redness: How rosy cheeks, nose and ears are, 0-1.
        freckles: 0-1.
        mottle: Unevenness, 0-1.
        gloss: 0 (matt) to 1 (oily).
        stubble: Beard shadow, 0-1.
        lips: How much the lips differ from the skin, 0-1.
        brow: Fullness of the brows, 0-1.
        brow_arch: 0 (straight) to 1.
        lashes: Darkness of the lid's edge, 0-1.
        iris: Linear colour of the iris.
    """

    melanin: float = 0.3
    redness: float = 0.4
    freckles: float = 0.0
    mottle: float = 0.4
    gloss: float = 0.4
    stubble: float = 0.0
    lips: float = 0.5
    brow: float = 0.5
    brow_arch: float = 0.5
    lashes: float = 0.5
    iris: Colour = (0.12, 0.06, 0.03)

    def __post_init__(self) -> None:
        _check_unit(self)


@dataclass(frozen=True, slots=True)
class Hair:
    """A shell of hair over the scalp.

    Attributes:
        top_mm: Its thickness on top, 0 (shaved) to 60.
        sides_mm: Its thickness at the sides and the back, 0 to 40.
        length_mm: How far it hangs below the ears, 0 (cut above them) to 160.
        fringe_mm: How far it comes down over the forehead, -25 (receded) to 40.
        temples_mm: How far it recedes at the temples, 0 to 40.
        curl: Coarseness of its pattern, 0 (straight) to 1.
        grey: 0-1.
        colour: Linear colour.
    """

    top_mm: float = 14.0
    sides_mm: float = 5.0
    length_mm: float = 0.0
    fringe_mm: float = 0.0
    temples_mm: float = 8.0
    curl: float = 0.2
    grey: float = 0.0
    colour: Colour = (0.05, 0.03, 0.018)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("top_mm", 0, 60),
            ("sides_mm", 0, 40),
            ("length_mm", 0, 160),
            ("fringe_mm", -25, 40),
            ("temples_mm", 0, 40),
        ):
            check_range(f"Hair.{name}", getattr(self, name), low, high)
        for name in ("curl", "grey"):
            check_range(f"Hair.{name}", getattr(self, name), 0, 1)
        _check_colour("Hair.colour", self.colour)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is seen.

    Attributes:
        origin: Weights of the three face shapes of `head.ORIGINS`; their sum is brought to 1.
        sex: 0 (female shape) to 1 (male shape).
        age: 0 (young adult) to 1 (old).
        shape: Facial parameters by name, see `parameter_names`.
        skin: Colours.
        hair: Hair.
        cloth: Linear colour of the clothes.
    """

    origin: tuple[float, float, float] = (1.0, 1.0, 1.0)
    sex: float = 0.5
    age: float = 0.2
    shape: Named = ()
    skin: Skin = field(default_factory=Skin)
    hair: Hair = field(default_factory=Hair)
    cloth: Colour = (0.1, 0.12, 0.2)

    def __post_init__(self) -> None:
        for name, weight in zip(ORIGINS, self.origin, strict=True):
            check_range(f"Identity.origin ({name})", weight, 0, 1)
        if sum(self.origin) <= 0:
            raise RangeError(
                what="Identity.origin is all zeros",
                why="a face needs a shape to start from",
                mend="give at least one of the three weights",
            )
        check_range("Identity.sex", self.sex, 0, 1)
        check_range("Identity.age", self.age, 0, 1)
        load_head().identity.values(dict(self.shape), "shape parameter")
        _check_colour("Identity.cloth", self.cloth)

    def macro(self) -> dict[str, float]:
        """Weights of the twelve mixtures of origin, sex and age; they sum to 1."""
        total = sum(self.origin)
        return {
            f"{origin}-{sex}-{age}": weight / total * of_sex * of_age
            for origin, weight in zip(ORIGINS, self.origin, strict=True)
            for sex, of_sex in (("female", 1 - self.sex), ("male", self.sex))
            for age, of_age in (("young", 1 - self.age), ("old", self.age))
        }


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera before the face.

    Attributes:
        distance_mm: From the middle of the head, 250 to 10,000.
        field_mm: Width of what is seen at the head's middle, 60 to 2,000.
        shift_mm: What lies in the picture's middle, right and up of the head's middle.
    """

    distance_mm: float = 900.0
    field_mm: float = 270.0
    shift_mm: tuple[float, float] = (0.0, 18.0)

    def __post_init__(self) -> None:
        check_range("Camera.distance_mm", self.distance_mm, 250, 10_000)
        check_range("Camera.field_mm", self.field_mm, 60, 2_000)
        for value in self.shift_mm:
            check_range("Camera.shift_mm", value, -500, 500)


@dataclass(frozen=True, slots=True)
class Light:
    """A key light, a fill light and the light of the room.

    Attributes:
        azimuth: Of the key, radians to the picture's right of the camera.
        elevation: Of the key, radians upwards.
        key: Strength, 0-3.
        fill: Strength of a soft light from the other side, 0-2.
        room: Strength of the light from everywhere, 0-2.
        warmth: -1 (blue) to 1 (yellow), of the key.
        shadow: 0 (soft, none) to 1 (hard).
    """

    azimuth: float = 0.5
    elevation: float = 0.5
    key: float = 0.8
    fill: float = 0.25
    room: float = 0.35
    warmth: float = 0.1
    shadow: float = 0.7

    def __post_init__(self) -> None:
        for name, low, high in (
            ("azimuth", -1.6, 1.6),
            ("elevation", -1.2, 1.5),
            ("key", 0, 3),
            ("fill", 0, 2),
            ("room", 0, 2),
            ("warmth", -1, 1),
            ("shadow", 0, 1),
        ):
            check_range(f"Light.{name}", getattr(self, name), low, high)


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A blurred, made-up surrounding: two colours, mixed in patches.

    Attributes:
        upper: Linear colour.
        lower: Linear colour.
        unrest: Strength of the patches, 0-1.
        cells: Patches along an edge, 2 to 32.
        seed: Of the patches.
    """

    upper: Colour = (0.35, 0.38, 0.42)
    lower: Colour = (0.2, 0.2, 0.22)
    unrest: float = 0.3
    cells: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        _check_colour("Backdrop.upper", self.upper)
        _check_colour("Backdrop.lower", self.lower)
        check_range("Backdrop.unrest", self.unrest, 0, 1)
        check_range("Backdrop.cells", self.cells, 2, 32)
        check_range("Backdrop.seed", self.seed, 0, 2**63)


@dataclass(frozen=True, slots=True)
class Sensor:
    """What the camera's sensor does to the light.

    Attributes:
        exposure: Factor before the sRGB curve, 0.1-10.
        noise: Standard deviation at mid grey, in parts of full scale, 0-0.3.
        blur_px: Standard deviation of a Gaussian blur, 0-20.
        seed: Of the noise.
    """

    exposure: float = 1.0
    noise: float = 0.01
    blur_px: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("Sensor.exposure", self.exposure, 0.1, 10)
        check_range("Sensor.noise", self.noise, 0, 0.3)
        check_range("Sensor.blur_px", self.blur_px, 0, 20)
        check_range("Sensor.seed", self.seed, 0, 2**63)


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture of one head.

    Attributes:
        identity: Who is seen.
        expression: Face units (ARKit names) and their weights, 0-1; none is a face at rest.
        gaze: Yaw to the picture's right and pitch downwards, radians, relative to the head.
        pose: How the head is turned.
        camera: The camera.
        light: The lights.
        backdrop: What is behind.
        sensor: The sensor.
        size: Width and height in pixels.
        samples: 1 (one sample per pixel) or 2 (also between the pixels: smooth edges).
    """

    identity: Identity = field(default_factory=Identity)
    expression: Named = ()
    gaze: tuple[float, float] = (0.0, 0.0)
    pose: HeadPose = field(default_factory=lambda: HeadPose(0.0, 0.0, 0.0))
    camera: Camera = field(default_factory=Camera)
    light: Light = field(default_factory=Light)
    backdrop: Backdrop = field(default_factory=Backdrop)
    sensor: Sensor = field(default_factory=Sensor)
    size: int = 128
    samples: int = 2

    def __post_init__(self) -> None:
        load_head().units.values(dict(self.expression), "face unit")
        for name, angle in zip(("yaw", "pitch"), self.gaze, strict=True):
            check_range(f"Scene.gaze ({name})", angle, -MAX_GAZE, MAX_GAZE)
        for name in ("yaw", "pitch", "roll"):
            check_range(f"Scene.pose.{name}", getattr(self.pose, name), -MAX_ANGLE, MAX_ANGLE)
        check_range("Scene.size", self.size, MIN_SIZE, MAX_SIZE)
        check_range("Scene.samples", self.samples, 1, 2)

    def as_record(self) -> dict[str, Any]:
        """All parameters as plain values, for JSON."""
        record = asdict(self)
        record["expression"] = dict(self.expression)
        record["identity"]["shape"] = dict(self.identity.shape)
        return record


def parameter_names() -> dict[str, tuple[str, ...]]:
    """The names that ``Identity.shape`` and ``Scene.expression`` take."""
    head = load_head()
    return {"shape": head.identity.names, "expression": head.units.names}


def _check_unit(of: Skin) -> None:
    for name in of.__dataclass_fields__:
        value = getattr(of, name)
        if isinstance(value, tuple):
            _check_colour(f"Skin.{name}", value)
        else:
            check_range(f"Skin.{name}", value, 0, 1)


def _check_colour(what: str, colour: Colour) -> None:
    for value in colour:
        check_range(what, value, 0, 1)
