"""The tab of everybody in the gallery: look, rename, merge, split, delete, and take back."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from mien.gallery.people import Person
from mien.reports.html import element
from mien.web.cards import Card, CardField, cards_to_choose, picked_id
from mien.web.pictures import crop_image, initials
from mien.web.tabs import _history, _person
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import place_for_words, plural

_MOST: Final = 60  # cards at once; a name narrows them down


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    reason_place = place_for_words()
    said = place_for_words()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            find = gr.Textbox(label="Find", placeholder="part of a name", max_length=200)
            cards = CardField("person")
        with gr.Column(scale=3, min_width=300):
            person = _person.place(wiring, reason_place)
            history = _history.place(wiring, reason_place)
    view = _View(find, cards, person, history)
    wiring.guard(find, "enrol", "look at people", reason_place)
    wiring.show(tab, _show, needs="enrol", message=said, inputs=[find, cards.chosen],
                outputs=view.outputs())  # fmt: skip
    wiring.tie(find.change, _show, needs="enrol", message=said, inputs=[find, cards.chosen],
               outputs=view.outputs())  # fmt: skip
    wiring.tie(cards.picked.change, _pick, needs="enrol", message=said,
               inputs=[find, cards.picked], outputs=view.outputs())  # fmt: skip
    _person.tie(wiring, person, said, view, _refreshed)
    _history.tie(wiring, history, said, view, _refreshed)


@dataclass(frozen=True, slots=True)
class _View:
    """All that changes with the people of the gallery."""

    find: gr.Textbox
    cards: CardField
    person: "_person.Controls"
    history: "_history.Controls"

    def inputs(self) -> list[Any]:
        """What each action needs to draw the tab anew."""
        return [self.find, self.cards.chosen]

    def outputs(self) -> list[Any]:
        """What each action draws anew, in the order of `_refreshed`."""
        place, chosen = self.cards.place, self.cards.chosen
        return [place, chosen, *self.person.outputs(), *self.history.outputs()]


def _show(visit: Visit, find: str, chosen: str) -> list[Any]:
    return [gr.skip(), *_refreshed(visit, find, chosen)]


def _pick(visit: Visit, find: str, picked: str) -> list[Any]:
    return ["", *_refreshed(visit, find, picked_id(picked))]


def _refreshed(visit: Visit, find: str, chosen: str) -> list[Any]:
    """The tab as the gallery is now."""
    everybody = visit.gallery.people.all()
    wanted = find.strip().casefold()
    found = [one for one in everybody if wanted in one.name.casefold()]
    here = next((one for one in everybody if one.person_id == chosen), None)
    cards = [_card(visit, one) for one in found[:_MOST]]
    markup = cards_to_choose("person", cards, chosen=here.person_id if here else "",
                             empty=_none_words(everybody))  # fmt: skip
    note = f"{plural(len(everybody), 'person', 'people')} in the gallery."
    if len(found) > _MOST:
        note = f"The first {_MOST} of {len(found):,} are shown. Type a part of a name above."
    markup = element("p", note, class_="quiet").markup + markup
    return [
        markup,
        here.person_id if here else "",
        *_person.updates(visit, here, everybody),
        *_history.updates(visit, everybody),
    ]


def _card(visit: Visit, person: Person) -> Card:
    crop = visit.gallery.people.crop(person.face_id)
    warnings = () if person.has_consent else ("consent missing",)
    until = f"until {person.retain_until}" if person.retain_until else "no day of deletion"
    return Card(
        person.person_id,
        crop_image(crop, "") if crop else initials(person.name),
        person.name,
        (plural(person.faces, "face"), until),
        warnings,
    )


def _none_words(everybody: list[Person]) -> str:
    if everybody:
        return "Nobody's name has this in it."
    return "Nobody is enrolled yet. Begin in the tab Enrol."
