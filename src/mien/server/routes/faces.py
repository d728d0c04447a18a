"""Faces of a collection: enrol, list, look at, amend and delete them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from mien.core.errors import IdentityMissingError, MienError, NoFaceError
from mien.gallery.gallery import Gallery
from mien.server._paging import After, Limit, page_of_faces
from mien.server.access import Caller, Counts, Deleter, Enroller
from mien.server.analysis import analyse, main_row, open_picture
from mien.server.forms import EnrolForm, FaceChange, form_body
from mien.server.records import face_record, receipt_record
from mien.server.schemas import FacePage, FaceRecord, ReceiptRecord
from mien.server.uploads import picture_of, read_form

router = APIRouter(prefix="/v1/collections/{collection_id}/faces", tags=["faces"])

FaceId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the face.")]
JPEG: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "",
    status_code=201,
    operation_id="enrol_face",
    summary="Enrol a face of a picture",
    response_model=FaceRecord,
    openapi_extra=form_body("image", fields=EnrolForm),
)
async def enrol_face(caller: Enroller, request: Request, response: Response) -> FaceRecord:
    """Add one face to a person, who is made if the name is new. Needs the scope `enrol`.

    A face that is not fit (422), or speaks against the name (409), is refused with the reasons in
    `facts.codes`: those of Rekognition's IndexFaces, and some of mien's own.
    """
    try:
        made = await _enrol(caller, request)
    except MienError as err:
        caller.state.metrics.refused(_codes(err))
        raise
    response.headers["Location"] = f"/v1/collections/{caller.collection}/faces/{made.face_id}"
    return made


async def _enrol(caller: Caller, request: Request) -> FaceRecord:
    form = await read_form(request, files=("image",))
    wanted = form.parse(EnrolForm)
    image = await open_picture(caller.state, await picture_of(form, caller.state))
    analysis = await analyse(caller.state, image)
    row = main_row(analysis) if wanted.face == "main" else None

    def enrol(gallery: Gallery, counts: Counts) -> FaceRecord:
        template = gallery.enrol(
            wanted.person,
            analysis,
            pixels=image.pixels,
            consent=wanted.consent,
            retain_until=wanted.retain_until,
            row=row,
            force=wanted.force,
            keep_crop=wanted.keep_crop,
            actor=caller.actor,
        )
        counts["faces"] = 1
        return face_record(template)

    return await caller.change("faces.enrol", enrol)


@router.get("", operation_id="list_faces", summary="List faces")
async def list_faces(
    caller: Enroller,
    person_id: Annotated[str, Query(max_length=200, description="Of one person only.")] = "",
    after: After = "",
    limit: Limit = 100,
) -> FacePage:
    """Enrolled faces in order of their ids, without pictures and templates."""
    found, following = await caller.look(
        lambda gallery: page_of_faces(gallery, after, limit, person_id)
    )
    return FacePage(faces=[face_record(one) for one in found], next=following)


@router.get("/{face_id}", operation_id="get_face", summary="Describe a face")
async def get_face(caller: Enroller, face_id: FaceId) -> FaceRecord:
    """One enrolled face."""
    return await caller.look(lambda gallery: face_record(gallery.index.get([face_id])[0]))


@router.patch("/{face_id}", operation_id="amend_face", summary="Change consent or day of deletion")
async def amend_face(caller: Enroller, face_id: FaceId, wanted: FaceChange) -> FaceRecord:
    """What the person agreed to, and the day after which the face is deleted."""

    def amend(gallery: Gallery, counts: Counts) -> FaceRecord:
        changed = gallery.people.amend(
            face_id,
            consent=wanted.consent,
            retain_until=wanted.retain_until,
            actor=caller.actor,
        )
        counts["faces"] = 1
        return face_record(changed)

    return await caller.change("faces.amend", amend)


@router.delete("/{face_id}", operation_id="delete_face", summary="Delete a face")
async def delete_face(caller: Deleter, face_id: FaceId) -> ReceiptRecord:
    """Everywhere, with proof. A person of whom no face is left goes too. Scope `delete`."""

    def delete(gallery: Gallery, counts: Counts) -> ReceiptRecord:
        receipt = gallery.deletion.faces([face_id], actor=caller.actor)
        counts["faces"] = len(receipt.faces)
        return receipt_record(receipt)

    return await caller.change("faces.delete", delete)


@router.get(
    "/{face_id}/crop",
    operation_id="get_face_crop",
    summary="The piece of the picture that shows a face",
    response_class=Response,
    responses=JPEG,
)
async def get_face_crop(caller: Enroller, face_id: FaceId) -> Response:
    """If it was kept: `keep_crop` at enrolment."""

    def find(gallery: Gallery) -> bytes:
        gallery.index.get([face_id])
        crop = gallery.people.crop(face_id)
        if crop is None:
            raise IdentityMissingError(
                what="no piece of the picture was kept of this face",
                why="it is kept only if that is asked for at enrolment",
                mend="enrol with keep_crop=true",
            )
        return crop

    return Response(await caller.look(find), media_type="image/jpeg")


def _codes(err: MienError) -> list[str]:
    if isinstance(err, NoFaceError):
        return ["NO_FACE"]
    codes = err.facts.get("codes")
    return [str(code) for code in codes] if isinstance(codes, list) else []
