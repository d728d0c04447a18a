"""Charts of error rates as inline SVG: pure functions from numbers to text.

Blue stands for pairs of one person, orange for pairs of two, and orange lines are dashed, so that
nothing hangs on colour alone. Every chart carries a title and a description in words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Final

from mien.core.errors import RangeError, ShapeError
from mien.reports import _svg as svg
from mien.reports._svg import BLUE, INK, LINE, ORANGE, QUIET, Frame, Point, Tick
from mien.reports.words import percent

_WIDTH: Final = 760
_HEIGHT: Final = 380
_SQUARE: Final = 540
_DASHES: Final = "7 4"

_DET_TICKS: Final = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5)
_DET_LOWEST: Final = 1e-6
_DET_HIGHEST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Mark:
    """A threshold to be shown.

    Attributes:
        score: Where.
        label: What it stands for, in a few words.
    """

    score: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A rate at rising thresholds, with its interval.

    Attributes:
        rate: (t,) 0-1.
        low: (t,) lower ends.
        high: (t,) upper ends.
    """

    rate: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def histogram(
    edges: Sequence[float],
    genuine: Sequence[int],
    impostor: Sequence[int],
    *,
    marks: Sequence[Mark] = (),
) -> str:
    """Scores of same-person and different-person pairs, each as shares of their own kind.

    Args:
        edges: (k + 1,) rising borders of the bins.
        genuine: (k,) same-person pairs in each bin.
        impostor: (k,) different-person pairs in each bin.
        marks: Thresholds to be drawn as upright lines.

    Returns:
        An SVG element.

    Raises:
        ShapeError: If the lengths disagree.
        RangeError: If borders are not finite and rising, a count is negative or all are nought.
    """
    borders = svg.check_finite(edges, "borders")
    same, different = _shares(genuine, borders), _shares(impostor, borders)
    filled = [i for i, pair in enumerate(zip(same, different, strict=True)) if any(pair)]
    scores = [*svg.check_finite((m.score for m in marks), "marks"), borders[filled[0]]]
    scores.append(borders[filled[-1] + 1])
    peak = max(*same, *different)
    top = 36 + 17 * len(marks)
    frame = svg.make_frame(
        (min(scores), max(scores)),
        (0.0, peak),
        width=_WIDTH,
        height=_HEIGHT + 17 * len(marks),
        left=70,
        top=top,
    )
    parts = [
        svg.axes(
            frame,
            _score_ticks(frame),
            [Tick(v, percent(round(v, 9))) for v in svg.round_ticks(0, peak, most=5)],
            "similarity (cosine)",
            "share of pairs in each bin",
        ),
        *(_steps(frame, run, ORANGE, _DASHES) for run in _runs(frame, borders, different)),
        *(_steps(frame, run, BLUE, "") for run in _runs(frame, borders, same)),
        svg.legend(frame, _NAMES_OF_PAIRS),
        *(_mark(frame, mark, 40 + 17 * row) for row, mark in enumerate(marks)),
    ]
    peaks = [borders[shares.index(max(shares))] for shares in (different, same)]
    described = (
        f"Most different-person pairs score near {peaks[0]:.2f}, most same-person pairs near "
        f"{peaks[1]:.2f}."
    ) + "".join(f" Threshold for {m.label}: {m.score:.3f}." for m in marks)
    return svg.picture(
        frame.width, frame.height, "Distribution of scores", described, "".join(parts)
    )


def error_rates(thresholds: Sequence[float], fmr: Band, fnmr: Band, *, smallest_fmr: float) -> str:
    """Both error rates against the threshold, on a logarithmic axis, with their intervals.

    A rate of nought has no place on the axis: its line ends there, and its band goes on.

    Args:
        thresholds: (t,) finite, rising; t >= 2.
        fmr: False match rate.
        fnmr: False non-match rate.
        smallest_fmr: The least false match rate that the sample supports, in (0, 1]; drawn as a
            level line.

    Returns:
        An SVG element.

    Raises:
        ShapeError: If the lengths disagree.
        RangeError: If a value lies outside its range.
    """
    cuts = svg.check_finite(thresholds, "thresholds")
    if len(cuts) < 2 or any(b <= a for a, b in pairwise(cuts)):
        raise RangeError(
            what=f"the {len(cuts)} thresholds do not rise",
            why="the rates are joined by lines from left to right",
            mend="pass two or more, rising",
        )
    bands = [_check_band(fmr, len(cuts), "FMR"), _check_band(fnmr, len(cuts), "FNMR")]
    svg.check_rates([smallest_fmr], "smallest FMR")
    lowest = min(-2, math.floor(math.log10(max(smallest_fmr, 1e-12)) + 1e-9))
    frame = svg.make_frame(
        (cuts[0], cuts[-1]), (lowest, 0), width=_WIDTH, height=_HEIGHT, left=86, top=36
    )
    level = frame.y.at(math.log10(max(smallest_fmr, 1e-12)))
    start = frame.x.start_px
    parts = [
        svg.axes(
            frame,
            _score_ticks(frame),
            [Tick(power, percent(10.0**power)) for power in range(lowest, 1)],
            "threshold (cosine)",
            "error rate",
        ),
        *(_band(frame, cuts, b, c) for b, c in zip(bands, (ORANGE, BLUE), strict=True)),
        *(_log_line(frame, cuts, b.rate, c, d) for b, (_, c, d) in zip(bands, _RATES, strict=True)),
        svg.line((start, level), (frame.x.end_px, level), INK, stroke_dasharray="2 4"),
        svg.words(
            (start + 6, level - 7),
            f"smallest FMR this sample supports: {percent(smallest_fmr)}",
            fill=INK,
            halo=True,
        ),
        svg.legend(frame, _RATES),
    ]
    described = (
        f"As the threshold rises from {cuts[0]:.2f} to {cuts[-1]:.2f}, the false match rate falls "
        f"from {percent(bands[0].rate[0])} to {percent(bands[0].rate[-1])} and the false "
        f"non-match rate rises from {percent(bands[1].rate[0])} to {percent(bands[1].rate[-1])}."
    )
    return svg.picture(
        frame.width, frame.height, "Error rates against the threshold", described, "".join(parts)
    )


def det(fmr: Sequence[float], fnmr: Sequence[float]) -> str:
    """The detection error trade-off: both error rates on normal-deviate axes.

    Scores that are normally distributed give a straight line. Points at which a rate is 0 or 1 have
    no place on such axes and are left out.

    Source:
        Martin, Doddington, Kamm, Ordowski, Przybocki, "The DET curve in assessment of detection
        task performance", Eurospeech 1997.

    Args:
        fmr: (t,) false match rates along the curve, 0-1.
        fnmr: (t,) false non-match rates along it.

    Returns:
        An SVG element. Without a single drawable point it says so in words.

    Raises:
        ShapeError: If the lengths disagree.
        RangeError: If a rate lies outside 0-1.
    """
    rates = svg.check_rates(fmr, "FMR"), svg.check_rates(fnmr, "FNMR")
    if len(rates[0]) != len(rates[1]):
        raise _lengths(f"{len(rates[0])} FMR", f"{len(rates[1])} FNMR")
    points = [(a, b) for a, b in zip(*rates, strict=True) if 0 < a < 1 and 0 < b < 1]
    ends = [_det_end([p[k] for p in points]) for k in (0, 1)]
    frame = svg.make_frame(
        (_deviate(ends[0]), _deviate(_DET_HIGHEST)),
        (_deviate(ends[1]), _deviate(_DET_HIGHEST)),
        width=_SQUARE,
        height=_SQUARE - 40,
        left=78,
        top=24,
    )
    seen = [
        p for p in points if ends[0] <= p[0] <= _DET_HIGHEST and ends[1] <= p[1] <= _DET_HIGHEST
    ]
    drawn = [frame.point(_deviate(a), _deviate(b)) for a, b in seen]
    x_ticks, y_ticks = (
        [Tick(_deviate(t), percent(t)) for t in _DET_TICKS if t >= end] for end in ends
    )
    described = "No threshold of this sample makes errors of both kinds, so there is no curve."
    curve = svg.words((frame.x.start_px + 16, 60), "no threshold errs in both ways", fill=INK)
    if drawn:
        curve = svg.path(drawn, stroke=BLUE, stroke_width=2.5)
        curve += "".join(svg.tag("circle", cx=x, cy=y, r=2.2, fill=BLUE) for x, y in drawn)
        even = min(seen, key=lambda p: abs(_deviate(p[0]) - _deviate(p[1])))
        described = (
            f"The rates are closest to each other at a false match rate of {percent(even[0])} and "
            f"a false non-match rate of {percent(even[1])}."
        )
    body = [
        svg.axes(frame, x_ticks, y_ticks, "false match rate", "false non-match rate"),
        *(_upright(frame, tick.value) for tick in x_ticks),
        _diagonal(frame, max(ends)),
        curve,
    ]
    return svg.picture(
        frame.width, frame.height, "Detection error trade-off", described, "".join(body)
    )


_NAMES_OF_PAIRS: Final = (
    ("different people", ORANGE, _DASHES),
    ("same person", BLUE, ""),
)
_RATES: Final = (
    ("FMR: strangers taken for one", ORANGE, _DASHES),
    ("FNMR: one person taken for two", BLUE, ""),
)


def _shares(counts: Sequence[int], borders: tuple[float, ...]) -> list[float]:
    if len(counts) != len(borders) - 1:
        raise _lengths(f"{len(borders)} borders", f"{len(counts)} counts")
    total = sum(counts)
    rising = all(b > a for a, b in pairwise(borders))
    if total <= 0 or min(counts) < 0 or not rising:
        raise RangeError(
            what=f"the counts add up to {total}, from {min(counts)} upwards",
            why="shares need counts of 0 or more in rising bins, and at least one pair",
            mend="draw a histogram of both kinds of pairs",
        )
    return [c / total for c in counts]


def _check_band(band: Band, length: int, name: str) -> Band:
    checked = [svg.check_rates(v, name) for v in (band.rate, band.low, band.high)]
    for values in checked:
        if len(values) != length:
            raise _lengths(f"{length} thresholds", f"{len(values)} values of {name}")
    return Band(*checked)


def _lengths(these: str, those: str) -> ShapeError:
    return ShapeError(
        what=f"there are {these} and {those}",
        why="they belong to each other one by one",
        mend="pass sequences that fit",
    )


def _score_ticks(frame: Frame) -> list[Tick]:
    values = svg.round_ticks(frame.x.low, frame.x.high, most=10)
    return [Tick(v, f"{v:.2f}".removesuffix("0").replace("-", "−")) for v in values]


def _runs(frame: Frame, borders: tuple[float, ...], shares: list[float]) -> list[list[Point]]:
    """The upper edges of the bars, apart where bins are empty."""
    runs: list[list[Point]] = []
    before = 0.0
    for left, right, share in zip(borders, borders[1:], shares, strict=False):
        if share and not before:
            runs.append([frame.point(left, 0)])
        if share:
            runs[-1] += [frame.point(left, share), frame.point(right, share)]
        elif before:
            runs[-1].append(frame.point(left, 0))
        before = share
    if before:
        runs[-1].append(frame.point(borders[-1], 0))
    return runs


def _steps(frame: Frame, outline: list[Point], colour: str, dashes: str) -> str:
    return svg.path(outline, fill=colour, fill_opacity=0.22) + svg.path(
        outline, stroke=colour, stroke_width=2, **_dashed(dashes)
    )


def _dashed(dashes: str) -> dict[str, str | float]:
    return {"stroke_dasharray": dashes} if dashes else {}


def _mark(frame: Frame, mark: Mark, top: float) -> str:
    x = frame.x.at(mark.score)
    label = f"{mark.label}: {mark.score:.3f}"
    fits = x + 6 + svg.LETTER_PX * len(label) < frame.width
    at, anchor = ((x + 6, top + 11), "start") if fits else ((x - 6, top + 11), "end")
    upright = svg.line((x, top), (x, frame.y.start_px), INK, stroke_dasharray="2 4")
    return upright + svg.words(at, label, anchor=anchor, fill=INK)


def _log_line(
    frame: Frame, cuts: Sequence[float], rates: Sequence[float], colour: str, dashes: str
) -> str:
    shown = [(c, r) for c, r in zip(cuts, rates, strict=True) if r >= 10**frame.y.low]
    points = [frame.point(c, math.log10(r)) for c, r in shown]
    return svg.path(points, stroke=colour, stroke_width=2.5, **_dashed(dashes))


def _band(frame: Frame, cuts: Sequence[float], band: Band, colour: str) -> str:
    floor = 10.0**frame.y.low
    upper, lower = (
        [frame.point(c, math.log10(max(r, floor))) for c, r in zip(cuts, ends, strict=True)]
        for ends in (band.high, band.low)
    )
    return svg.path([*upper, *reversed(lower)], fill=colour, fill_opacity=0.16)


def _deviate(rate: float) -> float:
    return NormalDist().inv_cdf(rate)


def _det_end(rates: list[float]) -> float:
    """The lowest tick that is worth showing: the last one not above the lowest rate."""
    lowest = max(min(rates, default=0.01), _DET_LOWEST)
    return max(t for t in _DET_TICKS if t <= min(lowest, 0.01))


def _upright(frame: Frame, value: float) -> str:
    x = frame.x.at(value)
    return svg.line((x, frame.y.end_px), (x, frame.y.start_px), LINE)


def _diagonal(frame: Frame, low: float) -> str:
    """The line on which both rates are equal."""
    a, b = (frame.point(_deviate(rate), _deviate(rate)) for rate in (low, _DET_HIGHEST))
    return svg.line(a, b, QUIET, stroke_dasharray="2 4")
