"""Two charts of `mien.reports.capacity`: time and false alarms against the size of a gallery.

Both axes are logarithmic. Lines are computed; dots are measurements.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mien.reports import _svg as svg
from mien.reports._svg import BLUE, INK, ORANGE, QUIET, Frame, Tick
from mien.reports.words import count, percent

_STYLES: Final = ((BLUE, ""), (ORANGE, "7 4"), (INK, "2 4"), (QUIET, "10 3 2 3"))
_LOWEST_FPIR: Final = -5


@dataclass(frozen=True, slots=True)
class Line:
    """Times of one way to search.

    Attributes:
        name: Of the way.
        sizes: Rising sizes of galleries.
        values_ms: The computed time at each.
        dots: Sizes and measured times, milliseconds.
    """

    name: str
    sizes: Sequence[int]
    values_ms: Sequence[float]
    dots: Sequence[tuple[int, float]] = ()


def latency(lines: Sequence[Line]) -> str:
    """Time of one search against the size of the gallery, up to four lines, as an SVG element."""
    sizes = [size for line in lines for size in line.sizes]
    values = [v for line in lines for v in (*line.values_ms, *(ms for _, ms in line.dots))]
    powers = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    frame = _frame(sizes, powers)
    styled = list(zip(lines, _STYLES, strict=False))
    parts = [
        svg.axes(
            frame,
            _size_ticks(frame),
            [Tick(p, _milliseconds(10.0**p)) for p in range(powers[0], powers[1] + 1)],
            "faces in the gallery",
            "time of a search, one thread",
        ),
        *(_curve(frame, one.sizes, one.values_ms, *style) for one, style in styled),
        *(_dot(frame, *dot, style[0]) for one, style in styled for dot in one.dots),
        svg.legend(frame, [(one.name, *style) for one, style in styled]),
    ]
    described = " ".join(
        f"{one.name}: {_milliseconds(one.values_ms[0])} at {count(one.sizes[0])} faces, "
        f"{_milliseconds(one.values_ms[-1])} at {count(one.sizes[-1])}."
        for one in lines
    )
    return svg.picture(frame.width, frame.height, "Time of a search", described, "".join(parts))


def false_alarms(
    sizes: Sequence[int], fpir: Sequence[float], *, wanted: float, supported_size: int
) -> str:
    """FPIR at the strictest supported threshold against size, as an SVG element.

    Args:
        sizes: Rising sizes of galleries.
        fpir: (n,) FPIR at each, 0-1.
        wanted: The tolerated rate, drawn as a level line.
        supported_size: Largest gallery at which the calibration supports it, drawn upright.
    """
    frame = _frame(sizes, (_LOWEST_FPIR, 0))
    level = frame.y.at(math.log10(wanted))
    start, end = frame.x.start_px, frame.x.end_px
    at = frame.x.at(math.log10(max(supported_size, 1)))
    parts = [
        svg.axes(
            frame,
            _size_ticks(frame),
            [Tick(p, percent(10.0**p)) for p in range(_LOWEST_FPIR, 1)],
            "faces in the gallery",
            "searches for strangers that name somebody",
        ),
        _curve(frame, sizes, fpir, ORANGE, "7 4"),
        svg.line((start, level), (end, level), INK, stroke_dasharray="2 4"),
        svg.line((at, frame.y.start_px), (at, frame.y.end_px), INK, stroke_dasharray="2 4"),
        svg.words(
            (at + 6 if at < (start + end) / 2 else at - 6, frame.y.start_px - 10),
            f"supported up to {count(supported_size)}",
            anchor="start" if at < (start + end) / 2 else "end",
            fill=INK,
            halo=True,
        ),
        svg.words((end - 4, level - 7), f"wanted: {percent(wanted)}", anchor="end", halo=True),
        svg.legend(frame, [("FPIR at the strictest supported threshold", ORANGE, "7 4")]),
    ]
    described = (
        f"At the strictest threshold that the calibration supports, the rate rises from "
        f"{percent(fpir[0])} at {count(sizes[0])} faces to {percent(fpir[-1])} at "
        f"{count(sizes[-1])}. A rate of {percent(wanted)} is supported up to "
        f"{count(supported_size)} faces."
    )
    return svg.picture(frame.width, frame.height, "False alarms", described, "".join(parts))


def _frame(sizes: Sequence[int], powers: tuple[int, int]) -> Frame:
    ends = math.log10(min(sizes)), math.log10(max(sizes)) + 0.4  # room for the last label
    return svg.make_frame(ends, powers, width=760, height=380, left=98, top=36)


def _size_ticks(frame: Frame) -> list[Tick]:
    first, last = math.ceil(frame.x.low - 1e-9), math.floor(frame.x.high + 1e-9)
    return [Tick(p, count(10**p)) for p in range(first, last + 1)]


def _curve(
    frame: Frame, sizes: Sequence[int], values: Sequence[float], colour: str, dashes: str
) -> str:
    points = [
        frame.point(math.log10(size), math.log10(value))
        for size, value in zip(sizes, values, strict=True)
        if value > 0
    ]
    dashed: dict[str, str | float] = {"stroke_dasharray": dashes} if dashes else {}
    return svg.path(points, stroke=colour, stroke_width=2.5, **dashed)


def _dot(frame: Frame, size: int, value: float, colour: str) -> str:
    x, y = frame.point(math.log10(size), math.log10(value))
    return svg.tag("circle", cx=x, cy=y, r=4, fill=colour)


def _milliseconds(value: float) -> str:
    return f"{value / 1e3:,.3g}\u00a0s" if value >= 1e3 else f"{value:.3g}\u00a0ms"
