"""The part of a report that shows the pairs nearest to being mistaken, with their photos."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from mien.core.types import Ints, UInt8
from mien.gallery.calibration import ScoredPairs
from mien.reports import html

Thumbnails = Callable[[str], UInt8 | None]
"""Pixels (h, w, 3) of a photo by its name, or None if there are none to show."""

HARDEST: Final = 10


def hardest_pairs(pairs: ScoredPairs, *, most: int = HARDEST) -> tuple[Ints, Ints]:
    """The pairs that are nearest to being mistaken.

    Args:
        pairs: All scored pairs.
        most: How many of each kind at most.

    Returns:
        Rows of ``pairs``: same-person pairs with the lowest scores, lowest first; different-person
        pairs with the highest, highest first. Equal scores keep their order.
    """
    same, different = np.flatnonzero(pairs.same), np.flatnonzero(~pairs.same)
    low = same[np.argsort(pairs.scores[same], kind="stable")[:most]]
    high = different[np.argsort(-pairs.scores[different], kind="stable")[:most]]
    return low, high


def hardest_sections(
    pairs: ScoredPairs, photos: Sequence[str] | None, thumbnails: Thumbnails | None
) -> tuple[html.Html, html.Html]:
    low, high = hardest_pairs(pairs)
    pictures = _pictures([pairs.left, pairs.right], [low, high], photos, thumbnails)
    return (
        html.section(
            "Same person, lowest scores",
            html.paragraph(
                "These pairs are called one person and hardly look it. Small or turned faces are "
                "common here; so are photos in the wrong folder."
            ),
            _cards(pairs, low, photos, pictures),
        ),
        html.section(
            "Different people, highest scores",
            html.paragraph(
                html.element("strong", "Check these for mislabelled photos."),
                " One person under two names raises every threshold above. Relatives and true "
                "look-alikes belong here.",
            ),
            _cards(pairs, high, photos, pictures),
        ),
    )


def _pictures(
    sides: Sequence[Ints],
    chosen: Sequence[Ints],
    photos: Sequence[str] | None,
    thumbnails: Thumbnails | None,
) -> dict[int, html.Html]:
    """A thumbnail of each photo that is shown, by its row."""
    if photos is None or thumbnails is None:
        return {}
    rows = sorted({int(row) for side in sides for which in chosen for row in side[which]})
    found = ((row, thumbnails(photos[row])) for row in rows)
    return {row: html.thumbnail(pixels, photos[row]) for row, pixels in found if pixels is not None}


def _cards(
    pairs: ScoredPairs, chosen: Ints, photos: Sequence[str] | None, pictures: dict[int, html.Html]
) -> html.Html:
    blank = html.element("span", "no picture", class_="blank")
    cards = []
    for k in chosen.tolist():
        rows = int(pairs.left[k]), int(pairs.right[k])
        names = [photos[row] if photos is not None else f"photo {row + 1}" for row in rows]
        shown = [pictures.get(row, blank) for row in rows]
        words = html.element(
            "div",
            html.element("b", f"{pairs.scores[k]:.3f}"),
            *map(html.file_name, names),
            class_="pair",
        )
        photos_box = [html.element("div", *shown, class_="photos")] if pictures else []
        cards.append(html.element("li", *photos_box, words))
    return html.element("ol", *cards, class_="pairs")


def people_with_pairs(pairs: ScoredPairs) -> int:
    """People behind the same-person pairs: each has one photo that is never on the right."""
    left, right = pairs.left[pairs.same], pairs.right[pairs.same]
    return len(np.setdiff1d(left, right))
