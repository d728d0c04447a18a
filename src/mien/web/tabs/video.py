"""The tab that says who is in a film."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from mien.core.errors import InputError
from mien.gallery.watch import FilmSummary, TrackEvent
from mien.reports.html import Column, Content, Html, element, join, paragraph, table
from mien.web.films import FilmWork
from mien.web.inputs import fpir_of, fpir_slider, fpir_words
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import (
    DECISIONS,
    done,
    message,
    place_for_words,
    plural,
    reason,
    told,
    words_block,
)

_EVERY_S: Final = 0.4


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    works: dict[str, FilmWork] = {}
    reason_place = place_for_words()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            film = gr.File(label="Film", file_types=["video"], height=140)
            power = fpir_slider()
            meaning = place_for_words()
            go = gr.Button("Watch the film", variant="primary")
            stop = gr.Button("Cancel", visible=False)
        with gr.Column(scale=3, min_width=300):
            said = place_for_words()
            result = place_for_words()
            annotated = gr.Video(
                label="The film with names",
                height=480,
                visible=False,
                interactive=False,
                buttons=["download"],
            )
    wiring.guard(go, "search", "look for people in films", reason_place)

    async def watch(visit: Visit, path: str | None, power: float) -> AsyncIterator[list[Any]]:
        target = wiring.folder / f"{uuid.uuid4().hex}.mp4"  # Gradio removes it like an upload
        work = wiring.films.start(_film(path), target, visit.gallery, fpir=fpir_of(power))
        works[visit.actor] = work
        try:
            while not work.ask():
                yield [_progress(work), "", gr.update(visible=False), gr.update(visible=True)]
                await asyncio.sleep(_EVERY_S)
        finally:
            work.leave()
        visit.state.audit.read(
            "films.watch",
            key_id=visit.actor,
            collection=visit.collection,
            result=work.error.code if work.error else "ok",
            counts={"frames": work.frames},
        )
        yield [*_outcome(work, target), gr.update(visible=False)]

    def cancel(visit: Visit) -> list[Any]:
        if visit.actor in works:
            works[visit.actor].cancel()
        return [message("warn", "The film will end after this frame")]

    def explain(visit: Visit, power: float) -> list[Any]:
        words = fpir_words(visit, power).replace("faces of strangers", "strangers in the film")
        return [gr.skip(), words_block(element("p", words, aria_live="polite"))]

    wiring.tie(go.click, watch, needs="search", message=said, inputs=[film, power],
               outputs=[result, annotated, stop])  # fmt: skip
    wiring.tie(stop.click, cancel, needs="search", message=said)
    wiring.tie(power.change, explain, needs="search", message=said, inputs=[power],
               outputs=[meaning])  # fmt: skip
    wiring.show(tab, explain, needs="search", message=said, inputs=[power], outputs=[meaning])


def _film(path: str | None) -> Path:
    if not path:
        raise InputError(
            what="no film was chosen", why="there is nothing to watch", mend="choose a file"
        )
    return Path(path)


def _progress(work: FilmWork) -> str:
    share = round(100 * work.progress)
    words = f"Watching: {share} %, {plural(work.frames, 'frame')}"
    if work.frames == 0:
        words = "Waiting for the film before, or opening this one"
    bar = element("progress", value=share, max=100, aria_label="Share of the film watched")
    return element("div", paragraph(words), bar, class_="progress", role="status").markup


def _outcome(work: FilmWork, target: Path) -> list[Any]:
    """The message, the table and the film."""
    hidden = gr.update(value=None, visible=False)
    if work.is_cancelled:
        words = "Nothing was kept of it."
        return [message("warn", "Cancelled", paragraph(words)), "", hidden]
    if work.error is not None or work.summary is None:
        return [told(work.error) if work.error else "", "", hidden]
    summary = work.summary
    named = sum(bool(track.verdict and track.verdict.person) for track in summary.tracks)
    title = (
        f"{plural(summary.frames, 'frame')}, {plural(len(summary.tracks), 'track')}, "
        f"{named or 'none'} of them named"
    )
    film = gr.update(value=str(target), visible=True) if target.exists() else hidden
    return [done(title), _table(summary), film]


def _table(summary: FilmSummary) -> str:
    if not summary.tracks:
        return paragraph("No face was seen long enough to follow it.").markup
    columns = [
        Column("track"),
        Column("seen"),
        Column("decision"),
        Column("score", is_number=True),
        Column("threshold", is_number=True),
        Column("why"),
    ]
    caption = (
        "A track is one face followed through the film. There is one decision for each track, made "
        "from several looks; the tolerated false alarms hold for the whole track."
    )
    return words_block(table(columns, map(_row, summary.tracks), caption=caption))


def _row(track: TrackEvent) -> list[Content]:
    verdict = track.verdict
    number = str(track.track_id)
    seen = f"{track.opened_s:.1f}–{track.seen_s:.1f} s"
    if verdict is None:
        return [number, seen, "undecided", "–", "–", "It was seen too briefly."]
    who = f": {verdict.person}" if verdict.person else ""
    why: Html = join(part for one in verdict.reasons for part in (*reason(one), " "))
    return [
        number,
        seen,
        join((element("strong", DECISIONS[verdict.decision]), who)),
        "–" if verdict.score is None else f"{verdict.score:.3f}",
        "–" if verdict.point is None else f"{verdict.point.threshold:.3f}",
        why,
    ]
