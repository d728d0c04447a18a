"""Faces kept for review: look at them, and enrol, reject or forget them."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mien.core.errors import ConflictError
from mien.gallery.gallery import Gallery
from mien.server.access import Counts, Enroller
from mien.server.forms import Confirmation
from mien.server.records import face_record, sighting_record
from mien.server.routes.faces import JPEG
from mien.server.schemas import FaceRecord, Rejection, SightingList

router = APIRouter(
    prefix="/v1/collections/{collection_id}/sightings",
    tags=["review"],
)

SightingId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the kept face.")]


@router.get("", operation_id="list_sightings", summary="List faces kept for review")
async def list_sightings(caller: Enroller) -> SightingList:
    """Newest first. Faces are kept by searches with `keep`, for as long as the service is set."""
    found = await caller.look(lambda gallery: gallery.review.all())
    return SightingList(sightings=[sighting_record(one) for one in found])


@router.get(
    "/{sighting_id}/crop",
    operation_id="get_sighting_crop",
    summary="The piece of the picture that shows a kept face",
    response_class=Response,
    responses=JPEG,
)
async def get_sighting_crop(caller: Enroller, sighting_id: SightingId) -> Response:
    """JPEG, at most 192 pixels wide."""
    crop = await caller.look(lambda gallery: gallery.review.crop(sighting_id))
    return Response(crop, media_type="image/jpeg")


@router.post(
    "/{sighting_id}/confirm",
    status_code=201,
    operation_id="confirm_sighting",
    summary="Enrol a kept face",
)
async def confirm_sighting(
    caller: Enroller, sighting_id: SightingId, wanted: Confirmation
) -> FaceRecord:
    """As somebody known, or as somebody new; it is no longer kept for review then."""

    def confirm(gallery: Gallery, counts: Counts) -> FaceRecord:
        counts["faces"] = 1
        template = gallery.confirm(
            sighting_id,
            wanted.person,
            consent=wanted.consent,
            retain_until=wanted.retain_until,
            force=wanted.force,
            actor=caller.actor,
        )
        return face_record(template)

    return await caller.change("sightings.confirm", confirm)


@router.post(
    "/{sighting_id}/reject",
    status_code=201,
    operation_id="reject_sighting",
    summary="Note that a kept face is not whom it resembles",
)
async def reject_sighting(caller: Enroller, sighting_id: SightingId) -> Rejection:
    """It is no longer kept for review then, and a face like it is not taken for that person."""

    def reject(gallery: Gallery, counts: Counts) -> Rejection:
        kept = gallery.review.find(sighting_id)
        if not kept.person_id:
            raise ConflictError(
                what="the face resembled nobody when it was kept",
                why="there is no person whose face it could be said not to be",
                mend="forget it instead: DELETE",
            )
        made = gallery.people.reject(kept.person_id, kept.vector, actor=caller.actor)
        gallery.review.discard(sighting_id)
        counts["sightings"] = 1
        return Rejection(rejection_id=made)

    return await caller.change("sightings.reject", reject)


@router.delete(
    "/{sighting_id}",
    status_code=204,
    operation_id="delete_sighting",
    summary="Forget a kept face",
)
async def delete_sighting(caller: Enroller, sighting_id: SightingId) -> None:
    """Nothing is noted about anybody."""

    def forget(gallery: Gallery, counts: Counts) -> None:
        counts["sightings"] = 1
        gallery.review.discard(sighting_id)

    await caller.change("sightings.delete", forget)
