"""Who did what to which collection, as a file of JSON lines without personal data.

A line holds ids, codes, counts and times from closed vocabularies; there is no place in it for a
name, a file name, an address or a template. A change is written down before it is made: what
cannot be written down is not done. What happens to people's data stands in the gallery's history.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mien.core.errors import InternalError, MienError
from mien.core.files import storage_error
from mien.core.log import logger

_ACTION: Final = re.compile(
    r"(collections|people|faces|sightings|keys|history|pictures|films|service)\.[a-z_]{2,20}"
)
_CODE: Final = re.compile(r"[a-z_]{2,20}")
_KEY: Final = re.compile(r"[0-9a-f]{8}")
_REQUEST: Final = re.compile(r"[0-9a-f]{16}")
_COLLECTION: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class AuditLog:
    """An audit log that grows at its end only. Safe to use from several threads."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 16 * 2**20,
        keep: int = 20,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the log, or begin it.

        Args:
            path: The file; readable by its owner only.
            max_bytes: Size from which it is set aside as ``<name>.1`` and a new one begun.
            keep: How many are kept aside.
            now: The time in UTC.

        Raises:
            StorageError: If it cannot be written.
        """
        self.path = path
        self.lost = 0
        """Lines that could not be written: reads, and ends of changes."""
        self._max_bytes = max_bytes
        self._keep = keep
        self._now = now
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(self._open())
        except OSError as err:
            raise storage_error(err, path) from err

    @contextmanager
    def change(
        self, action: str, *, request_id: str = "", key_id: str = "", collection: str = ""
    ) -> Iterator[dict[str, int]]:
        """Write a change down, let the block make it, and write down how it ended.

        Args:
            action: What is done to what, such as ``faces.enrol``.
            request_id: The request's id.
            key_id: Public part of the key; empty on the command line.
            collection: Id of a collection that exists: what a request calls one may be a name.

        Yields:
            Counts to fill in, such as ``counts["faces"] = 3``.

        Raises:
            StorageError: If it cannot be written down; the block has not begun then.
        """
        head = self._head(action, request_id, key_id, collection)
        self._append(head | {"result": "begun"}, durable=True)
        counts: dict[str, int] = {}
        start, result = time.perf_counter(), "ok"
        try:
            yield counts
        except MienError as err:
            result = err.code
            raise
        except BaseException:
            result = "internal"
            raise
        finally:
            self._append_if_possible(head | _end(result, counts, time.perf_counter() - start))

    def read(
        self,
        action: str,
        *,
        request_id: str = "",
        key_id: str = "",
        collection: str = "",
        result: str = "ok",
        counts: Mapping[str, int] | None = None,
        duration_s: float = 0.0,
    ) -> None:
        """Write down what changed nothing, such as a search or a refusal.

        If it cannot be written, the line counts as ``lost``.
        """
        head = self._head(action, request_id, key_id, collection)
        self._append_if_possible(head | _end(result, counts or {}, duration_s))

    def _head(self, action: str, request_id: str, key_id: str, collection: str) -> dict[str, Any]:
        return {
            "time": self._now().isoformat(timespec="milliseconds"),
            "request": _fit(_REQUEST, request_id),
            "key": _fit(_KEY, key_id),
            "action": _fit(_ACTION, action),
            "collection": _fit(_COLLECTION, collection),
        }

    def _append_if_possible(self, line: dict[str, Any]) -> None:
        try:
            self._append(line, durable=False)
        except OSError as err:
            self.lost += 1
            logger.error("a line of the audit log was lost: %s", err)

    def _append(self, line: dict[str, Any], *, durable: bool) -> None:
        data = (json.dumps(line, separators=(",", ":")) + "\n").encode()
        try:
            with self._lock:
                self._rotate(len(data))
                file = self._open()
                try:
                    if os.write(file, data) != len(data):
                        raise OSError(28, "No space left on device")
                    if durable:
                        os.fsync(file)
                finally:
                    os.close(file)
        except OSError as err:
            raise storage_error(err, self.path) from err

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _rotate(self, more: int) -> None:
        if not self.path.exists() or self.path.stat().st_size + more <= self._max_bytes:
            return
        for number in range(self._keep, 0, -1):
            older = self._aside(number - 1) if number > 1 else self.path
            if older.exists():
                older.replace(self._aside(number))

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _end(result: str, counts: Mapping[str, int], duration_s: float) -> dict[str, Any]:
    return {
        "result": _fit(_CODE, result),
        "counts": {_fit(_CODE, name): int(count) for name, count in counts.items()},
        "duration_ms": round(1e3 * duration_s, 1),
    }


def _fit(form: re.Pattern[str], word: str) -> str:
    """A word of a closed vocabulary; anything else would be a way in for personal data."""
    if word and not form.fullmatch(word):
        raise InternalError(
            what="a word does not belong into the audit log",
            why=f"it is not of the form {form.pattern}",
            mend="please report this; pass ids and codes only",
        )
    return word
