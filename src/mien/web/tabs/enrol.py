"""The tab that adds a face to a person of the gallery."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from mien.core.errors import ConflictError, InputError, MienError, RefusedError
from mien.faces.draw import Mark
from mien.faces.pipeline import Analysis
from mien.gallery.index import Template
from mien.media.image import Image
from mien.reports.html import Html, element, join, paragraph
from mien.web.inputs import picture_input, read_upload
from mien.web.pictures import crop_image, marked_picture
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import done, message, place_for_words, plural, reasons_list, told, words_block


@dataclass(frozen=True, slots=True)
class _Form:
    """What was filled in."""

    path: str | None
    name: str
    consent: str
    day: str
    face: int | None
    keep_crop: bool
    force: bool


def build(wiring: Wiring, _: gr.Tab) -> None:
    """Place the controls and tie them."""
    reason_place = wiring.message()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            picture = picture_input("Picture of the person")
            face = gr.Radio([], label="Which face", visible=False)
            name = gr.Textbox(label="Name", max_length=200, placeholder="Ada Lovelace")
            consent = gr.Textbox(
                label="Consent",
                info="What the person agreed to, or on which ground they are enrolled.",
                placeholder="signed form 12, 2026-03-01: door of the workshop",
            )
            day = gr.Textbox(
                label="Day of deletion",
                info="After this day the face is deleted. Write it as 2027-01-31.",
                placeholder="2027-01-31",
                max_length=10,
            )
            keep_crop = gr.Checkbox(
                value=True,
                label="Keep a small picture of the face",
                info="Encrypted, like all of the gallery; it lets people check what is enrolled.",
            )
            force = gr.Checkbox(
                value=False,
                label="Enrol anyway",
                info="The face speaks against the name, and I have compared the pictures.",
                visible=False,
            )
            go = gr.Button("Enrol", variant="primary")
        with gr.Column(scale=3, min_width=300):
            said = wiring.message()
            result = place_for_words()
    wiring.guard(go, "enrol", "enrol people", reason_place)
    wiring.tie(picture.change, _look, needs="enrol", message=said, inputs=[picture],
               outputs=[result, face, force], progress="minimal")  # fmt: skip
    wiring.tie([go.click, name.submit, consent.submit, day.submit], _enrol, needs="enrol",
               message=said, inputs=[picture, name, consent, day, face, keep_crop, force],
               outputs=[result, force], progress="minimal")  # fmt: skip
    name.change(
        lambda: gr.update(value=False, visible=False),
        None,
        [force],
        show_progress="hidden",
        api_visibility="private",
    )


async def _look(visit: Visit, path: str | None) -> list[Any]:
    """Show the faces of a picture that was just chosen."""
    no_choice = gr.update(choices=[], value=None, visible=False)
    no_force = gr.update(value=False, visible=False)
    if not path:
        return ["", "", no_choice, no_force]
    image, analysis = await _analysed(visit, path)
    count = len(analysis.faces)
    choice = no_choice
    if count + len(analysis.refused) > 1 and count:
        choices = [(f"Face {row + 1} ({_quality(analysis, row)})", row) for row in range(count)]
        choice = gr.update(choices=choices, value=analysis.main_face(), visible=True)
    refused = [reasons_list(map(str, codes)) for codes in analysis.reasons]
    said = message("warn", "No usable face was found", *refused) if count == 0 else ""
    return [said, _picture(image, analysis), choice, no_force]


async def _enrol(visit: Visit, *values: Any) -> list[Any]:
    form = _Form(*values)
    image, analysis = await _analysed(visit, form.path)
    no_force = gr.update(value=False, visible=False)
    try:
        stored = await visit.state.call(_store, visit, form, image, analysis)
    except ConflictError as err:
        if "codes" not in err.facts:  # the very same picture; no force helps against that
            raise
        shown = await visit.state.call(_likeness, visit, err)
        return [told(err), shown, gr.update(visible=True)]
    except MienError as err:
        return [told(err), _picture(image, analysis), no_force]
    return [_receipt(visit, stored), _picture(image, analysis, form.face or 0), no_force]


async def _analysed(visit: Visit, path: str | None) -> tuple[Image, Analysis]:
    image = await visit.state.call(read_upload, visit, path)
    return image, await visit.state.batcher.analyse(image)


def _store(visit: Visit, form: _Form, image: Image, analysis: Analysis) -> Template:
    _check_form(visit, form)
    with visit.change("faces.enrol") as counts:
        stored = visit.gallery.enrol(
            form.name,
            analysis,
            pixels=image.pixels,
            consent=form.consent.strip(),
            retain_until=form.day.strip(),
            row=form.face,
            force=form.force,
            keep_crop=form.keep_crop,
            actor=visit.actor,
        )
        counts["faces"] = 1
    return stored


def _check_form(visit: Visit, form: _Form) -> None:
    if not form.name.strip():
        raise InputError(
            what="the name is empty",
            why="people are found again by their names",
            mend="fill in a name",
        )
    if visit.gallery.is_strict and not (form.consent.strip() and form.day.strip()):
        raise RefusedError(
            what="consent or day of deletion is missing",
            why="this gallery is strict: each face needs both",
            mend="fill in both fields",
        )


def _receipt(visit: Visit, stored: Template) -> str:
    person = visit.gallery.people.find(stored.person_id)
    wanting = [] if stored.consent else ["no consent was noted"]
    wanting += [] if stored.retain_until else ["no day of deletion was set"]
    notes = [paragraph(f"But {' and '.join(wanting)}.")] if wanting else []
    return done(
        f"Enrolled: {stored.person}",
        paragraph(
            f"Quality {stored.quality:.0f} of 100. {stored.person} has "
            f"{plural(person.faces, 'face')} now. Two or three pictures in different light are "
            "worth more than one."
        ),
        *notes,
    )


def _picture(image: Image, analysis: Analysis, chosen: int | None = None) -> str:
    """The picture with its faces; the reasons against those that cannot be used."""
    marks = [
        Mark(_box(box), f"{row + 1}: {_quality(analysis, row)}",
             "match" if row == chosen else "neutral")
        for row, box in enumerate(analysis.faces.boxes)
    ]  # fmt: skip
    marks += [Mark(_box(box), "cannot be used", "not_comparable") for box in analysis.refused.boxes]
    alt = f"The picture with {plural(len(marks), 'frame')} around faces"
    caption = "Quality is from 0 to 100, by sharpness, size, light and pose." if marks else ""
    return marked_picture(image.pixels, marks, alt=alt, caption=caption).markup


def _quality(analysis: Analysis, row: int) -> str:
    return f"quality {analysis.faces.quality.unified[row]:.0f}"


def _box(box: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1


def _likeness(visit: Visit, error: ConflictError) -> str:
    """Whom the face resembles, with both scores."""
    own, other = error.facts.get("own"), error.facts.get("other")
    lines = []
    if isinstance(own, float):
        lines.append(f"Likeness to the person named: {own:.3f}.")
    picture = Html("")
    if isinstance(other, float):
        whom = "another person"
        other_id = str(error.facts.get("other_person", ""))
        if visit.may("search") and other_id:
            person = visit.gallery.people.find(other_id)
            whom = person.name
            crop = visit.gallery.people.crop(person.face_id)
            if crop:
                picture = element("figure", crop_image(crop, f"A face of {whom}"), class_="picture")
        lines.append(f"Likeness to {whom}: {other:.3f}.")
    return words_block(
        element("h2", "The likeness"), paragraph(join(f"{x} " for x in lines)), picture
    )
