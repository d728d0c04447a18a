"""API keys: who may do what in which collection.

A key reads ``mien_<id>_<secret>``. The secret is 256 random bits and is shown once; the file keeps
an HMAC of it only. A slow hash guards secrets that can be guessed; this one cannot, so that a slow
hash would only make every request slow.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mien.core.errors import IdentityMissingError, MienError
from mien.core.files import storage_error, write_atomically
from mien.core.lock import hold_lock
from mien.server._key_file import (
    ApiKey,
    check_new,
    digest_of,
    encode_keys,
    read_keys,
    shown,
    unreadable,
)
from mien.server.principal import EVERY_COLLECTION, Principal, unauthorised

__all__ = ["ApiKey", "ApiKeys"]

_FORM: Final = re.compile(r"mien_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


class ApiKeys:
    """The keys in a file. Changes by other processes are seen at the next check."""

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Open the file, which need not exist yet: without it no key is valid.

        Args:
            path: A JSON file, readable by its owner only.
            now: The time in UTC.

        Raises:
            IntegrityError: If it is damaged.
            RefusedError: If others than its owner may write it.
        """
        self.path = path
        self._now = now
        # For unknown ids: the same work is done with a digest that no secret has.
        self._nobody = {"salt": secrets.token_hex(16), "digest": secrets.token_hex(32)}
        self._seen: tuple[int, ...] | None = None
        self._keys: dict[str, dict[str, Any]] = {}
        self._refresh()

    def create(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        collections: Iterable[str] = (EVERY_COLLECTION,),
        expires: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            name: What to call it in lists.
            scopes: Some of `SCOPES`.
            collections: Where it holds, or ``*``.
            expires: When it ends, with a time zone; None for never.

        Returns:
            The key, and the text to present; it cannot be had again.

        Raises:
            InputError: If a scope is unknown, or the name or the time cannot be used.
            StorageError: If the file cannot be written.
        """
        chosen, places = tuple(dict.fromkeys(scopes)), tuple(dict.fromkeys(collections))
        check_new(name, chosen, places, expires, self._now())
        key_id, secret, salt = (
            secrets.token_hex(4),
            secrets.token_urlsafe(32),
            secrets.token_hex(16),
        )
        until = expires.astimezone(UTC).isoformat(timespec="seconds") if expires else ""
        entry = {
            "name": name,
            "scopes": list(chosen),
            "collections": list(places),
            "created": self._now().isoformat(timespec="seconds"),
            "expires": until,
            "disabled": False,
            "salt": salt,
            "digest": digest_of(salt, secret),
        }
        self._change(lambda keys: keys.update({key_id: entry}))
        return shown(key_id, entry), f"mien_{key_id}_{secret}"

    def list(self) -> list[ApiKey]:
        """All keys, the oldest first; those revoked too."""
        self._refresh()
        return [shown(key_id, entry) for key_id, entry in self._keys.items()]

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key invalid, for good.

        Raises:
            IdentityMissingError: If there is no such key.
            StorageError: If the file cannot be written.
        """

        def disable(keys: dict[str, dict[str, Any]]) -> None:
            if key_id not in keys:
                raise IdentityMissingError(
                    what="there is no API key of this id",
                    why="keys are told apart by the 8 digits after mien_",
                    mend="list the keys to see their ids",
                )
            keys[key_id]["disabled"] = True

        self._change(disable)
        return shown(key_id, self._keys[key_id])

    def check(self, presented: str) -> Principal:
        """Who presents a key. Takes the same work whether or not its id is known.

        Args:
            presented: The whole text of a key.

        Raises:
            UnauthorisedError: If it is not valid.
            IntegrityError: If the file is damaged; nobody is let in then.
        """
        self._refresh()
        form = _FORM.fullmatch(presented)
        key_id, secret = form.groups() if form else ("", "")
        entry = self._keys.get(key_id)
        kept = entry or self._nobody
        is_right = hmac.compare_digest(digest_of(kept["salt"], secret), kept["digest"])
        if entry is None or not is_right:
            raise unauthorised("the API key is not valid")
        # Only who holds the secret learns that the key was once valid.
        if entry["disabled"]:
            raise unauthorised("the API key was revoked")
        if entry["expires"] and datetime.fromisoformat(entry["expires"]) <= self._now():
            raise unauthorised("the API key has expired")
        return Principal(key_id, frozenset(entry["scopes"]), frozenset(entry["collections"]))

    def _change(self, change: Callable[[dict[str, dict[str, Any]]], None]) -> None:
        try:
            with hold_lock(self.path):
                self._refresh()
                keys = {key_id: dict(entry) for key_id, entry in self._keys.items()}
                change(keys)
                with write_atomically(self.path, private=True) as file:
                    file.write(encode_keys(keys))
        except MienError:
            raise  # a StorageError is an OSError too, and has its words already
        except OSError as err:
            raise storage_error(err, self.path) from err
        self._refresh()

    def _refresh(self) -> None:
        """Read the file if it is another one than last time."""
        try:
            stat = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._seen, self._keys = None, {}
            return
        except OSError as err:
            raise unreadable(self.path, err) from err
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._keys = read_keys(self.path, stat.st_mode)
            self._seen = seen
