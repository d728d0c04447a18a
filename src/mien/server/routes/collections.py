"""Collections: make, list, describe and delete them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from mien.server.access import Admin, AnyKey, AnyScope
from mien.server.forms import NewCollection
from mien.server.principal import SCOPES
from mien.server.records import collection_record
from mien.server.schemas import CollectionList, CollectionRecord

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.post(
    "", status_code=201, operation_id="create_collection", summary="Make an empty collection"
)
async def create_collection(
    caller: AnyKey, wanted: NewCollection, response: Response
) -> CollectionRecord:
    """Needs the scope `admin` for the new id. A collection is sealed from its first byte on."""
    state, collection_id = caller.state, wanted.collection_id
    caller.principal.require("admin", collection_id)
    strict = state.settings.strict if wanted.strict is None else wanted.strict

    def create() -> CollectionRecord:
        with state.audit.change(
            "collections.create",
            request_id=caller.request_id,
            key_id=caller.actor,
            collection=collection_id,
        ):
            state.collections.create(collection_id, strict=strict)
        with state.collections.use(collection_id) as gallery:
            return collection_record(collection_id, gallery, state.collections.key.id)

    made = await state.call(create)
    response.headers["Location"] = f"/v1/collections/{collection_id}"
    return made


@router.get("", operation_id="list_collections", summary="List collections")
async def list_collections(caller: AnyKey) -> CollectionList:
    """Ids of the collections in which the key may do anything, sorted."""
    found = await caller.state.call(caller.state.collections.all)
    may = caller.principal.may
    return CollectionList(
        collections=[one for one in found if any(may(scope, one) for scope in SCOPES)]
    )


@router.get("/{collection_id}", operation_id="describe_collection", summary="Describe a collection")
async def describe_collection(caller: AnyScope) -> CollectionRecord:
    """How much it holds, which pipeline and key it is of, and where its thresholds come from."""
    key_id = caller.state.collections.key.id
    return await caller.look(lambda gallery: collection_record(caller.collection, gallery, key_id))


@router.delete(
    "/{collection_id}",
    status_code=204,
    operation_id="delete_collection",
    summary="Delete a collection with everybody in it",
)
async def delete_collection(
    caller: Admin, confirm: Annotated[str, Query(description="The collection's id once more.")]
) -> None:
    """All its files are removed. Waits for those at work in it; its jobs must be cancelled."""
    state = caller.state

    def delete() -> None:
        state.collections.check_confirmed(caller.collection, confirm)
        with state.audit.change(
            "collections.delete",
            request_id=caller.request_id,
            key_id=caller.actor,
            collection=caller.collection,
        ) as counts:
            counts["faces"] = state.collections.delete(caller.collection, confirm=confirm)

    await state.call(delete)
