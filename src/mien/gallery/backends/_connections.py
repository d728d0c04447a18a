"""A few connections to PostgreSQL, shared by threads, made again when lost; its errors as ours."""

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from mien.core.errors import ConfigError, MienError, StorageError
from mien.core.optional import require
from mien.gallery.backends._record import not_open

T = TypeVar("T")

EXTRA: Final = "postgres"

_AT_MOST: Final = 4
_NO_VECTORS: Final = "CREATE EXTENSION vector;"


class Connections:
    """Up to four connections; further callers wait for one."""

    def __init__(self, conninfo: str, timeout_s: float) -> None:
        self._psycopg = require("psycopg", extra=EXTRA)
        self._register = require("pgvector.psycopg", extra=EXTRA).register_vector
        self._conninfo = conninfo
        self._timeout_s = max(2, round(timeout_s))  # libpq takes whole seconds, at least two
        self._free = threading.BoundedSemaphore(_AT_MOST)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._is_open = False
        self.place = self._describe()

    def run(self, work: Callable[[Any], T]) -> T:
        """Do something in one transaction.

        If a connection proves to have been lost while it was idle, the work is done once more on
        a new one; never if the loss came while committing, since that may have succeeded.

        Raises:
            StorageError: If the server cannot be reached, or cannot do it.
        """
        with self._free:
            connection = self._take()
            if connection is not None:
                done, result = self._try(connection, work, is_idle=True)
                if done:
                    return result
            _, result = self._try(self._connect(), work, is_idle=False)
            return result

    def open(self) -> None:
        """Allow connections; the first `run` makes one."""
        with self._lock:
            self._is_open = True

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        with self._lock:
            self._is_open = False
        self._drop_idle()

    def _try(self, connection: Any, work: Callable[[Any], T], *, is_idle: bool) -> tuple[bool, T]:
        """Whether the work was done, and its result; raises if another try would not help."""
        is_committing = False
        result: Any = None
        try:
            with connection.transaction():
                result = work(connection)
                is_committing = True
        except self._psycopg.Error as err:
            is_lost = connection.closed
            if is_lost:
                self._drop_idle()  # they went with it
            if is_lost and is_idle and not is_committing:
                return False, result
            raise self._typed(err, is_committing=is_committing) from err
        finally:
            self._give_back(connection)
        return True, result

    def _take(self) -> Any:
        with self._lock:
            if not self._is_open:
                raise not_open()
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if self._is_open and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connect(self) -> Any:
        options = {} if "connect_timeout" in self._parts() else {"connect_timeout": self._timeout_s}
        try:
            connection = self._psycopg.connect(self._conninfo, autocommit=True, **options)
        except self._psycopg.Error as err:
            raise StorageError(
                what=f"PostgreSQL at {self.place} cannot be reached ({_reason(err)})",
                why="the server does not run, or does not let this user in",
                mend="start it, or check host, port, user and password",
            ) from err
        try:
            self._register(connection)
        except self._psycopg.Error as err:
            connection.close()
            raise self._typed(err) from err
        return connection

    def _typed(self, err: Exception, *, is_committing: bool = False) -> MienError:
        errors = self._psycopg.errors
        if isinstance(err, self._psycopg.ProgrammingError) and "vector type not found" in str(err):
            return StorageError(
                what=f"the database {self.place} has no type for vectors",
                why="the extension pgvector is not there, or not in the search path",
                mend=f"run in that database, as its owner: {_NO_VECTORS}",
            )
        what = f"the gallery in PostgreSQL at {self.place} cannot be used ({_reason(err)})"
        if isinstance(err, errors.InsufficientPrivilege):
            return StorageError(
                what=what,
                why="the user may not do this",
                mend="grant SELECT, INSERT, DELETE on the table, and CREATE on the schema to make "
                "new ones",
            )
        if isinstance(err, errors.DiskFull):
            return StorageError(
                what=what, why="the server's disk is full", mend="free some space there"
            )
        if is_committing:
            return StorageError(
                what=what,
                why="the connection was lost while the change was being stored",
                mend="repeat it: what was stored already is replaced by the same",
            )
        return StorageError(
            what=what,
            why="nothing of the change was stored",
            mend="check the server and its log, and repeat the command",
        )

    def _parts(self) -> dict[str, Any]:
        try:
            parts: dict[str, Any] = self._psycopg.conninfo.conninfo_to_dict(self._conninfo)
        except self._psycopg.Error:
            # Not from the error: its words repeat the text, and with it the password.
            raise ConfigError(
                what="the address of the PostgreSQL server cannot be read",
                why="it is neither a URL nor a list of key=value",
                mend="write it as postgresql://user@host/database",
            ) from None
        return parts

    def _describe(self) -> str:
        parts = self._parts()
        return f"{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"


def _reason(err: Any) -> str:
    """The server's first words only: its details quote rows."""
    text = err.diag.message_primary or str(err)
    return text.strip().splitlines()[0][:200] if text.strip() else type(err).__name__
