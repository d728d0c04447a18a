"""The part of the tab People that is about the person chosen."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import gradio as gr

from mien.core.errors import InputError
from mien.gallery.index import Template
from mien.gallery.people import Person
from mien.gallery.receipts import Receipt
from mien.reports.html import element, facts, paragraph
from mien.web.cards import Card, CardField, cards_to_tick
from mien.web.pictures import crop_image, initials
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import done, message, place_for_words, plural

_KINDS: Final = {
    "faces": ("face", "faces"),
    "crops": ("small picture", "small pictures"),
    "rejections": ("note of a face that is not the person", "notes of faces that are not"),
    "journal_entries": ("entry of the history", "entries of the history"),
    "sightings": ("face kept for review", "faces kept for review"),
}
_CHECKS: Final = {
    "store": "the gallery's file",
    "write-ahead log": "its log of recent changes",
    "files": "all files beside it",
    "index": "the index that is searched",
}


class View(Protocol):
    """The tab."""

    def inputs(self) -> list[Any]:
        """What draws it anew."""

    def outputs(self) -> list[Any]:
        """What is drawn anew."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What is placed."""

    whole: gr.Column
    head: gr.Markdown
    faces: CardField
    other: gr.Dropdown
    asking: gr.Group
    question: gr.Markdown
    buttons: dict[str, gr.Button]
    fields: dict[str, gr.Textbox]

    def outputs(self) -> list[Any]:
        """In the order of `updates`."""
        shown = [self.whole, self.head, self.faces.place, self.faces.picked, self.other]
        return [*shown, self.asking, self.question, *self.fields.values()]


def place(wiring: Wiring, reason_place: gr.Markdown) -> Controls:
    """Place the controls."""
    buttons: dict[str, gr.Button] = {}
    fields: dict[str, gr.Textbox] = {}

    def button(key: str, label: str, **more: Any) -> None:
        buttons[key] = gr.Button(label, size="md", **more)

    with gr.Column(visible=False) as whole:
        head = place_for_words()
        faces = CardField("faces")
        with gr.Accordion("Name", open=False):
            fields["name"] = gr.Textbox(label="New name", max_length=200)
            button("rename", "Rename")
        with gr.Accordion("Same person as somebody else, or not", open=False):
            other = gr.Dropdown([], label="The other person", filterable=True)
            button("merge", "Merge into the other person")
            button("separate", "Note that these are two people")
        with gr.Accordion("Ticked faces", open=False):
            fields["split"] = gr.Textbox(label="Name of the new person", max_length=200)
            button("split", "Split off the ticked faces")
            fields["consent"] = gr.Textbox(label="Consent")
            fields["day"] = gr.Textbox(label="Day of deletion", placeholder="2027-01-31")
            button("amend", "Note both for the ticked faces")
            button("delete_faces", "Delete the ticked faces", variant="stop")
        button("delete", "Delete this person …", variant="stop")
        with gr.Group(visible=False) as asking:
            question = place_for_words()
            with gr.Row():
                button("confirm", "Delete for good", variant="stop")
                button("keep", "Keep")
    controls = Controls(whole, head, faces, other, asking, question, buttons, fields)
    for key, control in buttons.items():
        scope = "delete" if key in {"delete", "confirm", "delete_faces"} else "enrol"
        purpose = "delete" if scope == "delete" else "change people"
        wiring.guard(control, scope, purpose, reason_place)
    return controls


def tie(
    wiring: Wiring,
    controls: Controls,
    said: gr.Markdown,
    view: View,
    refreshed: Callable[..., list[Any]],
) -> None:
    """Tie the controls to actions; after each the tab is drawn anew."""
    fields, ticked = controls.fields, controls.faces.picked

    def tie_one(
        keys: list[Any], action: Callable[..., tuple[str, str]], inputs: list[Any], needs: str
    ) -> None:
        def act(visit: Visit, find: str, chosen: str, *values: Any) -> list[Any]:
            said_now, then = action(visit, chosen, *values)
            return [said_now, *refreshed(visit, find, then)]

        wiring.tie(keys, act, needs=needs, message=said, inputs=[*view.inputs(), *inputs],
                   outputs=view.outputs())  # fmt: skip

    click = {key: control.click for key, control in controls.buttons.items()}
    tie_one([click["rename"], fields["name"].submit], _rename, [fields["name"]], "enrol")
    tie_one([click["merge"]], _merge, [controls.other], "enrol")
    tie_one([click["separate"]], _separate, [controls.other], "enrol")
    tie_one([click["split"], fields["split"].submit], _split, [ticked, fields["split"]], "enrol")
    tie_one([click["amend"]], _amend, [ticked, fields["consent"], fields["day"]], "enrol")
    tie_one([click["delete_faces"]], _delete_faces, [ticked], "delete")
    tie_one([click["confirm"]], _delete, [], "delete")
    wiring.tie(click["delete"], _ask, needs="delete", message=said, inputs=view.inputs(),
               outputs=[controls.asking, controls.question])  # fmt: skip
    wiring.tie(click["keep"], lambda _: ["", gr.update(visible=False)], needs="enrol",
               message=said, outputs=[controls.asking])  # fmt: skip


def updates(visit: Visit, person: Person | None, everybody: list[Person]) -> list[Any]:
    """Values for `Controls.outputs`."""
    no_question = [gr.update(visible=False), ""]
    empty = ["", "", "", ""]
    if person is None:
        return [gr.update(visible=False), "", "", "", gr.update(choices=[], value=None),
                *no_question, *empty]  # fmt: skip
    faces = visit.gallery.people.faces(person.person_id)
    cards = [_face_card(visit, number, face) for number, face in enumerate(faces, 1)]
    others = [(p.name, p.person_id) for p in everybody if p.person_id != person.person_id]
    return [
        gr.update(visible=True),
        _head(person),
        cards_to_tick("faces", cards),
        "",
        gr.update(choices=others, value=None),
        *no_question,
        *empty,
    ]


def _head(person: Person) -> str:
    shown = [
        ("faces", f"{person.faces}"),
        ("consent", "noted for each face" if person.has_consent else "missing"),
        ("day of deletion", person.retain_until or "none"),
    ]
    return element("h2", person.name).markup + facts(shown).markup


def _face_card(visit: Visit, number: int, face: Template) -> Card:
    crop = visit.gallery.people.crop(face.face_id)
    lines: tuple[str, ...] = (f"quality {face.quality:.0f}", f"enrolled {face.enrolled_at[:10]}")
    lines += (f"until {face.retain_until}",) if face.retain_until else ()
    lines += (face.consent,) if face.consent else ()
    warnings = () if face.consent else ("consent missing",)
    picture = crop_image(crop, "") if crop else initials(face.person)
    return Card(face.face_id, picture, f"Face {number}", lines, warnings)


def _rename(visit: Visit, person: str, name: str) -> tuple[str, str]:
    with visit.change("people.rename") as counts:
        renamed = visit.gallery.people.rename(person, name, actor=visit.actor)
        counts["people"] = 1
    return done(f"Renamed to {renamed.name}"), person


def _merge(visit: Visit, person: str, other: str | None) -> tuple[str, str]:
    with visit.change("people.merge") as counts:
        merged = visit.gallery.people.merge(_named(other), person, actor=visit.actor)
        counts["people"] = 2
    return done(
        f"Merged into {merged.name}", paragraph(f"{plural(merged.faces, 'face')} in all.")
    ), merged.person_id


def _separate(visit: Visit, person: str, other: str | None) -> tuple[str, str]:
    with visit.change("people.separate") as counts:
        visit.gallery.people.separate(person, _named(other), actor=visit.actor)
        counts["people"] = 2
    return done("Noted: these are two people, and cannot be merged"), person


def _split(visit: Visit, person: str, ticked: str, name: str) -> tuple[str, str]:
    face_ids = _ticked(ticked)
    with visit.change("people.split") as counts:
        made = visit.gallery.people.split(face_ids, name, actor=visit.actor)
        counts["faces"] = len(face_ids)
    words = f"{plural(len(face_ids), 'face')} now under this name."
    return done(f"Split off: {made.name}", paragraph(words)), person


def _amend(visit: Visit, person: str, ticked: str, consent: str, day: str) -> tuple[str, str]:
    face_ids = _ticked(ticked)
    given = {"consent": consent.strip() or None, "retain_until": day.strip() or None}
    with visit.change("faces.amend") as counts:
        for face_id in face_ids:
            visit.gallery.people.amend(face_id, actor=visit.actor, **given)
        counts["faces"] = len(face_ids)
    return done(f"Noted for {plural(len(face_ids), 'face')}"), person


def _delete_faces(visit: Visit, person: str, ticked: str) -> tuple[str, str]:
    face_ids = _ticked(ticked)
    with visit.change("faces.delete") as counts:
        receipt = visit.gallery.deletion.faces(face_ids, actor=visit.actor)
        counts["faces"] = len(face_ids)
    return _receipt_words(receipt), person


def _ask(visit: Visit, _: str, person: str) -> list[Any]:
    found = visit.gallery.people.find(person)
    words = (
        f"{plural(found.faces, 'face')} with pictures, notes and history will be deleted. "
        "That cannot be taken back. A signed receipt will say what was deleted."
    )
    question = message("warn", f"Delete {found.name} for good?", paragraph(words))
    return ["", gr.update(visible=True), question]


def _delete(visit: Visit, person: str) -> tuple[str, str]:
    with visit.change("people.delete") as counts:
        receipt = visit.gallery.deletion.person(person, actor=visit.actor)
        counts["faces"] = len(receipt.faces)
    return _receipt_words(receipt), ""


def _receipt_words(receipt: Receipt) -> str:
    """The receipt: what was removed, what was looked at afterwards, and the file to keep."""
    removed = ", ".join(
        plural(number, *_KINDS.get(kind, (kind, kind)))
        for kind, number in receipt.removed.items()
        if number
    )
    checks = [(_CHECKS.get(where, where), _check_word(what))
              for where, what in receipt.checks.items()]  # fmt: skip
    data = base64.b64encode(receipt.to_json().encode()).decode()
    link = element(
        "a",
        "Download the signed receipt",
        href=f"data:application/json;base64,{data}",
        download=f"receipt-{receipt.number}.json",
    )
    return message(
        "good" if receipt.is_complete else "warn",
        f"Deleted. Receipt {receipt.number}",
        paragraph(f"Removed: {removed}. Afterwards it was looked for in:"),
        facts(checks),
        element("p", link),
    )


def _check_word(found: str) -> str:
    return "nothing left" if found == "absent" else found


def _named(other: str | None) -> str:
    if not other:
        raise InputError(
            what="no other person was chosen",
            why="two people are needed",
            mend="choose one from the list",
        )
    return other


def _ticked(ids: str) -> list[str]:
    if not ids.split():
        raise InputError(
            what="no face is ticked",
            why="it must be clear which faces are meant",
            mend="tick one face or more",
        )
    return ids.split()
