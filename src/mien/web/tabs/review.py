"""The tab of faces that were kept to be looked at: confirm, reject, make a new person, discard."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from mien.core.errors import ConflictError, InputError
from mien.gallery.people import Person
from mien.gallery.review import Sighting
from mien.reports.html import element, facts, paragraph
from mien.web.cards import Card, CardField, cards_to_choose, picked_id
from mien.web.pictures import crop_image
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import DECISIONS, done, place_for_words, plural, told

_MOST = 60


@dataclass(frozen=True, slots=True)
class _Terms:
    """On what terms a face is enrolled."""

    consent: str
    day: str
    force: bool


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    reason_place, said = place_for_words(), place_for_words()
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            queue = CardField("sighting")
        with gr.Column(scale=2, min_width=300), gr.Column(visible=False) as whole:
            head = place_for_words()
            confirm = gr.Button("Confirm: it is this person", variant="primary")
            reject = gr.Button("Reject: it is not this person")
            name = gr.Textbox(label="Name of another or a new person", max_length=200)
            consent = gr.Textbox(label="Consent", info="What the person agreed to.")
            day = gr.Textbox(label="Day of deletion", placeholder="2027-01-31", max_length=10)
            force = gr.Checkbox(value=False, label="Enrol anyway", visible=False,
                                info="I have compared the pictures.")  # fmt: skip
            assign = gr.Button("Enrol under this name")
            discard = gr.Button("Discard the face", variant="stop")
    for button in (confirm, reject, assign, discard):
        wiring.guard(button, "enrol", "review faces", reason_place)
    drawn = [queue.place, queue.chosen, whole, head, confirm, reject, name, force]
    chosen, more = queue.chosen, [consent, day, force]

    def tie(triggers: Any, action: Any, inputs: list[Any]) -> None:
        wiring.tie(triggers, action, needs="enrol", message=said, inputs=[chosen, *inputs],
                   outputs=drawn)  # fmt: skip

    wiring.show(tab, _show, needs="enrol", message=said, inputs=[chosen], outputs=drawn)
    wiring.tie(queue.picked.change, _pick, needs="enrol", message=said, inputs=[queue.picked],
               outputs=drawn)  # fmt: skip
    tie([confirm.click], _confirm, more)
    tie([reject.click], _reject, [])
    tie([assign.click, name.submit], _assign, [name, *more])
    tie([discard.click], _discard, [])


def _show(visit: Visit, chosen: str) -> list[Any]:
    return [gr.skip(), *_refreshed(visit, chosen)]


def _pick(visit: Visit, picked: str) -> list[Any]:
    return ["", *_refreshed(visit, picked_id(picked))]


def _refreshed(visit: Visit, chosen: str, *, ask: bool = False) -> list[Any]:
    """The tab as the gallery is now; ``ask`` offers to enrol against the evidence."""
    kept = visit.gallery.review.all()
    names = {person.person_id: person for person in visit.gallery.people.all()}
    here = next((one for one in kept if one.sighting_id == chosen), None)
    cards = [_card(visit, one, names) for one in kept[:_MOST]]
    empty = (
        "No faces are kept. Tick “Keep faces that were not named” in the tab Identify to collect "
        "some."
    )
    markup = cards_to_choose("sighting", cards, chosen=chosen, empty=empty)
    if kept:
        note = f"{plural(len(kept), 'face')} waiting; choose one."
        if len(kept) > _MOST:
            note = f"{len(kept):,} faces are waiting; the newest {_MOST} are shown."
        markup = element("p", note, class_="quiet").markup + markup
    guess = names.get(here.person_id) if here else None
    label = f"Confirm: it is {guess.name}" if guess else "Confirm"
    return [
        markup,
        here.sighting_id if here else "",
        gr.update(visible=here is not None),
        _head(visit, here, guess) if here else "",
        gr.update(value=label, visible=guess is not None),
        gr.update(value=f"Reject: it is not {guess.name}" if guess else "Reject",
                  visible=guess is not None),
        gr.skip() if ask else "",
        gr.update(value=False, visible=ask),
    ]  # fmt: skip


def _card(visit: Visit, seen: Sighting, names: dict[str, Person]) -> Card:
    crop = visit.gallery.review.crop(seen.sighting_id)
    guess = names.get(seen.person_id)
    likeness = f"{guess.name} {seen.score:.2f}" if guess and seen.score is not None else "nobody"
    return Card(
        seen.sighting_id,
        crop_image(crop, "A face that was kept"),
        f"Most like: {likeness}",
        (f"seen {seen.at[:16].replace('T', ' ')}", f"kept until {seen.keep_until}"),
    )


def _head(visit: Visit, seen: Sighting, guess: Person | None) -> str:
    shown = [
        ("answer", DECISIONS[seen.decision]),
        ("most like", guess.name if guess else "nobody"),
        ("score", "–" if seen.score is None else f"{seen.score:.3f}"),
        ("quality", f"{seen.quality:.0f} of 100"),
        ("kept until", seen.keep_until),
    ]
    crop = crop_image(visit.gallery.review.crop(seen.sighting_id), "The face that was kept")
    pictures = [element("figure", crop, element("figcaption", "kept"), class_="picture")]
    best = visit.gallery.people.crop(guess.face_id) if guess else None
    if guess and best:
        words = element("figcaption", guess.name)
        pictures.append(element("figure", crop_image(best, guess.name), words, class_="picture"))
    return element("div", *pictures, class_="pair").markup + facts(shown).markup


def _confirm(visit: Visit, chosen: str, *terms: Any) -> list[Any]:
    guess = visit.gallery.review.find(_chosen(chosen)).person_id
    name = visit.gallery.people.find(guess).name
    return _enrol(visit, chosen, name, _Terms(*terms))


def _assign(visit: Visit, chosen: str, name: str, *terms: Any) -> list[Any]:
    return _enrol(visit, chosen, name, _Terms(*terms))


def _enrol(visit: Visit, chosen: str, name: str, terms: _Terms) -> list[Any]:
    try:
        with visit.change("sightings.confirm") as counts:
            stored = visit.gallery.confirm(
                _chosen(chosen),
                name,
                consent=terms.consent.strip(),
                retain_until=terms.day.strip(),
                force=terms.force,
                actor=visit.actor,
            )
            counts["faces"] = 1
    except ConflictError as err:
        return [told(err), *_refreshed(visit, chosen, ask="codes" in err.facts)]
    person = visit.gallery.people.find(stored.person_id)
    words = f"{plural(person.faces, 'face')} under this name now."
    return [done(f"Enrolled as {person.name}", paragraph(words)), *_refreshed(visit, "")]


def _reject(visit: Visit, chosen: str) -> list[Any]:
    seen = visit.gallery.review.find(_chosen(chosen))
    with visit.change("sightings.reject") as counts:
        name = visit.gallery.people.find(seen.person_id).name
        visit.gallery.people.reject(seen.person_id, seen.vector, actor=visit.actor)
        visit.gallery.review.discard(seen.sighting_id)
        counts["sightings"] = 1
    words = "Faces like this one will not be taken for that person again."
    return [done(f"Noted: it is not {name}", paragraph(words)), *_refreshed(visit, "")]


def _discard(visit: Visit, chosen: str) -> list[Any]:
    with visit.change("sightings.delete") as counts:
        visit.gallery.review.discard(_chosen(chosen))
        counts["sightings"] = 1
    return [done("Discarded: nothing of this face is kept"), *_refreshed(visit, "")]


def _chosen(sighting_id: str) -> str:
    if not sighting_id:
        raise InputError(
            what="no face is chosen", why="it must be clear which is meant", mend="choose one"
        )
    return sighting_id
