"""Are unknown people put together rightly? Ours against DBSCAN, HDBSCAN and Chinese Whispers.

Run ``python -m benchmarks.clustering --data DIR [--out FILE.json] [--cache FILE.npz]``. DIR holds
``images/`` with a folder for each person. Templates of the main faces are kept in the cache (by
default ``clustering_templates.npz`` beside ``--out``), so that a second run takes seconds.

People are cut in two halves by a seed. Every method is tuned on the first half, by the mean of
pairwise and B-cubed F over a grid of its settings, and judged on the second. ``default`` is ours
as it ships. A photo without a face is a cluster of its own for everybody. Intervals come from
drawing people, 95 %; ``lead`` is the difference of ours (default) from a method on the same draws.

Further tables, all on the second half but where said:

* ``photos``: the prior that faces of one photo are rarely one person. Photos are composed on paper,
  two faces each: of people drawn at random, or of look-alikes (each face with the most similar face
  of another person: families). In 1 % of photos both faces are of one person.
* ``pieces``: faces that come in 10 and in 100 pieces, before and after `rebuild`.
* ``scale``: seconds and peak memory on synthetic faces (``--scale 20000``; 0 leaves it out).
"""

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import machine, write_json
from mien.core.files import write_atomically
from mien.core.optional import require
from mien.core.types import Array, Float32, Float64, Ints
from mien.faces.pipeline import FacePipeline, Ok
from mien.gallery.cluster import ClusterConfig, IncrementalClusters, cluster_faces
from mien.metrics.clustering import clustering_scores

THRESHOLDS = [float(t) for t in np.round(np.arange(0.34, 0.601, 0.01), 2)]
PENALTIES = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]
SAME_PERSON_PHOTOS = 0.01
COMPOSITIONS = 5

Method = Callable[["Faces", dict[str, Any]], Ints]


@dataclass(frozen=True)
class Faces:
    """Main faces of photos: templates (NaN without a face), people by number, quality, photos."""

    vectors: Float32
    people: Ints
    quality: Float32
    photos: Ints

    def take(self, rows: Array) -> "Faces":
        """Some of them."""
        return Faces(self.vectors[rows], self.people[rows], self.quality[rows], self.photos[rows])

    @property
    def found(self) -> Array:
        """(n,) whether the photo has a usable face."""
        return np.isfinite(self.vectors[:, 0])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/NAME/*.jpg")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--cache", type=Path, help="templates kept between runs")
    parser.add_argument("--replicates", type=int, default=1000, help="draws of people")
    parser.add_argument("--scale", type=int, nargs="*", default=[20_000], help="synthetic faces")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    default_cache = options.out.parent / "clustering_templates.npz" if options.out else None
    faces, contract = embed_folder(options.data / "images", options.cache or default_cache)
    summary = summarise(faces, options) | {"contract": contract, "machine": machine()}
    print_tables(summary)
    if options.out:
        write_json(options.out, summary)
    return 0


def summarise(faces: Faces, options: argparse.Namespace) -> dict[str, Any]:
    first, second = cut_people(faces, options.seed)
    return {
        "faces": len(faces.people),
        "without_face": int((~faces.found).sum()),
        "halves": [describe_half(half) for half in (first, second)],
        "seed": options.seed,
        "default": describe_config(ClusterConfig()),
        "methods": compare_methods(first, second, options),
        "thresholds": sweep_thresholds(first),
        "photos": compare_priors(first, second, options),
        "pieces": compare_pieces(second, options.seed),
        "scale": [measure_scale(n, options.seed) for n in options.scale if n],
    }


def describe_half(faces: Faces) -> dict[str, int]:
    return {"faces": len(faces.people), "people": np.unique(faces.people).size}


def describe_config(config: ClusterConfig) -> dict[str, float]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def embed_folder(images: Path, cache: Path | None) -> tuple[Faces, str]:
    """Main faces of all photos, each of its own photo, and the id of the pipeline."""
    pipeline = FacePipeline.open()
    files = sorted(images.glob("*/*.jpg"))
    names = [str(file.relative_to(images)) for file in files]
    people = np.unique([file.parent.name for file in files], return_inverse=True)[1]
    stored = load_cache(cache, names, pipeline.contract.id)
    if stored is None:
        stored = embed_files(pipeline, files)
        if cache:
            with write_atomically(cache) as file:
                contract = pipeline.contract.id
                np.savez(file, names=names, contract=contract, vectors=stored[0], quality=stored[1])
    return Faces(stored[0], people, stored[1], np.arange(len(files))), pipeline.contract.id


def load_cache(
    cache: Path | None, names: list[str], contract: str
) -> tuple[Float32, Float32] | None:
    if cache is None or not cache.exists():
        return None
    with np.load(cache) as kept:
        fits = kept["names"].tolist() == names and str(kept["contract"]) == contract
        return (kept["vectors"], kept["quality"]) if fits else None


def embed_files(pipeline: FacePipeline, files: list[Path]) -> tuple[Float32, Float32]:
    vectors = np.full((len(files), pipeline.embedder.dim), np.nan, np.float32)
    quality = np.zeros(len(files), np.float32)
    for row, outcome in enumerate(pipeline.analyse_many(files, workers=1, which="main")):
        if isinstance(outcome, Ok) and len(outcome.analysis.faces):
            vectors[row] = outcome.analysis.faces.embeddings[0]
            quality[row] = outcome.analysis.faces.quality.unified[0]
        if row % 500 == 499:
            print(f"{row + 1} of {len(files)} photos", file=sys.stderr)
    return vectors, quality


def cut_people(faces: Faces, seed: int) -> tuple[Faces, Faces]:
    """Two halves without a common person."""
    everybody = np.random.default_rng(seed).permutation(np.unique(faces.people))
    first = np.isin(faces.people, everybody[: everybody.size // 2])
    return faces.take(first), faces.take(~first)


def ours(faces: Faces, settings: dict[str, Any]) -> Ints:
    """Labels of the photos that have a face, as from every `Method`; -1 means alone."""
    config = replace(ClusterConfig(), **settings)
    found = faces.take(faces.found)
    return cluster_faces(found.vectors, found.photos, quality=found.quality, config=config).labels


def dbscan(faces: Faces, settings: dict[str, Any]) -> Ints:
    sklearn = require("sklearn.cluster", extra="cluster")
    eps, least = 1 - settings["threshold"], settings["min_samples"]
    found = faces.vectors[faces.found]
    return sklearn.DBSCAN(eps=eps, min_samples=least, metric="cosine").fit_predict(found)


def hdbscan(faces: Faces, settings: dict[str, Any]) -> Ints:
    """With a floor under distances, so that clusters which part below it are not divided.

    That is what ``cluster_selection_epsilon`` is for; with NumPy 2.4 it raises a TypeError in
    scikit-learn up to 1.9 (its issue 33219).
    """
    sklearn = require("sklearn.cluster", extra="cluster")
    found = faces.vectors[faces.found].astype(np.float64)
    method = sklearn.HDBSCAN(
        metric="precomputed",
        min_cluster_size=settings["min_cluster_size"],
        min_samples=settings["min_samples"],
        cluster_selection_method=settings["selection"],
        copy=False,
    )
    return method.fit_predict(np.maximum(1 - found @ found.T, 1 - settings["threshold"]))


def chinese_whispers(faces: Faces, settings: dict[str, Any]) -> Ints:
    dlib = require("dlib", extra="dlib")
    found = faces.vectors[faces.found].astype(np.float64)
    radius = float(np.sqrt(2 - 2 * settings["threshold"]))
    descriptors = [dlib.vector(row) for row in found]
    return np.array(dlib.chinese_whispers_clustering(descriptors, radius))


def grid(**choices: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(choices, row, strict=True)) for row in itertools.product(*choices.values())]


METHODS: dict[str, tuple[Method, list[dict[str, Any]]]] = {
    "ours": (ours, grid(threshold=THRESHOLDS)),
    "DBSCAN": (dbscan, grid(threshold=THRESHOLDS, min_samples=[1, 2, 3])),
    "HDBSCAN": (
        hdbscan,
        grid(
            threshold=[1.0, *THRESHOLDS[::2]],  # 1 is a floor of 0
            min_cluster_size=[2, 3],
            min_samples=[1, 2, 3],
            selection=["eom", "leaf"],
        ),
    ),
    "Chinese Whispers": (chinese_whispers, grid(threshold=THRESHOLDS)),
}


def label_all(method: Method, faces: Faces, settings: dict[str, Any]) -> Ints:
    """Labels of all photos, -1 for those without a face."""
    labels = np.full(len(faces.people), -1)
    labels[faces.found] = method(faces, settings)
    return labels


def goodness(people: Ints, labels: Ints) -> float:
    """What methods are tuned by: the mean of pairwise and B-cubed F."""
    scores = clustering_scores(people, labels)
    return (scores.pairwise.f1 + scores.bcubed.f1) / 2


def tune(method: Method, choices: list[dict[str, Any]], faces: Faces) -> dict[str, Any]:
    """The best settings; of equal ones the middle, which is the safest."""
    results = np.array([goodness(faces.people, label_all(method, faces, c)) for c in choices])
    best = np.flatnonzero(results >= results.max() - 1e-12)
    return choices[int(best[len(best) // 2])]


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


def draw_people(people: Ints, options: argparse.Namespace) -> Ints:
    """(r, p) how often each person counts; once in the first row, then as drawn."""
    n = int(people.max()) + 1
    present = np.bincount(people, minlength=n) > 0
    rng = np.random.default_rng(options.seed)
    drawn = rng.multinomial(present.sum(), present / present.sum(), size=options.replicates)
    return np.concatenate([present[None].astype(np.int64), drawn])


def judge(people: Ints, labels: Ints, reference: Ints, draws: Ints) -> dict[str, Any]:
    """Scores with intervals, and the lead that the reference has."""
    own = np.array([weighted_f(people, labels, weight) for weight in draws])
    lead = np.array([weighted_f(people, reference, weight) for weight in draws]) - own
    scores = clustering_scores(people, labels)
    if not np.allclose(own[0], [scores.pairwise.f1, scores.bcubed.f1]):
        raise SystemExit("the weighted scores disagree with mien.metrics.clustering")
    return scores.as_record() | {
        f"{name}_{what}": np.quantile(values[1:, k], [0.025, 0.975]).tolist()
        for what, values in (("interval", own), ("lead", lead))
        for k, name in enumerate(("pairwise", "bcubed"))
    }


def weighted_f(people: Ints, labels: Ints, weight: Ints) -> tuple[float, float]:
    """Pairwise and B-cubed F when person p counts ``weight[p]`` times.

    A pair of one person counts w times, a pair of two people w·v times; copies of a person are
    not compared with each other (as in `metrics.subject_bootstrap`).
    """
    separate = np.where(labels < 0, labels.max() + 1 + np.arange(labels.size), labels)
    keys, n = np.unique(people * (separate.max() + 1) + separate, return_counts=True)
    person, cluster = keys // (separate.max() + 1), keys % (separate.max() + 1)
    w = weight[person]
    mass = np.bincount(cluster, w * n)
    size = np.bincount(people, minlength=weight.size)
    both = (w * n * (n - 1) / 2).sum()
    false = ((mass**2).sum() - ((w * n) ** 2).sum()) / 2
    true = (weight * size * (size - 1) / 2).sum()
    items = (w * n).sum()
    others = mass[cluster] - w * n
    cubed = (w * n * n / (n + others)).sum() / items, (w * n * n / size[person]).sum() / items
    return harmonic(both / (both + false), both / true), harmonic(*cubed)


def harmonic(a: float, b: float) -> float:
    return float(2 * a * b / (a + b))


def sweep_thresholds(faces: Faces) -> list[dict[str, float]]:
    """How goodness depends on our threshold, at once and in ten pieces (first half)."""
    rows = []
    for threshold in THRESHOLDS:
        labels = label_all(ours, faces, {"threshold": threshold})
        grown = [pieces(faces, 10, seed, threshold)[0] for seed in range(COMPOSITIONS)]
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
        results = [pieces(faces, count, seed + k, threshold) for k in range(COMPOSITIONS)]
        grown, rebuilt = np.mean(results, axis=0).tolist()
        rows.append({"pieces": count, "grown": grown, "rebuilt": rebuilt})
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


def run_scale(name: str, n: int, seed: int) -> dict[str, float]:
    faces = draw_faces(n, seed)
    begin = time.perf_counter()
    labels = SCALE[name](faces)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    quality = goodness(faces.people, labels)
    return {"seconds": round(seconds, 2), "peak_mib": round(peak), "goodness": quality}


def draw_faces(n: int, seed: int, *, dim: int = 128, likeness: float = 0.6) -> Faces:
    """People with few and with many faces: a heavy tail, the largest a tenth of all."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(np.ceil(rng.pareto(1.1, n)), n // 10).astype(np.int64)
    people = np.repeat(np.arange(n), sizes)[:n]
    centres = unit(rng.standard_normal((n, dim)))
    noise = unit(rng.standard_normal((n, dim)))
    vectors = np.sqrt(likeness) * centres[people] + np.sqrt(1 - likeness) * noise
    order = rng.permutation(n)
    quality = np.full(n, 100, np.float32)
    return Faces(unit(vectors)[order].astype(np.float32), people[order], quality, np.arange(n) // 2)


def unit(rows: Float64) -> Float64:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def grow(faces: Faces) -> Ints:
    clusters = IncrementalClusters()
    for rows in np.array_split(np.arange(len(faces.people)), 10):
        clusters.add(faces.vectors[rows], faces.photos[rows], quality=faces.quality[rows])
    return clusters.clustering().labels


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
