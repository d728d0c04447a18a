"""Named regions of photographs, as photo managers write them, and faces that mien finds there.

The file format is `media.xmp`; here a region meets a detected face by how far the two overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.types import Array, Box
from mien.faces.pipeline import Analysis
from mien.gallery.decide import Decision
from mien.gallery.gallery import Identification
from mien.media.xmp import FaceRegion, read_regions, write_regions

MIN_OVERLAP: Final = 0.2
"""Photo managers draw faces larger or smaller than detectors do; so much they must share (IoU)."""


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A detected face with the name that a region gives it.

    Attributes:
        name: Of the region.
        row: Of the face among `Analysis.faces`; None if no usable face was found in the region.
    """

    name: str
    row: int | None


def match_regions(analysis: Analysis, regions: Sequence[FaceRegion]) -> list[NamedRow]:
    """Find the face of each named region; no face is given to two regions.

    Args:
        analysis: All faces of the picture.
        regions: Of the same picture; those without a name are passed over.
    """
    named = [region for region in regions if region.name.strip()]
    overlaps = np.array([[_iou(r.box, b) for b in analysis.faces.boxes] for r in named])
    rows: list[int | None] = [None] * len(named)
    free = overlaps.copy().reshape(len(named), len(analysis.faces))
    while free.size and free.max() >= MIN_OVERLAP:
        region, face = np.unravel_index(int(free.argmax()), free.shape)
        rows[int(region)] = int(face)
        free[region, :] = free[:, face] = -1
    return [NamedRow(r.name.strip(), row) for r, row in zip(named, rows, strict=True)]


def write_matches(path: Path, answers: Sequence[Identification], *, embed: bool) -> Path | None:
    """Write the names of matched faces beside a photograph, or into it.

    Args:
        path: The photograph.
        answers: Of its faces; only matches are written.
        embed: Write into the JPEG file itself; else into a sidecar file.

    Returns:
        The file written; None if nobody was matched.

    Raises:
        MediaError: If the photograph or its metadata cannot be read.
        StorageError: If it cannot be written.
    """
    regions = [
        FaceRegion(answer.verdict.person or "", answer.box)
        for answer in answers
        if answer.verdict.decision is Decision.MATCH
    ]
    if not regions:
        return None
    known = read_regions(path)
    return write_regions(path, regions, size=known.size, orientation=known.orientation, embed=embed)


def _iou(one: tuple[float, float, float, float], other: Array) -> float:
    x0, y0, x1, y1 = (float(v) for v in other)
    return Box(*one).iou(Box(x0, y0, x1, y1))
