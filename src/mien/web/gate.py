"""The gate before the page: a login form, a cookie, and nothing behind it without both.

Plain ASGI around all of the page, its scripts and its calls included. The form works without a
script. What is behind the gate finds the key's id in the scope, see `key_id_of`.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mien.core.errors import MienError, MissingError, RefusedError, TooLargeError, UnauthorisedError
from mien.server.problems import respond
from mien.server.throttle import Throttle, address_group
from mien.web.login import login_html
from mien.web.sessions import LONGEST_S, Sessions

COOKIE: Final = "mien_page"

_KEY_ID: Final = "mien.key_id"
_MAX_FORM_BYTES: Final = 4096
_FILES: Final = "/gradio_api/file="
_USED: Final = frozenset(
    {
        "",
        "/config",
        "/theme.css",
        "/favicon.ico",
        "/gradio_api/startup-events",
        "/gradio_api/queue/join",
        "/gradio_api/queue/data",
        "/gradio_api/upload",
        "/gradio_api/upload_progress",
        "/gradio_api/cancel",
        "/gradio_api/reset",
    }
)
_USED_BELOW: Final = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/", _FILES)


class Gate:
    """Lets through who has logged in."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, failures_per_minute: int) -> None:
        """Stand before the page.

        Args:
            app: The page.
            sessions: Who is logged in.
            failures_per_minute: How often one address may try a wrong key.
        """
        self._app = app
        self._sessions = sessions
        self._failures = Throttle(failures_per_minute, failures_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:  # the page uses no web sockets
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        place = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        token = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        response: Response
        try:
            _refuse_foreign(scope, headers)
            principal = self._sessions.find(token) if token else None
            if place == "/login" and scope["method"] == "POST":
                response = await self._log_in(Request(scope, receive))
            elif place == "/logout" and scope["method"] == "POST":
                self._sessions.end(token)
                response = _leave(scope)
            elif principal is not None and place != "/login":
                _refuse_unused(place)
                scope[_KEY_ID] = principal.key_id
                await self._app(scope, receive, send)
                return
            elif place == "/login":
                response = _to(scope, "/") if principal else HTMLResponse(login_html())
            elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
                response = _to(scope, "/login")
            else:
                raise _not_logged_in()
        except MienError as err:
            response = respond(err)
        await response(scope, receive, send)

    async def _log_in(self, request: Request) -> Response:
        address = address_group(request.client.host if request.client else "")
        try:
            token = self._sessions.begin(await _presented(request))
        except MienError as err:
            status, error = err.status, err
            if status == 401:
                try:
                    self._failures.take(address)
                except MienError as throttled:
                    status, error = throttled.status, throttled
            return HTMLResponse(login_html(error), status)
        response = _to(request.scope, "/")
        response.set_cookie(
            COOKIE,
            token,
            max_age=LONGEST_S,
            path=request.scope.get("root_path", "") or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response


def key_id_of(request: Request) -> str | None:
    """Id of the key of who asks, as the gate found it."""
    found = request.scope.get(_KEY_ID)
    return str(found) if found else None


def _not_logged_in() -> UnauthorisedError:
    return UnauthorisedError(
        what="you are not logged in",
        why="the page opens with an API key, and closes after some hours",
        mend="load the page again and log in",
    )


def _refuse_unused(place: str) -> None:
    """Of Gradio's many addresses only those that the page uses; others fetch, run or show more."""
    is_used = place in _USED or place.startswith(_USED_BELOW)
    if not is_used or (place.startswith(_FILES) and "://" in place.replace(":/", "://")):
        raise MissingError(
            what="there is nothing at this address",
            why="the page does not use it",
            mend="use the API for programs",
        )


async def _presented(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_FORM_BYTES:
            raise TooLargeError(
                what="the form holds more than a key", why="keys are short", mend="send a key only"
            )
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("key", [""])[0]


def _refuse_foreign(scope: Scope, headers: Headers) -> None:
    """What another site's page sends on its own is not taken."""
    if scope["method"] in {"GET", "HEAD"}:
        return
    # Forms of a page without referrers have the origin "null"; the browser's own word is better.
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "null")
    is_own = site in {"same-origin", "none"} if site else True
    if not is_own or (origin != "null" and urlsplit(origin).netloc != headers.get("host", "")):
        raise RefusedError(
            what="the request comes from another site's page",
            why="the page takes requests from itself only",
            mend="open the page and use it there",
        )


def _to(scope: Scope, place: str) -> RedirectResponse:
    return RedirectResponse(scope.get("root_path", "") + place, 303)


def _leave(scope: Scope) -> Response:
    response = _to(scope, "/login")
    response.delete_cookie(COOKIE, path=scope.get("root_path", "") or "/")
    return response
