"""Who is logged in at the page: a random token in a cookie stands for a key, for some hours.

The key itself is not kept. Each request asks the file of keys anew, so that a key that was revoked
or has expired ends its sessions at once.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mien.server.api_keys import ApiKeys
from mien.server.principal import Principal, unauthorised

IDLE_S: Final = 60 * 60
"""A session ends when nothing was asked for so long."""
LONGEST_S: Final = 12 * 60 * 60
"""A session ends then, whatever happens."""

_MOST: Final = 1000


class Sessions:
    """The sessions of one service, in memory only. Safe to use from several threads."""

    def __init__(self, keys: ApiKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nobody.

        Args:
            keys: The keys that open the page.
            clock: Seconds that never go back.
        """
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, presented: str) -> str:
        """Let somebody in.

        Args:
            presented: The whole text of a key.

        Returns:
            The token for their cookie.

        Raises:
            UnauthorisedError: If the key is not valid.
        """
        principal = self._keys.check(presented.strip())
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._forget_old(now)
            if len(self._open) >= _MOST:
                oldest = min(self._open, key=lambda name: self._open[name].used)
                del self._open[oldest]
            self._open[_name(token)] = _Session(principal.key_id, now, now)
        return token

    def find(self, token: str) -> Principal | None:
        """Whose session it is; None if it has ended, or its key is no longer valid."""
        now = self._clock()
        with self._lock:
            self._forget_old(now)
            session = self._open.get(_name(token))
            if session is None:
                return None
            session.used = now
        principal = self.who(session.key_id)
        if principal is None:
            self.end(token)
        return principal

    def end(self, token: str) -> None:
        """Close a session, if it is open."""
        with self._lock:
            self._open.pop(_name(token), None)

    def who(self, key_id: str) -> Principal | None:
        """What a key may do now; None if it is no longer valid."""
        for key in self._keys.list():
            if key.key_id == key_id:
                ended = key.expires and datetime.fromisoformat(key.expires) <= datetime.now(UTC)
                if key.disabled or ended:
                    return None
                return Principal(key.key_id, frozenset(key.scopes), frozenset(key.collections))
        return None

    def require(self, key_id: str | None) -> Principal:
        """As `who`.

        Raises:
            UnauthorisedError: If the key is no longer valid.
        """
        principal = self.who(key_id) if key_id else None
        if principal is None:
            raise unauthorised("you are no longer logged in")
        return principal

    def _forget_old(self, now: float) -> None:
        ended = [
            name
            for name, session in self._open.items()
            if now - session.used > IDLE_S or now - session.begun > LONGEST_S
        ]
        for name in ended:
            del self._open[name]


@dataclass(slots=True)
class _Session:
    key_id: str
    begun: float
    used: float


def _name(token: str) -> str:
    """What is kept of a token; a copy of the memory then opens nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
