"""What a watcher says: faces of a frame, events of a track; as values, as rows and as drawings."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from mien.core.types import UInt8
from mien.faces.draw import Mark, annotate
from mien.faces.track import UNCONFIRMED
from mien.gallery.decide import Verdict
from mien.gallery.marks import label_of, tone_of

SCHEMA: Final = "mien.watch/1"
UNDECIDED: Final = "undecided"
"""The decision, in rows, of a track that has none yet."""

Kind = Literal["opened", "decided", "corrected", "closed"]


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One face of one frame.

    Attributes:
        box: x0 y0 x1 y1 pixels; may reach outside the frame.
        track_id: 1 or more; -1 for a face that has no confirmed track yet.
        verdict: What is held about its track at this moment; None while undecided.
        is_predicted: True if the box was carried on from earlier frames, not detected.
    """

    box: tuple[float, float, float, float]
    track_id: int
    verdict: Verdict | None
    is_predicted: bool = False

    def as_record(self, *, time_s: float, index: int) -> dict[str, Any]:
        """A row of the answer.

        Args:
            time_s: Of the frame.
            index: Of the frame.
        """
        return {
            "row": "face",
            "time_s": round(time_s, 4),
            "frame": index,
            "track_id": self.track_id if self.track_id != UNCONFIRMED else None,
            "box": [round(v, 1) for v in self.box],
            "is_predicted": self.is_predicted,
        } | _answer(self.verdict)

    def as_mark(self) -> Mark:
        """The face as it is drawn; a face that is not decided yet shows its track's number only."""
        if self.track_id == UNCONFIRMED:
            return Mark(self.box, "")
        if self.verdict is None:
            return Mark(self.box, f"#{self.track_id}")
        return Mark(self.box, f"#{self.track_id} {label_of(self.verdict)}", tone_of(self.verdict))


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """Something that became known about a track.

    Every track has one ``opened``, then one ``decided``, any number of ``corrected`` (fewer than
    the looks of `WatchConfig`) and one ``closed``, in this order. A correction holds for the whole
    track: rows written earlier under its id are to be read with the new verdict.

    Attributes:
        kind: What happened.
        track_id: Which track.
        time_s: When, on the film's clock.
        verdict: The decision in force; None with ``opened``.
        opened_s: When the track was confirmed.
        seen_s: When its face was last seen.
        frames: Frames in which it was detected, from its confirmation on.
        samples: Faces that entered its template.
        looks: Comparisons with the gallery.
        planned_looks: At most so many are made, and the false alarm rate is shared among them.
        decided_s: When it was first decided; None before.
        corrections: Decisions taken back so far.
    """

    kind: Kind
    track_id: int
    time_s: float
    verdict: Verdict | None
    opened_s: float
    seen_s: float
    frames: int
    samples: int
    looks: int
    planned_looks: int
    decided_s: float | None
    corrections: int

    def as_record(self) -> dict[str, Any]:
        """A row of the answer; ``fpir`` is the rate of the whole track, over all planned looks."""
        return {
            "row": self.kind,
            "track_id": self.track_id,
            "time_s": round(self.time_s, 4),
            "opened_s": round(self.opened_s, 4),
            "seen_s": round(self.seen_s, 4),
            "decided_s": None if self.decided_s is None else round(self.decided_s, 4),
            "frames": self.frames,
            "samples": self.samples,
            "looks": self.looks,
            "corrections": self.corrections,
            **_answer(self.verdict),
            **self._rates(),
            "reasons": list(self.verdict.reasons) if self.verdict else [],
        }

    def _rates(self) -> dict[str, float | None]:
        point = self.verdict.point if self.verdict else None
        if point is None or point.fpir is None:
            return {"threshold": None, "fmr": None, "fpir": None}
        fpir = min(1.0, point.fpir * self.planned_looks)
        return {"threshold": point.threshold, "fmr": point.fmr, "fpir": fpir}


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What one frame brought.

    Attributes:
        time_s: The frame's time.
        index: The frame's number.
        faces: Its faces.
        events: What became known with it, in order.
    """

    time_s: float
    index: int
    faces: tuple[TrackedFace, ...]
    events: tuple[TrackEvent, ...]

    def draw(self, pixels: UInt8) -> UInt8:
        """A copy of the frame's pixels with its faces framed and named."""
        return annotate(pixels, [face.as_mark() for face in self.faces])


def _answer(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"decision": UNDECIDED, "person": None, "score": None}
    score = None if verdict.score is None else round(verdict.score, 4)
    return {"decision": str(verdict.decision), "person": verdict.person, "score": score}
