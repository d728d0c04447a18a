"""All settings of the service, checked when they are made.

They come from defaults, a TOML file and the command line; this module reads no environment. Every
default is the careful one: this machine only, nothing fetched, no faces kept that nobody enrolled.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from mien.core.errors import ConfigError
from mien.core.threads import resolve_threads
from mien.media.limits import ImageLimits

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "port": (0, 65535),
    "max_body_bytes": (1024, 2**30),
    "max_video_bytes": (1024, 2**40),
    "max_bodies_bytes": (1024, 2**40),
    "max_pixels": (1024, 10**9),
    "max_header_bytes": (1024, 2**20),
    "max_connections": (1, 100_000),
    "header_timeout_s": (0.05, 600),
    "body_timeout_s": (0.05, 3600),
    "min_body_bytes_per_s": (1, 2**30),
    "keep_alive_s": (1, 600),
    "shutdown_s": (1, 3600),
    "requests_per_minute": (1, 10**7),
    "burst": (1, 10**6),
    "failures_per_minute": (1, 10**6),
    "max_waiting": (1, 100_000),
    "batch_max": (1, 256),
    "batch_wait_ms": (0, 1000),
    "fetch_timeout_s": (0.1, 300),
    "keep_sightings_days": (0, 36_500),
    "max_jobs": (1, 1000),
    "keep_jobs_s": (1, 30 * 86_400),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of the service.

    Attributes:
        data_folder: Where galleries, keys and the audit log stand.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        max_body_bytes: Largest request but for films.
        max_video_bytes: Largest film; it is written to disk while it arrives.
        max_bodies_bytes: What all requests in work may hold in memory together.
        max_pixels: Largest width times height of a picture.
        max_header_bytes: Largest head of a request.
        max_connections: Connections open at once.
        header_timeout_s: Time in which a request's head must be complete.
        body_timeout_s: Time in which a body must be complete, see ``min_body_bytes_per_s``.
        min_body_bytes_per_s: For so many bytes that arrived, a body may take a second more.
        keep_alive_s: How long an idle connection stays open.
        shutdown_s: How long requests in work may take when the service ends.
        requests_per_minute: Requests of one key, in the long run.
        burst: Requests of one key at once.
        failures_per_minute: Requests without a valid key from one address that are looked at.
        max_waiting: Pictures that may wait for a worker; one more is told to come again.
        batch_max: Pictures that a worker takes at once.
        batch_wait_ms: How long a worker waits for more pictures while another one is busy.
        workers: Workers that compute; None takes what the quota allows.
        processes: Whether each worker is a process of its own, about 200 MB each: quicker on
            several cores, and a crash in a decoder ends one batch, not the service.
        allow_fetch: Whether pictures may be given as addresses, which the service then fetches.
        fetch_allow_hosts: Hosts that may be fetched from, ``.example.org`` for all below it;
            empty for all public ones.
        fetch_allow_http: Whether they may be fetched without TLS.
        fetch_timeout_s: Time in which a fetch must be done.
        strict: Whether enrolment demands consent, a retention date and good quality.
        keep_sightings_days: How long faces of unknown people are kept for review; 0 for never.
        max_jobs: Films that may wait or be watched at once.
        keep_jobs_s: How long the result of a film can be had.
        trusted_proxy: Whether a proxy on this machine may tell the client's address.
        page: Whether the page is served beside the API.

    Raises:
        ConfigError: If a setting is out of range or contradicts another.
    """

    data_folder: Path = field(default_factory=lambda: user_data_path("mien") / "server")
    host: str = "127.0.0.1"
    port: int = 8000
    max_body_bytes: int = 16 * 2**20
    max_video_bytes: int = 512 * 2**20
    max_bodies_bytes: int = 256 * 2**20
    max_pixels: int = 40_000_000
    max_header_bytes: int = 32 * 2**10
    max_connections: int = 512
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    min_body_bytes_per_s: int = 32 * 2**10
    keep_alive_s: int = 5
    shutdown_s: int = 30
    requests_per_minute: int = 600
    burst: int = 60
    failures_per_minute: int = 10
    max_waiting: int = 256
    batch_max: int = 8
    batch_wait_ms: float = 4.0
    workers: int | None = None
    processes: bool = True
    allow_fetch: bool = False
    fetch_allow_hosts: tuple[str, ...] = ()
    fetch_allow_http: bool = False
    fetch_timeout_s: float = 10.0
    strict: bool = False
    keep_sightings_days: int = 0
    max_jobs: int = 8
    keep_jobs_s: float = 3600.0
    trusted_proxy: bool = False
    page: bool = True

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise _wrong(name, value, f"it must lie between {low:,} and {high:,}")
        if not self.host or self.host != self.host.strip() or "/" in self.host:
            raise _wrong("host", self.host, "it must be an address or a name, such as 127.0.0.1")
        if self.max_bodies_bytes < self.max_body_bytes:
            why = f"not even one request of max_body_bytes = {self.max_body_bytes:,} would fit"
            raise _wrong("max_bodies_bytes", self.max_bodies_bytes, why)
        if self.fetch_allow_hosts and not self.allow_fetch:
            why = "nothing is fetched unless allow_fetch is true"
            raise _wrong("fetch_allow_hosts", self.fetch_allow_hosts, why)
        for host in self.fetch_allow_hosts:
            if not host.isascii() or host != host.lower().strip() or set(host) & set("/:@*?# "):
                why = "it must be a host in lower case, without scheme, port, path or asterisk"
                raise _wrong("fetch_allow_hosts", host, why)
        resolve_threads(self.workers)

    @property
    def image_limits(self) -> ImageLimits:
        """Bounds on one picture."""
        return ImageLimits(max_bytes=self.max_body_bytes, max_pixels=self.max_pixels)

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach the service."""
        return self.host in {"127.0.0.1", "::1", "localhost"}


def _wrong(name: str, value: object, why: str) -> ConfigError:
    return ConfigError(what=f"{name} is {value!r}", why=why, mend="correct the setting", path=name)
