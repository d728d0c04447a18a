"""`mien embed` by its two engines, pictures a second.

Run ``python -m benchmarks.embed_engines --data DIR [--count 300] [--out FILE.json]``. Each engine
embeds the first photos of the folder in a fresh process, start-up of workers included and the
import of mien not; engines take turns, and the best of three runs counts. ``one process`` is the
same class without any engine, ``threads`` is `FacePipeline.analyse_many`. The rows of all are
compared with one another.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import machine, write_json
from mien.core.threads import available_threads
from mien.faces._rows import concatenate, rows_of
from mien.faces.batch_embed import PICTURES_AT_ONCE, EmbedPictures, embed_pictures
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline
from mien.media.folders import find_images

ENGINES = ("one process", "threads", "local", "ray")
REPEATS = 3


def run(engine: str, paths: list[str]) -> dict[str, Any]:
    """One run in this process: seconds, rows, and a sum that tells whether rows are the same."""
    config = PipelineConfig()
    start = time.perf_counter()
    first = start
    if engine == "threads":
        pipeline = FacePipeline.open(config)
        rows = rows_of(list(pipeline.analyse_many(paths)), pipeline.embedder.dim)
    elif engine == "one process":
        rows = EmbedPictures(config)({"path": paths})
    else:
        parts = []
        for part in embed_pictures(paths, config, engine=engine):  # type: ignore[arg-type]
            first = time.perf_counter() if not parts else first
            parts.append(part)
        rows = concatenate(parts)
    end = time.perf_counter()
    record = {"seconds": end - start, "rows": len(rows["path"])}
    record["sum"] = float(np.abs(rows["vector"].astype(np.float64)).sum())
    if first > start:
        record["seconds_to_first_batch"] = first - start
    return record


def run_apart(engine: str, photos: Path, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.embed_engines", "--data", str(photos)]
    command += ["--count", str(count), "--engine", engine]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return record


def once_running(runs: list[dict[str, Any]], count: int) -> float | None:
    """Pictures a second after the first batch was there; None where nothing has to start."""
    rates = [
        (count - PICTURES_AT_ONCE) / (r["seconds"] - r["seconds_to_first_batch"])
        for r in runs
        if "seconds_to_first_batch" in r
    ]
    return round(max(rates), 2) if rates else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--engine", choices=ENGINES, help="run this one only, here")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    paths = [str(path) for path in find_images(options.data)[: options.count]]
    if options.engine:
        print(json.dumps(run(options.engine, paths)))
        return 0
    runs: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
    for _ in range(REPEATS):
        for engine in ENGINES:
            runs[engine].append(run_apart(engine, options.data, options.count))
            last = runs[engine][-1]
            print(f"{engine}: {len(paths) / last['seconds']:.1f} pictures/s, {last}")
    result = {
        "machine": machine(),
        "pictures": len(paths),
        "workers": available_threads(),
        "engines": {
            name: {
                "pictures_per_s": round(len(paths) / min(r["seconds"] for r in many), 2),
                "pictures_per_s_once_running": once_running(many, len(paths)),
                "runs": many,
            }
            for name, many in runs.items()
        },
        "are_rows_equal": len({(r["rows"], r["sum"]) for many in runs.values() for r in many}) == 1,
    }
    print(json.dumps({k: v for k, v in result.items() if k != "machine"}, indent=1))
    if options.out:
        write_json(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
