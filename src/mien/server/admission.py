"""Who is let in: a valid key, not too often; asked before anything of a request's body is read.

What a key allows is decided in `access`.
"""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.core.errors import UnauthorisedError
from mien.server.principal import Principal, unauthorised
from mien.server.problems import request_id_of
from mien.server.state import state_of
from mien.server.throttle import address_group

_BEARER: Final = "bearer "

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/openapi.json", "/favicon.ico"})
"""Addresses that need no key: they tell nothing about anybody."""

PAGE_PATH: Final = "/app"
"""Where the page stands, if there is one; it asks for a key itself."""


def admit(scope: Scope) -> None:
    """Let a request in, or refuse it and write that down.

    Who asks is noted as ``scope["state"]["principal"]``. A valid key is let in from any address:
    nobody is locked out by a neighbour's mistakes.

    Raises:
        UnauthorisedError: If it has no valid key.
        ThrottledError: If its key, or its address without one, asks too often.
    """
    state = state_of(HTTPConnection(scope))
    if is_open(scope["path"], page=state.settings.page):
        return
    try:
        principal = state.keys.check(presented_key(Headers(scope=scope)))
    except UnauthorisedError as err:
        state.failures.take(address_group((scope.get("client") or ("",))[0]))
        state.audit.read("service.refuse", request_id=request_id_of(scope), result=err.code)
        raise
    noted = scope.setdefault("state", {})
    noted["requests_left"] = state.throttle.take(principal.key_id)
    noted["principal"] = principal


def is_open(path: str, *, page: bool) -> bool:
    """Whether an address needs no key."""
    return path in OPEN_PATHS or (page and (path == PAGE_PATH or path.startswith(PAGE_PATH + "/")))


def presented_key(headers: Headers) -> str:
    """The key of a request: ``Authorization: Bearer``, or ``x-api-key`` as some clients send it.

    Raises:
        UnauthorisedError: If there is none, or more than one.
    """
    given = headers.getlist("authorization") or [
        _BEARER + key for key in headers.getlist("x-api-key")
    ]
    if not given:
        raise unauthorised("the request has no API key")
    if len(given) > 1 or not given[0].lower().startswith(_BEARER):
        raise unauthorised("the API key was not given as one bearer token")
    return given[0][len(_BEARER) :].strip()


def principal_of(scope: Scope) -> Principal:
    """Who was let in.

    Raises:
        UnauthorisedError: If the address is an open one, and nobody was asked.
    """
    found = scope.get("state", {}).get("principal")
    if not isinstance(found, Principal):
        raise unauthorised("the request has no API key")
    return found


class TellRates:
    """Middleware that says in every answer how many requests the key has left at this moment."""

    def __init__(self, app: ASGIApp, *, per_minute: int) -> None:
        self._app = app
        self._policy = f'"key";q={per_minute};w=60'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def tell(message: Message) -> None:
            left = scope.get("state", {}).get("requests_left")
            if message["type"] == "http.response.start" and left is not None:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = self._policy
                headers["RateLimit"] = f'"key";r={left}'
            await send(message)

        await self._app(scope, receive, tell)
