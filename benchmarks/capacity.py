"""What a search costs by the size of the gallery, and whether that still holds at 10^7 faces.

Run ``python -m benchmarks.capacity --faces 10000000 --data PHOTOS [--scratch DIR] [--out FILE]
[--asset FILE]``. One thread. PHOTOS: a folder of labelled photos, as for ``mien calibrate``.

1. Constants: single searches at 10^4, 10^5 and 10^6 rows by each way; the largest and the smallest
   give the cost of a face and what a search costs whatever the size.
2. Simulation: rows on disk, their codes in a file, searched by `Int8FileSearch` and, for the time
   alone, by `Int8Search`. Time and false alarms are set beside what the constants and FMR predict,
   and the best ten beside those of a literal scan in float64.

The vectors are no faces. They are drawn as Gaussian with the mean and the covariance of the
templates of PHOTOS (one photo a person), then brought to length 1. Their FMR is compared with that
of the shipped table at equal thresholds; where the tails differ, so do thresholds. The simulation
is about scale: thresholds are measured on vectors of the same kind, and only the step from one
comparison to a search of 10^7 is tested.

The float32 rows are kept in a second mapped file, 5.1 GB for 10^7, and not drawn anew where they
are needed: that is what a real gallery does, and a query needs few of them, scattered over all
blocks. Both files go into a temporary folder that is removed at the end.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import ctypes
import gc
import json
import mmap
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import machine, timed_in_turn, write_json
from mien.core.types import Float32, Ints
from mien.faces.pipeline import FacePipeline, Ok
from mien.gallery.calibration import shipped_table
from mien.gallery.search import Float32Search, Int8FileSearch, Int8Search, write_codes
from mien.metrics.identification import fpir_from_fmr
from mien.metrics.intervals import wilson_interval
from mien.reports.capacity import CapacityConstants, MeasuredSearch, WayCost

SIZES = (10_000, 100_000, 1_000_000)
K = 10
DRAWN_AT_ONCE = 100_000
REPEATS = 30
BATCH = 25
COLD_REPEATS = 7
FMRS = (1e-7, 3e-8, 1e-8, 3e-9, 1e-9)
KEPT = 2000


@dataclass(frozen=True)
class Population:
    """Vectors to draw: Gaussian, then brought to length 1."""

    mean: Float32
    root: Float32
    people: int
    contract: str

    def draw(self, n: int, seed: tuple[int, ...]) -> Float32:
        """Rows (n, d), each of a person of its own."""
        normal = np.random.default_rng(seed).standard_normal((n, len(self.mean)), np.float32)
        rows = normal @ self.root + self.mean
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measure_population(photos: Path) -> Population:
    """Mean and covariance of the templates of a folder's people, the first photo of each."""
    firsts = [sorted(p.iterdir())[0] for p in sorted(photos.iterdir()) if p.is_dir()]
    pipeline = FacePipeline.open()
    vectors = [
        outcome.analysis.faces.embeddings[row]
        for outcome in pipeline.analyse_many(firsts, workers=1)
        if isinstance(outcome, Ok) and (row := outcome.analysis.main_face()) is not None
    ]
    found = np.array(vectors, np.float64)
    values, directions = np.linalg.eigh(np.cov(found.T))
    root = np.sqrt(np.maximum(values, 0))[:, None] * directions.T
    return Population(
        found.mean(0).astype(np.float32), root.astype(np.float32), len(found), pipeline.contract.id
    )


def compare_tails(population: Population) -> dict[str, Any]:
    """FMR of drawn vectors and of the shipped table at the thresholds of the table."""
    table = shipped_table(population.contract)
    rows, probes = population.draw(20_000, (1, 1)), population.draw(10_000, (1, 2))
    cuts = np.array(table.thresholds)
    counts = np.zeros(len(cuts) + 1)
    for at in range(0, len(probes), 500):
        scores = (probes[at : at + 500] @ rows.T).ravel()
        counts += np.bincount(np.searchsorted(cuts, scores, side="right"), minlength=len(counts))
    fmr = counts[::-1].cumsum()[::-1][1:] / counts.sum()
    pairs = [
        {"threshold": t, "table": a, "drawn": float(b), "drawn_by_table": float(b / a)}
        for t, a, b in zip(table.thresholds, table.fmr, fmr, strict=True)
        if a > 10 * table.smallest_fmr / 3 and round(t * 1000) % 50 == 0
    ]
    return {"pairs": int(counts.sum()), "fmr": pairs}


def measure_thresholds(population: Population, pairs: int) -> list[dict[str, Any]]:
    """Thresholds of small FMRs, from the highest scores of many drawn pairs."""
    width = 50_000
    rows = population.draw(width, (2, 1))
    highest, floor, seen, seed = np.zeros(0, np.float32), np.float32(-1), 0, 0
    while seen < pairs:
        probes = population.draw(500, (2, 2, seed))
        scores = probes @ rows.T
        highest = np.sort(np.concatenate([highest, scores[scores > floor]]))[-KEPT:]
        floor = highest[0] if len(highest) == KEPT else floor
        seen, seed = seen + scores.size, seed + 1
    found = []
    for fmr in FMRS:
        events = round(fmr * seen)
        if 1 <= events < KEPT:
            found.append({"fmr": fmr, "threshold": float(highest[-events]), "pairs_above": events})
    return found


def measure_constants(population: Population, folder: Path) -> dict[str, Any]:
    measured: list[dict[str, Any]] = []
    memory: dict[str, float] = {}
    for size in SIZES:
        rows = population.draw(size, (3, size))
        queries = population.draw(REPEATS, (4, size))
        path = folder / f"codes-{size}"
        write_codes(rows, path)
        before = resident_bytes()
        in_memory = Int8Search(rows)
        memory["int8"] = (resident_bytes() - before) / size
        memory["file"] = path.stat().st_size / size
        ways = {
            "float32": Float32Search(rows),
            "int8": in_memory,
            "file": Int8FileSearch(rows, path),
        }
        runs: dict[str, Callable[[int], object]] = {
            name: lambda i, s=way, q=queries: s.search(q[i : i + 1], K)  # type: ignore[misc]
            for name, way in ways.items()
        }
        for name, timing in timed_in_turn(runs, REPEATS, 2).items():
            measured.append({"way": name, "faces": size} | timing.as_record())
            print(f"{name} {size:,}: {timing.median_ms:.3f} ms, CPU {timing.cpu_ms:.3f} ms")
        del ways, in_memory, runs
        path.unlink()
    return {"measured": measured, "bytes_per_face": memory}


def cost_of(measured: list[dict[str, Any]], way: str) -> WayCost:
    """The straight line through the smallest and the largest size, CPU time of the one thread."""
    own = sorted((m["faces"], m["cpu_ms"]) for m in measured if m["way"] == way)
    (small, low), (large, high) = own[0], own[-1]
    slope = (high - low) / (large - small)
    return WayCost(base_ms=max(0.0, low - slope * small), ns_per_face=slope * 1e6)


def resident_bytes() -> int:
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def write_rows(population: Population, n: int, path: Path) -> None:
    with path.open("wb") as file:
        for number, at in enumerate(range(0, n, DRAWN_AT_ONCE)):
            file.write(population.draw(min(DRAWN_AT_ONCE, n - at), (5, number)).tobytes())


@contextmanager
def few_pages(mapped: np.memmap) -> Iterator[dict[str, float]]:
    """Gives read pages of the rows back again and again; notes the highest memory of the process.

    The pages stay in the system's cache. It keeps this benchmark a good neighbour, no more.
    """
    peak = {"rss_bytes": 0.0}
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.2):
            peak["rss_bytes"] = max(peak["rss_bytes"], psutil.Process().memory_info().rss)
            mapped._mmap.madvise(mmap.MADV_DONTNEED)  # noqa: SLF001  # numpy has no other door

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def forget(path: Path) -> None:
    """Let the system drop a file from its cache."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def warm_searches(
    search: Int8FileSearch, probes: Float32, queries: Float32
) -> tuple[list[Any], list[dict[str, float]], dict[str, float]]:
    """What is found for the probes, and times of single searches and of a batch."""
    found = [search.search(probes[at : at + BATCH], K) for at in range(0, len(probes), BATCH)]
    single = [
        timed_ms(lambda i=i: search.search(queries[i : i + 1], K))  # type: ignore[misc]
        for i in range(len(queries))
    ]
    return found, single, timed_ms(lambda: search.search(probes[:BATCH], K))


def cold_search(rows: Float32, codes: Path, query: Float32) -> dict[str, float]:
    """Time of a search whose codes are in no cache. Mapped pages would stay, so it maps anew."""
    gc.collect()
    forget(codes)
    search = Int8FileSearch(rows, codes)
    return timed_ms(lambda: search.search(query, K))


def disk_rate(path: Path) -> float:
    """MB a second, reading a file from end to end that is in no cache."""
    forget(path)
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(2**23):
            pass
    return path.stat().st_size / 1e6 / (time.perf_counter() - start)


def timed_ms(run: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {
        "wall_ms": 1e3 * (time.perf_counter() - wall),
        "cpu_ms": 1e3 * (time.process_time() - cpu),
    }


def literal_best(rows: Float32, queries: Float32) -> tuple[Ints, Float32]:
    """The best ten of every query by float64 products of everything, ties by lower row."""
    turned = queries.T.astype(np.float64)
    best, scores = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    for at in range(0, len(rows), DRAWN_AT_ONCE):
        some = (rows[at : at + DRAWN_AT_ONCE].astype(np.float64) @ turned).T.astype(np.float32)
        top = np.argsort(-some, axis=1, kind="stable")[:, :K]
        best = np.concatenate([best, top + at], 1)
        scores = np.concatenate([scores, np.take_along_axis(some, top, 1)], 1)
    order = np.stack([np.lexsort((b, -s))[:K] for b, s in zip(best, scores, strict=True)])
    return np.take_along_axis(best, order, 1), np.take_along_axis(scores, order, 1)


def simulate(
    population: Population,
    n: int,
    folder: Path,
    thresholds: list[dict[str, Any]],
    n_probes: int,
) -> dict[str, Any]:
    paths = folder / "rows", folder / "codes"
    seconds = {"draw": timed_ms(lambda: write_rows(population, n, paths[0]))["wall_ms"] / 1e3}
    rows = np.memmap(paths[0], np.float32, "r", shape=(n, len(population.mean)))
    with few_pages(rows) as peak:
        seconds["codes"] = timed_ms(lambda: write_codes(rows, paths[1]))["wall_ms"] / 1e3
        probes = population.draw(n_probes, (6,))
        queries = population.draw(12, (7,))
        print(f"rows and codes written: {seconds}", flush=True)
        found, warm, batch = warm_searches(Int8FileSearch(rows, paths[1]), probes, queries)
        rows_found, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        cold, rates = [], []
        for i in range(COLD_REPEATS):  # in turn: others use the disk as well
            cold.append(cold_search(rows, paths[1], queries[i : i + 1]))
            rates.append(disk_rate(paths[1]))
        checked = min(20, n_probes)
        start = time.perf_counter()
        literal = literal_best(rows, probes[:checked])
        seconds["literal_scan"] = time.perf_counter() - start
        in_memory = Int8Search(rows)
        memory = [timed_ms(lambda i=i: in_memory.search(queries[i : i + 1], K)) for i in range(12)]
    same = [len(np.intersect1d(a, b)) / K for a, b in zip(rows_found, literal[0], strict=False)]
    return {
        "faces": n,
        "seconds": seconds,
        "codes_bytes": paths[1].stat().st_size,
        "rows_bytes": paths[0].stat().st_size,
        "peak_rss_bytes": peak["rss_bytes"],
        "disk_mb_per_s": float(np.median(rates)),
        "disk_mb_per_s_runs": rates,
        "file": warm,
        "file_batch_of_25": batch,
        "disk": cold,
        "int8": memory,
        "recall_at_10": float(np.mean(same)),
        "are_scores_equal": bool(np.array_equal(scores[:checked], literal[1])),
        "queries_checked": checked,
        "false_alarms": [false_alarms(one, scores[:, 0], n) for one in thresholds],
    }


def false_alarms(threshold: dict[str, Any], best: Float32, n: int) -> dict[str, Any]:
    """Predicted and measured FPIR at one threshold."""
    events = int((best >= threshold["threshold"]).sum())
    interval = wilson_interval(events, len(best))
    return threshold | {
        "predicted_fpir": fpir_from_fmr(threshold["fmr"], n),
        "measured_fpir": events / len(best),
        "low": interval.low,
        "high": interval.high,
        "probes": len(best),
        "is_fmr_supported": threshold["pairs_above"] >= 3,
    }


def constants_of(
    about: dict[str, Any], measured: dict[str, Any], simulation: dict[str, Any]
) -> CapacityConstants:
    dim = simulation["rows_bytes"] // simulation["faces"] // 4
    singles = [MeasuredSearch(m["way"], m["faces"], m["cpu_ms"]) for m in measured["measured"]]
    for way, clock in (("int8", "cpu_ms"), ("file", "cpu_ms"), ("disk", "wall_ms")):
        ms = float(np.median([run[clock] for run in simulation[way]]))
        singles.append(MeasuredSearch(way, simulation["faces"], round(ms, 2)))  # type: ignore[arg-type]
    return CapacityConstants(
        cpu=about["cpu"],
        date=about["date"][:10],
        commit=about["commit"] or "unknown",
        dim=dim,
        float32_bytes=4.0 * dim,
        int8_bytes=round(measured["bytes_per_face"]["int8"], 2),
        file_bytes=round(measured["bytes_per_face"]["file"], 2),
        row_bytes=4.0 * dim,
        disk_mb_per_s=round(simulation["disk_mb_per_s"], 1),
        costs={w: cost_of(measured["measured"], w) for w in ("float32", "int8", "file")},
        measured=tuple(singles),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled photos")
    parser.add_argument("--probes", type=int, default=500, help="unknown people to search for")
    parser.add_argument("--pairs", type=float, default=3e9, help="drawn pairs behind thresholds")
    parser.add_argument("--scratch", type=Path, help="where the temporary folder is made")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--asset", type=Path, help="file of constants to write, for the report")
    options = parser.parse_args()
    about = machine()
    Int8Search(np.eye(128, dtype=np.float32))  # what is imported late shall not be counted
    population = measure_population(options.data)
    tails = compare_tails(population)
    for one in tails["fmr"]:
        print("FMR at {threshold:.2f}: table {table:.2e}, drawn {drawn:.2e}".format(**one))
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        measured = measure_constants(population, Path(name))
        thresholds = measure_thresholds(population, int(options.pairs))
        print(json.dumps(thresholds))
        simulation = simulate(population, options.faces, Path(name), thresholds, options.probes)
    constants = constants_of(about, measured, simulation)
    comparison = [
        {
            "way": m.way,
            "faces": m.faces,
            "measured_ms": m.ms,
            "computed_ms": round(constants.ms(m.way, m.faces), 2),
        }
        for m in constants.measured
    ]
    result = {
        "machine": about,
        "settings": {"k": K, "probes": options.probes, "pairs": options.pairs},
        "population": {"people": population.people, "contract": population.contract},
        "fmr_of_drawn_vectors": tails,
        "constants": json.loads(constants.to_json()),
        "timings": measured,
        "simulation": simulation,
        "measured_against_computed": comparison,
    }
    print(json.dumps({k: result[k] for k in ("simulation", "measured_against_computed")}, indent=1))
    if options.out:
        write_json(options.out, result)
    if options.asset:
        constants.save(options.asset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
