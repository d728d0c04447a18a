"""How many threads we may use: the container's quota, not the host's core count."""

import math
import os
from pathlib import Path

from mien.core.errors import ConfigError

_V2 = Path("/sys/fs/cgroup/cpu.max")
_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def read_quota(v2: Path = _V2, quota: Path = _V1_QUOTA, period: Path = _V1_PERIOD) -> float | None:
    """CPU quota of the control group in cores, or None when there is no limit.

    Args:
        v2: The ``cpu.max`` file of cgroup v2.
        quota: ``cpu.cfs_quota_us`` of cgroup v1.
        period: ``cpu.cfs_period_us`` of cgroup v1.
    """
    try:
        if v2.exists():
            limit, per = v2.read_text().split()[:2]
            return None if limit == "max" else int(limit) / int(per)
        if quota.exists() and period.exists():
            limit_us = int(quota.read_text())
            return None if limit_us <= 0 else limit_us / int(period.read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return None


def available_threads(quota: float | None = None) -> int:
    """Cores that this process may keep busy: affinity mask and quota, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = read_quota() if quota is None else quota
    return max(1, min(affinity or 1, math.floor(limit) if limit else affinity or 1))


def resolve_threads(threads: int | None) -> int:
    """A thread count: ``None`` asks for all that the quota allows.

    Raises:
        ConfigError: If the count is below 1.
    """
    if threads is None:
        return available_threads()
    if threads < 1:
        raise ConfigError(
            what=f"threads is {threads}",
            why="an engine needs at least one thread",
            mend="pass 1 or more, or leave it out to use what the quota allows",
        )
    return threads
