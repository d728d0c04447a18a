"""What every answer carries: the request's id, and headers that tell browsers to be careful.

Plain ASGI, and the outermost part of the application, so that refusals have them too.
"""

import secrets
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PAGE_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; connect-src 'self'; object-src 'none'; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'"
)
"""Nothing comes from elsewhere; the page's own scripts and styles stand in its text."""

_EVERYWHERE: Final[dict[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class CarefulHeaders:
    """Middleware that names requests and sets headers."""

    def __init__(
        self, app: ASGIApp, *, page_path: str | None = None, page_policy: str = PAGE_POLICY
    ) -> None:
        """Stand around an application.

        Args:
            app: What is inside.
            page_path: Where the page stands, such as ``/page``; it and all below it may use the
                camera and its own scripts. None if there is no page.
            page_policy: Content security policy of the page.
        """
        self._app = app
        self._page_path = page_path
        self._page = _EVERYWHERE | {
            "Content-Security-Policy": page_policy,
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        }
        self._api = _EVERYWHERE | {
            "Content-Security-Policy": API_POLICY,
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Never the client's own: what it sends would stand in the audit log.
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        is_page = self._is_page(scope["path"])

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._page if is_page else self._api)
                headers["X-Request-ID"] = request_id
                if is_page:
                    headers.setdefault("Cache-Control", "no-cache")
                del headers["server"]
            await send(message)

        await self._app(scope, receive, mark)

    def _is_page(self, path: str) -> bool:
        place = self._page_path
        return place is not None and (path == place or path.startswith(place.rstrip("/") + "/"))
