"""The page of clustered people: one row of faces each, the largest first."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from mien.core.types import UInt8
from mien.gallery.cluster import Clustering
from mien.gallery.cluster.folder import ClusteredFolder, FaceRef
from mien.reports.html import Html, element, facts, join, page, paragraph, section, thumbnail

_SHOWN: Final = 12
_MARGIN: Final = 0.25
_SIDE_PX: Final = 112


def render_clusters(
    folder: ClusteredFolder,
    load: Callable[[str], UInt8 | None],
    *,
    skipped: Sequence[tuple[str, str]] = (),
    max_clusters: int = 200,
) -> str:
    """A page of people, the largest clusters first; people met once are counted only.

    Args:
        folder: What was clustered.
        load: Gives a picture's pixels by its name, (h, w, 3) uint8 RGB, or None if it is gone.
        skipped: Pictures that could not be read, with the reason.
        max_clusters: People to show.
    """
    clustering = folder.clusters.clustering()
    order = np.argsort(-clustering.sizes, kind="stable")
    shown = [k for k in order if clustering.sizes[k] > 1][:max_clusters]
    people = [_person(folder, clustering, int(k), load) for k in shown]
    alone = int((clustering.sizes == 1).sum())
    parts: list[Html] = [
        facts(
            [
                ("Pictures", str(len(folder.pictures))),
                ("Faces", str(len(folder.faces))),
                ("People met again", str(int((clustering.sizes > 1).sum()))),
                ("Met once", str(alone)),
            ],
            large=True,
        ),
        *people,
    ]
    if skipped:
        lines = [element("li", f"{path}: {why}") for path, why in skipped]
        parts.append(section("Pictures that could not be read", element("ul", *lines)))
    return page(
        "People in these pictures",
        *parts,
        lead="Faces without names, put together by likeness. Two people may have been taken for "
        "one, and one for two: say so with a file of links and run the command again.",
        footer="Made by mien. These are faces of people: keep the page as you keep the photos.",
    )


def _person(
    folder: ClusteredFolder, clustering: Clustering, place: int, load: Callable[[str], UInt8 | None]
) -> Html:
    cohesion, label = float(clustering.cohesion[place]), int(clustering.clusters[place])
    faces = [folder.faces[int(row)] for row in clustering.members(label)]
    crops = [_crop(face, load) for face in faces[:_SHOWN]]
    figures = [
        element(
            "figure",
            thumbnail(crop, face.name, side_px=_SIDE_PX),
            element("figcaption", face.name),
        )
        for face, crop in zip(faces, crops, strict=False)
        if crop is not None
    ]
    more = len(faces) - len(figures)
    words = f"{len(faces)} faces, mean cosine {cohesion:.2f}"
    hidden = f"; {more} more are not shown" if more else ""
    return section(
        f"Person {label}",
        paragraph(words + hidden),
        element("div", join(figures), class_="faces"),
    )


def _crop(face: FaceRef, load: Callable[[str], UInt8 | None]) -> UInt8 | None:
    pixels = load(face.path)
    if pixels is None:
        return None
    x0, y0, x1, y1 = face.box
    side = max(x1 - x0, y1 - y0) * (1 + _MARGIN) / 2
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = pixels.shape[:2]
    left, right = max(0, int(centre_x - side)), min(width, int(centre_x + side) + 1)
    top, bottom = max(0, int(centre_y - side)), min(height, int(centre_y + side) + 1)
    part = pixels[top:bottom, left:right]
    return part if part.size else None
