"""Are unknown people put together rightly? Ours against DBSCAN, HDBSCAN and Chinese Whispers.

Run ``python -m benchmarks.clustering --data DIR [--strangers DIR] [--out FILE.json]``. DIR holds
``images/`` with a folder for each person. Templates of the main faces are kept in a folder
(``--cache``, by default ``clustering_templates`` beside ``--out``), so that a second run is quick.

People are cut in two halves by a seed. Every method is tuned on the first half, by the mean of
pairwise and B-cubed F over a grid of its settings, and judged on the second; ``default`` is ours
as it ships. Clusterings are of photos: one without a face is a cluster of its own for everybody.
Intervals come from drawing people, 95 %; ``lead`` is the difference of ours (default) from a method
on the same draws. A draw holds fewer distinct people to be mixed up with, so intervals lie a
little high.

* ``splits``: the same with several cuts, each half in turn: what is luck of the cut evens out.
* ``strangers``: photos of other people in the folder, each taken for a person of its own where
  known people are concerned; pairs of strangers are not judged. Methods are tuned without strangers
  (a small folder) and, the quick ones, with half of them (a folder as large as the one judged).
* ``photos``: the prior that faces of one photo are rarely one person. Photos are composed on paper,
  two faces each: of people drawn at random, or of look-alikes (each face with the most similar face
  of another person: families). In 1 % of photos both faces are of one person.
* ``poor``: four in ten photos made small, blurred or dark before they are read, with several
  values of ``clear_quality``.
* ``pieces``: faces that come in 10 and in 100 pieces, before and after `rebuild`.
* ``scale``: seconds and peak memory on synthetic faces (``--scale 20000``).
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clustering_parts import (
    METHODS,
    THRESHOLDS,
    Faces,
    cut_people,
    dbscan,
    draw_faces,
    embed_folder,
    goodness,
    grow,
    harm,
    judge,
    judge_known,
    label_all,
    mix,
    ours,
    tune,
)
from benchmarks.common import machine, write_json
from mien.core.types import Ints
from mien.faces.pipeline import FacePipeline
from mien.gallery.cluster import ClusterConfig, IncrementalClusters
from mien.metrics.clustering import clustering_scores

PENALTIES = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]
CLEAR_QUALITIES = [0.0, 40.0, 50.0, 55.0, 60.0, 65.0, 70.0]
SAME_PERSON_PHOTOS = 0.01
COMPOSITIONS = 20
ORDERS = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/NAME/*.jpg")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--strangers", type=Path, help="folder of photos of other people")
    parser.add_argument("--cache", type=Path, help="folder of templates kept between runs")
    parser.add_argument("--splits", type=int, default=5, help="cuts of people into halves")
    parser.add_argument("--replicates", type=int, default=1000, help="draws of people")
    parser.add_argument("--scale", type=int, nargs="*", default=[], help="synthetic faces")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cache = options.cache or (options.out and options.out.parent / "clustering_templates")
    pipeline = FacePipeline.open()
    faces = embed_folder(pipeline, options.data / "images", cache)
    strangers = embed_folder(pipeline, options.strangers, cache) if options.strangers else None
    poor = embed_folder(pipeline, options.data / "images", cache, harm=harm)
    summary = {"contract": pipeline.contract.id, "machine": machine()}
    summary |= summarise(faces, strangers, poor, options)
    print_tables(summary)
    if options.out:
        write_json(options.out, summary)
    return 0


def summarise(
    faces: Faces, strangers: Faces | None, poor: Faces, options: argparse.Namespace
) -> dict[str, Any]:
    first, second = cut_people(faces, options.seed)
    methods = compare_methods(first, second, options)
    tuned = {row["name"]: row["settings"] for row in methods}
    return {
        "faces": len(faces.people),
        "without_face": int((~faces.found).sum()),
        "halves": [describe_half(half) for half in (first, second)],
        "seed": options.seed,
        "default": describe_config(ClusterConfig()),
        "methods": methods,
        "splits": compare_splits(faces, options),
        "strangers": compare_strangers(first, second, strangers, tuned) if strangers else [],
        "thresholds": sweep_thresholds(first),
        "photos": compare_priors(first, second, options),
        "poor": compare_clear_quality(poor, options.seed),
        "pieces": compare_pieces(second, options.seed),
        "scale": [measure_scale(n, options.seed) for n in options.scale],
    }


def describe_half(faces: Faces) -> dict[str, int]:
    return {"faces": len(faces.people), "people": np.unique(faces.people).size}


def describe_config(config: ClusterConfig) -> dict[str, float]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def compare_methods(
    first: Faces, second: Faces, options: argparse.Namespace
) -> list[dict[str, Any]]:
    chosen = [("ours, default", ours, {})]
    chosen += [(name, m, tune(m, choices, first)) for name, (m, choices) in METHODS.items()]
    reference = label_all(ours, second, {})
    draws = draw_people(second.people, options)
    rows = []
    for name, method, settings in chosen:
        begin = time.perf_counter()
        labels = label_all(method, second, settings)
        seconds = time.perf_counter() - begin
        judged = judge(second.people, labels, reference, draws)
        rows.append({"name": name, "settings": settings, "seconds": round(seconds, 3)} | judged)
    return rows


def compare_splits(faces: Faces, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Mean pairwise and B-cubed F over several cuts; each half is judged, tuned on the other."""
    results: dict[str, list[list[float]]] = {"ours, default": [], **{name: [] for name in METHODS}}
    for k in range(options.splits):
        halves = cut_people(faces, options.seed + k)
        for first, second in (halves, halves[::-1]):
            for name, values in results.items():
                method, choices = METHODS.get(name, (ours, [{}]))
                scores = clustering_scores(
                    second.people, label_all(method, second, tune(method, choices, first))
                )
                values.append([scores.pairwise.f1, scores.bcubed.f1])
    means = {name: np.mean(values, axis=0).tolist() for name, values in results.items()}
    return [{"name": k, "pairwise_f1": v[0], "bcubed_f1": v[1]} for k, v in means.items()]


def compare_strangers(
    first: Faces, second: Faces, strangers: Faces, tuned: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """How methods fare in a folder that holds many more people than they were tuned on."""
    half = np.arange(len(strangers.people)) % 2 == 0
    small, large = (mix(a, strangers.take(b)) for a, b in ((first, half), (second, ~half)))
    whole = mix(second, strangers)
    rows = []
    for name, settings in tuned.items():
        method, choices = METHODS.get(name, (ours, []))
        row: dict[str, Any] = {"name": name, "settings": settings}
        for size, faces in (("half", large), ("all", whole)):
            row[size] = judge_known(faces.people, label_all(method, faces, settings))
        if method in {ours, dbscan} and choices:
            labels = [label_all(method, small, c) for c in choices]
            best = int(np.argmax([judge_known(small.people, one)[2] for one in labels]))
            row["settings_retuned"] = choices[best]
            row["half_retuned"] = judge_known(large.people, label_all(method, large, choices[best]))
        rows.append(row)
    return rows


def draw_people(people: Ints, options: argparse.Namespace) -> Ints:
    """(r, p) how often each person counts; once in the first row, then as drawn."""
    n = int(people.max()) + 1
    present = np.bincount(people, minlength=n) > 0
    rng = np.random.default_rng(options.seed)
    drawn = rng.multinomial(present.sum(), present / present.sum(), size=options.replicates)
    return np.concatenate([present[None].astype(np.int64), drawn])


def sweep_thresholds(faces: Faces) -> list[dict[str, float]]:
    """How goodness depends on our threshold, at once and in ten pieces (first half)."""
    rows = []
    for threshold in THRESHOLDS:
        labels = label_all(ours, faces, {"threshold": threshold})
        grown = [pieces(faces, 10, seed, threshold)[0] for seed in range(ORDERS)]
        rows.append(
            {
                "threshold": threshold,
                "once": goodness(faces.people, labels),
                "ten_pieces": float(np.mean(grown)),
            }
        )
    return rows


def pieces(faces: Faces, count: int, seed: int, threshold: float) -> tuple[float, float]:
    """Goodness of faces that came in pieces, before and after a rebuild."""
    clusters = IncrementalClusters(replace(ClusterConfig(), threshold=threshold))
    found = np.flatnonzero(faces.found)
    order = np.random.default_rng(seed).permutation(found)
    for rows in np.array_split(order, count):
        clusters.add(faces.vectors[rows], faces.photos[rows], quality=faces.quality[rows])
    before = goodness(faces.people[order], clusters.clustering().labels)
    clusters.rebuild()
    return before, goodness(faces.people[order], clusters.clustering().labels)


def compare_pieces(faces: Faces, seed: int) -> list[dict[str, Any]]:
    threshold = ClusterConfig().threshold
    rows = []
    for count in (1, 10, 100):
        results = [pieces(faces, count, seed + k, threshold) for k in range(ORDERS)]
        grown, rebuilt = np.mean(results, axis=0).tolist()
        rows.append({"pieces": count, "grown": grown, "rebuilt": rebuilt})
    return rows


def compare_clear_quality(faces: Faces, seed: int) -> list[dict[str, Any]]:
    rows = []
    for least in CLEAR_QUALITIES:
        row: dict[str, Any] = {"clear_quality": least}
        for half, part in zip(("first", "second"), cut_people(faces, seed), strict=True):
            labels = label_all(ours, part, {"clear_quality": least})
            scores = clustering_scores(part.people, labels)
            row[half] = [scores.pairwise.f1, scores.bcubed.f1]
        rows.append(row)
    return rows


def compose_photos(faces: Faces, rng: np.random.Generator, *, alike: bool) -> Ints:
    """(n,) photos of two faces: of two people, or in a few of one person."""
    vectors = np.nan_to_num(faces.vectors)
    photos = np.full(len(faces.people), -1)
    n_same = round(SAME_PERSON_PHOTOS * len(photos) / 2)
    for number, row in enumerate(rng.permutation(len(photos))):
        free = np.flatnonzero(photos < 0)
        mates = free[(faces.people[free] == faces.people[row]) & (free != row)]
        others = free[faces.people[free] != faces.people[row]]
        if photos[row] >= 0:
            continue
        photos[row] = number
        if n_same and mates.size:
            n_same -= 1
            photos[rng.choice(mates)] = number
        elif others.size and alike:
            photos[others[(vectors[others] @ vectors[row]).argmax()]] = number
        elif others.size:
            photos[rng.choice(others)] = number
    return photos


def composed(faces: Faces, seed: int, *, alike: bool) -> Iterator[Faces]:
    for k in range(COMPOSITIONS):
        rng = np.random.default_rng([seed, k])
        yield replace(faces, photos=compose_photos(faces, rng, alike=alike))


def compare_priors(
    first: Faces, second: Faces, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Every penalty on both halves; choose on the first, read on the second."""
    rows = []
    for kind, penalty in itertools.product(("random", "alike"), PENALTIES):
        row: dict[str, Any] = {"photos": kind, "penalty": penalty}
        for half, faces in (("first", first), ("second", second)):
            results = []
            for photos in composed(faces, options.seed, alike=kind == "alike"):
                labels = label_all(ours, photos, {"same_photo_penalty": penalty})
                scores = clustering_scores(faces.people, labels)
                kept = share_kept(photos, labels)
                results.append([scores.pairwise.f1, scores.bcubed.f1, *kept])
            row[half] = np.mean(results, axis=0).tolist()
        rows.append(row)
    return rows


def share_kept(faces: Faces, labels: Ints) -> tuple[float, float]:
    """Of photos with one person twice, and of those with two people: the share put together."""
    order = np.argsort(faces.photos, kind="stable")
    pair = np.flatnonzero(np.diff(faces.photos[order]) == 0)
    a, b = order[pair], order[pair + 1]
    together = (labels[a] == labels[b]) & (labels[a] >= 0)
    same = faces.people[a] == faces.people[b]
    return float(together[same].mean()), float(together[~same].mean())


def measure_scale(n: int, seed: int) -> dict[str, Any]:
    """Seconds and memory of synthetic faces, each measurement in a fresh process."""
    row: dict[str, Any] = {"faces": n}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in ("nothing", "once", "pieces", "dbscan"):
            row[name] = pool.submit(run_scale, name, n, seed).result()
    return row


def peak_mib() -> int:
    """Peak memory of this process (Linux); ``getrusage`` would count the parent's as well."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def run_scale(name: str, n: int, seed: int) -> dict[str, float]:
    faces = draw_faces(n, seed)
    begin = time.perf_counter()
    labels = SCALE[name](faces)
    seconds = time.perf_counter() - begin
    peak = peak_mib()
    quality = goodness(faces.people, labels)
    return {"seconds": round(seconds, 2), "peak_mib": peak, "goodness": quality}


SCALE: dict[str, Callable[[Faces], Ints]] = {
    "nothing": lambda faces: faces.people,
    "once": lambda faces: ours(faces, {}),
    "pieces": grow,
    "dbscan": lambda faces: dbscan(faces, {"threshold": 0.5, "min_samples": 1}),
}


def print_tables(summary: dict[str, Any]) -> None:
    first, second = summary["halves"]
    print(
        f"{summary['faces']} photos, {summary['without_face']} without a face; tuned on "
        f"{first['people']} people, judged on {second['people']} others ({second['faces']} photos)"
    )
    for row in summary["methods"]:
        print(f"\n{row['name']} {row['settings'] or summary['default']}")
        for name in ("pairwise", "bcubed"):
            low, high = row[f"{name}_interval"]
            lead_low, lead_high = row[f"{name}_lead"]
            print(
                f"  {name:8} P {row[name]['precision']:.4f} R {row[name]['recall']:.4f} "
                f"F {row[name]['f1']:.4f} [{low:.4f}, {high:.4f}], "
                f"lead of ours [{lead_low:+.4f}, {lead_high:+.4f}]"
            )
        print(
            f"  {row['n_clusters']} clusters of {row['n_people']} people, {row['seconds']:.2f} s, "
            f"adjusted Rand {row['adjusted_rand']:.4f}"
        )
    print("\nmean over cuts of people: pairwise F, B-cubed F")
    for row in summary["splits"]:
        print(f"  {row['name']:16} {row['pairwise_f1']:.4f} {row['bcubed_f1']:.4f}")
    print("\nstrangers in the folder: pairwise precision, recall, F")
    for row in summary["strangers"]:
        for size in ("half", "all", "half_retuned"):
            if size in row:
                words = " ".join(f"{value:.4f}" for value in row[size])
                print(f"  {row['name']:16} {size:12} {words}")
        print(f"  {'':16} {row['settings']}, retuned {row.get('settings_retuned')}")
    print("\nfirst half, mean of both F by threshold: at once, in ten pieces")
    for row in summary["thresholds"]:
        print(f"  {row['threshold']:.2f}  {row['once']:.4f}  {row['ten_pieces']:.4f}")
    print("\nphotos composed of two faces: pairwise F, B-cubed F, put together of one / two people")
    for row in summary["photos"]:
        words = [
            f"{half} {row[half][0]:.4f} {row[half][1]:.4f} {row[half][2]:6.1%} {row[half][3]:6.2%}"
            for half in ("first", "second")
        ]
        print(f"  {row['photos']:6} penalty {row['penalty']:.2f}  {'   '.join(words)}")
    print("\npoor photos: pairwise F, B-cubed F by clear_quality")
    for row in summary["poor"]:
        words = [f"{half} {row[half][0]:.4f} {row[half][1]:.4f}" for half in ("first", "second")]
        print(f"  {row['clear_quality']:4.0f}  {'   '.join(words)}")
    print("\nsecond half in pieces: mean of both F, and after a rebuild")
    for row in summary["pieces"]:
        print(f"  {row['pieces']:3}  {row['grown']:.4f}  {row['rebuilt']:.4f}")
    for row in summary["scale"]:
        print(f"\n{row['faces']} synthetic faces: seconds, peak MiB, mean of both F")
        for name in SCALE:
            one = row[name]
            print(f"  {name:8} {one['seconds']:8.2f} {one['peak_mib']:6} {one['goodness']:.4f}")


if __name__ == "__main__":
    sys.exit(main())
