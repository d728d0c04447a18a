"""Which addresses a service may ask on a client's behalf: public ones, told without doubt.

An address in a request is a way to reach what only the service can reach: its own machine, the
network behind it, a cloud's metadata. So addresses must be public, and be written in one way only.
Nothing is resolved or opened here.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from mien.core.errors import RefusedError

_LONGEST: Final = 2048
_PRINTABLE: Final = re.compile(r"[!-~]+")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

# IANA's special-purpose registries. Python's own `is_global` differs between its releases.
_SPECIAL_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo, which carries any IPv4 address, is among them
        "2001:db8::/32",
        "2002::/16",  # 6to4, which carries any IPv4 address too
        "3fff::/20",
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart.

    Attributes:
        scheme: ``https`` or ``http``.
        host: Name in lower case without a dot at its end, or the address of a machine.
        port: Port to connect to.
        path: Path and query to ask for.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The address in its one way to be written."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def follow(self, location: str) -> str:
        """The address that a redirect leads to."""
        return urljoin(self.url, location)


def is_public(address: str) -> bool:
    """Whether a numeric address is one machine in the public internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not parsed.is_global or parsed.is_multicast:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _SPECIAL_V4)
    # What carries an IPv4 address within lies outside of 2000::/3, or is listed.
    return parsed in _UNICAST_V6 and not any(parsed in network for network in _SPECIAL_V6)


def take_apart(
    url: str, *, allow_http: bool = False, ports: frozenset[int] = frozenset({443, 80})
) -> Target:
    """An address that may be asked, as far as its text can tell.

    Args:
        url: What a client or a redirect gave.
        allow_http: Whether plain ``http`` is let through.
        ports: Ports that may be asked.

    Raises:
        RefusedError: If it is of another kind, or could be read in more than one way.
    """
    if len(url) > _LONGEST or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise refused("it has characters that programs read differently, or is very long")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as err:
        raise refused("it cannot be taken apart") from err
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_http):
        raise refused("only https is fetched" + (", or http" if allow_http else ""))
    if "@" in parts.netloc:
        raise refused("it holds a user or password")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in ports:
        raise refused(f"only these ports are asked: {', '.join(map(str, sorted(ports)))}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, _checked_host(host, is_bracketed="[" in parts.netloc), port, path)


def is_listed(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a host is among those allowed; ``.example.org`` stands for all below it."""
    return any(
        host.endswith(one) if one.startswith(".") else host == one.removesuffix(".")
        for one in allowed
    )


def refused(why: str) -> RefusedError:
    """The error for an address that is not asked."""
    return RefusedError(
        what="this address is not fetched",
        why=why,
        mend="send the picture itself in the request",
    )


def _checked_host(host: str, *, is_bracketed: bool) -> str:
    if is_bracketed:
        try:
            return str(ipaddress.IPv6Address("" if "%" in host else host))
        except ValueError as err:
            raise refused("its host is not an IPv6 address") from err
    labels = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise refused("its host is not a name; write international names as xn--...")
    if _NUMBER.fullmatch(labels[-1]):  # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 for some
        try:
            return str(ipaddress.IPv4Address(".".join(labels)))
        except ValueError as err:
            raise refused("its host is a number, but not four of 0 to 255") from err
    return ".".join(labels)
