"""What `benchmarks.clustering` compares: faces, ways to put them together, and scores."""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.files import write_atomically
from mien.core.optional import require
from mien.core.types import Array, Float32, Float64, Ints, UInt8
from mien.faces.pipeline import FacePipeline, Ok
from mien.gallery.cluster import ClusterConfig, IncrementalClusters, cluster_faces
from mien.media.image import load_image
from mien.metrics.clustering import clustering_scores

THRESHOLDS = [float(t) for t in np.round(np.arange(0.34, 0.601, 0.01), 2)]
Harm = Callable[[UInt8, np.random.Generator], UInt8]
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


def embed_folder(
    pipeline: FacePipeline, images: Path, cache: Path | None, *, harm: Harm | None = None
) -> Faces:
    """Main faces of all photos, each of its own photo; people are named by their folders."""
    files = sorted(images.rglob("*.jpg"))
    names = [str(file.relative_to(images)) for file in files]
    people = np.unique([file.parent.name for file in files], return_inverse=True)[1]
    key = "\n".join([pipeline.contract.id, str(harm is not None), *names])
    store = cache / f"{sha256(key.encode()).hexdigest()[:16]}.npz" if cache else None
    if store and store.exists():
        with np.load(store) as kept:
            vectors, quality = kept["vectors"], kept["quality"]
    else:
        vectors, quality = embed_files(pipeline, files, harm)
        if store:
            store.parent.mkdir(parents=True, exist_ok=True)
            (store.parent / ".gitignore").write_text("*\n")  # templates of people: never committed
            with write_atomically(store) as file:
                np.savez(file, vectors=vectors, quality=quality)
    return Faces(vectors, people, quality, np.arange(len(files)))


def embed_files(
    pipeline: FacePipeline, files: list[Path], harm: Harm | None
) -> tuple[Float32, Float32]:
    """(n, d) templates and (n,) qualities; NaN and 0 where there is no usable face."""
    vectors = np.full((len(files), pipeline.embedder.dim), np.nan, np.float32)
    quality = np.zeros(len(files), np.float32)
    rng = np.random.default_rng(0)
    sources = (harm(load_image(file).pixels, rng) for file in files) if harm else files
    for row, outcome in enumerate(pipeline.analyse_many(sources, workers=1, which="main")):
        if isinstance(outcome, Ok) and len(outcome.analysis.faces):
            vectors[row] = outcome.analysis.faces.embeddings[0]
            quality[row] = outcome.analysis.faces.quality.unified[0]
        if row % 500 == 499:
            print(f"{row + 1} of {len(files)} photos", file=sys.stderr)
    return vectors, quality


def harm(pixels: UInt8, rng: np.random.Generator) -> UInt8:
    """A fifth of photos made small, a tenth blurred, a tenth dark and noisy."""
    kind, (height, width) = rng.integers(10), pixels.shape[:2]
    if kind < 2:
        factor = rng.uniform(4, 8)
        small = cv2.resize(pixels, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    if kind == 2:
        return cv2.GaussianBlur(pixels, (0, 0), rng.uniform(2.5, 5))
    if kind == 3:
        dark = pixels * rng.uniform(0.08, 0.2) + rng.normal(0, 6, pixels.shape)
        return np.clip(dark, 0, 255).astype(np.uint8)
    return pixels


def cut_people(faces: Faces, seed: int) -> tuple[Faces, Faces]:
    """Two halves without a common person."""
    everybody = np.random.default_rng(seed).permutation(np.unique(faces.people))
    first = np.isin(faces.people, everybody[: everybody.size // 2])
    return faces.take(first), faces.take(~first)


def mix(known: Faces, strangers: Faces) -> Faces:
    """One folder of both; strangers are person -1."""
    return Faces(
        np.concatenate([known.vectors, strangers.vectors]),
        np.concatenate([known.people, np.full(len(strangers.people), -1)]),
        np.concatenate([known.quality, strangers.quality]),
        np.arange(len(known.people) + len(strangers.people)),
    )


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


def ours(faces: Faces, settings: dict[str, Any]) -> Ints:
    """Labels of the photos that have a face, as from every `Method`; -1 means alone."""
    config = replace(ClusterConfig(), **settings)
    found = faces.take(faces.found)
    return cluster_faces(found.vectors, found.photos, quality=found.quality, config=config).labels


def grow(faces: Faces) -> Ints:
    clusters = IncrementalClusters()
    for rows in np.array_split(np.arange(len(faces.people)), 10):
        clusters.add(faces.vectors[rows], faces.photos[rows], quality=faces.quality[rows])
    return clusters.clustering().labels


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
            threshold=[1.0, 0.8, 0.7, 0.66, 0.62, *THRESHOLDS[::4]],  # 1 is a floor of 0
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


def judge_known(people: Ints, labels: Ints) -> tuple[float, float, float]:
    """Pairwise precision, recall and F over pairs that hold a known person at least once."""
    everybody = np.where(people < 0, people.max() + 1, people)
    cells, mass, size = tabulate(everybody, labels)
    n_known = np.where(cells.person < size.size - 1, cells.n, 0)
    known = np.bincount(cells.cluster, n_known)
    both = (n_known * (n_known - 1) / 2).sum()
    found = (known * (known - 1) / 2 + known * (mass - known)).sum()
    true = (size[:-1] * (size[:-1] - 1) / 2).sum()
    precision, recall = both / found, both / true
    return float(precision), float(recall), harmonic(precision, recall)


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
    cells, _, size = tabulate(people, labels, weight.size)
    n, w = cells.n, weight[cells.person]
    mass = np.bincount(cells.cluster, w * n)
    both = (w * n * (n - 1) / 2).sum()
    false = ((mass**2).sum() - ((w * n) ** 2).sum()) / 2
    true = (weight * size * (size - 1) / 2).sum()
    items = (w * n).sum()
    others = mass[cells.cluster] - w * n
    cubed = (w * n * n / (n + others)).sum() / items, (w * n * n / size[cells.person]).sum() / items
    return harmonic(both / (both + false), both / true), harmonic(*cubed)


@dataclass(frozen=True)
class Cells:
    """Combinations of person and cluster that occur, and how often."""

    person: Ints
    cluster: Ints
    n: Ints


def tabulate(people: Ints, labels: Ints, n_people: int = 0) -> tuple[Cells, Ints, Ints]:
    """Cells, photos of each cluster and photos of each person; -1 is a cluster of its own."""
    alone = labels.max() + 1 + np.arange(labels.size)
    clusters = np.unique(np.where(labels < 0, alone, labels), return_inverse=True)[1]
    keys, n = np.unique(people * labels.size + clusters, return_counts=True)
    cells = Cells(keys // labels.size, keys % labels.size, n)
    return cells, np.bincount(clusters), np.bincount(people, minlength=n_people)


def harmonic(a: float, b: float) -> float:
    return float(2 * a * b / (a + b))
