"""The tab of the gallery's settings: thresholds and what they mean, strict mode, checks."""

from typing import Any, Final

import gradio as gr

from mien.core.errors import MissingError
from mien.gallery.calibration import CalibrationTable
from mien.gallery.decide import point_for_fpir
from mien.reports.html import Cell, Column, Content, Html, element, facts, join, paragraph, table
from mien.reports.words import count, one_in, percent, percent_range
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import done, message, place_for_words, plural

_ASKED: Final = (0.1, 0.03, 0.01, 0.001, 0.0001)


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    reason_place, said, shown = place_for_words(), place_for_words(), place_for_words()
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            strict = gr.Checkbox(
                label="Strict",
                info="Each new face needs a consent and a day of deletion.",
            )
        with gr.Column(min_width=280):
            expire = gr.Button("Delete what is due now")
            sure = gr.Checkbox(
                value=False,
                label="The clock is right",
                info="Only if a run was refused for its clock.",
            )
        with gr.Column(min_width=280):
            verify = gr.Button("Verify the gallery")
    for control, purpose in (
        (strict, "change strict mode"),
        (expire, "run the retention"),
        (verify, "verify the gallery"),
    ):
        wiring.guard(control, "admin", purpose, reason_place)
    wiring.show(tab, _show, needs="search", message=said, outputs=[shown, strict])
    wiring.tie(strict.input, _make_strict, needs="admin", message=said, inputs=[strict],
               outputs=[shown, strict])  # fmt: skip
    wiring.tie(expire.click, _expire, needs="admin", message=said, inputs=[sure],
               outputs=[shown, sure])  # fmt: skip
    wiring.tie(verify.click, _verify, needs="admin", message=said, progress="minimal")


def _show(visit: Visit) -> list[Any]:
    return ["", _described(visit), visit.gallery.is_strict]


def _described(visit: Visit) -> str:
    gallery = visit.gallery
    held = gallery.count()
    state = [
        ("faces", count(held.faces)),
        ("people", count(held.people)),
        ("strict", "yes" if gallery.is_strict else "no"),
        ("encryption", "AES-256-GCM, at rest"),
        ("id of the key that opens it", visit.state.collections.key.id),
        ("pipeline (contract)", gallery.index.contract),
        ("receipts are signed with (public key)", gallery.deletion.signer()),
    ]
    parts = (
        element("h2", f"The gallery {visit.collection}"),
        facts(state),
        element("h2", "What a threshold means here"),
        _thresholds(visit, held.faces),
    )
    return "".join(part.markup for part in parts)


def _thresholds(visit: Visit, faces: int) -> Html:
    try:
        calibration = visit.gallery.calibration
    except MissingError as err:
        return paragraph(f"There is none: {err.what}. {err.mend}.")
    columns = [
        Column("FPIR"),
        Column("threshold", is_number=True),
        Column("FMR", is_number=True),
        Column("FNMR", is_number=True),
    ]
    rows = [_threshold_row(calibration, fpir, faces) for fpir in _ASKED]
    caption = (
        f"For a search among {plural(max(faces, 1), 'face')}. FPIR: share of strangers who may be "
        "given a name. FMR: share of single comparisons of two people that reach the threshold. "
        "FNMR: share of comparisons with the right person that miss it. Small: "
        f"{percent(calibration.confidence)} intervals. Comparisons are taken as independent; the "
        "true FPIR is usually lower. The threshold rises with the gallery."
    )
    return table(columns, rows, caption=caption)


def _threshold_row(calibration: CalibrationTable, fpir: float, faces: int) -> list[Content | Cell]:
    point = point_for_fpir(calibration, fpir, faces)
    asked = join((percent(fpir), " ", element("span", one_in(fpir), class_="small")))
    if not point.supported:
        return [asked, Cell(f"{point.warning}", span=3, is_refusal=True)]
    missed = calibration.fnmr_at(point.threshold)
    shown = f"{'≤ ' if missed.is_upper_bound else ''}{percent(missed.rate)}"
    return [
        asked,
        f"{point.threshold:.3f}",
        _with_interval(percent(point.fmr), point.fmr_interval),
        _with_interval(shown, calibration.fnmr_interval_at(point.threshold)),
    ]


def _with_interval(value: str, ends: tuple[float, float]) -> Html:
    return join((value, " ", element("span", percent_range(*ends), class_="small")))


def _make_strict(visit: Visit, strict: bool) -> list[Any]:  # noqa: FBT001 - as Gradio calls it
    with visit.change("collections.strict"):
        visit.gallery.make_strict(strict=strict)
    said = (
        done("Strict: each new face needs a consent and a day of deletion")
        if strict
        else done("No longer strict", paragraph("Consent and day of deletion may be left out."))
    )
    return [said, _described(visit), strict]


def _expire(visit: Visit, sure: bool) -> list[Any]:  # noqa: FBT001 - as Gradio calls it
    receipt = visit.state.retention.expire(visit.collection, confirm=sure, key_id=visit.actor)
    if receipt is None:
        said = done("Nothing was due", paragraph("Faces kept for review were looked at too."))
    else:
        words = f"{plural(len(receipt.faces), 'face')}. Receipt {receipt.number} was kept."
        said = done("Deleted what was due", paragraph(words))
    return [said, _described(visit), False]


def _verify(visit: Visit) -> list[Any]:
    faults = visit.gallery.verify()
    if faults:
        listed = element("ul", *(element("li", fault) for fault in faults))
        return [message("bad", f"{plural(len(faults), 'fault')} found", listed)]
    words = "Every row opens, what is searched equals the store, and the receipts form one chain."
    return [done("The gallery is sound", paragraph(words))]
