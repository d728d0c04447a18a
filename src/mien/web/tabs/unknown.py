"""The tab of unknown people: kept faces put together by person, to be named at once."""

from typing import Any, Final

import gradio as gr
import numpy as np

from mien.core.errors import ConflictError, InputError
from mien.gallery.cluster import cluster_faces
from mien.gallery.review import Sighting
from mien.reports.html import element, paragraph
from mien.web.cards import Card, CardField, cards_to_choose, picked_id
from mien.web.pictures import crop_image
from mien.web.visit import Visit
from mien.web.wiring import Wiring
from mien.web.words import done, message, place_for_words, plural, told

_MOST: Final = 2000  # faces put together at once
_SHOWN: Final = 60


def build(wiring: Wiring, tab: gr.Tab) -> None:
    """Place the controls and tie them."""
    reason_place, said = place_for_words(), place_for_words()
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            clusters = CardField("cluster")
        with gr.Column(scale=2, min_width=300), gr.Column(visible=False) as whole:
            head = place_for_words()
            name = gr.Textbox(label="Name", max_length=200)
            consent = gr.Textbox(label="Consent", info="What the person agreed to.")
            day = gr.Textbox(label="Day of deletion", placeholder="2027-01-31", max_length=10)
            confirm = gr.Button("Enrol all under this name", variant="primary")
            discard = gr.Button("Discard all", variant="stop")
    for button in (confirm, discard):
        wiring.guard(button, "enrol", "name unknown people", reason_place)
    drawn = [clusters.place, clusters.chosen, whole, head, name]
    chosen = clusters.chosen
    wiring.show(tab, _show, needs="enrol", message=said, inputs=[chosen], outputs=drawn)
    wiring.tie(clusters.picked.change, _pick, needs="enrol", message=said,
               inputs=[clusters.picked], outputs=drawn)  # fmt: skip
    for triggers, action, inputs in (
        ([confirm.click, name.submit], _name, [name, consent, day]),
        ([discard.click], _discard, []),
    ):
        wiring.tie(triggers, action, needs="enrol", message=said, inputs=[chosen, *inputs],
                   outputs=drawn)  # fmt: skip


def _show(visit: Visit, chosen: str) -> list[Any]:
    return [gr.skip(), *_refreshed(visit, chosen)]


def _pick(visit: Visit, picked: str) -> list[Any]:
    return ["", *_refreshed(visit, picked_id(picked))]


def _refreshed(visit: Visit, chosen: str) -> list[Any]:
    groups = groups_of(visit.gallery.review.all()[:_MOST])
    cards = [_card(visit, group) for group in groups[:_SHOWN]]
    here = next((group for group in groups if _id_of(group) == chosen), None)
    empty = "No faces are kept. The tab Identify can keep those that it does not name."
    markup = cards_to_choose("cluster", cards, chosen=chosen, empty=empty)
    if groups:
        count = sum(len(group) for group in groups)
        people = plural(len(groups), "person", "people")
        note = (
            f"{plural(count, 'kept face')}, by likeness of {people}. "
            "The grouping may be wrong: look at the faces before you name them."
        )
        markup = element("p", note, class_="quiet").markup + markup
    return [
        markup,
        chosen if here else "",
        gr.update(visible=here is not None),
        _head(visit, here) if here else "",
        "",
    ]


def groups_of(kept: list[Sighting]) -> list[list[Sighting]]:
    """Kept faces by person, the largest group first; within it the most typical face first."""
    if not kept:
        return []
    photos = {digest: number for number, digest in enumerate({s.digest: None for s in kept})}
    found = cluster_faces(
        np.stack([seen.vector for seen in kept]),
        [photos[seen.digest] for seen in kept],
        quality=[seen.quality for seen in kept],
    )
    groups = []
    for cluster, best in zip(found.clusters, found.representatives, strict=True):
        rows = [int(best), *(int(row) for row in found.members(int(cluster)) if row != best)]
        groups.append([kept[row] for row in rows])
    return sorted(groups, key=len, reverse=True)


def _id_of(group: list[Sighting]) -> str:
    """A group is known by its faces: if one comes or goes, it is another group."""
    return " ".join(sorted(seen.sighting_id for seen in group))


def _card(visit: Visit, group: list[Sighting]) -> Card:
    crop = visit.gallery.review.crop(group[0].sighting_id)
    days = sorted(seen.at[:10] for seen in group)
    span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    title = plural(len(group), "face")
    return Card(_id_of(group), crop_image(crop, "A typical face"), title, (f"seen {span}",))


def _head(visit: Visit, group: list[Sighting]) -> str:
    pictures = [
        element(
            "figure",
            crop_image(visit.gallery.review.crop(seen.sighting_id), f"Face {number}"),
            class_="picture",
        )
        for number, seen in enumerate(group[:_SHOWN], 1)
    ]
    title = element("h2", f"{plural(len(group), 'face')} of one person?")
    return title.markup + element("div", *pictures, class_="pair").markup


def _name(visit: Visit, chosen: str, name: str, consent: str, day: str) -> list[Any]:
    ids = _chosen(chosen)
    refused: list[str] = []
    with visit.change("sightings.confirm") as counts:
        for sighting_id in ids:
            try:
                visit.gallery.confirm(
                    sighting_id,
                    name,
                    consent=consent.strip(),
                    retain_until=day.strip(),
                    actor=visit.actor,
                )
            except ConflictError as err:  # the others may still fit; this one stays for review
                refused.append(told(err))
        counts["faces"] = len(ids) - len(refused)
    words = f"{plural(len(ids) - len(refused), 'face')} enrolled."
    if not refused:
        return [done(f"Named: {name.strip()}", paragraph(words)), *_refreshed(visit, "")]
    stay = f"{words} {plural(len(refused), 'face')} stayed in the tab Review:"
    said = message("warn", f"Named in part: {name.strip()}", paragraph(stay)) + "".join(refused)
    return [said, *_refreshed(visit, "")]


def _discard(visit: Visit, chosen: str) -> list[Any]:
    ids = _chosen(chosen)
    with visit.change("sightings.delete") as counts:
        for sighting_id in ids:
            visit.gallery.review.discard(sighting_id)
        counts["sightings"] = len(ids)
    return [done(f"Discarded: {plural(len(ids), 'face')}"), *_refreshed(visit, "")]


def _chosen(ids: str) -> list[str]:
    if not ids.split():
        raise InputError(
            what="no group is chosen", why="it must be clear which is meant", mend="choose one"
        )
    return ids.split()
