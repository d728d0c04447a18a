"""The key that opens a gallery: 32 secret bytes, from the environment or from a file.

A key is looked for in this order: the variable ``MIEN_GALLERY_KEY``, the file that
``MIEN_GALLERY_KEY_FILE`` names, the file ``gallery.key`` in the user's configuration folder. What
is sealed with it, and how, is the gallery's matter.
"""

import base64
import binascii
import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mien.core.errors import ConfigError, MienError, MissingError
from mien.core.files import storage_error, write_atomically
from mien.core.lock import hold_lock

KEY_VARIABLE: Final = "MIEN_GALLERY_KEY"
FILE_VARIABLE: Final = "MIEN_GALLERY_KEY_FILE"
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes.

    Attributes:
        secret: The bytes; never shown.
        origin: Where it came from, in words.
    """

    secret: bytes = field(repr=False)
    origin: str = field(default="given", compare=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ConfigError(
                what=f"a key of {len(self.secret)} bytes ({self.origin})",
                why=f"galleries are sealed with AES-256, whose keys have {KEY_BYTES} bytes",
                mend="make one with: mien gallery key new FILE",
            )

    @property
    def id(self) -> str:
        """Eight hexadecimal digits that name the key and do not reveal it."""
        return hashlib.sha256(b"mien gallery key id\0" + self.secret).hexdigest()[:8]

    def as_text(self) -> str:
        """The secret in base64, as key files hold it."""
        return base64.b64encode(self.secret).decode()


def new_key() -> Key:
    """A key from the operating system's random numbers."""
    return Key(secrets.token_bytes(KEY_BYTES), "new")


def parse_key(text: str, origin: str) -> Key:
    """A key from base64 (either alphabet) or 64 hexadecimal digits.

    Raises:
        ConfigError: If it is neither, or not of 32 bytes. The text is not repeated.
    """
    bare = text.strip()
    try:
        if len(bare) == 2 * KEY_BYTES:
            return Key(bytes.fromhex(bare), origin)
        standard = bare.replace("-", "+").replace("_", "/")
        return Key(base64.b64decode(standard, validate=True), origin)
    except (ValueError, binascii.Error) as err:
        if isinstance(err, ConfigError):
            raise
        raise ConfigError(
            what=f"the key in {origin} cannot be read",
            why="it must be 32 bytes in base64, or 64 hexadecimal digits",
            mend="make one with: mien gallery key new FILE",
        ) from err


def load_key(path: Path) -> Key:
    """The key in a file.

    Raises:
        MissingError: If it cannot be read.
        ConfigError: If it holds no key.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as err:
        raise MissingError(
            what=f"the key file {path} cannot be read ({type(err).__name__})",
            why="a gallery cannot be opened without its key",
            mend="check the path, or restore the file from where you keep it",
        ) from err
    return parse_key(text, str(path))


def write_key_file(path: Path, key: Key) -> None:
    """Write a key to a new file that only its owner can read.

    Raises:
        ConfigError: If there is a file already: it may be the only key of a gallery.
        StorageError: If it cannot be written.
    """
    try:
        with hold_lock(path):
            if path.exists():
                raise ConfigError(
                    what=f"{path} exists",
                    why="it may hold the only key of a gallery",
                    mend="choose another path",
                )
            with write_atomically(path, private=True) as file:
                file.write(key.as_text().encode() + b"\n")
            path.chmod(0o600)
    except OSError as err:
        if isinstance(err, MienError):
            raise
        raise storage_error(err, path) from err


def default_key_file() -> Path:
    """Where the key lies if the environment names none."""
    from platformdirs import user_config_path

    return user_config_path("mien", appauthor=False) / "gallery.key"


def find_key(*, make: bool = False) -> Key:
    """The key that this user's galleries are sealed with.

    Args:
        make: Whether to write a new key to the user's configuration folder if there is none.

    Raises:
        MissingError: If there is none, and none is to be made.
        ConfigError: If what is found is no key.
        StorageError: If a new one cannot be written.
    """
    text = os.environ.get(KEY_VARIABLE)
    if text:
        return parse_key(text, f"the variable {KEY_VARIABLE}")
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return load_key(Path(named))
    path = default_key_file()
    if not path.exists() and not make:
        raise MissingError(
            what=f"there is no key: neither {KEY_VARIABLE} nor {FILE_VARIABLE} is set, and "
            f"{path} does not exist",
            why="galleries are sealed, and cannot be read without their key",
            mend=f"set {FILE_VARIABLE} to the key's file, or restore that file",
        )
    if not path.exists():
        with suppress(ConfigError):  # another process made one first: that one is used
            write_key_file(path, new_key())
    return load_key(path)
