"""Whether a face may be enrolled as somebody: reasons against it, spelled as Rekognition's.

A gallery in which a face stands under two names answers *ambiguous* ever after, and one in which
somebody's folder holds another person's photo names the wrong one. Both are cheaper to refuse than
to find later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mien.core.errors import ConflictError
from mien.core.types import Float32
from mien.gallery.calibration import CalibrationTable
from mien.gallery.decide import point_for_fmr, point_for_fpir
from mien.gallery.index import Hit

CONFLICT_FPIR: Final = 0.01
"""Another person is taken for the face's owner at the threshold of this rate of false alarms."""

STRANGER_FMR: Final = 0.1
"""Below the threshold of this rate a face is no more like somebody than one in ten strangers."""


class Conflict(StrEnum):
    """Why a face is not enrolled as somebody."""

    ASSOCIATED_TO_A_DIFFERENT_USER = "ASSOCIATED_TO_A_DIFFERENT_USER"
    LOW_MATCH_CONFIDENCE = "LOW_MATCH_CONFIDENCE"


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much a face resembles the person it is said to be, and the most similar other one.

    Attributes:
        own: Highest cosine with a template of the person; None if there is none yet.
        other: Highest cosine with a template of anybody else; None if there is nobody else.
        other_id: Id of that other person; empty if there is nobody.
    """

    own: float | None
    other: float | None
    other_id: str


def compare(
    nearest: Sequence[Hit], vector: Float32, own: Sequence[Float32], person_id: str
) -> Likeness:
    """Compare a face with its own person's templates and with everybody else.

    Args:
        nearest: The two most similar people of the gallery.
        vector: (d,) the face.
        own: The person's templates.
        person_id: The person; empty if they are new.
    """
    others = [hit for hit in nearest if hit.person_id != person_id]
    return Likeness(
        own=max((float(row @ vector) for row in own), default=None),
        other=others[0].score if others else None,
        other_id=others[0].person_id if others else "",
    )


def conflicts(
    likeness: Likeness, table: CalibrationTable | None, templates: int
) -> tuple[Conflict, ...]:
    """Reasons against enrolling a face.

    Args:
        likeness: What it resembles.
        table: Calibration of the contract. Without one a new person cannot be judged, and a known
            one only by whom the face resembles more.
        templates: Size of the gallery.
    """
    own, other = likeness.own, likeness.other
    codes = []
    if other is not None:
        is_nearer = own is None or other > own
        point = point_for_fpir(table, CONFLICT_FPIR, templates) if table else None
        is_known = other >= point.threshold if point else own is not None
        if is_nearer and is_known:
            codes.append(Conflict.ASSOCIATED_TO_A_DIFFERENT_USER)
    if own is not None and table and own < point_for_fmr(table, STRANGER_FMR).threshold:
        codes.append(Conflict.LOW_MATCH_CONFIDENCE)
    return tuple(codes)


def conflict_error(source: str, codes: Sequence[Conflict], likeness: Likeness) -> ConflictError:
    """The error for a face that speaks against its name."""
    words = {
        Conflict.ASSOCIATED_TO_A_DIFFERENT_USER: "it resembles another person of the gallery more",
        Conflict.LOW_MATCH_CONFIDENCE: "it resembles its own person no more than a stranger does",
    }
    return ConflictError(
        what=f"{source}: the face speaks against its name ({', '.join(codes)})",
        why="; ".join(words[code] for code in codes),
        mend="check the picture; if the name is right, enrol it with --force",
        codes=[str(code) for code in codes],
        own=likeness.own,
        other=likeness.other,
        other_person=likeness.other_id,
    )
