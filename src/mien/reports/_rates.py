"""The part of a report that turns tolerated error rates into thresholds, or refuses to."""

from typing import Final

from mien.gallery.calibration import CalibrationTable
from mien.gallery.decide import point_for_fpir
from mien.metrics.identification import fmr_for_fpir
from mien.reports import html
from mien.reports.words import count, one_in, percent, percent_range

ASKED_FMR: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
ASKED_FPIR: Final = (0.1, 0.01, 0.001)
GALLERY_SIZES: Final = (10, 100, 1_000, 10_000)


def thresholds_section(table: CalibrationTable) -> html.Html:
    columns = [
        html.Column("tolerated FMR"),
        html.Column("threshold", is_number=True),
        html.Column("FMR there", is_number=True),
        html.Column("FNMR there", is_number=True),
        html.Column("sample"),
    ]
    return html.section(
        "Thresholds for comparing two photos",
        html.table(
            columns,
            [_threshold_row(table, rate) for rate in ASKED_FMR],
            caption="FMR: share of different-person pairs at or above the threshold. FNMR: share "
            f"of same-person pairs below it. Small: {percent(table.confidence)} intervals.",
        ),
    )


def _threshold_row(table: CalibrationTable, rate: float) -> list[html.Content | html.Cell]:
    asked = html.join((percent(rate), " ", html.element("span", one_in(rate), class_="small")))
    found = table.threshold_for(rate)
    if not found.supported:
        return [asked, html.Cell(refusal_words(table, rate), span=4, is_refusal=True)]
    at = found.threshold
    return [
        asked,
        f"{at:.4f}",
        _with_interval(percent(found.fmr), table.fmr_interval_at(at)),
        _with_interval(_missed(table, at), table.fnmr_interval_at(at)),
        _whole("supported by this sample"),
    ]


def _missed(table: CalibrationTable, threshold: float) -> str:
    read = table.fnmr_at(threshold)
    return f"≤\u00a0{percent(read.rate)}" if read.is_upper_bound else percent(read.rate)


def _with_interval(value: str, interval: tuple[float, float]) -> html.Html:
    return html.join((value, " ", html.element("span", percent_range(*interval), class_="small")))


def _whole(*content: html.Content) -> html.Html:
    """Words on one line."""
    return html.element("span", *content, class_="keep")


def refusal_words(table: CalibrationTable, rate: float) -> str:
    """Why a false match rate is not supported: too few pairs, or a table that ends too early."""
    if table.smallest_fmr > rate:
        return (
            f"sample too small: {count(table.n_impostor)} different-person pairs show no "
            f"FMR below 3/n, {percent(table.smallest_fmr)}"
        )
    return (
        f"beyond this table: at its highest threshold, {table.thresholds[-1]:.2f}, the FMR "
        f"is still {percent(table.fmr[-1])}; look for mislabelled photos"
    )


def galleries_section(table: CalibrationTable) -> html.Html:
    columns = [
        html.Column("gallery"),
        *(html.Column(f"FPIR {percent(rate)}", is_number=True) for rate in ASKED_FPIR),
    ]
    rows: list[list[html.Content | html.Cell]] = [
        [
            _whole(f"{count(size)} templates"),
            *(_gallery_cell(table, rate, size) for rate in ASKED_FPIR),
        ]
        for size in GALLERY_SIZES
    ]
    return html.section(
        "Thresholds for searching a gallery",
        html.paragraph(
            "A search compares one face with every template, so the same rate of false alarms "
            "needs a higher threshold in a larger gallery. FPIR is the share of searches for "
            "unknown people that name somebody, reckoned as ",
            _whole("1 − (1 − FMR)", html.element("sup", "N")),
            ": the N comparisons are taken as independent, and the true rate is usually lower.",
        ),
        html.table(
            columns,
            rows,
            caption="Threshold for each tolerated FPIR. Small: share of comparisons with the right "
            "person that fall below it (FNMR).",
        ),
    )


def _gallery_cell(table: CalibrationTable, fpir: float, size: int) -> html.Content | html.Cell:
    point = point_for_fpir(table, fpir, size)
    if not point.supported:
        asked = fmr_for_fpir(fpir, size)
        needs = html.element("span", f"needs FMR {percent(asked)}", class_="small")
        return html.Cell(html.join(("refused", " ", needs)), is_refusal=True)
    missed = html.element("span", f"misses {_missed(table, point.threshold)}", class_="small")
    return html.join((f"{point.threshold:.4f}", " ", missed))
