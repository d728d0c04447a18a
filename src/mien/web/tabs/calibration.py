"""The tab of the calibration table: what a score means, where that was measured, and its limits."""

from pathlib import Path
from typing import Any, Final

import gradio as gr

from mien.core.errors import InputError, IntegrityError, MissingError
from mien.gallery.calibration import CalibrationTable, parse_table, shipped_table
from mien.reports import charts
from mien.reports.html import Html, element, facts, figure, paragraph
from mien.reports.words import count, one_in, percent
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import done, message, place_for_words

_MARKED: Final = (1e-2, 1e-3, 1e-4, 1e-5)
_MAX_BYTES: Final = 4 * 2**20


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    reason_place, said, shown = place_for_words(), place_for_words(), place_for_words()
    with gr.Accordion("Use another table", open=False):
        upload = gr.File(label="Calibration table, JSON", file_types=[".json"], height=140)
        use = gr.Button("Use this table in the gallery")
    wiring.guard(use, "admin", "change the calibration", reason_place)
    wiring.show(tab, _show, needs="search", message=said, outputs=[shown])
    wiring.tie(use.click, _use, needs="admin", message=said, inputs=[upload], outputs=[shown])


def _show(visit: Visit) -> list[Any]:
    try:
        table = visit.gallery.calibration
    except MissingError as err:
        words = f"{err.why}. {err.mend}."
        return [message("warn", "There is no calibration for this gallery", paragraph(words)), ""]
    return ["", _described(table, is_own=_is_own(visit, table))]


def _is_own(visit: Visit, table: CalibrationTable) -> bool:
    try:
        return table != shipped_table(visit.gallery.index.contract)
    except MissingError:
        return True


def _described(table: CalibrationTable, *, is_own: bool) -> str:
    whose = "This gallery uses a table of its own." if is_own else (
        "This gallery uses the table that mien ships. It was measured on photos of well-known "
        "people, not on yours: measure your own with mien calibrate before you rely on it."
    )  # fmt: skip
    origin = table.provenance
    measured = [
        ("measured on", origin.data),
        ("date", origin.date),
        ("people", count(table.n_people)),
        ("photos", count(table.n_photos)),
        ("pairs of one person", count(table.n_genuine)),
        ("pairs of different people", count(table.n_impostor)),
        ("pipeline (contract)", table.contract),
        ("photos and pairs used", origin.selection),
    ]
    supports = (
        f"The smallest false match rate that this sample can show is {percent(table.smallest_fmr)} "
        f"({one_in(table.smallest_fmr)}): if an error was never seen among n pairs, all that is "
        "known is that it is rarer than about 3 in n. Smaller rates are refused, not guessed."
    )
    parts = (
        element("h2", "The table in force"),
        paragraph(whose),
        facts(measured),
        element("h2", "What it supports"),
        paragraph(supports),
        element("h2", "Scores"),
        _scores(table),
        element("h2", "The two kinds of error"),
        _errors(table),
    )
    return "".join(part.markup for part in parts)


def _scores(table: CalibrationTable) -> Html:
    marks = [
        charts.Mark(found.threshold, f"FMR {percent(rate)}")
        for rate in _MARKED
        if (found := table.threshold_for(rate)).supported
    ]
    chart = charts.histogram(table.edges, table.genuine_counts, table.impostor_counts, marks=marks)
    caption = (
        "Every pair of photos has a score. The less the two hills overlap, the better people can "
        "be told apart. Dotted: thresholds for the false match rates beside them."
    )
    return figure(Html(chart), caption)


def _errors(table: CalibrationTable) -> Html:
    chart = charts.error_rates(
        table.thresholds,
        charts.Band(table.fmr, table.fmr_low, table.fmr_high),
        charts.Band(table.fnmr, table.fnmr_low, table.fnmr_high),
        smallest_fmr=table.smallest_fmr,
    )
    caption = (
        "A higher threshold lets fewer strangers pass and misses more of the right people. "
        f"Shaded: {percent(table.confidence)} intervals."
    )
    return figure(Html(chart), caption)


def _use(visit: Visit, path: str | None) -> list[Any]:
    if not path:
        raise InputError(
            what="no file was chosen", why="there is no table to use", mend="choose a file"
        )
    file = Path(path)
    if file.stat().st_size > _MAX_BYTES:
        raise InputError(
            what=f"the file has more than {_MAX_BYTES:,} bytes",
            why="a calibration table is much smaller",
            mend="choose the file that mien calibrate wrote with --table",
        )
    try:
        table = parse_table(file.read_bytes(), "the file")
    except IntegrityError as err:  # the fault is not the service's
        raise InputError(what=err.what, why=err.why, mend=err.mend) from err
    with visit.change("collections.calibrate"):
        visit.gallery.keep_calibration(table)
    words = f"{count(table.n_people)} people, {count(table.n_impostor)} pairs of different people."
    said = done("The gallery uses this table now", paragraph(words))
    return [said, _described(table, is_own=True)]
