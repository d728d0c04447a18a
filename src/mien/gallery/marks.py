"""Answers drawn on pictures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mien.core.files import write_atomically
from mien.core.types import UInt8
from mien.faces.draw import Mark, Tone, annotate
from mien.gallery.decide import Decision, Verdict
from mien.gallery.gallery import Identification


def label_of(verdict: Verdict) -> str:
    """A verdict in a few words, such as ``Ada Lovelace 0.71``."""
    if verdict.decision is Decision.MATCH and verdict.score is not None:
        return f"{verdict.person} {verdict.score:.2f}"
    words = verdict.decision.replace("_", " ")
    return words if verdict.score is None else f"{words} {verdict.score:.2f}"


def tone_of(verdict: Verdict) -> Tone:
    """The colour class of a verdict."""
    tones: dict[Decision, Tone] = {
        Decision.MATCH: "match",
        Decision.UNKNOWN: "unknown",
        Decision.DIFFERENT: "unknown",
        Decision.AMBIGUOUS: "ambiguous",
        Decision.NOT_COMPARABLE: "not_comparable",
    }
    return tones[verdict.decision]


def marks_of(answers: Sequence[Identification]) -> list[Mark]:
    """One mark for each face."""
    return [Mark(a.box, label_of(a.verdict), tone_of(a.verdict)) for a in answers]


def write_picture(path: Path, pixels: UInt8, marks: Sequence[Mark]) -> None:
    """Write an annotated picture as JPEG, in one step.

    Args:
        path: Where.
        pixels: (h, w, 3) uint8 RGB.
        marks: What to draw.

    Raises:
        StorageError: If it cannot be written.
    """
    with write_atomically(path) as file:
        Image.fromarray(annotate(pixels, marks)).save(file, "JPEG", quality=90)
