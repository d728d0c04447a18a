"""How often one client may ask: token buckets, in memory only, of bounded number.

A bucket holds ``burst`` tokens and gains ``per_minute`` a minute; a request takes one. Nothing is
written down, and addresses are forgotten once their buckets are full again.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from mien.core.errors import ThrottledError


class Throttle:
    """Token buckets by name. For one thread, such as that of the event loop."""

    def __init__(
        self,
        per_minute: float,
        burst: float,
        *,
        max_buckets: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with every bucket full.

        Args:
            per_minute: Tokens that a bucket gains in a minute.
            burst: Tokens that it can hold.
            max_buckets: How many are remembered; of more, the one unused longest is forgotten.
            clock: Seconds that never go back.
        """
        self._per_second = per_minute / 60
        self._burst = burst
        self._max = max_buckets
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def __len__(self) -> int:
        """Buckets remembered; all others are full."""
        return len(self._buckets)

    def take(self, name: str) -> int:
        """Take a token.

        Args:
            name: Whose bucket: a key's id, or the group of an address.

        Returns:
            How many are left.

        Raises:
            ThrottledError: If the bucket is empty; its ``retry_after_s`` says when it is not.
        """
        now = self._clock()
        self._forget_full(now)
        tokens, then = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        if tokens < 1:
            raise _throttled(math.ceil((1 - tokens) / self._per_second))
        self._buckets[name] = (tokens - 1, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
        return int(tokens - 1)

    def _forget_full(self, now: float) -> None:
        """Drop what is full by now. The unused longest stand first, so few are looked at."""
        while self._buckets:
            tokens, then = next(iter(self._buckets.values()))
            if tokens + (now - then) * self._per_second < self._burst:
                return
            self._buckets.popitem(last=False)


def address_group(address: str) -> str:
    """The name of a client's bucket: its IPv4 address, or the /64 of its IPv6 address.

    One customer is given a whole /64 at least, and could ask from a new address each time.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def _throttled(retry_after_s: int) -> ThrottledError:
    return ThrottledError(
        what="there were too many requests in a short time",
        why="each client may ask only so often, so that all are served",
        mend=f"ask again in {retry_after_s} s, and then less often",
        retry_after_s=retry_after_s,
    )
