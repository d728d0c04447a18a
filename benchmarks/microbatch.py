"""Many clients at once against one loop over a folder: what does sharing a pipeline cost?

Run ``OMP_NUM_THREADS=1 python -m benchmarks.microbatch --data DIR [--out FILE]``. DIR holds
``images/NAME/*.jpg``. Pictures are in memory beforehand. In turn: `analyse_many` over all, and as
many requests to the `MicroBatcher` from 64 clients, each of which asks again once answered. Then
one client alone, against the pipeline called directly.

On Linux the time in which workers could run and other programs had the processor is taken off:
``undisturbed`` is what the comparison would be on a machine without them.
"""

import argparse
import asyncio
import json
import statistics
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.common import machine, write_json
from mien.core.threads import available_threads
from mien.faces.pipeline import Analysis, FacePipeline, Ok
from mien.media.folders import find_images
from mien.server.batching import MicroBatcher


class Watched(FacePipeline):
    """A pipeline that notes how long each thread has waited for a processor."""

    waited_s: dict[int, float]

    def analyse_batch(self, *images: Any, **options: Any) -> list[Analysis]:
        """As `FacePipeline.analyse_batch`."""
        done = super().analyse_batch(*images, **options)
        with suppress(OSError):
            figures = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text()
            self.waited_s[threading.get_ident()] = int(figures.split()[1]) / 1e9
        return done


async def ask(pipeline: FacePipeline, files: list[bytes], clients: int, sizes: Counter[int]) -> int:
    """Have all pictures analysed by so many clients; how many faces were found."""
    batcher = MicroBatcher(pipeline, on_batch=lambda size: sizes.update([size]))
    rest = iter(files)

    async def client() -> int:
        return sum([len((await batcher.analyse(file)).faces) for file in rest])

    found = sum(await asyncio.gather(*(client() for _ in range(clients))))
    await batcher.close()
    return found


def loop(pipeline: FacePipeline, files: list[bytes]) -> int:
    """The same without requests."""
    outcomes = pipeline.analyse_many(files)
    return sum(len(one.analysis.faces) for one in outcomes if isinstance(one, Ok))


async def alone(pipeline: FacePipeline, files: list[bytes]) -> dict[str, float]:
    """Milliseconds a picture of one client, by way of the batcher and directly, in turn."""
    batcher = MicroBatcher(pipeline)
    through, direct = [], []
    for number, file in enumerate(files):
        for is_through in sorted((False, True), reverse=bool(number % 2)):
            start = time.perf_counter()
            if is_through:
                await batcher.analyse(file)
            else:
                pipeline.analyse(file)
            (through if is_through else direct).append(time.perf_counter() - start)
    await batcher.close()
    return {
        "p50_ms": round(1e3 * statistics.median(through), 2),
        "p95_ms": round(1e3 * statistics.quantiles(through, n=20)[-1], 2),
        "direct_p50_ms": round(1e3 * statistics.median(direct), 2),
    }


def middle(runs: list[tuple[float, ...]], which: int) -> float:
    return statistics.median(run[which] for run in runs)


def ratio(runs: dict[str, list[tuple[float, ...]]], which: int) -> dict[str, float]:
    """Seconds of the loop over those of the clients: above 1, the clients are faster."""
    pairs = zip(runs["loop"], runs["clients"], strict=True)
    found = sorted(one[which] / other[which] for one, other in pairs)
    return {
        "median": round(statistics.median(found), 3),
        "low": round(found[0], 3),
        "high": round(found[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    paths = list(find_images(options.data / "images"))[: options.photos]
    files = [Path(path).read_bytes() for path in paths]
    pipeline, sizes = Watched.open(), Counter[int]()
    pipeline.waited_s = {}
    faces = loop(pipeline, files)
    assert asyncio.run(ask(pipeline, files, options.clients, sizes)) == faces
    sizes.clear()
    runs: dict[str, list[tuple[float, ...]]] = {"loop": [], "clients": []}
    for number in range(options.repeats):
        for name in sorted(runs, reverse=bool(number % 2)):
            pipeline.waited_s.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            if name == "loop":
                loop(pipeline, files)
            else:
                asyncio.run(ask(pipeline, files, options.clients, sizes))
            took_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
            others_s = sum(pipeline.waited_s.values()) / available_threads()
            runs[name].append((took_s, cpu_s, took_s - others_s))
    result = {
        "machine": machine(),
        "photos": len(files),
        "faces": faces,
        "clients": options.clients,
        "workers": available_threads(),
        "photos_per_s": {k: round(len(files) / middle(v, 0), 2) for k, v in runs.items()},
        "cpu_ms_per_photo": {k: round(1e3 * middle(v, 1) / len(files), 3) for k, v in runs.items()},
        # Each repeat by itself: what else the machine does hits both halves of it.
        "throughput_ratio": ratio(runs, 0),
        "cpu_ratio": ratio(runs, 1),
        "undisturbed_ratio": ratio(runs, 2),
        "repeats": options.repeats,
        "batch_sizes": {str(k): v for k, v in sorted(sizes.items())},
        "alone": asyncio.run(alone(pipeline, files[:100])),
    }
    print(json.dumps(result, indent=1))
    if options.out:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
