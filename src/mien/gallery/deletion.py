"""Deleting from a gallery: the rows, all that hangs on them, and the proof.

What is deleted is gone from the store, the index in memory, the matrix file, the crops, the
journal and the faces kept for review. It is looked for afterwards, and a signed receipt says what
was found.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mien.core.errors import RefusedError
from mien.gallery._change import Change
from mien.gallery._database import CLOCK
from mien.gallery.journal import note
from mien.gallery.people import resolve
from mien.gallery.receipts import Receipt, chain_faults, parse_receipt, public_text
from mien.gallery.sqlite import SqliteIndex

MAX_LEAP: Final = timedelta(days=31)
"""If the clock leaps further than this between two runs, nothing is deleted until confirmed."""

_SCANNED_BYTES: Final = 2**29


class Deletion:
    """Deletes from one gallery, and keeps its receipts."""

    def __init__(
        self, index: SqliteIndex, elsewhere: Callable[[Sequence[str]], dict[str, str]]
    ) -> None:
        """Delete from a gallery.

        Args:
            index: Its store.
            elsewhere: Says, for the receipt, what is left of faces outside the store.
        """
        self._index = index
        self._elsewhere = elsewhere

    def person(self, who: str, *, actor: str = "") -> Receipt:
        """Delete a person with everything that is kept about them.

        Raises:
            IdentityMissingError: If there is nobody of that name.
            StorageError: If it could not be stored; nothing has changed then.
        """
        with self._index.change() as change:
            wanted = [face.face_id for face in change.faces_of(resolve(change, who))]
            receipt = self._delete(change, wanted, cause="request", actor=actor)
        return self._finish(receipt, change.removed)

    def faces(self, face_ids: Sequence[str], *, cause: str = "request", actor: str = "") -> Receipt:
        """Delete templates; a person of whom none is left goes with them.

        Args:
            face_ids: The templates.
            cause: Why, for the receipt.
            actor: Who does it.

        Raises:
            IdentityMissingError: If one of them is not there; nothing is deleted then.
        """
        with self._index.change() as change:
            wanted = list(dict.fromkeys(face_ids))
            receipt = self._delete(change, wanted, cause=cause, actor=actor)
        return self._finish(receipt, change.removed)

    def expire(self, today: date | None = None, *, confirm: bool = False) -> Receipt | None:
        """Delete all whose day of deletion has passed, and forget old faces kept for review.

        Args:
            today: By default the day that the clock shows, in UTC.
            confirm: Go on although the clock has leapt since the last run.

        Returns:
            The receipt; None if nothing was due.

        Raises:
            RefusedError: If the clock has leapt by more than `MAX_LEAP`: a wrong clock must not
                delete a gallery.
        """
        day = today or datetime.now(UTC).date()
        with self._index.change() as change:
            self._check_clock(day, confirm=confirm)
            due = self._index.query(
                "SELECT face_id FROM faces WHERE retain_until != '' AND retain_until < ?",
                (day.isoformat(),),
            )
            old = self._index.query(
                "SELECT sighting_id FROM sightings WHERE keep_until < ?", (day.isoformat(),)
            )
            change.set_meta(CLOCK, day.isoformat())
            change.drop_sightings([row[0] for row in old])
            faces = [row[0] for row in due]
            receipt = self._delete(change, faces, cause="retention", actor="") if due else None
        if old:
            self._index.empty_log()
        return self._finish(receipt, change.removed) if receipt else None

    def receipts(self) -> list[Receipt]:
        """All receipts of the gallery, oldest first."""
        with self._index.look() as rows:
            return [parse_receipt(text) for text in rows.receipts()]

    def signer(self) -> str:
        """The gallery's public key, base64: whoever has it can check receipts."""
        return public_text(signing_key(self._index))

    def faults(self, receipt: Receipt) -> list[str]:
        """What of a receipt's claim does not hold in this gallery; empty if all of it does."""
        faults = []
        if receipt.gallery != self._index.store:
            faults.append("the receipt is of another gallery")
        for kind, found in self._look_for(receipt).items():
            if found != "absent":
                faults.append(f"{kind}: {found}")
        return faults

    def chain_faults(self) -> list[str]:
        """What is wrong with the receipts that the gallery keeps."""
        receipts = self.receipts()
        return chain_faults(receipts, self.signer()) if receipts else []

    def _delete(self, change: Change, face_ids: list[str], *, cause: str, actor: str) -> Receipt:
        owners = {change.template(face_id).person_id for face_id in face_ids}
        crops = sum(change.has_crop(face_id) for face_id in face_ids)
        rejections = {owner: len(change.rejections_of(owner)) for owner in owners}
        removed = change.remove(face_ids)
        gone = sorted(owner for owner in owners if not change.faces_of(owner))
        sightings = change.sightings_of(gone)
        previous = change.last_receipt()
        receipt = Receipt(
            gallery=self._index.store,
            number=1 if previous is None else parse_receipt(previous).number + 1,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            cause=cause,
            people=tuple(gone),
            faces=tuple(face_ids),
            removed={
                "faces": len(removed),
                "crops": crops,
                "rejections": sum(rejections[owner] for owner in gone),
                "journal_entries": change.forget([*face_ids, *gone]),
                "sightings": change.drop_sightings(sightings),
            },
            previous="" if previous is None else parse_receipt(previous).digest(),
        ).signed(signing_key(self._index, change))
        change.keep_receipt(receipt.number, receipt.to_json())
        facts = {"receipt": receipt.number, "faces": len(removed), "cause": cause}
        note(change, "delete", actor=actor, ids=[], facts=facts)
        return receipt

    def _finish(self, receipt: Receipt, numbers: Sequence[int]) -> Receipt:
        """Look for what was deleted, and put what was found into the receipt."""
        checks = self._look_for(receipt)
        checks["index"] = "still searched" if self._index.is_searched(numbers) else "absent"
        checked = replace(receipt, checks=checks).signed(signing_key(self._index))
        with self._index.change() as change:
            change.keep_receipt(receipt.number, checked.to_json())
        return checked

    def _look_for(self, receipt: Receipt) -> dict[str, str]:
        ids = [*receipt.faces, *receipt.people]
        with self._index.look() as rows:
            kept = rows.count_ids(ids)
        is_cut = self._index.empty_log()
        found = {
            "store": f"{kept} rows" if kept else "absent",
            "write-ahead log": "absent" if is_cut else "pending: another process has it open",
        }
        left = self._scan(ids)
        if left and is_cut and not kept:
            self._index.rewrite()
            left = self._scan(ids)
        if left is not None:
            found["files"] = f"{left} ids" if left else "absent"
        return found | self._elsewhere(receipt.faces)

    def _scan(self, ids: Sequence[str]) -> int | None:
        """How many ids still stand somewhere in the files; None if these are too large to read."""
        path = self._index.path
        near = path.parent.iterdir()
        files = [one for one in near if one.name.startswith(path.name) and one.is_file()]
        if sum(one.stat().st_size for one in files) > _SCANNED_BYTES:
            return None
        data = b"".join(one.read_bytes() for one in files)
        return sum(one.encode() in data for one in ids)

    def _check_clock(self, day: date, *, confirm: bool) -> None:
        found = self._index.query("SELECT value FROM meta WHERE key = ?", (CLOCK,))
        if not found or confirm:
            return
        last = date.fromisoformat(found[0][0])
        if day - last > MAX_LEAP:
            raise RefusedError(
                what=f"the last run (or the making of the gallery) was on {last}, and the clock "
                f"shows {day}",
                why=f"it has leapt by more than {MAX_LEAP.days} days; a wrong clock would delete "
                "people before their day",
                mend="check the clock, then confirm: mien gallery expire --confirm",
            )


def signing_key(index: SqliteIndex, change: Change | None = None) -> Ed25519PrivateKey:
    """The gallery's own key for receipts and bundles; made when it is first needed."""
    seed = index.read_secret("signer")
    if seed is not None:
        return Ed25519PrivateKey.from_private_bytes(seed)
    if change is None:
        with index.change() as own:  # where nobody else can make one meanwhile
            return signing_key(index, own)
    key = Ed25519PrivateKey.generate()
    change.set_secret("signer", key.private_bytes_raw())
    return key
