"""What a request's body may cost: bytes, time, and memory beside all others. Plain ASGI.

A client is let in before its body is read, so that nobody without a key can fill memory or disk.
A body must be there within ``body_timeout_s``, and a second more for every ``min_body_bytes_per_s``
that arrived: slow lines are served, trickles are not. Heads are the business of `http_protocol`.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.core.errors import BusyError, DeadlineError, MienError, TooLargeError
from mien.server.problems import request_id_of, respond
from mien.server.settings import ServerSettings

_LINGER_S: Final = 2.0
_RETRY_AFTER_S: Final = 2


class LimitBodies:
    """Middleware that refuses bodies which are too large, too slow, or too many at once."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServerSettings,
        limit_of: Callable[[str], int] | None = None,
        admit: Callable[[Scope], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stand around an application.

        Args:
            app: What is inside.
            settings: The limits.
            limit_of: Largest body in bytes at a path; by default ``max_body_bytes`` at all.
            admit: Called before anything is read; raises what the request is to be refused with.
            clock: Seconds that never go back.
        """
        self._app = app
        self.settings = settings
        self._limit_of = limit_of or (lambda _: settings.max_body_bytes)
        self._admit = admit
        self.clock = clock
        self.held_bytes = 0
        """What all bodies in work hold in memory together."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self, self._limit_of(scope["path"]), receive, send)
        try:
            if self._admit is not None:
                self._admit(scope)
            body.check_declared(Headers(scope=scope))
        except MienError as err:
            await body.refuse(scope, err)
            return
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:  # whatever a broken body led to is answered by the reason it broke
            if body.fault is None or body.started:
                raise
        finally:
            self.held_bytes -= body.held
        if body.fault is not None and not body.started:
            await body.refuse(scope, body.fault)


class _Body:
    """The body of one request while it arrives."""

    def __init__(self, limits: LimitBodies, max_bytes: int, receive: Receive, send: Send) -> None:
        self._limits = limits
        self._max = max_bytes
        self._receive = receive
        self._send = send
        self._begun: float | None = None
        self._count = 0
        self._complete = False
        self.held = 0
        self.fault: MienError | None = None
        self.started = False

    def check_declared(self, headers: Headers) -> None:
        """Raise if the head announces more than is taken."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next part, if it came in time and fits."""
        if self._complete:
            return await self._receive()
        try:
            message = await self._next()
        except MienError as err:
            self.fault = err
            if self.started:  # too late for another answer
                return {"type": "http.disconnect"}
            raise
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on, unless the body broke before it began."""
        if self.fault is not None and not self.started:
            return
        self.started = self.started or message["type"] == "http.response.start"
        await self._send(message)

    async def refuse(self, scope: Scope, error: MienError) -> None:
        """Answer, and end the connection, since the rest of the body is not wanted."""
        headers = Headers(scope=scope)
        unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        awaits_go = headers.get("expect", "").lower() == "100-continue" and self._count == 0

        async def send(message: Message) -> None:
            if not unread:
                await self._send(message)
            elif message["type"] == "http.response.start":
                raw = [*message["headers"], (b"connection", b"close")]
                await self._send({**message, "headers": raw})
            else:
                await self._send({**message, "more_body": True})
                if not (self._complete or awaits_go):
                    await self._linger()
                await self._send({"type": "http.response.body", "body": b""})

        await respond(error, request_id_of(scope))(scope, self._receive, send)

    async def _next(self) -> Message:
        settings, now = self._limits.settings, self._limits.clock()
        if self._begun is None:
            self._begun = now
        allowed_s = settings.body_timeout_s + self._count / settings.min_body_bytes_per_s
        try:
            async with asyncio.timeout(max(0.0, self._begun + allowed_s - now)):
                message = await self._receive()
        except TimeoutError as err:
            raise DeadlineError(
                what=f"the body was not complete after {allowed_s:.0f} s ({self._count:,} bytes)",
                why=f"it may take {settings.body_timeout_s:g} s, and a second more for every "
                f"{settings.min_body_bytes_per_s:,} bytes",
                mend="send it over a faster line, or send a smaller picture",
            ) from err
        self._take(len(message.get("body", b"")))
        return message

    def _take(self, count: int) -> None:
        self._count += count
        if self._count > self._max:
            raise self._too_large()
        # What goes beyond an ordinary body is written to disk as it arrives.
        more = min(self._count, self._limits.settings.max_body_bytes) - self.held
        if self._limits.held_bytes + more > self._limits.settings.max_bodies_bytes:
            raise BusyError(
                what="requests in work hold all the memory set aside for them",
                why="one more would risk all of them",
                mend=f"send it again after {_RETRY_AFTER_S} s",
                retry_after_s=_RETRY_AFTER_S,
            )
        self.held += more
        self._limits.held_bytes += more

    async def _linger(self) -> None:
        """Read on for a moment: a connection closed on a sender loses it the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (await self._receive()).get("more_body", False):
                    pass

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            what=f"the request has more than {self._max:,} bytes",
            why="that is the limit at this address",
            mend="shrink the picture, or send fewer at once",
            limit=self._max,
        )
