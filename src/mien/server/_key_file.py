"""The file of API keys: what an entry holds, how it is read and written, what a new key must be."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mien.core.errors import InputError, IntegrityError, RefusedError
from mien.server.principal import EVERY_COLLECTION, SCOPES

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; neither its secret nor anything made from it.

    Attributes:
        key_id: Public part of the key, 8 hexadecimal digits.
        name: What its owner calls it.
        scopes: What it may do.
        collections: Where, or ``*``.
        created: When it was made, ISO 8601 in UTC.
        expires: When it ends, ISO 8601 in UTC; empty for never.
        disabled: Whether it was revoked.
    """

    key_id: str
    name: str
    scopes: tuple[str, ...]
    collections: tuple[str, ...]
    created: str
    expires: str
    disabled: bool


def encode_keys(keys: dict[str, dict[str, Any]]) -> bytes:
    """The text of the file."""
    return json.dumps({"format": _FORMAT, "keys": keys}, indent=1).encode()


def digest_of(salt: str, secret: str) -> str:
    """What the file keeps of a secret: its HMAC-SHA256, in hexadecimal digits."""
    return hmac.new(bytes.fromhex(salt), secret.encode(), hashlib.sha256).hexdigest()


def shown(key_id: str, entry: dict[str, Any]) -> ApiKey:
    """An entry without its salt and digest."""
    return ApiKey(
        key_id,
        entry["name"],
        tuple(entry["scopes"]),
        tuple(entry["collections"]),
        entry["created"],
        entry["expires"],
        entry["disabled"],
    )


def read_keys(path: Path, mode: int) -> dict[str, dict[str, Any]]:
    """The entries by id.

    Args:
        path: The file.
        mode: Its permissions.

    Raises:
        IntegrityError: If it is damaged.
        RefusedError: If others than its owner may write it.
    """
    if mode & 0o022:
        raise RefusedError(
            what="others than its owner may write the file of API keys",
            why="whoever writes it lets themselves in",
            mend=f"run: chmod 600 {path}",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        keys: dict[str, dict[str, Any]] = document["keys"]
        for key_id, entry in keys.items():
            shown(key_id, entry)
            bytes.fromhex(entry["salt"] + entry["digest"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise unreadable(path, err) from err
    return keys


def unreadable(path: Path, err: Exception) -> IntegrityError:
    """The error for a file that is damaged or cannot be read."""
    return IntegrityError(
        what=f"{path} is not a file of API keys",
        why=f"it cannot be read as one ({type(err).__name__})",
        mend="restore it from a backup, or delete it and make new keys",
    )


def check_new(
    name: str,
    scopes: tuple[str, ...],
    collections: tuple[str, ...],
    expires: datetime | None,
    now: datetime,
) -> None:
    """Refuse a key that would open nothing, or never.

    Raises:
        InputError: If a part of it cannot be used.
    """
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InputError(
            what=f"unknown scope {unknown[0]!r}" if unknown else "no scope was given",
            why=f"a key has one or more of: {', '.join(SCOPES)}",
            mend="name what the key is for",
        )
    if not (name.isprintable() and 1 <= len(name.strip()) <= 64) or not all(collections):
        raise InputError(
            what="the key's name, or one of its collections, cannot be used",
            why="a name has 1 to 64 printable characters; a collection is never empty",
            mend="choose another",
        )
    if not collections:
        raise InputError(
            what="no collection was given",
            why="the key would open nothing",
            mend=f"name collections, or {EVERY_COLLECTION!r} for all",
        )
    if expires is not None and (expires.tzinfo is None or expires <= now):
        raise InputError(
            what="the key would expire in the past, or in no known time zone",
            why="it would never be valid",
            mend="give a later time with its zone, such as 2030-01-01T00:00:00+00:00",
        )
