"""Every failure as a problem document (RFC 9457), with the words and codes of `mien.core.errors`.

What went wrong on the service's own side is logged under the request's id and told in general
terms only: paths, systems and stray values of a bug are not for clients.
"""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.core.errors import (
    BusyError,
    DeadlineError,
    ExtraMissingError,
    InputError,
    InternalError,
    MienError,
    MissingError,
    RefusedError,
    ThrottledError,
    TooLargeError,
    UnauthorisedError,
)
from mien.core.log import logger
from mien.server.bugs import as_internal

TYPE_BASE: Final = "https://mien.readthedocs.io/reference/errors/#"

_BY_STATUS: Final[Mapping[int, type[MienError]]] = {
    401: UnauthorisedError,
    403: RefusedError,
    404: MissingError,
    408: DeadlineError,
    413: TooLargeError,
    429: ThrottledError,
    503: BusyError,
}
_TITLES: Final[Mapping[str, str]] = {
    "no_face": "No face was found",
    "too_large": "The request is too large",
    "timeout": "The request came in too slowly",
    "throttled": "Too many requests",
    "unauthorised": "A valid API key is needed",
    "refused": "This is not allowed",
    "busy": "The service is busy",
    "internal": "The service failed",
}
_PLAIN_TYPES: Final = (str, int, bool, type(None))
_MAX_FIELDS: Final = 20


class ProblemResponse(JSONResponse):
    """A problem document as an answer."""

    media_type = "application/problem+json"


def respond(error: MienError, request_id: str = "", status: int | None = None) -> ProblemResponse:
    """The answer to a request that failed.

    Args:
        error: Why.
        request_id: Under which the log has more.
        status: HTTP status, if it is not that of the error.
    """
    status = status or error.status
    headers = {}
    if isinstance(retry := error.facts.get("retry_after_s"), (int, float)):
        headers["Retry-After"] = str(math.ceil(retry))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mien"'
    return ProblemResponse(document(error, request_id, status), status, headers)


def document(error: MienError, request_id: str = "", status: int | None = None) -> dict[str, Any]:
    """The problem document of an error; what is not for clients is logged instead.

    Args:
        error: Why.
        request_id: Under which the log has more.
        status: HTTP status, if it is not that of the error.
    """
    if _is_ours(error):
        logger.error("request %s: %s: %s", request_id, type(error).__name__, error)
        error = _in_general(error)
    return _document(error, request_id, status or error.status)


def install(app: FastAPI) -> None:
    """Make an application answer every failure this way.

    Call it before middleware is added: what is added later stands outside of it.
    """

    async def on_error(request: Request, err: Exception) -> ProblemResponse:
        return respond(_typed(err), request_id_of(request.scope))

    async def on_http_error(request: Request, err: Exception) -> ProblemResponse:
        assert isinstance(err, HTTPException)  # noqa: S101 - it is registered for nothing else
        response = respond(_from_http(err), request_id_of(request.scope), err.status_code)
        for name, value in (err.headers or {}).items():
            response.headers[name] = value
        return response

    app.add_exception_handler(MienError, on_error)
    app.add_exception_handler(RequestValidationError, on_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_middleware(CatchAll)


class CatchAll:
    """Answers what no handler knows, and logs where it came from, but no values."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as err:  # the outermost net: nothing may leave it but a problem document
            if scope["type"] != "http" or started:
                raise  # the connection is cut; half an answer cannot be mended
            await respond(_typed(err), request_id_of(scope))(scope, receive, send)


def request_id_of(scope: Scope) -> str:
    """The id of a request, if it was given one."""
    return str(scope.get("state", {}).get("request_id", ""))


def _typed(err: Exception) -> MienError:
    if isinstance(err, MienError):
        return err
    if isinstance(err, RequestValidationError):
        return _from_validation(err)
    return as_internal(err)


def _from_validation(err: RequestValidationError) -> InputError:
    """Which parts of a request do not fit. The values themselves are not repeated."""
    fields = [
        {"where": ".".join(map(str, fault["loc"])), "fault": str(fault["msg"])}
        for fault in err.errors()[:_MAX_FIELDS]
    ]
    return InputError(
        what="the request does not fit: "
        + "; ".join(f"{field['where']}: {field['fault']}" for field in fields[:3]),
        why="its parts must be as the API describes them",
        mend="correct them; the description is at /openapi.json",
        fields=fields,
    )


def _from_http(err: HTTPException) -> MienError:
    kind = _BY_STATUS.get(err.status_code, InputError if err.status_code < 500 else InternalError)
    what, mend = {
        404: ("there is nothing at this address", "see the addresses at /openapi.json"),
        405: ("this address does not take this method", "see the methods at /openapi.json"),
    }.get(err.status_code, (f"the request cannot be served: {err.detail}", "correct the request"))
    return kind(what=what, why=f"HTTP status {err.status_code}", mend=mend)


def _is_ours(error: MienError) -> bool:
    return error.status >= 500 and not isinstance(error, (BusyError, ExtraMissingError))


def _in_general(error: MienError) -> MienError:
    return type(error)(
        what=f"the service could not do it ({error.code})",
        why="the fault is on its own side",
        mend="ask whoever runs it to look for the request's id in the log",
    )


def _document(error: MienError, request_id: str, status: int) -> dict[str, Any]:
    return {
        "type": TYPE_BASE + error.code,
        "title": _TITLES.get(error.code, "The request cannot be served"),
        "status": status,
        "detail": str(error),
        "code": error.code,
        "what": error.what,
        "why": error.why,
        "mend": error.mend,
        "facts": {str(name): _json_safe(value) for name, value in error.facts.items()},
        "request_id": request_id,
    }


def _json_safe(value: object) -> Any:
    if isinstance(value, Enum):
        return _json_safe(value.value)
    if isinstance(value, _PLAIN_TYPES):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_json_safe(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return _json_safe(value.tolist())
    return str(value)
