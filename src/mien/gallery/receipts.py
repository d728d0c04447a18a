"""Receipts of deletions: what was removed from where, checked, numbered, chained and signed.

A receipt holds opaque ids and counts, never a name, a file name or a template. Each names the
digest of the one before, so that a missing one shows.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mien.core.config import from_mapping, to_mapping
from mien.core.errors import IntegrityError

SCHEMA: Final = "mien.receipt/1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a deletion did.

    Attributes:
        gallery: Id of the gallery.
        number: Of the receipt in that gallery, from 1.
        at: UTC, ISO 8601.
        cause: ``request`` or ``retention``.
        people: Ids of the people of whom nothing is left.
        faces: Ids of the faces that were removed.
        removed: How much was removed of each kind: faces, crops, rejections, journal entries,
            sightings.
        checks: What was looked at afterwards, and what was found: ``absent`` is good.
        previous: SHA-256 of the receipt before; empty for the first.
        signer: Public key of the gallery, Ed25519, base64.
        signature: Of everything else, base64.
    """

    gallery: str
    number: int
    at: str
    cause: str
    people: tuple[str, ...]
    faces: tuple[str, ...]
    removed: Mapping[str, int]
    checks: Mapping[str, str] = field(default_factory=dict)
    previous: str = ""
    signer: str = ""
    signature: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every check found nothing left."""
        return bool(self.checks) and set(self.checks.values()) == {"absent"}

    def to_json(self) -> str:
        """The receipt as text."""
        return _canonical({"schema": SCHEMA} | to_mapping(self))

    def digest(self) -> str:
        """SHA-256 of the deletion itself, 64 hexadecimal digits.

        Without the checks, which are made afterwards: another deletion may come in between.
        """
        text = _canonical({"schema": SCHEMA} | to_mapping(self) | {"checks": {}, "signature": ""})
        return hashlib.sha256(text.encode()).hexdigest()

    def signed(self, key: Ed25519PrivateKey) -> "Receipt":
        """The same receipt with a signature."""
        values = to_mapping(self) | {"signer": public_text(key), "signature": ""}
        unsigned = from_mapping(Receipt, values)
        signature = base64.b64encode(key.sign(unsigned.to_json().encode())).decode()
        return from_mapping(Receipt, to_mapping(unsigned) | {"signature": signature})


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half of a key, base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def parse_receipt(text: str | bytes, source: str = "receipt") -> Receipt:
    """A receipt from its text; its signature is not checked here.

    Raises:
        IntegrityError: If it is no receipt.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        return from_mapping(Receipt, values)
    except ValueError as err:
        raise IntegrityError(
            what=f"{source} is not a receipt of a deletion",
            why=str(err),
            mend="pass the file that `mien gallery delete --receipt FILE` wrote",
        ) from err


def verify_receipt(receipt: Receipt, *, signer: str | None = None) -> None:
    """Check a receipt's signature.

    Args:
        receipt: The receipt.
        signer: Public key of the gallery, base64; None takes the one that the receipt names, which
            shows that it was not changed, not who made it.

    Raises:
        IntegrityError: If it was changed, or another gallery signed it.
    """
    if signer is not None and signer != receipt.signer:
        raise _forged("it was signed by another gallery")
    unsigned = from_mapping(Receipt, to_mapping(receipt) | {"signature": ""})
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(receipt.signer, validate=True))
        signature = base64.b64decode(receipt.signature, validate=True)
        key.verify(signature, unsigned.to_json().encode())
    except (InvalidSignature, ValueError) as err:
        raise _forged("its signature does not fit its text") from err


def chain_faults(receipts: Sequence[Receipt], signer: str) -> list[str]:
    """What is wrong with a gallery's receipts, in words; empty if nothing is."""
    faults, previous = [], ""
    for number, receipt in enumerate(receipts, 1):
        try:
            verify_receipt(receipt, signer=signer)
        except IntegrityError as err:
            faults.append(f"receipt {receipt.number}: {err.why}")
        if receipt.number != number or receipt.previous != previous:
            faults.append(f"a receipt is missing before receipt {receipt.number}")
        previous = receipt.digest()
    return faults


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _forged(why: str) -> IntegrityError:
    return IntegrityError(
        what="the receipt is not genuine",
        why=why,
        mend="ask the keeper of the gallery for a new copy",
    )
