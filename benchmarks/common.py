"""What the benchmarks share: the machine's description, fair timing, JSON.

Times are wall and CPU milliseconds. On a machine that others use as well, the CPU time is the
steadier one; wall times compare only what was timed in turn.
"""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "mien", "numpy", "onnxruntime", "openvino", "opencv-python-headless", "faiss-cpu", "usearch",
    "dlib-bin", "scikit-learn", "pillow", "av",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timing:
    """Repeated runs of one thing.

    Attributes:
        median_ms: Median of the wall times.
        low_ms: Their 10th percentile.
        high_ms: Their 90th percentile.
        cpu_ms: Median of the process's CPU times, all threads together.
        repeats: Number of runs.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    cpu_ms: float
    repeats: int

    def as_record(self) -> dict[str, float]:
        """The figures, rounded for JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def timed(run: Callable[[], object], repeats: int = 9, warmup: int = 1) -> Timing:
    """Time one thing."""
    return timed_in_turn({"": lambda _: run()}, repeats, warmup)[""]


def timed_in_turn(
    runs: Mapping[str, Callable[[int], object]], repeats: int, warmup: int = 1
) -> dict[str, Timing]:
    """Time several things, one run of each in turn, so that a busy moment hits all alike.

    Args:
        runs: What to time; each is called with the number of the repeat, 0 … repeats - 1.
        repeats: Timed runs of each.
        warmup: Runs of each before that.
    """
    for _ in range(warmup):
        for run in runs.values():
            run(0)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(repeats):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(number)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: _summarise(pairs) for name, pairs in times.items()}


def _summarise(pairs: list[tuple[float, float]]) -> Timing:
    wall = sorted(1e3 * pair[0] for pair in pairs)
    return Timing(
        median_ms=statistics.median(wall),
        low_ms=wall[round(0.1 * (len(wall) - 1))],
        high_ms=wall[round(0.9 * (len(wall) - 1))],
        cpu_ms=statistics.median(1e3 * pair[1] for pair in pairs),
        repeats=len(pairs),
    )


def machine() -> dict[str, Any]:
    """Processor, system, versions of packages, commit and date."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "load": load,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads_env": os.environ.get("OMP_NUM_THREADS"),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_name() -> str:
    """Model, family and stepping where the system tells them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines())
    facts = {key.strip(): value.strip() for key, _, value in lines}
    name = facts.get("model name", platform.machine())
    numbers = [facts[key] for key in ("cpu family", "model", "stepping") if key in facts]
    return f"{name} ({'/'.join(numbers)})" if numbers else name


def commit() -> str | None:
    """The checked-out commit, ``+changes`` if files differ from it; None outside a repository."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
