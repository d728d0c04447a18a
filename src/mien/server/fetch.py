"""Fetching a picture from an address that a client gave. Off unless the settings allow it.

The host is resolved once, all its addresses must be public, and the connection goes to one of
those: a name that answers differently the next time gains nothing. Redirects begin from the start.
"""

import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from mien.core.errors import InputError, MienError, TooLargeError
from mien.server.addresses import Target, is_listed, is_public, refused, take_apart
from mien.server.settings import ServerSettings

Resolve = Callable[[str, int], list[str]]

MAX_REDIRECTS: Final = 3

_PIECE_BYTES: Final = 2**16
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_HEADERS: Final = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "mien"}


def resolve_host(host: str, port: int) -> list[str]:
    """Numeric addresses of a host, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Fetches within the settings. Blocks: call it in a thread of its own."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        is_allowed: Callable[[str], bool] = is_public,
        resolve: Resolve = resolve_host,
        context: ssl.SSLContext | None = None,
        ports: frozenset[int] = frozenset({443, 80}),
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            settings: Whether and from where; limits of bytes and time.
            is_allowed: Whether a numeric address may be connected to.
            resolve: Addresses of a host.
            context: How certificates are checked; by default as the system does.
            ports: Ports that may be asked.
        """
        self._settings = settings
        self._is_allowed = is_allowed
        self._resolve = resolve
        self._context = context or ssl.create_default_context()
        self._ports = ports

    def fetch(self, url: str) -> bytes:
        """The bytes at an address. What they are is not looked at.

        Raises:
            RefusedError: If fetching is off, or the address not one that is asked.
            TooLargeError: If there are more than ``max_body_bytes``.
            InputError: If they cannot be had, or not in time.
        """
        if not self._settings.allow_fetch:
            raise refused("fetching is switched off")
        deadline = time.monotonic() + self._settings.fetch_timeout_s
        target = self._checked(url)
        for _ in range(MAX_REDIRECTS + 1):
            found = self._ask(target, deadline)
            if isinstance(found, bytes):
                return found
            target = self._checked(target.follow(found))
        raise _failed(f"it redirects more than {MAX_REDIRECTS} times")

    def _checked(self, url: str) -> Target:
        settings = self._settings
        target = take_apart(url, allow_http=settings.fetch_allow_http, ports=self._ports)
        hosts = settings.fetch_allow_hosts
        if hosts and not is_listed(target.host, hosts):
            raise refused("its host is not among those allowed")
        return target

    def _ask(self, target: Target, deadline: float) -> bytes | str:
        """The bytes, or where a redirect leads."""
        addresses = _in_time(self._resolve, target, deadline)
        # One answer for names unknown and names within: else it would be a map of the network.
        if not addresses or not all(map(self._is_allowed, addresses)):
            raise refused("its host has no public address, or another one besides")
        with _typed_faults(deadline), _connected(addresses[0], target.port, deadline) as line:
            if target.scheme == "https":
                line.wrap(self._context, target.host)
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.auto_open = 0  # it would resolve the name again
            connection.sock = line.socket
            connection.request("GET", target.path, headers=_HEADERS | {"Host": target.authority})
            with connection.getresponse() as answer:
                found = self._read(answer)
            line.check_whole()
            return found

    def _read(self, answer: http.client.HTTPResponse) -> bytes | str:
        if answer.status in _REDIRECTS:
            if place := answer.headers.get("Location"):
                return place
            raise _failed("it redirects to nowhere")
        if answer.status != 200:
            raise _failed(f"its server answers with status {answer.status}")
        limit, data = self._settings.max_body_bytes, bytearray()
        while piece := answer.read(min(_PIECE_BYTES, limit + 1 - len(data))):
            data += piece
            if len(data) > limit or (answer.length or 0) + len(data) > limit:
                raise TooLargeError(
                    what=f"what is at the address has more than {limit:,} bytes",
                    why="that is the limit of the service",
                    mend="shrink the picture",
                    limit=limit,
                )
        if answer.length:
            raise _failed("the connection broke")
        return bytes(data)


class _Line:
    """A connection that is cut at the deadline, whatever it is doing then."""

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self.socket = opened
        self._is_late = False
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def wrap(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on, and see that the other side is who it should be."""
        wrapped = context.wrap_socket(
            self.socket, server_hostname=host, do_handshake_on_connect=False
        )
        self.socket = wrapped
        wrapped.do_handshake()

    def check_whole(self) -> None:
        """Raise if the line was cut: what was read may look like a whole answer."""
        if self._is_late:
            raise TimeoutError

    def close(self) -> None:
        """Close it."""
        self._timer.cancel()
        self.socket.close()

    def _cut(self) -> None:
        self._is_late = True
        with suppress(OSError):
            # The method of the class below: TLS's own would end what another thread reads from.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


@contextmanager
def _connected(address: str, port: int, deadline: float) -> Iterator[_Line]:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    opened = socket.create_connection((address, port), timeout=left_s)
    line = _Line(opened, deadline)
    try:
        yield line
    finally:
        line.close()


def _in_time(resolve: Resolve, target: Target, deadline: float) -> list[str]:
    """Addresses of a host; none if it has none. The system's resolver knows no deadline."""
    answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(resolve(target.host, target.port))
        except (OSError, UnicodeError):
            answers.put([])

    threading.Thread(target=look_up, daemon=True).start()
    try:
        return answers.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty as err:
        raise _failed("it was not there in time") from err


@contextmanager
def _typed_faults(deadline: float) -> Iterator[None]:
    try:
        yield
    except MienError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as err:
        if time.monotonic() >= deadline:
            raise _failed("it was not there in time") from err
        if isinstance(err, ssl.SSLCertVerificationError):
            raise _failed("its certificate is not valid") from err
        raise _failed("the connection broke, or was not HTTP") from err


def _failed(why: str) -> InputError:
    return InputError(
        what="the picture could not be fetched from the address given",
        why=why,
        mend="check the address, or send the picture itself in the request",
    )
