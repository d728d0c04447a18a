"""The tab that says what is stored where and for how long, from the settings in force."""

from typing import Any, Final

import gradio as gr

from mien.reports.html import Html, element, facts, paragraph
from mien.reports.words import count
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import place_for_words, plural

RESPONSIBLE_USE: Final = "https://mien.readthedocs.io/project/responsible-use/"
UPLOADS_S: Final = 600
"""Uploaded pictures and films are removed so long after they came in, or when the service ends."""


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the words."""
    said, shown = place_for_words(), place_for_words()
    wiring.show(tab, _show, needs="search", message=said, outputs=[shown])


def _show(visit: Visit) -> list[Any]:
    sections = (*_gallery(visit), *_review(visit), *_passing(visit), *_logs(visit), *_use())
    return ["", "".join(part.markup for part in sections)]


def _gallery(visit: Visit) -> tuple[Html, ...]:
    people = visit.gallery.people.all()
    held = visit.gallery.count()
    ends = sum(bool(person.retain_until) for person in people)
    shown = [
        ("people", count(held.people)),
        ("faces", count(held.faces)),
        ("people without a noted consent", count(sum(not p.has_consent for p in people))),
        ("people with a day of deletion", f"{count(ends)} of {count(len(people))}"),
    ]
    return (
        element("h2", "In the gallery"),
        paragraph(
            "For each enrolled face: the name, a template (a row of numbers by which the face is "
            "found again), its quality, consent, day of deletion, the name of the picture, and the "
            "small picture if it was kept. All of it is encrypted on the service's disk "
            "(AES-256-GCM). The whole picture is not kept. It stays until it is deleted, or until "
            "its day of deletion."
        ),
        facts(shown),
    )


def _review(visit: Visit) -> tuple[Html, ...]:
    most = visit.state.settings.keep_sightings_days
    kept = len(visit.gallery.review.all())
    words = (
        "The service keeps no faces of people who are not enrolled (keep_sightings_days = 0)."
        if most == 0
        else f"Faces that were not named are kept only if somebody ticks it, encrypted, for at "
        f"most {plural(most, 'day')}. Each has its own day on which it is forgotten."
    )
    return (
        element("h2", "Faces for review"),
        paragraph(f"{words} Now: {plural(kept, 'face')}."),
    )


def _passing(visit: Visit) -> tuple[Html, ...]:
    minutes = UPLOADS_S // 60
    return (
        element("h2", "Pictures and films that you upload here"),
        paragraph(
            "They stand in a folder that only the service can read, and are removed after "
            f"{minutes} minutes, or when the service starts or ends; so is a film with names drawn "
            "into it. They are not encrypted in this time. Results are shown and not kept."
        ),
    )


def _logs(visit: Visit) -> tuple[Html, ...]:
    keys = len(visit.state.keys.list())
    return (
        element("h2", "History, receipts and logs"),
        paragraph(
            "The gallery's history says what was changed, when and by which key, encrypted; what "
            "concerns a person goes with the person. Receipts of deletions are kept for good: they "
            "hold ids and counts, no names."
        ),
        paragraph(
            "The audit log holds times, ids of keys and counts. It holds no names, pictures, "
            "templates or addresses, so that it needs no deletion when a person is deleted."
        ),
        paragraph(
            f"Of the {plural(keys, 'API key')} a name and a check value are kept, not the key "
            "itself. Logging in here sets one cookie, which ends after 12 hours."
        ),
        paragraph(_fetching(visit)),
    )


def _fetching(visit: Visit) -> str:
    if visit.state.settings.allow_fetch:
        return (
            "The API fetches pictures from addresses that a request names (allow_fetch). Otherwise "
            "nothing is sent anywhere; the page fetches nothing."
        )
    return "Nothing is sent anywhere: the page and the service ask no other machine."


def _use() -> tuple[Html, ...]:
    link = element("a", "Responsible use", href=RESPONSIBLE_USE, target="_blank", rel="noopener")
    return (
        element("h2", "What this may be used for"),
        element("p", "Read ", link, " before you use this on people. A match is a lead that a "
                "person checks, never the only ground for a decision."),
    )  # fmt: skip
