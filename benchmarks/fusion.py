"""Does a second embedder help? SFace alone, dlib alone, and both fused, on the same faces.

Run ``python -m benchmarks.fusion --data DIR [--out FILE.json] [--weights 2 1]``. DIR holds
``images/`` with a folder for each person, and ``pairs.csv`` with the columns left, right, same
(1 or 0; paths relative to ``images/``). With ``--out``, embeddings are kept in the folder
``embeddings`` beside the file, so that a second run takes seconds.

Two protocols, each with ten folds; fold i is scored by a fusion fitted on the other nine:

* ``listed``: the pairs of ``pairs.csv``, dealt out in turn. Accuracy is comparable with published
  figures of the LFW kind. A person may be met in several folds, for such lists can seldom be cut.
* ``people``: people are dealt into ten groups, and all pairs within a group are compared. Nobody
  is in two folds, and there are enough impostors to speak of small false accept rates.

An image without a usable face scores -inf in all its pairs: never accepted, and wrong in accuracy.
Intervals come from drawing people, not pairs, 95 %; each draw finds its own threshold. ``gain`` is
the difference from the first embedder, pair by pair, over the same draws (accuracy: over folds).
"""

import argparse
import datetime
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mien
from mien.core.files import sha256_of, write_atomically
from mien.core.types import Array, Bools, Float32, Float64, Ints
from mien.faces.align import fit_alignment
from mien.faces.fusion import fit_fusion
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline, Ok
from mien.media.image import load_image
from mien.metrics.folds import FoldAccuracy, assign_folds, fold_accuracy
from mien.metrics.verification import eer, tar_at_far
from mien.systems.recognition.verification import read_pairs

FOLDS = 10
FARS = (1e-2, 1e-3, 1e-4)
SAVE_EVERY = 200
TIMED_FACES = 20


@dataclass(frozen=True)
class Pairs:
    """Pairs of images, by row: who and what is on either side, and the fold."""

    left: Ints
    right: Ints
    left_person: Ints
    right_person: Ints
    fold: Ints

    @property
    def same(self) -> Bools:
        """Whether both sides are one person."""
        return self.left_person == self.right_person


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and pairs.csv")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--embedders", nargs="+", default=["sface", "dlib"])
    parser.add_argument("--weights", nargs="+", type=float, help="of the fusion; equal by default")
    parser.add_argument("--replicates", type=int, default=500, help="draws of people")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    summary = summarise(options)
    print_tables(summary)
    if options.out:
        with write_atomically(options.out) as file:
            file.write(json.dumps(summary, indent=1, allow_nan=False).encode() + b"\n")
    return 0


def summarise(options: argparse.Namespace) -> dict[str, Any]:
    names, listed = number_pairs(options.data / "pairs.csv")
    files = [options.data / "images" / name for name in names]
    embedders, columns = [], []
    for name in options.embedders:
        pipeline = FacePipeline.open(PipelineConfig(embedder=name))
        store = (
            options.out.parent / "embeddings" / f"{pipeline.contract.id}.npz"
            if options.out
            else None
        )
        embeddings = embed_all(pipeline, files, store)
        columns.append(embeddings)
        embedders.append(
            {
                "name": name,
                "contract": pipeline.contract.id,
                "images": len(files),
                "without_face": int(np.isnan(embeddings).any(1).sum()),
                "cpu_ms_a_face": round(time_embedder(pipeline, files), 1),
            }
        )
    protocols = {"listed": listed, "people": pair_people(names)}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "mien": mien.__version__,
        "data": options.data.name,
        "weights": options.weights,
        "seed": options.seed,
        "replicates": options.replicates,
        "embedders": embedders,
        "protocols": {
            name: judge(pairs, columns, options, with_accuracy=name == "listed")
            for name, pairs in protocols.items()
        },
    }


def number_pairs(path: Path) -> tuple[list[str], Pairs]:
    """Images in the order of their names, and the listed pairs."""
    rows = read_pairs(path)
    left, right = [row.left for row in rows], [row.right for row in rows]
    names = sorted({*left, *right})
    number = {name: k for k, name in enumerate(names)}
    person = number_people(names)
    a, b = (np.array([number[name] for name in side]) for side in (left, right))
    pairs = Pairs(a, b, person[a], person[b], assign_folds(len(rows), FOLDS))
    if (pairs.same != np.array([row.same for row in rows])).any():
        raise SystemExit(f"{path}: the folders of the images and the column 'same' disagree")
    return names, pairs


def number_people(names: list[str]) -> Ints:
    return np.unique([str(Path(name).parent) for name in names], return_inverse=True)[1]


def pair_people(names: list[str]) -> Pairs:
    """All pairs of images whose people are in the same fold."""
    person = number_people(names)
    fold = assign_folds(len(names), FOLDS, groups=person)
    left, right = np.triu_indices(len(names), 1)
    inside = fold[left] == fold[right]
    left, right = left[inside], right[inside]
    return Pairs(left, right, person[left], person[right], fold[left])


def embed_all(pipeline: FacePipeline, files: list[Path], store: Path | None) -> Float32:
    """(n, d) templates of the main faces; a row of NaN where there is none."""
    keys = [sha256_of(path) for path in files]
    known = load_store(store)
    todo = {key: path for key, path in zip(keys, files, strict=True) if key not in known}
    outcomes = pipeline.analyse_many(list(todo.values()), workers=1, which="main")
    for count, (key, outcome) in enumerate(zip(todo, outcomes, strict=True), 1):
        found = isinstance(outcome, Ok) and len(outcome.analysis.faces) > 0
        nothing = np.full(pipeline.embedder.dim, np.nan, np.float32)
        known[key] = outcome.analysis.faces.embeddings[0] if found else nothing
        if store and (count % SAVE_EVERY == 0 or count == len(todo)):
            print(f"{pipeline.embedder.name}: {count} of {len(todo)}", file=sys.stderr)
            with write_atomically(store) as file:
                np.savez(file, keys=list(known), rows=np.stack(list(known.values())))
    return np.stack([known[key] for key in keys])


def load_store(store: Path | None) -> dict[str, Array]:
    if store is None or not store.exists():
        return {}
    with np.load(store) as kept:
        return dict(zip(kept["keys"].tolist(), kept["rows"], strict=True))


def time_embedder(pipeline: FacePipeline, files: list[Path]) -> float:
    """Median CPU time of crop and template, without the detector, in milliseconds."""
    took = []
    for path in files[: TIMED_FACES + 1]:
        pixels = load_image(path).pixels
        (found,) = pipeline.detector.detect([pixels])
        for box, points in zip(found.boxes[:1], found.landmarks[:1], strict=True):
            alignment = fit_alignment(points)
            begin = time.process_time()
            pipeline.embedder.embed([pipeline.embedder.crop(pixels, box, alignment)])
            took.append(time.process_time() - begin)
    return 1e3 * float(np.median(took[1:]))  # the first warms up


def judge(
    pairs: Pairs,
    columns: Sequence[Float32],
    options: argparse.Namespace,
    *,
    with_accuracy: bool,
) -> dict[str, Any]:
    """The table of one protocol."""
    apart = np.stack([score(embeddings, pairs) for embeddings in columns], axis=1)
    fused = fuse_across_folds(apart, pairs, options.embedders, options.weights)
    systems = dict(zip([*options.embedders, "fused"], [*apart.T, fused], strict=True))
    draws = draw_tars(list(systems.values()), pairs, options.replicates, options.seed)
    table = {
        name: judge_system(scores, apart[:, 0], pairs.same, draws[:, [k, 0]])
        for k, (name, scores) in enumerate(systems.items())
    }
    if with_accuracy:
        accuracies = {k: fold_accuracy(v, pairs.same, pairs.fold) for k, v in systems.items()}
        for name, accuracy in accuracies.items():
            table[name] |= describe_accuracy(accuracy, accuracies[options.embedders[0]])
    return {
        "pairs": len(pairs.left),
        "genuine": int(pairs.same.sum()),
        "impostor": int((~pairs.same).sum()),
        "people": np.unique([pairs.left_person, pairs.right_person]).size,
        "not_compared": int(np.isneginf(apart).any(1).sum()),
        "systems": table,
    }


def score(embeddings: Float32, pairs: Pairs) -> Float64:
    cosine = np.einsum("nd,nd->n", embeddings[pairs.left], embeddings[pairs.right], dtype=float)
    return np.where(np.isnan(cosine), -np.inf, cosine)


def fuse_across_folds(
    scores: Float64, pairs: Pairs, names: list[str], weights: list[float] | None
) -> Float64:
    """(n,) fused scores, each fold by a fusion fitted on the impostors of the others."""
    fused = np.empty(len(scores))
    for fold in range(FOLDS):
        inside = pairs.fold == fold
        fusion = fit_fusion(scores[~inside & ~pairs.same], names, weights=weights)
        fused[inside] = fusion.fuse(scores[inside])
    return fused


def draw_tars(systems: list[Float64], pairs: Pairs, replicates: int, seed: int) -> Float64:
    """(r, systems, rates) TAR at each of `FARS` on samples of people drawn with replacement.

    Samples without any genuine, or any impostor, pair are left out.
    A genuine pair counts as often as its person was drawn, an impostor pair as often as the
    product of both (as in `metrics.subject_bootstrap`).
    """
    same = pairs.same
    people = int(max(pairs.left_person.max(), pairs.right_person.max())) + 1
    genuine_person = pairs.left_person[same]
    left, right = pairs.left_person[~same], pairs.right_person[~same]
    orders = [np.argsort(-scores[~same], kind="stable") for scores in systems]
    rng = np.random.default_rng(seed)
    tars = []
    for _ in range(replicates):
        weight = rng.multinomial(people, np.full(people, 1 / people))
        genuine, impostor = weight[genuine_person], weight[left] * weight[right]
        if not genuine.any() or not impostor.any():
            continue
        row = []
        for scores, order in zip(systems, orders, strict=True):
            passed = np.cumsum(impostor[order])
            kept_out = np.searchsorted(passed, np.array(FARS) * passed[-1], side="right")
            limits = scores[~same][order][kept_out]
            row.append([genuine[scores[same] > x].sum() / genuine.sum() for x in limits])
        tars.append(row)
    return np.array(tars)


def judge_system(scores: Float64, first: Float64, same: Bools, draws: Float64) -> dict[str, Any]:
    """Rates of one system, and its gain over the first; ``draws`` (r, 2, rates) are of both."""
    rows = []
    for k, far in enumerate(FARS):
        point = tar_at_far(scores[same], scores[~same], far)
        gain = point.tar - tar_at_far(first[same], first[~same], far).tar
        low, high = np.quantile(draws[:, 0, k], [0.025, 0.975])
        gain_low, gain_high = np.quantile(draws[:, 0, k] - draws[:, 1, k], [0.025, 0.975])
        row = {"low": low, "high": high, "gain": gain, "gain_low": gain_low, "gain_high": gain_high}
        rows.append(point.as_record() | {name: float(value) for name, value in row.items()})
    return {"eer": eer(scores[same], scores[~same]).rate, "tar": rows}


def describe_accuracy(accuracy: FoldAccuracy, first: FoldAccuracy) -> dict[str, Any]:
    gains = np.subtract(accuracy.per_fold, first.per_fold)
    return {
        "accuracy": accuracy.as_record(),
        "gain": float(gains.mean()),
        "gain_standard_error": float(gains.std(ddof=1) / np.sqrt(len(gains))),
    }


def print_tables(summary: dict[str, Any]) -> None:
    for one in summary["embedders"]:
        print(
            f"{one['name']:8} {one['contract']}  {one['images']} images, "
            f"{one['without_face']} without a face, {one['cpu_ms_a_face']} CPU ms a face"
        )
    for name, protocol in summary["protocols"].items():
        print(
            f"\n{name}: {protocol['genuine']} genuine and {protocol['impostor']} impostor pairs of "
            f"{protocol['people']} people, {protocol['not_compared']} not compared"
        )
        for system, row in protocol["systems"].items():
            print(f"  {system:8} EER {row['eer']:7.3%}{accuracy_words(row)}")
            for point in row["tar"]:
                print(f"    {tar_words(point)}")


def tar_words(point: dict[str, Any]) -> str:
    return (
        f"TAR at FAR {point['far_asked']:g}: {point['tar']:7.2%} "
        f"[{point['low']:.2%}, {point['high']:.2%}], gain {point['gain']:+.2%} "
        f"[{point['gain_low']:+.2%}, {point['gain_high']:+.2%}]"
        + ("" if point["supported"] else "  too few impostors for this rate")
    )


def accuracy_words(row: dict[str, Any]) -> str:
    if "accuracy" not in row:
        return ""
    accuracy = row["accuracy"]
    return (
        f", accuracy {accuracy['mean']:.2%} ± {accuracy['standard_error']:.2%}, "
        f"gain {row['gain']:+.2%} ± {row['gain_standard_error']:.2%}"
    )


if __name__ == "__main__":
    sys.exit(main())
