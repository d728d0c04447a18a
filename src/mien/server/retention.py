"""Deleting what is due, hourly, unless the clock cannot be trusted.

A wall clock that leaps would delete people before their day, or keep them beyond it. It is compared
with a clock that only runs on; while the two disagree nothing is deleted, and `/readyz` says so.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from mien.core.errors import MienError, RefusedError
from mien.core.log import logger
from mien.gallery.receipts import Receipt
from mien.server.audit import AuditLog
from mien.server.collections import Collections

MAX_LEAP_S: Final = 300.0
"""By so much the clock may be set while the service runs."""

EVERY_S: Final = 3600.0
"""Time between two runs."""


def steady_s() -> float:
    """Seconds of a clock that nobody sets, and that runs on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Retention:
    """Expires templates and kept faces in all collections."""

    def __init__(
        self,
        collections: Collections,
        audit: AuditLog,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        """Take the clock as it is now for right.

        Args:
            collections: Where to delete.
            audit: Where it is written down.
            wall: Seconds of the clock on the wall.
            steady: Seconds that never leap.
        """
        self._collections = collections
        self._audit = audit
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()
        self.refused: frozenset[str] = frozenset()
        """Collections in which nothing was deleted at the last run, since a check forbade it."""

    @property
    def leap_s(self) -> float:
        """By how much the clock was set since the service started, or since `trust_clock`."""
        return self._wall() - self._steady() - self._offset

    @property
    def is_suspended(self) -> bool:
        """Whether nothing is deleted, because the clock has leapt."""
        return abs(self.leap_s) > MAX_LEAP_S

    def trust_clock(self) -> None:
        """Take the clock as it is now for right."""
        self._offset = self._wall() - self._steady()

    def expire(
        self, collection_id: str, *, confirm: bool = False, request_id: str = "", key_id: str = ""
    ) -> Receipt | None:
        """Delete what is due in one collection.

        Args:
            collection_id: Where.
            confirm: The clock is right although it has leapt.
            request_id: For the audit log.
            key_id: Who asks; empty for the service itself.

        Returns:
            The receipt; None if nothing was due.

        Raises:
            RefusedError: If the clock has leapt.
        """
        if confirm:
            self.trust_clock()
        if self.is_suspended:
            raise RefusedError(
                what=f"the clock was set by {self.leap_s:.0f} s while the service ran",
                why="a wrong clock would delete people before their day",
                mend="check the clock, then confirm that it is right",
            )
        with (
            self._collections.use(collection_id) as gallery,
            self._audit.change(
                "faces.expire", request_id=request_id, key_id=key_id, collection=collection_id
            ) as counts,
        ):
            receipt = gallery.deletion.expire(confirm=confirm)
            counts["faces"] = len(receipt.faces) if receipt else 0
        return receipt

    def run(self) -> int:
        """Delete what is due everywhere; what cannot be done is logged and noted.

        Returns:
            How many faces were deleted.
        """
        deleted, refused = 0, set()
        for collection_id in self._collections.all():
            try:
                receipt = self.expire(collection_id)
            except MienError as err:
                refused.add(collection_id)
                logger.error("retention in %s: %s", collection_id, err)
            else:
                deleted += len(receipt.faces) if receipt else 0
        self.refused = frozenset(refused)
        return deleted

    async def keep_running(self, every_s: float = EVERY_S) -> None:
        """Run now and then again and again, until cancelled."""
        while True:
            await asyncio.to_thread(self.run)
            await asyncio.sleep(every_s)
