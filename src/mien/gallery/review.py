"""Faces that were seen and not enrolled, kept for a while for a person to look at.

Nothing is kept unless the caller asks for it, and everything has a day on which it is forgotten.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from mien.core.errors import IdentityMissingError, RangeError
from mien.core.types import Float32
from mien.gallery.decide import Decision, Verdict
from mien.gallery.sqlite import SqliteIndex

MAX_DAYS: Final = 365


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face that was kept.

    Attributes:
        sighting_id: Opaque id.
        at: When it was seen, UTC, ISO 8601.
        keep_until: Day after which it is forgotten.
        vector: (d,) its template.
        quality: Unified quality, 0-100.
        digest: SHA-256 of the picture's pixels.
        box: In that picture, x0 y0 x1 y1 pixels.
        decision: What was answered.
        person_id: Whom it resembled most; empty if nobody.
        score: How much, cosine; None if nobody.
    """

    sighting_id: str
    at: str
    keep_until: str
    vector: Float32
    quality: float
    digest: str
    box: tuple[float, float, float, float]
    decision: Decision
    person_id: str
    score: float | None


class Review:
    """The kept faces of one gallery."""

    def __init__(self, index: SqliteIndex) -> None:
        self._index = index

    def keep(
        self,
        vector: Float32,
        verdict: Verdict,
        *,
        crop: bytes,
        quality: float,
        digest: str,
        box: tuple[float, float, float, float],
        days: int,
    ) -> str:
        """Keep a face.

        Args:
            vector: (d,) its template.
            verdict: What was answered.
            crop: The piece of the picture that shows it, JPEG.
            quality: Unified quality, 0-100.
            digest: SHA-256 of the picture's pixels.
            box: In that picture, pixels.
            days: After how many days it is forgotten, 1 to 365.

        Returns:
            Its id.

        Raises:
            RangeError: If ``days`` lies outside its range.
        """
        if not 1 <= days <= MAX_DAYS:
            raise RangeError(
                what=f"a face is to be kept for {days} days",
                why=f"faces of people who were not enrolled are kept for 1 to {MAX_DAYS} days",
                mend="choose a number of days in that range",
            )
        now = datetime.now(UTC)
        best = verdict.candidates[0] if verdict.candidates else None
        record: dict[str, Any] = {
            "at": now.isoformat(timespec="seconds"),
            "vector": vector.astype("<f4").tobytes().hex(),
            "quality": quality,
            "digest": digest,
            "box": [round(float(v), 2) for v in box],
            "decision": str(verdict.decision),
            "person_id": best.person_id if best else "",
            "score": best.score if best else None,
        }
        until = (now.date() + timedelta(days=days)).isoformat()
        with self._index.change() as change:
            return change.keep_sighting(until, record, crop)

    def all(self) -> list[Sighting]:
        """Everything that is kept, newest first."""
        rows = self._index.query(
            "SELECT sighting_id, keep_until, sealed FROM sightings ORDER BY number DESC"
        )
        return [self._open(*row) for row in rows]

    def find(self, sighting_id: str) -> Sighting:
        """One kept face.

        Raises:
            IdentityMissingError: If it is not there.
        """
        rows = self._index.query(
            "SELECT sighting_id, keep_until, sealed FROM sightings WHERE sighting_id = ?",
            (sighting_id,),
        )
        if not rows:
            raise IdentityMissingError(
                what=f"no face {sighting_id!r} is kept for review",
                why="it was dealt with, or its day has passed",
                mend="list the faces again",
            )
        return self._open(*rows[0])

    def crop(self, sighting_id: str) -> bytes:
        """The piece of the picture that shows a kept face, JPEG.

        Raises:
            IdentityMissingError: If it is not there.
        """
        self.find(sighting_id)
        ((sealed,),) = self._index.query(
            "SELECT crop FROM sightings WHERE sighting_id = ?", (sighting_id,)
        )
        return self._index.vault.open(sealed, "sighting crop", sighting_id)

    def discard(self, sighting_id: str) -> None:
        """Forget a kept face.

        Raises:
            IdentityMissingError: If it is not there.
        """
        self.find(sighting_id)
        with self._index.change() as change:
            change.drop_sightings([sighting_id])
        self._index.empty_log()

    def _open(self, sighting_id: str, keep_until: str, sealed: bytes) -> Sighting:
        record = self._index.vault.open_json(sealed, "sighting", sighting_id)
        x0, y0, x1, y1 = record["box"]
        return Sighting(
            sighting_id=sighting_id,
            at=record["at"],
            keep_until=keep_until,
            vector=np.frombuffer(bytes.fromhex(record["vector"]), "<f4").astype(np.float32),
            quality=record["quality"],
            digest=record["digest"],
            box=(x0, y0, x1, y1),
            decision=Decision(record["decision"]),
            person_id=record["person_id"],
            score=record["score"],
        )
