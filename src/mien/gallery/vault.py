"""Sealing: what a gallery writes to disk about people is encrypted and bound to its place.

Each gallery has a data key of its own, which is stored wrapped by the user's key. From it follow a
key for AES-256-GCM, one for lookups by keyed hash, and nothing else. A sealed row carries its place
(table and ids) as associated data: moved to another row it no longer opens. Nonces are random; one
data key should seal fewer than 2^32 rows (NIST SP 800-38D, section 8.3), and rotation makes a new
one.
"""

import base64
import hashlib
import hmac
import json
import os
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mien.core.errors import IntegrityError, RefusedError
from mien.core.keys import KEY_BYTES, Key

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
"""Length of a lookup hash."""


class Vault:
    """Seals and opens the rows of one gallery. Safe to use from several threads."""

    def __init__(self, data_key: bytes, store: str) -> None:
        """Derive the working keys.

        Args:
            data_key: The gallery's own 32 bytes.
            store: The gallery's id, part of every place.
        """
        self._data_key = data_key
        self._store = store.encode()
        self._cipher = AESGCM(_derive(data_key, b"seal"))
        self._lookup = _derive(data_key, b"lookup")

    @classmethod
    def new(cls, store: str) -> "Vault":
        """A vault with a fresh data key."""
        return cls(os.urandom(KEY_BYTES), store)

    def seal(self, plain: bytes, *place: str) -> bytes:
        """Encrypt, bound to a place such as ``("face", face_id)``."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, self._aad(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Decrypt what was sealed for this place.

        Raises:
            IntegrityError: If it was changed, moved from elsewhere, or sealed by another gallery.
        """
        try:
            nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, body, self._aad(place))
        except (InvalidTag, ValueError, TypeError, AttributeError) as err:
            # The last two: a changed byte of the database turns a text or blob into a number.
            raise IntegrityError(
                what=f"a sealed record of kind {place[0]!r} does not open",
                why="it was changed, cut off or moved by something other than mien",
                mend="run `mien gallery verify`, and restore a backup",
                place=":".join(map(str, place)),
            ) from err

    def seal_json(self, value: Any, *place: str) -> bytes:
        """`seal` a JSON value."""
        return self.seal(json.dumps(value, ensure_ascii=False).encode(), *place)

    def open_json(self, sealed: bytes, *place: str) -> Any:
        """`open` a JSON value.

        Raises:
            IntegrityError: As `open`.
        """
        return json.loads(self.open(sealed, *place))

    def tag(self, kind: str, text: str) -> bytes:
        """A keyed hash by which a text can be looked up without being stored."""
        message = b"\0".join((self._store, kind.encode(), text.encode()))
        return hmac.digest(self._lookup, message, hashlib.sha256)[:TAG_BYTES]

    def wrapped(self, key: Key) -> str:
        """The data key, sealed with the user's key, as text for the store."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(_derive(key.secret, b"wrap"))
        body = cipher.encrypt(nonce, self._data_key, self._aad(("data key",)))
        text = base64.b64encode(nonce + body).decode()
        return json.dumps({"key": key.id, "wrapped": text})

    def _aad(self, place: tuple[str, ...]) -> bytes:
        return b"\0".join((self._store, *(part.encode() for part in place)))


def unwrap(text: str, key: Key, store: str) -> Vault:
    """The vault of a gallery, by the user's key.

    Raises:
        RefusedError: If the gallery is sealed with another key.
        IntegrityError: If the wrapped key is damaged.
    """
    try:
        stored = json.loads(text)
        needed, blob = str(stored["key"]), base64.b64decode(stored["wrapped"])
    except (ValueError, KeyError, TypeError) as err:
        raise _damaged() from err
    if needed != key.id:
        raise RefusedError(
            what=f"the gallery is sealed with the key {needed}, and the key at hand "
            f"({key.origin}) is {key.id}",
            why="templates are encrypted at rest",
            mend="set MIEN_GALLERY_KEY_FILE to the file that holds the right key",
            needed=needed,
            given=key.id,
        )
    try:
        aad = b"\0".join((store.encode(), b"data key"))
        cipher = AESGCM(_derive(key.secret, b"wrap"))
        return Vault(cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], aad), store)
    except (InvalidTag, ValueError) as err:
        raise _damaged() from err


def _derive(secret: bytes, purpose: bytes) -> bytes:
    info = b"mien gallery " + purpose
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def _damaged() -> IntegrityError:
    return IntegrityError(
        what="the gallery's own key is damaged",
        why="it was changed by something other than mien, or the disk is failing",
        mend="restore a backup of the gallery",
    )
