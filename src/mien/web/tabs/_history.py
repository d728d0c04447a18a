"""The part of the tab People that is about what was changed, and taking it back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from mien.core.errors import InputError
from mien.gallery.journal import Entry
from mien.gallery.people import Person
from mien.reports.html import Column, Content, Html, element, table
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import done, place_for_words, plural

_SHOWN: Final = 20

_DEEDS: Final = {
    "enrol": "face enrolled",
    "rename": "renamed",
    "amend": "consent or day changed",
    "merge": "two people made one",
    "split": "faces split off",
    "separate": "noted: two people",
    "reject": "noted: a face that is not this person",
    "delete": "deleted",
    "undo": "a change taken back",
}


@dataclass(frozen=True, slots=True)
class Controls:
    """What is placed."""

    entries: gr.Markdown
    which: gr.Dropdown
    undo: gr.Button

    def outputs(self) -> list[Any]:
        """In the order of `updates`."""
        return [self.entries, self.which]


def place(wiring: Wiring, reason_place: gr.Markdown) -> Controls:
    """Place the controls."""
    with gr.Accordion("History", open=False):
        entries = place_for_words()
        which = gr.Dropdown([], label="Change to take back")
        undo = gr.Button("Take back", size="md")
    wiring.guard(undo, "admin", "see and take back changes", reason_place)
    return Controls(entries, which, undo)


def tie(
    wiring: Wiring,
    controls: Controls,
    said: gr.Markdown,
    view: Any,
    refreshed: Callable[..., list[Any]],
) -> None:
    """Tie the button."""

    def act(visit: Visit, find: str, chosen: str, number: int | None) -> list[Any]:
        return [_undo(visit, number), *refreshed(visit, find, chosen)]

    wiring.tie(controls.undo.click, act, needs="admin", message=said,
               inputs=[*view.inputs(), controls.which], outputs=view.outputs())  # fmt: skip


def updates(visit: Visit, everybody: list[Person]) -> list[Any]:
    """Values for `Controls.outputs`."""
    if not visit.may("admin"):
        return ["", gr.update(choices=[], value=None)]
    names = {person.person_id: person.name for person in everybody}
    entries = visit.gallery.journal.entries(_SHOWN)
    columns = [Column("number"), Column("when (UTC)"), Column("what"), Column("whom"), Column("by")]
    rows: list[list[Content]] = [
        [str(e.number), _when(e), _deed(e), _whom(e, names), e.actor or "–"] for e in entries
    ]
    caption = f"The last {_SHOWN} changes. A deletion is not taken back."
    open_ones = [(f"{e.number}: {_deed(e)}", e.number)
                 for e in entries if e.can_undo and not e.is_undone]  # fmt: skip
    first = open_ones[0][1] if open_ones else None
    return [table(columns, rows, caption=caption).markup, gr.update(choices=open_ones, value=first)]


def _undo(visit: Visit, number: int | None) -> str:
    if number is None:
        raise InputError(
            what="there is no change to take back",
            why="none was made, or all were taken back",
            mend="choose one from the list",
        )
    with visit.change("history.undo") as counts:
        entry = visit.gallery.journal.undo(int(number), actor=visit.actor)
        counts["changes"] = 1
    return done(f"Taken back: change {entry.number}, {_deed(entry)}")


def _when(entry: Entry) -> Html:
    return element("span", entry.at[:16].replace("T", " "), class_="keep")


def _deed(entry: Entry) -> str:
    words = _DEEDS.get(entry.op, entry.op)
    return f"{words} (taken back)" if entry.is_undone else words


def _whom(entry: Entry, names: dict[str, str]) -> str:
    """The people concerned who are still there, and how many faces."""
    people = [names[v] for v in entry.facts.values() if isinstance(v, str) and v in names]
    faces = entry.facts.get("faces")
    counted = [plural(faces, "face")] if isinstance(faces, int) else []
    return ", ".join([*dict.fromkeys(people), *counted]) or "–"
