"""What was changed in a collection, and taking it back."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from mien.core.config import to_mapping
from mien.gallery.gallery import Gallery
from mien.gallery.journal import Entry
from mien.server.access import Admin, Counts
from mien.server.schemas import History, HistoryEntry

router = APIRouter(
    prefix="/v1/collections/{collection_id}/history",
    tags=["history"],
)


@router.get("", operation_id="list_history", summary="What was changed")
async def list_history(
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> History:
    """Newest first: what, when and with which key. Needs the scope `admin`."""
    entries = await caller.look(lambda gallery: gallery.journal.entries(limit))
    return History(entries=[_record(entry) for entry in entries])


@router.post("/{number}/undo", operation_id="undo_change", summary="Take a change back")
async def undo_change(
    caller: Admin, number: Annotated[int, Path(ge=1, le=2**53, description="Of the change.")]
) -> HistoryEntry:
    """Enrolments, merges, splits and the like; a deletion is not taken back."""

    def undo(gallery: Gallery, counts: Counts) -> HistoryEntry:
        counts["entries"] = 1
        return _record(gallery.journal.undo(number, actor=caller.actor))

    return await caller.change("history.undo", undo)


def _record(entry: Entry) -> HistoryEntry:
    return HistoryEntry(**to_mapping(entry))
