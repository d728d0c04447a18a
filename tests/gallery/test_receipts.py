"""Receipts cannot be changed, forged, exchanged or taken away unseen."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mien.core.errors import IntegrityError
from mien.gallery.receipts import (
    Receipt,
    chain_faults,
    parse_receipt,
    public_text,
    verify_receipt,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SIGNER = public_text(KEY)


def draw(number: int = 1, previous: str = "") -> Receipt:
    return Receipt(
        gallery="a" * 32,
        number=number,
        at="2026-11-24T10:00:00+00:00",
        cause="request",
        people=("b" * 32,),
        faces=("c" * 32, "d" * 32),
        removed={"faces": 2, "crops": 1},
        checks={"store": "absent", "index": "absent"},
        previous=previous,
    ).signed(KEY)


def chain(length: int) -> list[Receipt]:
    receipts: list[Receipt] = []
    for number in range(1, length + 1):
        receipts.append(draw(number, receipts[-1].digest() if receipts else ""))
    return receipts


def test_a_receipt_is_genuine_after_a_trip_as_text():
    receipt = draw()
    again = parse_receipt(receipt.to_json())
    assert again == receipt
    assert again.to_json() == receipt.to_json()
    verify_receipt(again)
    verify_receipt(again, signer=SIGNER)


CHANGES = {
    "gallery": "e" * 32,
    "number": 2,
    "at": "2026-11-25T10:00:00+00:00",
    "cause": "retention",
    "people": [],
    "faces": ["c" * 32],
    "removed": {"faces": 3, "crops": 1},
    "checks": {"store": "absent"},
    "previous": "f" * 64,
    "signer": public_text(OTHER),
    "signature": base64.b64encode(bytes(64)).decode(),
}


@pytest.mark.parametrize("field", list(CHANGES))
def test_any_changed_field_is_found(field):
    values = json.loads(draw().to_json())
    assert set(values) == {"schema", *CHANGES}
    values[field] = CHANGES[field]
    forged = parse_receipt(json.dumps(values))
    with pytest.raises(IntegrityError, match="not genuine; its signature does not fit its text"):
        verify_receipt(forged)


@pytest.mark.parametrize("field", ["signer", "signature"])
@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "é"])
def test_signatures_that_are_none_are_not_genuine(field, text):
    with pytest.raises(IntegrityError, match="not genuine"):
        verify_receipt(replace(draw(), **{field: text}))


def test_another_gallery_cannot_sign_for_this_one():
    forged = draw().signed(OTHER)
    verify_receipt(forged)
    with pytest.raises(IntegrityError, match="signed by another gallery"):
        verify_receipt(forged, signer=SIGNER)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "no", '{"schema": "mien.receipt/2"}', '{"schema": "mien.receipt/1"}', b"\xff"],
)
def test_other_texts_are_no_receipts(text):
    with pytest.raises(IntegrityError, match="a file is not a receipt of a deletion"):
        parse_receipt(text, "a file")


def test_a_receipt_with_more_fields_is_none():
    values = json.loads(draw().to_json()) | {"note": "all is well"}
    with pytest.raises(IntegrityError, match="not a receipt"):
        parse_receipt(json.dumps(values))


@pytest.mark.parametrize(
    ("checks", "wanted"),
    [
        ({}, False),
        ({"store": "absent"}, True),
        ({"store": "absent", "files": "1 ids"}, False),
        ({"store": "absent", "write-ahead log": "pending: another process has it open"}, False),
    ],
)
def test_it_is_complete_if_all_that_was_looked_at_is_absent(checks, wanted):
    assert replace(draw(), checks=checks).is_complete is wanted


def test_a_whole_chain_has_no_faults():
    assert chain_faults([], SIGNER) == []
    assert chain_faults(chain(4), SIGNER) == []


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_receipt_shows(missing):
    receipts = chain(4)
    del receipts[missing]
    assert chain_faults(receipts, SIGNER)[0] == f"a receipt is missing before receipt {missing + 2}"


def test_receipts_in_another_order_show():
    one, two, three = chain(3)
    assert len(chain_faults([one, three, two], SIGNER)) == 2


def test_an_exchanged_receipt_shows_even_if_it_is_signed():
    one, two, three = chain(3)
    other = replace(two, faces=("9" * 32,)).signed(KEY)
    assert chain_faults([one, other, three], SIGNER) == ["a receipt is missing before receipt 3"]


def test_a_forged_receipt_in_a_chain_is_named():
    one, two, three = chain(3)
    forged = replace(two, checks={"store": "absent"})
    assert chain_faults([one, forged, three], SIGNER) == [
        "receipt 2: its signature does not fit its text"
    ]


def test_checks_that_come_later_do_not_break_the_chain():
    one = replace(draw(), checks={}).signed(KEY)
    two = draw(2, one.digest())
    checked = replace(one, checks={"store": "absent"}).signed(KEY)
    assert checked.digest() == one.digest()
    assert chain_faults([checked, two], SIGNER) == []
