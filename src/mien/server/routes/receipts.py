"""Proof of deletions, deletion of what is due, and proof that a collection is whole."""

from fastapi import APIRouter

from mien.core.errors import IntegrityError
from mien.gallery.gallery import Gallery
from mien.gallery.receipts import parse_receipt, verify_receipt
from mien.server.access import Admin, Deleter
from mien.server.forms import ExpiryForm
from mien.server.records import receipt_record
from mien.server.schemas import Expiry, Faults, ReceiptList, ReceiptRecord

router = APIRouter(prefix="/v1/collections/{collection_id}", tags=["receipts"])


@router.get("/receipts", operation_id="list_receipts", summary="Proof of all deletions")
async def list_receipts(caller: Deleter) -> ReceiptList:
    """Signed and chained, oldest first, with the key that signs them. Needs the scope `delete`."""

    def find(gallery: Gallery) -> ReceiptList:
        receipts = [receipt_record(receipt) for receipt in gallery.deletion.receipts()]
        return ReceiptList(signer=gallery.deletion.signer(), receipts=receipts)

    return await caller.look(find)


@router.post("/receipts/verify", operation_id="verify_receipt", summary="Check a receipt")
async def check_receipt(caller: Deleter, receipt: ReceiptRecord) -> Faults:
    """Whether it is genuine, and whether what it names is still absent from the collection."""
    parsed = parse_receipt(receipt.model_dump_json(by_alias=True))

    def check(gallery: Gallery) -> Faults:
        faults = []
        try:
            verify_receipt(parsed, signer=gallery.deletion.signer())
        except IntegrityError as err:
            faults.append(f"{err.what}: {err.why}")
        return Faults(faults=faults + gallery.deletion.faults(parsed))

    return await caller.look(check)


@router.post("/expire", operation_id="expire_faces", summary="Delete what is due")
async def expire_faces(caller: Deleter, wanted: ExpiryForm) -> Expiry:
    """Faces whose day has passed, as the service does hourly by itself.

    Refused (403) while the clock has leapt, until `confirm` says that it is right.
    """
    receipt = await caller.state.call(
        caller.state.retention.expire,
        caller.collection,
        confirm=wanted.confirm,
        request_id=caller.request_id,
        key_id=caller.actor,
    )
    return Expiry(receipt=receipt_record(receipt) if receipt else None)


@router.post(
    "/verify", operation_id="verify_collection", summary="Prove that a collection is whole"
)
async def verify_collection(caller: Admin) -> Faults:
    """What is searched equals the store, every row opens, and no receipt is missing."""
    return Faults(faults=await caller.look(lambda gallery: gallery.verify()))
