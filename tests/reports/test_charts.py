"""Charts are sound XML, draw what they are given, and say it in words too."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import RangeError, ShapeError
from mien.reports import _svg, charts
from mien.reports.charts import Band, Mark

SVG = "{http://www.w3.org/2000/svg}"
EDGES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
IMPOSTOR = [60, 30, 10, 0, 0]
GENUINE = [0, 0, 1, 4, 5]
CUTS = [0.0, 0.25, 0.5, 0.75, 1.0]
FMR = Band([1, 0.1, 0.01, 0.001, 0], [0.9, 0.08, 0.005, 0, 0], [1, 0.12, 0.02, 0.003, 0.002])
FNMR = Band([0, 0, 0.02, 0.3, 1], [0, 0, 0.01, 0.2, 0.9], [0.01, 0.01, 0.03, 0.4, 1])
quickly = settings(max_examples=60, deadline=None)
counts = st.lists(st.integers(0, 10**7), min_size=5, max_size=5).filter(any)
rates = st.lists(st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)), min_size=5, max_size=5)


def draw_all() -> dict[str, str]:
    return {
        "histogram": charts.histogram(EDGES, GENUINE, IMPOSTOR, marks=[Mark(0.25, "FMR 1 %")]),
        "error rates": charts.error_rates(CUTS, FMR, FNMR, smallest_fmr=0.003),
        "det": charts.det([0.2, 0.1, 0.01], [0.01, 0.02, 0.2]),
        "empty det": charts.det([1, 0, 0], [0, 0, 1]),
    }


def read(chart: str) -> ET.Element:
    """The chart as XML, of which every number is finite and within the picture."""
    assert not re.search(
        r"\b(nan|inf)\b|e[-+]\d", re.sub(r'id="\w+"|labelledby="[^"]+"', "", chart)
    )
    root = ET.fromstring(chart)
    width, height = map(float, root.get("viewBox").split()[2:])
    for x, y in (point for line in root.iter() for point in points_of(line)):
        assert -0.01 <= x <= width + 0.01
        assert -0.01 <= y <= height + 0.01
    return root


def points_of(element: ET.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in element.get("points", "").split()]


def lines(root: ET.Element, kind: str, colour: str) -> list[list[tuple[float, float]]]:
    paint = "fill" if kind == "polygon" else "stroke"
    return [points_of(e) for e in root.iter(SVG + kind) if f"--{colour}" in e.get(paint, "")]


def texts(root: ET.Element) -> list[str]:
    return [e.text.replace("\u00a0", " ") for e in root.iter(SVG + "text")]


def labels_at(root: ET.Element, anchor: str) -> dict[str, float]:
    """Labels of an axis, each with its place: x for the lower axis, y for the left one."""
    along, offset = ("x", 0) if anchor == "middle" else ("y", 4.5)  # from the middle to the base
    found = [e for e in root.iter(SVG + "text") if e.get("text-anchor") == anchor]
    return {
        e.text.replace("\u00a0", " "): float(e.get(along)) - offset
        for e in found
        if not e.get("transform")
    }


@pytest.mark.parametrize("name", list(draw_all()))
def test_charts_are_sound_and_say_what_they_show(name):
    root = read(draw_all()[name])
    assert (root.tag, root.get("role")) == (SVG + "svg", "img")
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (SVG + "title", SVG + "desc")
    assert len(title.text) > 10
    assert len(description.text) > 40
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_charts_on_one_page_have_names_of_their_own():
    names = [e.get("id") for c in draw_all().values() for e in read(c).iter() if e.get("id")]
    assert len(names) == len(set(names)) == 8


@pytest.mark.parametrize("name", list(draw_all()))
def test_charts_bring_no_style_or_script_along(name):
    tags = {e.tag.removeprefix(SVG) for e in read(draw_all()[name]).iter()}
    assert tags <= {
        *("svg", "title", "desc", "line", "text", "polyline", "polygon", "circle"),
    }


def test_the_axes_of_every_chart_are_named():
    words = {name: texts(read(chart)) for name, chart in draw_all().items()}
    assert {"similarity (cosine)", "share of pairs in each bin"} <= set(words["histogram"])
    assert {"threshold (cosine)", "error rate"} <= set(words["error rates"])
    assert {"false match rate", "false non-match rate"} <= set(words["det"])


def test_bars_are_as_high_as_their_shares():
    root = read(charts.histogram(EDGES, GENUINE, IMPOSTOR))
    ticks = labels_at(root, "end")
    zero, sixty = ticks["0 %"], ticks["60 %"]
    (outline,) = lines(root, "polyline", "orange")
    shares = [60 * (zero - y) / (zero - sixty) for _, y in outline]
    assert shares == pytest.approx([0, 60, 60, 30, 30, 10, 10, 0], abs=0.01)
    (outline,) = lines(root, "polyline", "blue")
    shares = [60 * (zero - y) / (zero - sixty) for _, y in outline]
    assert shares == pytest.approx([0, 10, 10, 40, 40, 50, 50, 0], abs=0.01)


def test_the_two_kinds_of_pairs_differ_in_more_than_colour():
    root = read(charts.histogram(EDGES, GENUINE, IMPOSTOR))
    dashes = {e.get("stroke"): e.get("stroke-dasharray") for e in root.iter(SVG + "polyline")}
    assert sorted(map(bool, dashes.values())) == [False, True]
    assert {"different people", "same person"} <= set(texts(root))


def test_empty_bins_draw_no_line():
    root = read(charts.histogram(EDGES, [1, 0, 0, 0, 1], IMPOSTOR))
    assert len(lines(root, "polyline", "blue")) == 2


def test_thresholds_stand_where_they_belong():
    marks = [Mark(0.2, "first"), Mark(0.4, "second"), Mark(0.5, "at the very right")]
    root = read(charts.histogram(EDGES, GENUINE, IMPOSTOR, marks=marks))
    ticks = labels_at(root, "middle")
    for mark in marks:
        assert any(
            float(e.get("x1")) == float(e.get("x2")) == pytest.approx(ticks[f"{mark.score:.1f}"])
            for e in root.iter(SVG + "line")
            if e.get("stroke-dasharray") == "2 4"
        )
    assert {"first: 0.200", "second: 0.400", "at the very right: 0.500"} <= set(texts(root))
    assert "Threshold for second: 0.400." in root[1].text


def test_labels_of_thresholds_are_escaped():
    root = read(charts.histogram(EDGES, GENUINE, IMPOSTOR, marks=[Mark(0.2, "<script>&")]))
    assert "<script>&: 0.200" in texts(root)


def test_a_threshold_beyond_the_scores_widens_the_chart():
    root = read(charts.histogram(EDGES, GENUINE, IMPOSTOR, marks=[Mark(0.9, "far")]))
    assert "0.9" in labels_at(root, "middle")


@quickly
@given(counts, counts)
def test_any_counts_can_be_drawn(same, different):
    read(charts.histogram(EDGES, same, different))


def test_error_rates_stand_on_a_logarithmic_axis():
    root = read(charts.error_rates(CUTS, FMR, FNMR, smallest_fmr=0.003))
    ticks = labels_at(root, "end")
    assert list(ticks) == ["0.1 %", "1 %", "10 %", "100 %"]
    steps = [a - b for a, b in pairwise(ticks.values())]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.02)
    (line,) = (p for p in lines(root, "polyline", "orange"))
    heights = [y for _, y in line]
    assert heights == pytest.approx(sorted(ticks.values()), abs=0.02)


def test_a_rate_of_nought_ends_its_line_and_not_its_band():
    root = read(charts.error_rates(CUTS, FMR, FNMR, smallest_fmr=0.003))
    (false_match,), (false_non_match,) = (
        lines(root, "polyline", colour) for colour in ("orange", "blue")
    )
    assert (len(false_match), len(false_non_match)) == (4, 3)
    for colour in ("orange", "blue"):
        (band,) = lines(root, "polygon", colour)
        assert len(band) == 2 * len(CUTS)


def test_the_least_supported_rate_is_drawn_and_named():
    root = read(charts.error_rates(CUTS, FMR, FNMR, smallest_fmr=0.01))
    level = labels_at(root, "end")["1 %"]
    assert "smallest FMR this sample supports: 1 %" in texts(root)
    assert any(
        float(e.get("y1")) == float(e.get("y2")) == pytest.approx(level, abs=0.02)
        for e in root.iter(SVG + "line")
        if e.get("stroke-dasharray") == "2 4"
    )


@quickly
@given(rates, rates, st.floats(1e-9, 1))
def test_any_rates_can_be_drawn(fmr, fnmr, smallest):
    bands = [Band(r, [0.0] * 5, [1.0] * 5) for r in (fmr, fnmr)]
    read(charts.error_rates(CUTS, *bands, smallest_fmr=smallest))


def test_normal_deviates_make_normal_scores_a_straight_line():
    cuts = [k / 10 for k in range(-20, 60)]
    fmr = [1 - NormalDist(0, 1).cdf(t) for t in cuts]
    fnmr = [NormalDist(3, 1).cdf(t) for t in cuts]
    (curve,) = lines(read(charts.det(fmr, fnmr)), "polyline", "blue")
    assert len(curve) > 20
    (x0, y0), (x1, y1) = curve[0], curve[-1]
    for x, y in curve:
        assert y == pytest.approx(y0 + (y1 - y0) * (x - x0) / (x1 - x0), abs=0.05)


def test_points_of_the_trade_off_stand_at_their_ticks():
    root = read(charts.det([0.2, 0.01], [0.01, 0.2]))
    across, up = labels_at(root, "middle"), labels_at(root, "end")
    (curve,) = lines(root, "polyline", "blue")
    expected = [(across["20 %"], up["1 %"]), (across["1 %"], up["20 %"])]
    for point, place in zip(curve, expected, strict=True):
        assert point == pytest.approx(place, abs=0.05)


def test_the_trade_off_names_where_the_errors_are_most_alike():
    root = read(charts.det([0.2, 0.05, 0.01], [0.01, 0.04, 0.2]))
    assert re.search(r"rate of 5.% and a false non-match rate of 4.%", root[1].text)


def test_without_errors_of_both_kinds_there_is_no_curve():
    root = read(charts.det([1, 0, 0], [0, 0, 1]))
    assert lines(root, "polyline", "blue") == []
    assert "no threshold errs in both ways" in texts(root)


@quickly
@given(rates, rates)
def test_any_trade_off_can_be_drawn(fmr, fnmr):
    read(charts.det(fmr, fnmr))


def test_labels_below_an_axis_do_not_touch():
    root = read(charts.det([0.5, 2e-6], [2e-6, 0.5]))
    places = sorted(
        (x, len(label)) for label, x in labels_at(root, "middle").items() if "%" in label
    )
    assert len(places) >= 5
    for (a, m), (b, n) in pairwise(places):
        assert b - a > _svg.LETTER_PX * (m + n) / 2


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 10, [k / 10 for k in range(11)]),
        (-0.34, 0.98, 10, [-0.2, 0, 0.2, 0.4, 0.6, 0.8]),
        (0, 0.09, 5, [0, 0.02, 0.04, 0.06, 0.08]),
        (0, 1e-6, 5, [0, 2e-7, 4e-7, 6e-7, 8e-7, 1e-6]),
    ],
)
def test_ticks_are_round_numbers(low, high, most, expected):
    assert _svg.round_ticks(low, high, most=most) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_by_every_chart(bad):
    with pytest.raises(RangeError, match="1 of 6 borders are not finite"):
        charts.histogram([bad, *EDGES[1:]], GENUINE, IMPOSTOR)
    with pytest.raises(RangeError, match="1 of 1 marks are not finite"):
        charts.histogram(EDGES, GENUINE, IMPOSTOR, marks=[Mark(bad, "x")])
    with pytest.raises(RangeError, match="1 of 5 thresholds are not finite"):
        charts.error_rates([*CUTS[:4], bad], FMR, FNMR, smallest_fmr=0.01)
    with pytest.raises(RangeError, match="1 of 5 FMR are not finite"):
        charts.error_rates(CUTS, Band([bad] + [0] * 4, [0] * 5, [1] * 5), FNMR, smallest_fmr=0.01)
    with pytest.raises(RangeError, match="smallest FMR are not finite"):
        charts.error_rates(CUTS, FMR, FNMR, smallest_fmr=bad)
    with pytest.raises(RangeError, match="1 of 2 FNMR are not finite"):
        charts.det([0.1, 0.2], [bad, 0.1])


def test_rates_beyond_one_are_refused():
    with pytest.raises(RangeError, match=r"FMR reach from 0.1 to 5.0.*not per cent"):
        charts.det([0.1, 5], [0.1, 0.1])


@pytest.mark.parametrize(
    ("edges", "same", "different"),
    [
        (EDGES, [0] * 5, IMPOSTOR),
        (EDGES, [-1, 2, 0, 0, 0], IMPOSTOR),
        (EDGES[::-1], GENUINE, IMPOSTOR),
    ],
)
def test_counts_that_are_none_are_refused(edges, same, different):
    with pytest.raises(RangeError, match=r"shares need counts of 0 or more in rising bins"):
        charts.histogram(edges, same, different)


def test_lengths_that_disagree_are_refused():
    with pytest.raises(ShapeError, match="6 borders and 2 counts"):
        charts.histogram(EDGES, [1, 2], IMPOSTOR)
    with pytest.raises(ShapeError, match="5 thresholds and 1 values of FMR"):
        charts.error_rates(CUTS, Band([0.1], [0.1], [0.1]), FNMR, smallest_fmr=0.01)
    with pytest.raises(ShapeError, match="1 FMR and 2 FNMR"):
        charts.det([0.1], [0.1, 0.2])


@pytest.mark.parametrize("cuts", [[0.1], [0.5, 0.1]])
def test_thresholds_that_do_not_rise_are_refused(cuts):
    band = Band([0.1] * len(cuts), [0.1] * len(cuts), [0.1] * len(cuts))
    with pytest.raises(RangeError, match=r"thresholds do not rise"):
        charts.error_rates(cuts, band, band, smallest_fmr=0.01)
