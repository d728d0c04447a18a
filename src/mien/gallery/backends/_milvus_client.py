"""The connection to Milvus: opening and closing it, asking, quoting, its errors as ours."""

import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from mien.core.errors import ConfigError, MienError, StorageError
from mien.core.optional import require
from mien.gallery.backends import _lite
from mien.gallery.backends._record import not_open, not_there

EXTRA: Final = "scale"

_STRONG: Final = "Strong"
_QUIET: Final = {"grpc.keepalive_time_ms": 2**31 - 1}  # Milvus Lite takes pings for an attack
_NOT_FOUND: Final = 100  # Milvus's code for a collection that is not there


class MilvusConnection:
    """One collection of one server, or of one folder of Milvus Lite.

    Requests to a server run side by side, those to Milvus Lite take turns. Changes take turns.
    """

    def __init__(self, uri: str, collection: str, token: str, timeout_s: float) -> None:
        self._pymilvus = require("pymilvus", extra=EXTRA)
        require("grpc", extra=EXTRA)
        self.path = Path(uri).absolute() if uri.endswith(_lite.SUFFIX) else None
        self._uri, self._token = (str(self.path), "") if self.path else _split(uri, token)
        self._collection = collection
        self._timeout_s = timeout_s
        self._client: Any = None
        self._folder: _lite.LiteFolder | None = None
        self._own_turn = threading.RLock()
        self.place = f"{uri if self.path else self._uri}#{collection}"

    @property
    def writing(self) -> AbstractContextManager[Any]:
        """Held while a change is made."""
        return self._own_turn if self._folder is None else self._folder.turn

    @property
    def folder(self) -> _lite.LiteFolder | None:
        """What is shared with others in this process; None if this is a server."""
        return self._folder

    def connect(self) -> None:
        """Connect, unless that is so already.

        Raises:
            StorageError: If that cannot be done.
        """
        with self._own_turn:
            if self._client is not None:
                return
            folder = _lite.join(self.path) if self.path else None
            try:
                with folder.turn if folder else nullcontext():
                    # Dedicated: closing it shall close it.
                    self._client = self._pymilvus.MilvusClient(
                        self._uri,
                        token=self._token,
                        timeout=self._timeout_s,
                        dedicated=True,
                        grpc_options=_QUIET if folder else {},
                    )
            except self._errors as err:
                if self.path:
                    _lite.leave(self.path)
                raise self._unreachable(err) from err
            self._folder = folder

    def close(self) -> None:
        """Let go of the connection, and of Milvus Lite if nobody else uses it."""
        with self._own_turn:
            client, self._client = self._client, None
            folder, self._folder = self._folder, None
            if client is not None:
                client.close()
            if folder is not None and self.path:
                _lite.leave(self.path)

    def ask(self, method: str, **given: Any) -> Any:
        """Call a method of pymilvus's client for this collection.

        Raises:
            MissingError: If the collection is gone.
            StorageError: If the server cannot be reached, or refuses.
        """
        reading = nullcontext() if self._folder is None else self._folder.turn
        with reading:
            if self._client is None:
                raise not_open()
            try:
                return getattr(self._client, method)(
                    collection_name=self._collection, timeout=self._timeout_s, **given
                )
            except self._errors as err:
                raise self._typed(err) from err

    def query(self, filter: str, fields: list[str], limit: int) -> list[dict[str, Any]]:  # noqa: A002
        """Rows that fit a filter, in no order, as they are after every change made before."""
        rows = self.ask(
            "query", filter=filter, output_fields=fields, limit=limit, consistency_level=_STRONG
        )
        return [dict(row) for row in rows]

    @property
    def pymilvus(self) -> Any:
        """The package."""
        return self._pymilvus

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        rpc_error = require("grpc", extra=EXTRA).RpcError
        return (self._pymilvus.MilvusException, rpc_error)

    def _unreachable(self, err: Exception) -> StorageError:
        if self.path:
            return StorageError(
                what=f"Milvus Lite cannot open {self.path}",
                why="another program has it open, or it is no folder of this version of it",
                mend="close the other program, use a Milvus server, or choose another path",
            )
        return StorageError(
            what=f"Milvus at {self.place} cannot be reached ({_reason(err)})",
            why="the server does not run, or does not let this user in",
            mend="start it, or check host, port and token",
        )

    def _typed(self, err: Any) -> MienError:
        if getattr(err, "code", None) == _NOT_FOUND:
            return not_there(self.place)
        return StorageError(
            what=f"the gallery in Milvus at {self.place} cannot be used ({_reason(err)})",
            why="the server is gone, busy, or refused the request",
            mend="check the server and its log, and repeat: what was stored already is replaced "
            "by the same",
        )


def quote(text: str) -> str:
    """A text as it stands in a filter; it must be free of control characters."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _split(uri: str, token: str) -> tuple[str, str]:
    """Address without user and password, and the token; errors quote the former only."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in {"http", "https"}:
        raise ConfigError(
            what="the address of Milvus cannot be read",
            why=f"it is neither http(s)://host:port nor a path that ends in {_lite.SUFFIX}",
            mend="write it as http://host:19530, and give the token beside it",
        )
    shown = f"[{host}]" if ":" in host else host
    address = urlunsplit((parts.scheme, f"{shown}:{port or 19530}", parts.path, "", ""))
    if parts.username and not token:
        token = unquote(parts.username)
        token += f":{unquote(parts.password)}" if parts.password else ""
    return address, token


def _reason(err: Any) -> str:
    """The server's first words only: what follows may quote the request."""
    text = getattr(err, "message", "") or type(err).__name__
    return str(text).strip().splitlines()[0][:160]
