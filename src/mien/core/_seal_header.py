"""The header of a sealed file: its fields, their bounds, and the one way to spell them.

What stands in it is clear text. Until the signature of the file was checked, it is the word of a
stranger: it is parsed within bounds, and nothing in it may cost much.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

from mien.core.config import from_mapping, to_mapping
from mien.core.errors import ConfigError, IntegrityError

MAGIC: Final = b"MIENSEAL1\n"
VERSION: Final = 1
MAX_HEADER_BYTES: Final = 2**16
MAX_CHUNK_BYTES: Final = 2**24
MAX_SCRYPT_BYTES: Final = 2**28
"""Memory that deriving a key may take, 128·n·r."""

_MAX_SCRYPT_P: Final = 16
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class ScryptKdf:
    """A passphrase, and how a key is made of it.

    Attributes:
        n: Cost, a power of two.
        r: Block size.
        p: Repetitions.
        salt: 16 bytes, base64.
        name: Which of the two ways.
    """

    n: int
    r: int
    p: int
    salt: str
    name: Literal["scrypt"] = "scrypt"

    def __post_init__(self) -> None:
        if self.n < 2 or self.n & (self.n - 1) or self.r < 1 or not 1 <= self.p <= _MAX_SCRYPT_P:
            raise ValueError("the numbers of scrypt are out of range")
        if 128 * self.n * self.r > MAX_SCRYPT_BYTES:
            raise ValueError("scrypt would take more memory than is allowed")
        from_base64(self.salt, 16)


@dataclass(frozen=True, slots=True)
class KeyKdf:
    """A key of 32 bytes that both sides have.

    Attributes:
        id: Which key, 32 hexadecimal digits.
        name: Which of the two ways.
    """

    id: str
    name: Literal["key"] = "key"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed the file.

    Attributes:
        public_key: Ed25519, 32 bytes, base64.
        fingerprint: SHA-256 of those bytes, hexadecimal.
    """

    public_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """What a sealed file says about itself in clear text.

    Attributes:
        version: Of the format.
        purpose: What the file is for, such as ``"mien.gallery.bundle"``.
        created: UTC, ISO 8601.
        public: Facts that are no secret, such as a contract and counts.
        kdf: What opens it.
        salt: 32 bytes, base64; makes the key of this file its own.
        check: 32 bytes, base64; tells a wrong secret from damage.
        chunk_bytes: Clear bytes of a chunk.
        signer: Who signed it.
    """

    version: int
    purpose: str
    created: str
    public: Mapping[str, Any]
    kdf: ScryptKdf | KeyKdf
    salt: str
    check: str
    chunk_bytes: int
    signer: Signer

    def __post_init__(self) -> None:
        if not 1 <= self.chunk_bytes <= MAX_CHUNK_BYTES:
            raise ValueError("chunk_bytes is out of range")
        from_base64(self.salt, 32)
        from_base64(self.check, 32)
        from_base64(self.signer.public_key, 32)

    def encoded(self) -> bytes:
        """Magic, length and canonical JSON: everything before the first chunk.

        Raises:
            ConfigError: If the public facts are no JSON, or too long.
        """
        try:
            text = _canonical(to_mapping(self))
        except (TypeError, ValueError, RecursionError) as err:
            raise ConfigError(
                what=f"the public facts cannot be written ({type(err).__name__})",
                why="a header is JSON",
                mend="pass strings, finite numbers, lists and mappings of them",
            ) from err
        if len(text) > MAX_HEADER_BYTES:
            raise ConfigError(
                what=f"the header takes {len(text)} bytes",
                why=f"readers refuse more than {MAX_HEADER_BYTES}",
                mend="put large facts into the content",
            )
        return MAGIC + len(text).to_bytes(_LENGTH_BYTES, "big") + text


def read_encoded(file: IO[bytes], path: Path) -> tuple[SealedHeader, bytes]:
    """The header at the start of a file, and its bytes as `SealedHeader.encoded` wrote them.

    Raises:
        IntegrityError: If there is none, or it is not one that mien writes.
    """
    start = file.read(len(MAGIC) + _LENGTH_BYTES)
    if len(start) < len(MAGIC) + _LENGTH_BYTES or not start.startswith(MAGIC):
        raise damaged(path, "it does not begin as a sealed file does")
    length = int.from_bytes(start[len(MAGIC) :], "big")
    if length > MAX_HEADER_BYTES:
        raise damaged(path, f"its header claims {length} bytes, more than {MAX_HEADER_BYTES}")
    text = file.read(length)
    try:
        values = json.loads(text)
        if len(text) != length or not isinstance(values, dict) or _canonical(values) != text:
            raise ValueError("the header is not canonical JSON")
        if values.get("version") != VERSION:
            raise ValueError("the version of the header is not known")
        return from_mapping(SealedHeader, values), start + text
    except (ValueError, RecursionError) as err:
        raise damaged(path, "its header is not one that mien writes") from err


def damaged(path: Path, why: str) -> IntegrityError:
    """The error for a file that is not as it was written."""
    return IntegrityError(
        what=f"{path} is not an intact sealed file",
        why=why,
        mend="get it again from where it was made; nothing of it was used",
    )


def to_base64(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, length: int) -> bytes:
    """Bytes from text, spelled in the one way and of one length.

    Raises:
        ValueError: If they are not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as err:
        raise ValueError("not base64") from err
    if len(data) != length or to_base64(data) != text:
        raise ValueError("not base64 of the length expected")
    return data


def _canonical(values: Any) -> bytes:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")
