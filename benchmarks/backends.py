"""Galleries in a file, in Milvus Lite and in PostgreSQL, beside each other on the same templates.

Run ``python -m benchmarks.backends [--size 20000] [--queries 50] [--searches 500] [--out FILE]``.
Templates as in ``benchmarks.search``: 128 numbers, ten a person, every second query an enrolled
person's. PostgreSQL is started from the wheel ``pgserver``, with its settings as they come. One
thread here; the servers may use more. The galleries take turns at every query.

* build: enrolling everybody in calls of 2,000, and the first search, seconds. PostgreSQL builds its
  graph at the end, Milvus Lite at each flush.
* query: `search_grouped` for three people, milliseconds.
* missed: share of enrolled people's queries that do not put the truly nearest person first, which
  is what approximate search adds to FNIR.
* recall: share of the true best ten templates among the ten found; the truth is in float64.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, Timing, machine, timed_in_turn, write_json
from benchmarks.search import DIM, Gallery, K, draw_gallery
from mien.core.errors import MienError
from mien.core.keys import new_key
from mien.gallery.backends.milvus import MilvusIndex
from mien.gallery.backends.postgres import PostgresIndex
from mien.gallery.index import GalleryIndex, Template
from mien.gallery.sqlite import SqliteIndex

PEOPLE = 3
AT_ONCE = 2000
PACKAGES = ("pymilvus", "milvus-lite", "psycopg", "pgvector", "pgserver")


def start_postgres(folder: Path, stack: ExitStack) -> str:
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # pgserver keeps a lock there
    import pgserver
    import psycopg

    server = stack.enter_context(pgserver.get_server(folder / "d", cleanup_mode="delete"))
    address = f"postgresql://postgres@/postgres?host={server.pgdata}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    return address


def openers(folder: Path, address: str) -> dict[str, Callable[[], GalleryIndex]]:
    lite = str(folder / "faces.db")
    return {
        "SQLite": lambda: SqliteIndex(folder / "people.gallery", key=new_key()),
        "Milvus Lite": lambda: MilvusIndex(lite, "exact"),
        "Milvus Lite, hnsw": lambda: MilvusIndex(lite, "graph", ann="hnsw"),
        "PostgreSQL": lambda: PostgresIndex(address, "exact"),
        "PostgreSQL, hnsw": lambda: PostgresIndex(address, "graph"),
    }


def templates_of(gallery: Gallery) -> list[Template]:
    pairs = enumerate(zip(gallery.rows, gallery.groups, strict=True))
    return [
        Template(f"{row}", f"{group}", vector, 50.0, "", "", (0, 0, 1, 1), "", "2026-11-24")
        for row, (vector, group) in pairs
    ]


def build(index: Any, templates: list[Template], query: Any, *, with_graph: bool) -> float:
    start = time.perf_counter()
    index.create("toy", DIM)
    for at in range(0, len(templates), AT_ONCE):
        index.upsert(templates[at : at + AT_ONCE])
    if with_graph:
        index.build_graph()
    index.search_grouped(query, PEOPLE)
    return time.perf_counter() - start


def recall(index: GalleryIndex, gallery: Gallery) -> float:
    found = [[int(hit.face_id) for hit in hits] for hits in index.search(gallery.queries, K)]
    pairs = zip(found, gallery.truth, strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / K for a, b in pairs]))


def missed(index: GalleryIndex, gallery: Gallery) -> float:
    """Share of enrolled people's queries whose best person is not the truly best one."""
    enrolled = gallery.queries[::2]
    found = [int(hits[0].person) for hits in index.search_grouped(enrolled, 1)]
    return float(np.mean(found != gallery.groups[gallery.truth[::2, 0]]))


def measure(size: int, n_queries: int, searches: int, seed: int) -> list[dict[str, Any]]:
    gallery = draw_gallery(size, searches, seed)
    templates, queries = templates_of(gallery), gallery.queries
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mien")))
        folder.chmod(0o700)
        address = start_postgres(folder, stack)
        indexes: dict[str, GalleryIndex] = {}
        rows: dict[str, dict[str, Any]] = {}
        for name, opener in openers(folder, address).items():
            index = opener()
            try:
                seconds = build(
                    index, templates, queries[:1], with_graph=name == "PostgreSQL, hnsw"
                )
            except (MienError, TypeError) as err:  # a gallery that is not to be had is left out
                print(f"{name}: left out ({err})", file=sys.stderr)
                continue
            stack.callback(index.close)
            indexes[name] = index
            rows[name] = {"gallery": name, "build_s": round(seconds, 2)}
        times = timed_in_turn(
            {
                name: lambda i, index=index: index.search_grouped(queries[i : i + 1], PEOPLE)
                for name, index in indexes.items()
            },
            n_queries,
            3,
        )
        for name, index in indexes.items():
            rows[name] |= describe(index, gallery, times[name])
    return list(rows.values())


def describe(index: GalleryIndex, gallery: Gallery, timing: Timing) -> dict[str, Any]:
    return {
        "query": timing.as_record(),
        f"recall_at_{K}": round(recall(index, gallery), 4),
        "missed": round(missed(index, gallery), 4),
        "faults": index.verify(),
    }


def print_rows(rows: list[dict[str, Any]], size: int, console: Console) -> None:
    table = Table(
        "gallery", "build s", "query ms", "10-90 %", f"recall@{K}", "missed", title=f"{size:,}"
    )
    for row in rows:
        query = row["query"]
        table.add_row(
            row["gallery"],
            f"{row['build_s']:.1f}",
            f"{query['median_ms']:.1f}",
            f"{query['low_ms']:.1f}-{query['high_ms']:.1f}",
            f"{row[f'recall_at_{K}']:.4f}",
            f"{row['missed']:.4f}",
        )
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--searches", type=int, default=500, help="for recall")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/0.1.0/backends.json")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    about = machine()
    about["versions"] |= {name: version(name) for name in PACKAGES}
    rows = measure(options.size, options.queries, options.searches, options.seed)
    print_rows(rows, options.size, console)
    settings = {"dim": DIM, "people": PEOPLE, "k": K, "size": options.size}
    settings |= {"queries": options.queries, "searches": options.searches, "seed": options.seed}
    write_json(options.out, {"machine": about, "settings": settings, "galleries": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
