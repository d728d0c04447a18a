"""The parts that charts are made of: axes, ticks, lines, words. Coordinates are SVG pixels.

Colours are those of the page's style, each with a fallback, so that a chart also stands alone.
"""

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from mien.core.errors import RangeError

INK: Final = "var(--ink, #1b1f24)"
QUIET: Final = "var(--quiet, #57616c)"
LINE: Final = "var(--line, #dce1e6)"
BLUE: Final = "var(--blue, #0a5ea8)"
ORANGE: Final = "var(--orange, #b04e05)"

LETTER_PX: Final = 7.3
"""About the width of a letter. Words are laid out by it, since nothing measures text here."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis.

    Attributes:
        value: Where, in the axis' units.
        label: What stands beside it.
    """

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A straight map from values to pixels; values beyond the ends are drawn at the ends.

    Attributes:
        low: Value at ``start_px``.
        high: Value at ``end_px``; above ``low``.
        start_px: Pixel of the low end.
        end_px: Pixel of the high end; smaller for an axis that points upwards.
    """

    low: float
    high: float
    start_px: float
    end_px: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start_px + share * (self.end_px - self.start_px)


@dataclass(frozen=True, slots=True)
class Frame:
    """The two axes of a chart, and its size.

    Attributes:
        x: The axis to the right.
        y: The axis upwards.
        width: Of the whole picture.
        height: Of the whole picture.
    """

    x: Axis
    y: Axis
    width: int
    height: int

    def point(self, x: float, y: float) -> Point:
        """Pixels of a pair of values."""
        return self.x.at(x), self.y.at(y)


def make_frame(
    x: tuple[float, float], y: tuple[float, float], *, width: int, height: int, left: int, top: int
) -> Frame:
    """A frame with room for the words around it.

    Args:
        x: Lowest and highest value.
        y: Lowest and highest value.
        width: Of the whole picture.
        height: Of the whole picture.
        left: Room for the labels of the upward axis.
        top: Room for the legend.
    """
    return Frame(
        Axis(*x, start_px=left, end_px=width - 20),
        Axis(*y, start_px=height - 52, end_px=top),
        width,
        height,
    )


def check_finite(values: Iterable[float], name: str) -> tuple[float, ...]:
    """The values, all of them drawable.

    Raises:
        RangeError: If one of them is not finite.
    """
    found = tuple(float(v) for v in values)
    wrong = sum(not math.isfinite(v) for v in found)
    if wrong:
        raise RangeError(
            what=f"{wrong} of {len(found)} {name} are not finite",
            why="they have no place in a chart",
            mend="leave them out, or say what they stand for",
        )
    return found


def check_rates(values: Iterable[float], name: str) -> tuple[float, ...]:
    """Rates from 0 to 1.

    Raises:
        RangeError: If one lies outside.
    """
    found = check_finite(values, name)
    if any(not 0 <= v <= 1 for v in found):
        raise RangeError(
            what=f"the {name} reach from {min(found)} to {max(found)}",
            why="a rate lies between 0 and 1",
            mend="pass shares, not per cent",
        )
    return found


def round_ticks(low: float, high: float, *, most: int) -> list[float]:
    """Steps of 1, 2 or 5 times a power of ten between two values, at most ``most`` + 1 of them."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def tag(name: str, content: str = "", /, **attributes: str | float) -> str:
    """An element; the content is markup, attributes are escaped, underscores become hyphens."""
    head = "".join(f' {k.replace("_", "-")}="{_plain(v)}"' for k, v in attributes.items())
    return f"<{name}{head}>{content}</{name}>" if content else f"<{name}{head}/>"


def words(
    at: Point,
    text: str,
    *,
    anchor: str = "start",
    halo: bool = False,
    **attributes: str | float,
) -> str:
    """A line of text, which is escaped; a halo sets it apart from what lies behind."""
    attributes.setdefault("fill", QUIET)
    if halo:
        paper = "var(--paper, #ffffff)"
        attributes |= {"stroke": paper, "stroke_width": 4, "paint_order": "stroke"}
    return tag("text", escape(text), x=at[0], y=at[1], text_anchor=anchor, **attributes)


def line(a: Point, b: Point, colour: str, **attributes: str | float) -> str:
    """A straight line."""
    return tag("line", x1=a[0], y1=a[1], x2=b[0], y2=b[1], stroke=colour, **attributes)


def path(points: Sequence[Point], **attributes: str | float) -> str:
    """A broken line through points; closed if a ``fill`` is given. Nothing without points."""
    if not points:
        return ""
    filled = "fill" in attributes
    attributes.setdefault("fill", "none")
    attributes.setdefault("stroke_linejoin", "round")
    steps = " ".join(f"{_plain(x)},{_plain(y)}" for x, y in points)
    return tag("polygon" if filled else "polyline", points=steps, **attributes)


def axes(frame: Frame, x: Sequence[Tick], y: Sequence[Tick], x_title: str, y_title: str) -> str:
    """Grid, labels and titles."""
    left, right = frame.x.start_px, frame.x.end_px
    bottom, top = frame.y.start_px, frame.y.end_px
    parts = []
    for tick in y:
        at = frame.y.at(tick.value)
        parts += [line((left, at), (right, at), LINE)]
        parts += [words((left - 9, at + 4.5), tick.label, anchor="end")]
    free = math.inf  # labels are placed from the right; one that would touch the next is left out
    for tick in sorted(x, key=lambda t: -t.value):
        at = frame.x.at(tick.value)
        half = LETTER_PX * len(tick.label) / 2
        parts += [line((at, bottom), (at, bottom + 5), QUIET)]
        if at + half + LETTER_PX < free:
            parts += [words((at, bottom + 20), tick.label, anchor="middle")]
            free = at - half
    parts += [line((left, bottom), (right, bottom), QUIET)]
    middle = (top + bottom) / 2
    parts += [words(((left + right) / 2, bottom + 42), x_title, anchor="middle")]
    turned = f"rotate(-90 15 {_plain(middle)})"
    parts += [words((15, middle), y_title, anchor="middle", transform=turned)]
    return "".join(parts)


def legend(frame: Frame, entries: Sequence[tuple[str, str, str]]) -> str:
    """Names of the lines, above the chart.

    Args:
        frame: Of the chart.
        entries: For each line its name, its colour and its dashes (empty for a whole line).
    """
    parts = []
    x = frame.x.start_px
    for name, colour, dashes in entries:
        dashed: dict[str, str | float] = {"stroke_dasharray": dashes} if dashes else {}
        parts += [line((x, 14), (x + 26, 14), colour, stroke_width=3, **dashed)]
        parts += [words((x + 34, 18.5), name, fill=INK)]
        x += 34 + LETTER_PX * len(name) + 40
    return "".join(parts)


def picture(width: int, height: int, title: str, description: str, body: str) -> str:
    """A whole chart, with words for those who do not see it."""
    key = f"{zlib.crc32(body.encode()):08x}"
    named = tag("title", escape(title), id=f"t{key}") + tag(
        "desc", escape(description), id=f"d{key}"
    )
    return tag(
        "svg",
        named + body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"t{key} d{key}",
        font_size=13,
        font_family="system-ui, sans-serif",
    )


def _plain(value: str | float) -> str:
    """An attribute's value: text escaped, numbers to a hundredth."""
    if isinstance(value, str):
        return escape(value)
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")  # + 0.0 turns -0 into 0
