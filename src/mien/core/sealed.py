r"""A sealed file: a stream of bytes, encrypted, signed, and read only after all of it was checked.

It is the container of gallery bundles and knows nothing of galleries. The format, version 1::

    "MIENSEAL1\n"                         10 bytes
    length of the header                  4 bytes, big-endian, at most 65,536
    header                                canonical JSON: keys sorted, no spaces, ASCII
    chunks                                AES-256-GCM, each chunk_bytes + 16 bytes, the last shorter
    signature                             64 bytes, Ed25519 over the magic and SHA-512 of all before

* Secret: a key of 32 bytes, or scrypt of a passphrase. File key and check value: the two halves of
  HKDF-SHA256(secret, the header's salt, "mien.sealed/1 " + purpose). The check value tells a wrong
  secret from a damaged file, and binds the ciphertext to one key, which GCM alone does not.
* Chunks: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015). Nonce: the chunk's
  number in 11 bytes, then 1 for the last chunk and 0 for others. Chunks that were cut off, doubled
  or exchanged do not open. Associated data: SHA-256 of everything before the first chunk, so that
  no header can be exchanged.
* The public key in the header proves that the file is whole, not who made it: that needs the
  signer's fingerprint from elsewhere.
"""

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mien.core._seal_header import (
    MAGIC,
    VERSION,
    KeyKdf,
    ScryptKdf,
    SealedHeader,
    Signer,
    damaged,
    from_base64,
    read_encoded,
    to_base64,
)
from mien.core.errors import ConfigError, IntegrityError, MissingError, RangeError, RefusedError
from mien.core.files import write_atomically

__all__ = [
    "Passphrase",
    "SealKey",
    "SealedHeader",
    "fingerprint_of",
    "read_header",
    "read_sealed",
    "write_sealed",
]

MIN_PASSPHRASE: Final = 12
"""Characters of a passphrase for writing: scrypt makes guessing slow, not impossible."""

CHUNK_BYTES: Final = 2**16

_SCRYPT_N: Final = 2**15
_TAG_BYTES: Final = 16
_SIGNATURE_BYTES: Final = 64
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A secret that people remember. Letters typed in different ways count as the same (NFC)."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealKey:
    """A secret of 32 random bytes.

    Raises:
        RangeError: If it has another length.
    """

    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.data) != _KEY_BYTES:
            raise RangeError(
                what=f"the key has {len(self.data)} bytes",
                why=f"AES-256 takes {_KEY_BYTES}",
                mend="make one with secrets.token_bytes(32)",
            )

    @property
    def id(self) -> str:
        """Which key it is, 32 hexadecimal digits that say nothing else about it."""
        return hashlib.sha256(b"mien.sealed/1 key id\n" + self.data).hexdigest()[:32]


Secret = Passphrase | SealKey


def fingerprint_of(public_key: Ed25519PublicKey) -> str:
    """SHA-256 of a public key, 64 hexadecimal digits, to be compared by people."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


def write_sealed(
    path: Path,
    chunks: Iterable[bytes],
    *,
    purpose: str,
    public: Mapping[str, Any],
    secret: Secret,
    signer: Ed25519PrivateKey,
    chunk_bytes: int = CHUNK_BYTES,
) -> SealedHeader:
    """Encrypt and sign a stream into a file, in one step and in constant memory.

    Args:
        path: The file; only its owner may read it.
        chunks: The content in pieces of any length; where they begin and end is not kept.
        purpose: What the file is for. Readers must name the same.
        public: Facts for the header, in clear text. No personal data.
        secret: What opens the file.
        signer: Who vouches for it.
        chunk_bytes: Clear bytes of a chunk.

    Returns:
        The header written.

    Raises:
        ConfigError: If the public facts are no JSON, or too long.
        RangeError: If the passphrase is too short, or ``chunk_bytes`` out of range.
        StorageError: If the file cannot be written.
    """
    header, file_key = _new_header(purpose, public, secret, signer.public_key(), chunk_bytes)
    encoded = header.encoded()
    cipher, bound = AESGCM(file_key), hashlib.sha256(encoded).digest()
    digest = hashlib.sha512(encoded)
    with write_atomically(path, private=True) as file:
        file.write(encoded)
        for nonce, clear in _numbered(_regular(chunks, chunk_bytes)):
            sealed = cipher.encrypt(nonce, clear, bound)
            digest.update(sealed)
            file.write(sealed)
        file.write(signer.sign(MAGIC + digest.digest()))
    return header


def read_header(path: Path) -> SealedHeader:
    """What a sealed file says about itself. No secret is needed, and nothing is verified.

    Raises:
        MissingError: If the file cannot be read.
        IntegrityError: If it does not begin with a header that mien writes.
    """
    with _open(path) as file:
        return read_encoded(file, path)[0]


def read_sealed(
    path: Path,
    *,
    purpose: str,
    secret: Secret,
    expected_signer: str | None,
    max_bytes: int | None = None,
) -> Iterator[bytes]:
    """The content of a sealed file, after the signature and every chunk were checked.

    The file is read three times, in constant memory: for the signature, for the chunks, and to
    give them out. Nothing happens before the first piece is asked for. A file that is changed
    between the readings is noticed at the chunk that was changed.

    Args:
        path: The file.
        purpose: What it must be for.
        secret: What opens it.
        expected_signer: Fingerprint of who must have signed it; None takes anybody.
        max_bytes: Largest file to accept; None: any.

    Yields:
        The content, in pieces of the header's ``chunk_bytes``.

    Raises:
        MissingError: If the file cannot be read.
        IntegrityError: If it is damaged, cut off, signed by somebody else or for another purpose.
        RefusedError: If the secret is the wrong one.
        ConfigError: If it is sealed with a key and a passphrase was given, or the reverse.
        RangeError: If the file is larger than ``max_bytes``.
    """
    with _open(path) as file:
        size = file.seek(0, 2)
        if max_bytes is not None and size > max_bytes:
            raise RangeError(
                what=f"{path} takes {size} bytes",
                why=f"at most {max_bytes} are accepted here",
                mend="raise the limit if the file is expected to be so large",
            )
        file.seek(0)
        header, encoded = read_encoded(file, path)
        body = _Body(path, len(encoded), size, header.chunk_bytes, hashlib.sha256(encoded).digest())
        _check_signature(file, body, header)
        _check_origin(path, header, purpose, expected_signer)
        cipher = AESGCM(_open_key(path, header, secret))
        for _ in body.clear_chunks(file, cipher):
            pass
        yield from body.clear_chunks(file, cipher)


@dataclass(frozen=True, slots=True)
class _Body:
    """Where the chunks of a file stand, and what they are bound to."""

    path: Path
    start: int
    size: int
    chunk_bytes: int
    bound: bytes

    @property
    def end(self) -> int:
        return self.size - _SIGNATURE_BYTES

    def clear_chunks(self, file: IO[bytes], cipher: AESGCM) -> Iterator[bytes]:
        for nonce, sealed in _numbered(self.sealed_chunks(file)):
            try:
                clear = cipher.decrypt(nonce, sealed, self.bound)
            except InvalidTag as err:
                raise damaged(self.path, "a chunk does not belong where it stands") from err
            if clear:
                yield clear

    def sealed_chunks(self, file: IO[bytes]) -> Iterator[bytes]:
        file.seek(self.start)
        at = self.start
        while at < self.end:
            sealed = file.read(min(self.chunk_bytes + _TAG_BYTES, self.end - at))
            if len(sealed) < _TAG_BYTES:
                raise damaged(self.path, "it was cut off")
            at += len(sealed)
            yield sealed


def _check_signature(file: IO[bytes], body: _Body, header: SealedHeader) -> None:
    """One reading of the file; first, so that what follows may trust the header's bytes."""
    if body.end - body.start < _TAG_BYTES:
        raise damaged(body.path, "it was cut off")
    file.seek(0)
    digest = hashlib.sha512(file.read(body.start))
    for sealed in body.sealed_chunks(file):
        digest.update(sealed)
    signature = file.read(_SIGNATURE_BYTES)
    key = Ed25519PublicKey.from_public_bytes(from_base64(header.signer.public_key, _KEY_BYTES))
    try:
        key.verify(signature, MAGIC + digest.digest())
    except InvalidSignature as err:
        raise damaged(body.path, "its bytes are not those that were signed") from err
    if fingerprint_of(key) != header.signer.fingerprint:
        raise damaged(body.path, "the fingerprint in it is not that of the key in it")


def _check_origin(path: Path, header: SealedHeader, purpose: str, signer: str | None) -> None:
    if header.purpose != purpose:
        raise IntegrityError(
            what=f"{path} is sealed for {header.purpose[:80]!r}",
            why=f"a file for {purpose!r} is expected here",
            mend="check the path, or use the command that the file was made for",
        )
    if signer is not None and header.signer.fingerprint != signer:
        raise IntegrityError(
            what=f"{path} is signed by {header.signer.fingerprint}",
            why=f"only {signer} is trusted here",
            mend="ask the sender for the fingerprint, over another way than the file came",
        )


def _open_key(path: Path, header: SealedHeader, secret: Secret) -> bytes:
    kdf = header.kdf
    if isinstance(kdf, ScryptKdf) and isinstance(secret, Passphrase):
        master = _stretch(secret, kdf)
    elif isinstance(kdf, KeyKdf) and isinstance(secret, SealKey):
        master = secret.data
    else:
        way = "a passphrase" if isinstance(kdf, ScryptKdf) else "a key"
        raise ConfigError(
            what=f"{path} is sealed with {way}",
            why="the other kind of secret was given",
            mend=f"pass {way}",
        )
    file_key, check = _derive(master, from_base64(header.salt, 32), header.purpose)
    if not hmac.compare_digest(check, from_base64(header.check, 32)):
        raise RefusedError(
            what=f"the secret does not open {path}",
            why="it was sealed with another one; the file itself is undamaged",
            mend="check the passphrase or the key",
        )
    return file_key


def _new_header(
    purpose: str,
    public: Mapping[str, Any],
    secret: Secret,
    signer: Ed25519PublicKey,
    chunk_bytes: int,
) -> tuple[SealedHeader, bytes]:
    kdf: ScryptKdf | KeyKdf
    if isinstance(secret, SealKey):
        kdf, master = KeyKdf(id=secret.id), secret.data
    else:
        _check_length(secret)
        kdf = ScryptKdf(n=_SCRYPT_N, r=8, p=1, salt=to_base64(secrets.token_bytes(16)))
        master = _stretch(secret, kdf)
    salt = secrets.token_bytes(32)
    file_key, check = _derive(master, salt, purpose)
    try:
        header = SealedHeader(
            version=VERSION,
            purpose=purpose,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            public=public,
            kdf=kdf,
            salt=to_base64(salt),
            check=to_base64(check),
            chunk_bytes=chunk_bytes,
            signer=Signer(to_base64(signer.public_bytes_raw()), fingerprint_of(signer)),
        )
    except ValueError as err:
        raise RangeError(
            what=f"chunk_bytes is {chunk_bytes}",
            why="readers hold a whole chunk in memory",
            mend="leave it out, or pass 1 to 16,777,216",
        ) from err
    return header, file_key


def _check_length(passphrase: Passphrase) -> None:
    if len(passphrase.text) < MIN_PASSPHRASE:
        raise RangeError(
            what=f"the passphrase has {len(passphrase.text)} characters",
            why="whoever has the file may guess as often as they like",
            mend=f"take at least {MIN_PASSPHRASE}, such as four random words",
        )


def _stretch(passphrase: Passphrase, kdf: ScryptKdf) -> bytes:
    typed = unicodedata.normalize("NFC", passphrase.text).encode("utf-8", "surrogatepass")
    drawn = from_base64(kdf.salt, 16)
    return Scrypt(salt=drawn, length=_KEY_BYTES, n=kdf.n, r=kdf.r, p=kdf.p).derive(typed)


def _derive(master: bytes, salt: bytes, purpose: str) -> tuple[bytes, bytes]:
    """The key of one file, and its check value."""
    info = b"mien.sealed/1 " + purpose.encode()
    both = HKDF(SHA256(), 2 * _KEY_BYTES, salt, info).derive(master)
    return both[:_KEY_BYTES], both[_KEY_BYTES:]


def _regular(pieces: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Pieces of one length, the last one shorter; at least one."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) > chunk_bytes:
            yield bytes(held[:chunk_bytes])
            del held[:chunk_bytes]
    yield bytes(held)


def _numbered(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk with its nonce; the last one is told by looking one ahead."""
    waiting: bytes | None = None
    number = 0
    for chunk in chunks:
        if waiting is not None:
            yield _nonce(number, last=False), waiting
            number += 1
        waiting = chunk
    if waiting is not None:
        yield _nonce(number, last=True), waiting


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as err:
        raise MissingError(
            what=f"{path} cannot be read ({type(err).__name__})",
            why="a sealed file is expected there",
            mend="check the path and its permissions",
        ) from err
