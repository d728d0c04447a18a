"""Exact search of templates: mien beside faiss and usearch, on the same vectors in the same run.

Run ``python -m benchmarks.search [--sizes 10000 100000 1000000] [--queries 50] [--out FILE.json]``.
One thread. Vectors of 128 numbers, ten templates a person, two of a person at a cosine of 0.65 on
average; every second query is an enrolled person's, the others are strangers'. The engines take
turns at every query. Recall is measured against float64 products.

* ``mien float32``, ``mien int8``: `Float32Search`, `Int8Search`; with ``people``, the best ten
  people in place of the best ten templates.
* ``faiss flat``: IndexFlatIP. ``faiss int8``: IndexScalarQuantizer with QT_8bit_direct_signed.
* ``usearch float32``, ``usearch int8``: `usearch.index.search` with ``exact=True``.

Memory is what opening adds to the process, freed pages given back. mien keeps no copy of the
float32 rows, and needs them beside it, in memory or mapped from a file.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import ctypes
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from usearch.index import MetricKind
from usearch.index import search as usearch_search

from benchmarks.common import Timing, machine, timed_in_turn, write_json
from mien.core.types import Array, Float32, Ints
from mien.gallery.search import ExactSearch, open_search

DIM = 128
PHOTOS = 10
GENUINE_COSINE = 0.65
K = 10
BATCH = 32
BATCH_REPEATS = 7
AT_ONCE = 50_000

Find = Callable[[Float32], Ints]
"""From queries (b, d) to rows (b, K), best first."""


@dataclass(frozen=True)
class Engine:
    """One way to search.

    Attributes:
        find: The search.
        kind: ``"float32"`` or ``"int8"``.
        memory_mib: What opening it added to the process.
        is_grouped: Whether it finds people in place of templates.
    """

    find: Find
    kind: str
    memory_mib: float
    is_grouped: bool = False


@dataclass(frozen=True)
class Gallery:
    """Rows, the person of each, and queries with the rows that float64 finds."""

    rows: Float32
    groups: Ints
    queries: Float32
    truth: Ints


def draw_gallery(size: int, n_queries: int, seed: int) -> Gallery:
    rng = np.random.default_rng([seed, size])
    people = -(-size // PHOTOS)
    centres = unit(rng.standard_normal((people + n_queries, DIM), np.float32))
    groups = np.arange(size) % people
    rows = np.empty((size, DIM), np.float32)
    for at in range(0, size, AT_ONCE):
        rows[at : at + AT_ONCE] = draw_faces(centres[groups[at : at + AT_ONCE]], rng)
    known = rng.integers(0, people, n_queries)
    whom = np.where(np.arange(n_queries) % 2, people + np.arange(n_queries), known)
    queries = draw_faces(centres[whom], rng)
    return Gallery(rows, groups, queries, best_rows(rows, queries))


def draw_faces(centres: Float32, rng: np.random.Generator) -> Float32:
    noise = rng.standard_normal(centres.shape, np.float32) / np.float32(np.sqrt(DIM))
    return unit(np.sqrt(GENUINE_COSINE) * centres + np.sqrt(1 - GENUINE_COSINE) * noise)


def unit(vectors: Array) -> Float32:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def best_rows(rows: Float32, queries: Float32) -> Ints:
    turned = queries.T.astype(np.float64)
    scores = np.empty((len(queries), len(rows)))
    for at in range(0, len(rows), AT_ONCE):
        scores[:, at : at + AT_ONCE] = (rows[at : at + AT_ONCE].astype(np.float64) @ turned).T
    best = np.argpartition(-scores, K, axis=1)[:, : K + 1]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)[:, :K]
    return np.take_along_axis(best, order, 1)


def open_engines(gallery: Gallery) -> dict[str, Engine]:
    rows, groups = gallery.rows, gallery.groups
    ours = {p: measured(lambda p=p: open_search(rows, p)) for p in ("float32", "int8")}
    flat = measured(lambda: open_faiss_flat(rows))
    codes = measured(lambda: open_faiss_codes(rows))
    wide = measured(lambda: open_usearch(rows, np.asarray))
    narrow = measured(lambda: open_usearch(to_int8(rows), as_int8))
    engines = {f"mien {p}": Engine(find_rows(search), p, mib) for p, (search, mib) in ours.items()}
    engines |= {
        "faiss flat": Engine(flat[0], "float32", flat[1]),
        "usearch float32": Engine(wide[0], "float32", wide[1]),
        "faiss int8": Engine(codes[0], "int8", codes[1]),
        "usearch int8": Engine(narrow[0], "int8", narrow[1]),
    }
    return engines | {
        f"mien {p} people": Engine(find_people(search, groups), p, mib, is_grouped=True)
        for p, (search, mib) in ours.items()
    }


def find_rows(search: ExactSearch) -> Find:
    return lambda queries: search.search(queries, K)[0]


def find_people(search: ExactSearch, groups: Ints) -> Find:
    return lambda queries: search.search_grouped(queries, K, groups)[1]


def open_faiss_flat(rows: Float32) -> Find:
    index = faiss.IndexFlatIP(DIM)
    index.add(rows)
    return lambda queries: index.search(queries, K)[1]


def open_faiss_codes(rows: Float32) -> Find:
    signed = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexScalarQuantizer(DIM, signed, faiss.METRIC_INNER_PRODUCT)
    scale = np.float32(127 / np.abs(rows).max())
    for at in range(0, len(rows), AT_ONCE):
        index.add(np.rint(rows[at : at + AT_ONCE] * scale))
    return lambda queries: index.search(as_codes(queries), K)[1]


def open_usearch(stored: Array, prepare: Callable[[Float32], Array]) -> Find:
    def find(queries: Float32) -> Ints:
        ready = prepare(queries)
        found = usearch_search(stored, ready, K, MetricKind.IP, exact=True, threads=1)
        return found.keys.reshape(len(queries), -1)

    return find


def to_int8(rows: Float32) -> Array:
    codes = np.empty(rows.shape, np.int8)
    scale = np.float32(127 / np.abs(rows).max())
    for at in range(0, len(rows), AT_ONCE):
        codes[at : at + AT_ONCE] = np.rint(rows[at : at + AT_ONCE] * scale)
    return codes


def as_codes(queries: Float32) -> Float32:
    """Whole numbers from -127 to 127, a step of its own for each query."""
    return np.rint(queries * (127 / np.abs(queries).max(axis=1, keepdims=True)))


def as_int8(queries: Float32) -> Array:
    return as_codes(queries).astype(np.int8)


def measured(opening: Callable[[], Any]) -> tuple[Any, float]:
    """What was opened, and MiB that the process has grown by."""
    before = resident_mib()
    opened = opening()
    return opened, round(resident_mib() - before, 1)


def resident_mib() -> float:
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 2**20


def recall(found: Ints, truth: Ints, k: int) -> float:
    """Share of the true best k that are among the first k found."""
    pairs = zip(found[:, :k].astype(np.int64), truth[:, :k], strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in pairs]))


def run_size(size: int, n_queries: int, seed: int) -> dict[str, Any]:
    gallery = draw_gallery(size, n_queries, seed)
    engines = open_engines(gallery)
    queries = gallery.queries
    batch = queries[np.arange(BATCH) % n_queries]
    single = timed_in_turn(
        {n: lambda i, e=e: e.find(queries[i : i + 1]) for n, e in engines.items()}, n_queries, 3
    )
    many = timed_in_turn(
        {n: lambda _, e=e: e.find(batch) for n, e in engines.items()}, BATCH_REPEATS
    )
    rows = [
        describe(name, engine, gallery, single[name], many[name])
        for name, engine in engines.items()
    ]
    found = [engines[name].find(queries) for name in ("mien float32", "mien int8")]
    return {
        "size": size,
        "rows_mib": round(gallery.rows.nbytes / 2**20, 1),
        "engines": rows,
        "ratios": [ratios(rows, kind) for kind in ("float32", "int8")],
        "is_int8_equal_to_float32": bool(np.array_equal(*found)),
    }


def describe(
    name: str, engine: Engine, gallery: Gallery, single: Timing, many: Timing
) -> dict[str, Any]:
    record: dict[str, Any] = {"engine": name, "kind": engine.kind}
    record |= {"query": single.as_record(), "batch": many.as_record()}
    record |= {"queries_per_s": round(1e3 * BATCH / many.median_ms, 1)}
    record |= {"memory_mib": engine.memory_mib, "is_grouped": engine.is_grouped}
    if not engine.is_grouped:
        found = engine.find(gallery.queries)
        record |= {f"recall_at_{k}": recall(found, gallery.truth, k) for k in (1, K)}
    return record


def ratios(rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Our time by that of the fastest rival of the same kind; below 1 we are faster."""
    same = {r["engine"]: r for r in rows if r["kind"] == kind and not r["is_grouped"]}
    ours = same.pop(f"mien {kind}")
    result: dict[str, Any] = {"kind": kind}
    for what in ("query", "batch"):
        for clock in ("median_ms", "cpu_ms"):
            best = min(same.values(), key=lambda r: r[what][clock])
            result[f"{what}_{clock}"] = round(ours[what][clock] / best[what][clock], 3)
            result[f"{what}_{clock}_rival"] = best["engine"]
    return result


def print_size(result: dict[str, Any], console: Console) -> None:
    titles = (
        "engine", "query ms", "10-90 %", "CPU ms", f"batch {BATCH} ms", "CPU ms", "queries/s",
        "recall@1", f"recall@{K}", "MiB",
    )  # fmt: skip
    table = Table(*titles, title=f"{result['size']:,} templates, {result['rows_mib']} MiB of rows")
    for row in result["engines"]:
        query, batch = row["query"], row["batch"]
        spread = f"{query['low_ms']:.2f}-{query['high_ms']:.2f}"
        shares = [
            f"{row[key]:.4f}" if key in row else "" for key in ("recall_at_1", "recall_at_10")
        ]
        table.add_row(
            row["engine"], f"{query['median_ms']:.2f}", spread, f"{query['cpu_ms']:.2f}",
            f"{batch['median_ms']:.1f}", f"{batch['cpu_ms']:.1f}", f"{row['queries_per_s']:.0f}",
            *shares, f"{row['memory_mib']:.0f}",
        )  # fmt: skip
    console.print(table)
    for ratio in result["ratios"]:
        words = (
            f"{what} {ratio[f'{what}_{clock}']} ({clock[:-3]}, {ratio[f'{what}_{clock}_rival']})"
            for what in ("query", "batch")
            for clock in ("median_ms", "cpu_ms")
        )
        console.print(f"ours / best rival, {ratio['kind']}: {', '.join(words)}")
    console.print(f"int8 and float32 find the same: {result['is_int8_equal_to_float32']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    console = Console(width=None if sys.stdout.isatty() else 140)
    about = machine()
    console.print(f"{about['cpu']}, one thread, commit {about['commit']}")
    open_search(np.eye(DIM, dtype=np.float32), "int8")  # what is imported late shall not be counted
    sizes = []
    for size in options.sizes:
        sizes.append(run_size(size, options.queries, options.seed))
        print_size(sizes[-1], console)
    if options.out:
        settings = {"dim": DIM, "k": K, "batch": BATCH, "genuine_cosine": GENUINE_COSINE}
        settings |= {"queries": options.queries, "seed": options.seed}
        write_json(options.out, {"machine": about, "settings": settings, "sizes": sizes})
    return 0


if __name__ == "__main__":
    sys.exit(main())
