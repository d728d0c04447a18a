"""One careful GET: which addresses may be asked, who sees the token, which faults may pass.

https is required, save on this machine. There is no door to local files: the opener knows
http and https only. What is done with the answer is `download.py`'s business.
"""

import http.client
import ipaddress
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import IO, Final
from urllib.parse import urlsplit

from mien.core.errors import ConfigError

_PASSING_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class PassingError(Exception):
    """A fault that may be gone on the next attempt: a cut line, a busy server."""


class LastingError(Exception):
    """A fault that a further attempt at the same address will not mend."""

    status: int | None = None


def check_url(url: str) -> None:
    """Let an address through that we are willing to ask.

    Raises:
        ConfigError: If it is neither https nor http on this machine, or holds a password.
    """
    try:
        parts = urlsplit(url)
        is_fit = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        is_fit = False
    if not is_fit or not (
        parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))
    ):
        raise ConfigError(
            what=f"the address {shown(url)} cannot be used",
            why="weights are fetched by https only, or by http from this machine, and without a "
            "user or password in the address",
            mend="give an https address, and a token, if there is one, as MIEN_HUB_TOKEN",
        )


def shown(url: str) -> str:
    """An address as a message may show it: without user, password and query."""
    place = url.partition("?")[0].partition("#")[0]
    scheme, mark, rest = place.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def open_url(
    url: str, headers: dict[str, str], *, hub: str | None, timeout_s: float
) -> http.client.HTTPResponse:
    """Ask an address; an answer of 200 or 206 comes back, all else is a fault.

    Args:
        url: An address that `check_url` lets through.
        headers: Request headers.
        hub: Base address of the hub; it alone is sent ``MIEN_HUB_TOKEN``.
        timeout_s: Limit in seconds for the connection and for every read; not for the whole.

    Raises:
        PassingError: If the fault may pass.
        LastingError: If it will not.
    """
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - check_url has seen it
    _authorise(request, hub)
    opener = urllib.request.OpenerDirector()
    nearby = _is_loopback(urlsplit(url).hostname)
    for handler in (
        urllib.request.ProxyHandler({} if nearby else None),  # no proxy for this machine itself
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(hub),
    ):
        opener.add_handler(handler)
    with network_faults():
        answer = opener.open(request, timeout=timeout_s)
    if not isinstance(answer, http.client.HTTPResponse):
        raise LastingError("no handler for this address")
    if answer.status not in {200, 206}:
        answer.close()
        raise LastingError(f"status {answer.status}")
    return answer


@contextmanager
def network_faults() -> Iterator[None]:
    """Turn the standard library's many network errors into the two kinds of fault."""
    try:
        yield
    except urllib.error.HTTPError as err:
        err.close()
        if err.code in _PASSING_STATUS:
            raise PassingError(f"status {err.code}") from err
        fault = LastingError(f"status {err.code}")  # the reason may hold a signed address
        fault.status = err.code
        raise fault from err
    except urllib.error.URLError as err:
        if isinstance(err.reason, ssl.SSLCertVerificationError):
            raise LastingError(f"its certificate is not valid ({err.reason})") from err
        raise PassingError(f"unreachable ({err.reason})") from err
    except (OSError, http.client.HTTPException) as err:
        raise PassingError(f"the connection broke ({err or type(err).__name__})") from err


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to addresses that we would have asked ourselves, and to no others."""

    def __init__(self, hub: str | None) -> None:
        self._hub = hub

    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        fp.close()  # urllib would read the redirect's own body, however long it is
        try:
            check_url(newurl)
        except ConfigError as err:
            raise LastingError(f"redirected to {shown(newurl)}, which we do not ask") from err
        if _is_loopback(urlsplit(newurl).hostname) and not _is_loopback(
            urlsplit(req.full_url).hostname
        ):
            raise LastingError("a server elsewhere redirected to this machine")
        follow = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if follow is not None:
            _authorise(follow, self._hub)
        return follow


def _authorise(request: urllib.request.Request, hub: str | None) -> None:
    """Add the token if the hub itself is asked. Unredirected: no redirect carries it along."""
    token = os.environ.get("MIEN_HUB_TOKEN")
    if token and hub and _origin(request.full_url) == _origin(hub):
        request.add_unredirected_header("Authorization", f"Bearer {token}")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
