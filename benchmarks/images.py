"""Does the image reader survive? Every file of a folder, and thousands of seeded mutations of them.

Run ``python -m benchmarks.images --data DIR [--mutations 5000] [--json]``. The reading is done by a
worker process under a memory limit, so that a crash of a C library is counted and not suffered.
Exit code 1 when anything was untyped, crashed, hung or was turned the wrong way.

Files named ``NAME_0.jpg`` to ``NAME_8.jpg`` are taken for one picture in all EXIF orientations,
and compared with ``NAME_1.jpg``.
"""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import InputError
from mien.media.image import load_image

MEMORY_LIMIT_BYTES = 4 * 2**30
HANG_AFTER_S = 30
TURN_TOLERANCE = 6.0  # mean absolute difference in grey levels; a wrong turn gives 30 and more


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One random injury: flipped bytes, a cut, an insertion, a doubled or a removed stretch.

    Of PNG files every second one gets its checksums mended, to reach the parsers behind them.

    Args:
        data: The encoded picture, not empty.
        rng: Where all choices come from.
    """
    injured = _injure(data, rng)
    return _mend_checksums(injured) if rng.integers(2) else injured


def _mend_checksums(data: bytes) -> bytes:
    if not data.startswith(b"\x89PNG"):
        return data
    mended, position = bytearray(data), 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 <= len(data):
            mended[end : end + 4] = zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(mended)


def _injure(data: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(6)
    a, b = sorted(int(v) for v in rng.integers(0, len(data) + 1, 2))
    noise = rng.integers(0, 256, int(rng.integers(1, 17)), dtype=np.uint8)
    if kind <= 1:  # anywhere, or in the header, where parsers live
        reach = len(data) if kind == 0 else min(len(data), 128)
        values = np.frombuffer(data, np.uint8).copy()
        values[rng.integers(0, reach, len(noise))] = noise
        return values.tobytes()
    if kind == 2:
        return data[:b]
    if kind == 3:
        return data[:a] + noise.tobytes() + data[a:]
    if kind == 4:
        return data[:b] + data[a:]
    return data[:a] + data[b:]


def run_worker(folder: Path, start: int, stop: int, seed: int) -> None:
    """Read items ``start`` to ``stop`` and write a line before and after each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    warnings.simplefilter("error")
    files = list_files(folder)
    for index in range(start, stop):
        path = files[index % len(files)]
        data = path.read_bytes()
        if index >= len(files) and data:
            data = mutate(data, np.random.default_rng([seed, index]))
        print(json.dumps({"index": index, "file": path.name}), flush=True)
        signal.alarm(HANG_AFTER_S)
        begin = time.perf_counter()
        outcome, detail = read_one(data)
        seconds = time.perf_counter() - begin
        signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        line = {"outcome": outcome, "detail": detail, "s": seconds, "peak_mib": peak}
        print(json.dumps(line), flush=True)


def read_one(data: bytes) -> tuple[str, str]:
    """``ok``, the code of a typed error, or ``untyped`` with the error's words."""
    try:
        pixels = load_image(data).pixels
    except InputError as err:
        return err.code, str(err)
    except Exception as err:  # noqa: BLE001 - to count what escapes is the purpose
        return "untyped", repr(err)
    good = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.flags.c_contiguous
    return ("ok", "") if good else ("untyped", f"{pixels.dtype} {pixels.shape}")


def list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def supervise(folder: Path, total: int, seed: int) -> list[dict[str, Any]]:
    """Run workers until every item has an outcome; a worker that dies costs one item."""
    results: list[dict[str, Any]] = []
    while len(results) < total:
        bounds = [str(len(results)), str(total)]
        command = [sys.executable, "-m", "benchmarks.images", "--data", str(folder)]
        done = subprocess.run(
            [*command, "--seed", str(seed), "--worker", *bounds], capture_output=True, check=False
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        results += [head | tail for head, tail in zip(lines[::2], lines[1::2], strict=False)]
        if len(lines) % 2:
            outcome = "hang" if done.returncode == -signal.SIGALRM else "crash"
            results.append(lines[-1] | {"outcome": outcome, "detail": f"exit {done.returncode}"})
        elif done.returncode:
            raise SystemExit(done.stderr.decode(errors="replace"))
        results[-1]["stderr_lines"] = len(done.stderr.splitlines())
    return results


def compare_turns(folder: Path) -> dict[str, float]:
    """For each picture present in several orientations: the largest mean difference from _1."""
    worst: dict[str, float] = {}
    for path in list_files(folder):
        named = re.fullmatch(r"(.+)_[0-8]\.jpe?g", path.name)
        reference = path.with_name(f"{named[1]}_1{path.suffix}") if named else path
        if named and reference.exists():
            a, b = (load_image(p).pixels.astype(np.int16) for p in (reference, path))
            difference = float(np.abs(a - b).mean()) if a.shape == b.shape else float("inf")
            worst[named[1]] = max(worst.get(named[1], 0.0), difference)
    return worst


def summarise(folder: Path, mutations: int, seed: int) -> dict[str, Any]:
    files = list_files(folder)
    results = supervise(folder, len(files) + mutations, seed)
    bad = {"untyped", "crash", "hang"}
    turns = compare_turns(folder)
    slowest = max(results, key=lambda r: r.get("s", 0.0))
    return {
        "files": len(files),
        "mutations": mutations,
        "outcomes_files": dict(Counter(r["outcome"] for r in results[: len(files)])),
        "outcomes_mutations": dict(Counter(r["outcome"] for r in results[len(files) :])),
        "failures": [r for r in results if r["outcome"] in bad],
        "stderr_lines": sum(r.get("stderr_lines", 0) for r in results),
        "peak_mib": round(max(r.get("peak_mib", 0.0) for r in results)),
        "slowest_s": round(slowest.get("s", 0.0), 3),
        "slowest_file": slowest["file"],
        "orientation_difference": turns,
        "ok": all(r["outcome"] not in bad for r in results)
        and all(v <= TURN_TOLERANCE for v in turns.values()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--mutations", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        start, stop = options.worker
        run_worker(options.data, start, stop, options.seed)
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    summary = summarise(options.data, options.mutations, options.seed)
    if options.json:
        print(json.dumps(summary))
    else:
        for name, value in summary.items():
            print(f"{name:24} {value}")
    return 0 if summary["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
