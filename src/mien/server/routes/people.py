"""People of a collection: list, rename, merge, split, separate, reject and delete them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from mien.core.errors import InputError
from mien.core.types import Float32
from mien.faces.quality import QualityGate
from mien.gallery.gallery import Gallery
from mien.server._paging import After, Limit, page_of_people
from mien.server.access import Caller, Counts, Deleter, Enroller, person_of
from mien.server.analysis import analyse, main_row, template_of
from mien.server.forms import NewName, Other, RejectForm, Split, form_body
from mien.server.records import person_record, receipt_record
from mien.server.schemas import PersonPage, PersonRecord, ReceiptRecord, Rejection
from mien.server.uploads import Form, picture_of, read_form

router = APIRouter(prefix="/v1/collections/{collection_id}/people", tags=["people"])

PersonId = Annotated[str, Path(min_length=1, max_length=200, description="Id of the person.")]


@router.get("", operation_id="list_people", summary="List people")
async def list_people(caller: Enroller, after: After = "", limit: Limit = 100) -> PersonPage:
    """Everybody enrolled, in order of their ids."""
    found, following = await caller.look(lambda gallery: page_of_people(gallery, after, limit))
    return PersonPage(people=[person_record(one) for one in found], next=following)


@router.get("/{person_id}", operation_id="get_person", summary="Describe a person")
async def get_person(caller: Enroller, person_id: PersonId) -> PersonRecord:
    """One person, by id."""
    return await caller.look(lambda gallery: person_record(person_of(gallery, person_id)))


@router.patch("/{person_id}", operation_id="rename_person", summary="Give a person another name")
async def rename_person(caller: Enroller, person_id: PersonId, wanted: NewName) -> PersonRecord:
    """The id stays. A name that is taken is refused (409): merge the two instead."""

    def rename(gallery: Gallery, counts: Counts) -> PersonRecord:
        person_of(gallery, person_id)
        counts["people"] = 1
        return person_record(gallery.people.rename(person_id, wanted.name, actor=caller.actor))

    return await caller.change("people.rename", rename)


@router.delete("/{person_id}", operation_id="delete_person", summary="Delete a person")
async def delete_person(caller: Deleter, person_id: PersonId) -> ReceiptRecord:
    """With everything kept about them, and with proof. Needs the scope `delete`."""

    def delete(gallery: Gallery, counts: Counts) -> ReceiptRecord:
        person_of(gallery, person_id)
        receipt = gallery.deletion.person(person_id, actor=caller.actor)
        counts["people"], counts["faces"] = 1, len(receipt.faces)
        return receipt_record(receipt)

    return await caller.change("people.delete", delete)


@router.post("/{person_id}/merge", operation_id="merge_people", summary="Make two people one")
async def merge_people(caller: Enroller, person_id: PersonId, wanted: Other) -> PersonRecord:
    """All faces of `other` go to this person; the history can take it back."""

    def merge(gallery: Gallery, counts: Counts) -> PersonRecord:
        for one in (person_id, wanted.other):
            person_of(gallery, one)
        counts["people"] = 2
        return person_record(gallery.people.merge(person_id, wanted.other, actor=caller.actor))

    return await caller.change("people.merge", merge)


@router.post(
    "/{person_id}/split",
    status_code=201,
    operation_id="split_person",
    summary="Make another person of some faces",
)
async def split_person(caller: Enroller, person_id: PersonId, wanted: Split) -> PersonRecord:
    """The faces leave this person; the new person is answered."""

    def split(gallery: Gallery, counts: Counts) -> PersonRecord:
        person_of(gallery, person_id)
        _check_owner(gallery, person_id, wanted.face_ids)
        counts["faces"] = len(wanted.face_ids)
        made = gallery.people.split(wanted.face_ids, wanted.name, actor=caller.actor)
        return person_record(made)

    return await caller.change("people.split", split)


@router.post(
    "/{person_id}/separate",
    status_code=204,
    operation_id="separate_people",
    summary="Note that two people are not one",
)
async def separate_people(caller: Enroller, person_id: PersonId, wanted: Other) -> None:
    """However alike they look: they cannot be merged from now on."""

    def separate(gallery: Gallery, counts: Counts) -> None:
        for one in (person_id, wanted.other):
            person_of(gallery, one)
        counts["people"] = 2
        gallery.people.separate(person_id, wanted.other, actor=caller.actor)

    await caller.change("people.separate", separate)


@router.post(
    "/{person_id}/reject",
    status_code=201,
    operation_id="reject_face",
    summary="Note that a face is not this person",
    response_model=Rejection,
    openapi_extra=form_body("image", fields=RejectForm),
)
async def reject_face(caller: Enroller, person_id: PersonId, request: Request) -> Rejection:
    """The main face of a picture, or a kept face, so that it is not named so again."""
    form = await read_form(request, files=("image",))
    wanted = form.parse(RejectForm)
    given = None if wanted.sighting_id else await _vector(caller, form)

    def reject(gallery: Gallery, counts: Counts) -> Rejection:
        person_of(gallery, person_id)
        vector = gallery.review.find(wanted.sighting_id).vector if given is None else given
        counts["people"] = 1
        made = gallery.people.reject(person_id, vector, actor=caller.actor)
        return Rejection(rejection_id=made)

    return await caller.change("people.reject", reject)


async def _vector(caller: Caller, form: Form) -> Float32:
    picture = await picture_of(form, caller.state)
    analysis = await analyse(caller.state, picture, QualityGate.probe())
    return template_of(analysis, main_row(analysis))


def _check_owner(gallery: Gallery, person_id: str, face_ids: list[str]) -> None:
    if any(face.person_id != person_id for face in gallery.index.get(face_ids)):
        raise InputError(
            what="a face belongs to somebody else",
            why="a split takes faces away from the person who is named in the address",
            mend="list the person's faces, and name some of these",
        )
