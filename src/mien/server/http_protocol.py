"""Connections that cannot be held for nothing, and how uvicorn is to be run.

Uvicorn waits for a request's head without end, takes heads of any size and any number of
connections, and lets clients stop reading. The protocol here bounds all four. It builds on
httptools, which served more than twice as many small requests a second of CPU as h11 does.
"""

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mien.server.settings import ServerSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_REASONS: Final = {
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
_MAX_HEADERS: Final = 100
_PER_HEADER_BYTES: Final = 4  # colon, blank, end of line


def uvicorn_config(app: "ASGIApp", settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn is to serve an application.

    Its log of accesses is off, since it holds addresses of clients and of people's pages.
    """
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=bounded_protocol(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=settings.trusted_proxy,  # uvicorn would believe any program on this machine
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
    )


def bounded_protocol(settings: ServerSettings) -> type[asyncio.Protocol]:
    """The protocol with the bounds of some settings, for ``uvicorn.Config(http=...)``."""
    bounds = {
        "header_timeout_s": settings.header_timeout_s,
        "write_timeout_s": settings.body_timeout_s,
        "max_header_bytes": settings.max_header_bytes,
        "max_connections": settings.max_connections,
    }
    return type("BoundedHttp", (BoundedHttpProtocol,), bounds)


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose heads are bounded in time and size, and whose connections in number.

    Whenever no request is in work, a timer runs that only a complete head stops: bytes do not, be
    they a trickle of a head, blank lines, or the rest of a body that was answered already.
    """

    header_timeout_s: ClassVar[float] = 10.0
    write_timeout_s: ClassVar[float] = 30.0
    max_header_bytes: ClassVar[int] = 32 * 2**10
    max_connections: ClassVar[int] = 512

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._raw_bytes = 0  # that came for a head, told to us or not
        self._head_bytes = 0  # of the address and headers told to us
        self._head_count = 0
        self._in_head = True
        self._began_now = False
        self._head_too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer, or send the client away if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._end(503)
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, as long as the head that they may belong to is not too large."""
        if self.transport.is_closing():
            return
        self._began_now = False
        super().data_received(data)
        if self._in_head and not self._began_now:
            # A single long line is not told to us until it ends, so count what came.
            self._raw_bytes += len(data)
            if self._raw_bytes > self.max_header_bytes:
                self._end(431)
        if self._head_timer is None and self._is_idle():
            self._start_timer()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = self._began_now = True
        self._raw_bytes = self._head_bytes = self._head_count = 0

    def on_url(self, url: bytes) -> None:
        """Count the address to the head."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; those behind the body are dropped, since the request is in work."""
        self._count_head(len(name) + len(value) + _PER_HEADER_BYTES)
        self._head_count += 1
        if self._head_count > _MAX_HEADERS:
            self._refuse_head()
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: stop the timer."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Start the timer if more of the answered request is to come."""
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._start_timer()

    def pause_writing(self) -> None:
        """The client does not read: give it some time."""
        super().pause_writing()
        self._start_write_timer()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_write_timer()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, in the end even if the last answer was not read."""
        super().timeout_keep_alive_handler()
        self._start_write_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed; a head that is too large has a status of its own."""
        if self._head_too_large:
            self._end(431)
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self.max_header_bytes:
            self._refuse_head()

    def _refuse_head(self) -> None:
        self._head_too_large = True
        raise ValueError  # ends the parsing; arrives at send_400_response

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_timer(self) -> None:
        self._stop_timer()
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_write_timer(self) -> None:
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self._end(408 if self._in_head and self.scope is not None else None)

    def _end(self, status: int | None) -> None:
        """Close the connection, with an answer if there is one to give."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        if status is not None:
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                % (status, _REASONS[status])
            )
        self.transport.close()
