"""The tab that says who is on a picture."""

from typing import Any, Final

import gradio as gr

from mien.faces.draw import Mark
from mien.faces.pipeline import Analysis
from mien.faces.quality import QualityGate
from mien.gallery.crops import crop_jpeg
from mien.gallery.decide import Decision, Verdict
from mien.gallery.gallery import Identification, digest_of
from mien.gallery.marks import label_of, tone_of
from mien.media.image import Image
from mien.reports.html import Column, Content, element, join, paragraph, table
from mien.web.inputs import fpir_of, fpir_slider, fpir_words, picture_input, read_upload
from mien.web.pictures import marked_picture
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import DECISIONS, done, message, place_for_words, plural, reason, words_block

_DEFAULT_DAYS: Final = 14
_KEPT: Final = frozenset({Decision.UNKNOWN, Decision.AMBIGUOUS})


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    most = wiring.state.settings.keep_sightings_days
    reason_place = wiring.message()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = picture_input("Picture")
            power = fpir_slider()
            meaning = place_for_words()
            keep = gr.Checkbox(
                value=False,
                label="Keep faces that were not named, for review",
                info=_keeping_words(most),
                interactive=most > 0,
            )
            days = gr.Number(
                min(_DEFAULT_DAYS, most) or 1,
                label="For how many days",
                precision=0,
                minimum=1,
                maximum=max(most, 1),
                visible=False,
            )
            go = gr.Button("Identify", variant="primary")
        with gr.Column(scale=3, min_width=300):
            said = wiring.message()
            result = place_for_words()
    wiring.guard(go, "search", "identify people", reason_place)
    wiring.tie(go.click, _identify, needs="search", message=said,
               inputs=[picture, power, keep, days], outputs=[result],
               progress="minimal")  # fmt: skip
    wiring.tie(power.change, _explain, needs="search", message=said,
               inputs=[power], outputs=[meaning])  # fmt: skip
    wiring.show(tab, _explain, needs="search", message=said, inputs=[power], outputs=[meaning])
    keep.change(
        lambda wanted: gr.update(visible=bool(wanted)),
        [keep],
        [days],
        show_progress="hidden",
        api_visibility="private",
    )


def _keeping_words(most: int) -> str:
    if most == 0:
        return "Switched off: the service was started with keep_sightings_days = 0."
    return f"For at most {most} days. Without this nothing of the picture is kept."


async def _identify(
    visit: Visit,
    path: str | None,
    power: float,
    keep: bool,  # noqa: FBT001 - as Gradio calls it
    days: float | None,
) -> list[Any]:
    image = await visit.state.call(read_upload, visit, path)
    analysis = await visit.state.batcher.analyse(image, gate=QualityGate.probe())
    answers = await visit.state.call(visit.gallery.identify, analysis, fpir=fpir_of(power))
    kept = 0
    if keep:
        kept = await visit.state.call(_keep, visit, image, analysis, answers, int(days or 0))
    if not answers:
        return [message("warn", "No face was found", paragraph(
            "Use a picture in which faces are at least 20 pixels wide, and upright."
        )), _picture(image, answers)]  # fmt: skip
    return [_summary(answers, kept), _picture(image, answers) + _table(answers)]


def _keep(
    visit: Visit, image: Image, analysis: Analysis, answers: list[Identification], days: int
) -> int:
    """Keep the faces that were compared and not named."""
    faces = analysis.faces
    if faces.embeddings is None:
        return 0
    digest, kept = digest_of(image.pixels), 0
    with visit.change("sightings.keep") as counts:
        for row, answer in enumerate(answers[: len(faces)]):
            if answer.verdict.decision not in _KEPT:
                continue
            visit.gallery.review.keep(
                faces.embeddings[row],
                answer.verdict,
                crop=crop_jpeg(image.pixels, answer.box),
                quality=float(faces.quality.unified[row]),
                digest=digest,
                box=answer.box,
                days=days,
            )
            kept += 1
        counts["sightings"] = kept
    return kept


def _summary(answers: list[Identification], kept: int) -> str:
    named = sum(answer.verdict.decision is Decision.MATCH for answer in answers)
    title = f"{plural(len(answers), 'face')}, {named or 'none'} of them named"
    if len(answers) == 1:
        verdict = answers[0].verdict
        title = (
            f"Match: {verdict.person}"
            if verdict.decision is Decision.MATCH
            else f"One face: {DECISIONS[verdict.decision]}"
        )
    more = [paragraph(f"{plural(kept, 'face was', 'faces were')} kept for review.")] if kept else []
    return done(title, *more)


def _picture(image: Image, answers: list[Identification]) -> str:
    marks = [
        Mark(a.box, f"{number}: {label_of(a.verdict)}", tone_of(a.verdict))
        for number, a in enumerate(answers, 1)
    ]
    alt = f"The picture with {plural(len(answers), 'frame')} around faces"
    return marked_picture(image.pixels, marks, alt=alt).markup


def _table(answers: list[Identification]) -> str:
    columns = [
        Column("face"),
        Column("decision"),
        Column("score", is_number=True),
        Column("threshold", is_number=True),
        Column("why"),
    ]
    rows = [[str(number), *_row(a.verdict)] for number, a in enumerate(answers, 1)]
    caption = (
        "Score: likeness to the most similar person, from −1 to 1; it is no probability. At or "
        "above the threshold a face is named, if that person leads clearly."
    )
    return words_block(table(columns, rows, caption=caption))


def _row(verdict: Verdict) -> list[Content]:
    who = f": {verdict.person}" if verdict.person else ""
    return [
        join((element("strong", DECISIONS[verdict.decision]), who)),
        "–" if verdict.score is None else f"{verdict.score:.3f}",
        "–" if verdict.point is None else f"{verdict.point.threshold:.3f}",
        join(part for one in verdict.reasons for part in (*reason(one), " ")),
    ]


def _explain(visit: Visit, power: float) -> list[Any]:
    return [gr.skip(), words_block(element("p", fpir_words(visit, power), aria_live="polite"))]
