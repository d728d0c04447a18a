"""Protected templates: what they cost in accuracy, what links them, what brings them back.

Run ``python -m benchmarks.protection --data DIR [--out FILE.json]``. DIR holds ``images/`` with a
folder for each person, and ``pairs.csv`` (columns left, right, same). Embeddings are kept in the
system's temporary folder, so that a second run does not embed.

The criteria, fixed before anything was measured. 95 % intervals come from drawing people.

1. *Accuracy*: the upper end of the loss in ten-fold accuracy is below 0.5 points.
2. *Unlinkability*: the upper end of D_sys between two secrets is below 0.05, for another photo of
   the person as for the same one (D_sys: Gomez-Barrero et al., 2018; 100 bins), pooled over all
   pairs of secrets.
3. *Irreversibility*, with the secret known (full disclosure, ISO/IEC 30136): the upper end of the
   share of reconstructions accepted against another photo, at the threshold of FMR 1e-3, is below
   10 %.

Chosen is, of the methods that meet 1 and 2, the one that meets 3 with the fewest numbers; if none
meets 3, the one with the least loss, and the fewest numbers after that: then all rests upon the
secret, and there is nothing to pay for.

All people share one secret, as a search without a claimed name needs. The loss is that under a
secret which the impostors' templates went through as well. Accuracy keeps each fold's threshold
during the draws; TAR and EER find their own in each. The draws are of people and of secrets. Draws
and small samples push D_sys up, so its upper end errs on the careful side; what a sample shows by
chance stands beside it.

Beyond the criteria: two stolen tables are linked by how their rows lie to one another, which no
score of two single templates shows; and templates are brought back without the secret, from m
known pairs of an original and its protected template (``photo``), or of a protected template and
another photo of the same person (``person``), as of people whose names are known.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.common import machine, write_json
from benchmarks.fusion import Pairs, embed_all, number_pairs, number_people, pair_people
from benchmarks.protection_methods import Method, Protect, methods, solve_waves, unit
from mien.core.types import Array, Bools, Float32, Float64, Ints
from mien.faces.pipeline import FacePipeline
from mien.metrics.folds import fold_accuracy
from mien.metrics.unlinkability import chance_linkability, linkability, local_linkability
from mien.metrics.verification import eer, tar_at_far

FARS = (1e-2, 1e-3)
MAX_LOSS, MAX_LINKED, MAX_REVERSED = 0.005, 0.05, 0.10
ACCURACY_SECRETS, LINK_SECRETS, ATTACK_SECRETS = 5, 10, 3
KNOWN_PAIRS = (16, 64, 128, 192, 256)
BINS = 100
PAIRS_AT_ONCE = 2**13
ROUNDS = 20  # of the linking of tables
SHARE = (2.5, 97.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and pairs.csv")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--replicates", type=int, default=300, help="draws of people")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="names of methods")
    options = parser.parse_args()
    data = load(options.data)
    chosen = [m for m in methods() if not options.only or m.name in options.only]
    rows = []
    for method in chosen:
        print(f"measuring {method.name}", file=sys.stderr)
        rows.append(measure(method, data, options.replicates, options.seed))
    result = {
        "machine": machine(),
        "settings": {
            "data": options.data.name,
            "seed": options.seed,
            "replicates": options.replicates,
            "secrets": [ACCURACY_SECRETS, LINK_SECRETS, ATTACK_SECRETS],
            "bins": BINS,
            "criteria": [MAX_LOSS, MAX_LINKED, MAX_REVERSED],
        },
        "sample": data.describe(),
        "methods": rows,
        "chosen": choose(rows),
    }
    show(result)
    if options.out:
        write_json(options.out, result)
    return 0


class Sample:
    """Templates of photos, and who is on them.

    Attributes:
        templates: (n, d) of all photos with a face.
        person: (n,) whose they are.
        listed: The pairs of the list.
        apart: All pairs of photos in the same tenth of the people.
        pair: (p, 2) two photos each of the p people who have two.
        is_public: (people,) the half of the people whose templates an attacker has from elsewhere.
        limit: Cosine of FMR 1e-3 between untransformed templates, over ``apart``.
    """

    def __init__(self, templates: Float32, names: list[str], listed: Pairs, contract: str) -> None:
        self.templates, self.contract = templates, contract
        self.person = number_people(names)
        self.listed, self.apart = listed, pair_people(names)
        starts = np.searchsorted(self.person, np.unique(self.person))
        photos = np.diff([*starts, len(names)])
        self.pair = np.stack([starts, starts + 1], axis=1)[photos > 1]
        self.is_public = np.random.default_rng(0).permutation(len(starts)) % 2 == 0
        scores = cosines(templates, self.apart)
        same = self.apart.same
        self.limit = tar_at_far(scores[same], scores[~same], 1e-3).threshold

    def describe(self) -> dict[str, Any]:
        """Sizes and the threshold, for the record."""
        return {
            "contract": self.contract,
            "photos": len(self.person),
            "people": len(self.is_public),
            "people_with_two": len(self.pair),
            "listed_pairs": len(self.listed.left),
            "genuine_pairs": int(self.apart.same.sum()),
            "impostor_pairs": int((~self.apart.same).sum()),
            "threshold_at_fmr_1e-3": self.limit,
        }


def load(folder: Path) -> Sample:
    names, listed = number_pairs(folder / "pairs.csv")
    pipeline = FacePipeline.open()
    kept = Path(tempfile.gettempdir()) / f"mien-protection-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    store = kept / f"{pipeline.contract.id}.npz"
    templates = embed_all(pipeline, [folder / "images" / name for name in names], store)
    if np.isnan(templates).any():
        raise SystemExit("a photo without a face: protection is measured on templates alone")
    return Sample(templates, names, listed, pipeline.contract.id)


def measure(method: Method, data: Sample, replicates: int, seed: int) -> dict[str, Any]:
    made = [method.make(secret(k), data.templates.shape[1]) for k in range(LINK_SECRETS)]
    return {
        "name": method.name,
        "numbers": method.width,
        "accuracy": judge_accuracy(made[:ACCURACY_SECRETS], data, replicates, seed),
        "unlinkability": judge_linkage(made, data, replicates, seed),
        "tables": link_tables(made, data, seed),
        "with_secret": judge_reversal(method, made, data, replicates, seed),
        "known_pairs": judge_known_pairs(made, data, seed),
    }


def secret(number: int) -> bytes:
    return hashlib.sha256(f"protection benchmark {number}".encode()).digest()


def cosines(templates: Float32, pairs: Pairs) -> Float64:
    """Scores as the search gives them: float64 products rounded to float32."""
    starts = range(0, len(pairs.left), PAIRS_AT_ONCE)
    parts = [
        row_cosines(templates[pairs.left[at:to]], templates[pairs.right[at:to]])
        for at, to in ((at, at + PAIRS_AT_ONCE) for at in starts)
    ]
    return np.concatenate(parts).astype(np.float32).astype(float)


def judge_accuracy(made: list[Protect], data: Sample, replicates: int, seed: int) -> dict[str, Any]:
    """Losses against untransformed templates; positive is worse."""
    tables = [data.templates] + [protect(data.templates) for protect in made]
    points, draws = [], []
    for table in tables:
        point, drawn = rates(table, data, replicates, seed)
        points.append(point)
        draws.append(drawn)
    point, drawn = np.array(points), np.stack(draws)  # (1 + s, 4), (1 + s, r, 4)
    better = np.array([1, 1, 1, -1])  # a higher equal error rate is a loss
    loss = (point[:1] - point[1:]) * better
    rng = np.random.default_rng([seed, 1])
    picked = rng.integers(1, len(tables), (replicates, len(made)))
    spread = drawn[0] - drawn[picked, np.arange(replicates)[:, None]].mean(axis=1)
    low, high = np.percentile(spread * better, SHARE, axis=0)
    names = ["accuracy", *(f"tar_at_far_{far:g}" for far in FARS), "eer"]
    return {
        name: {
            "untransformed": float(point[0, k]),
            "mean": float(point[1:, k].mean()),
            "worst_secret": float(point[1:, k].min() if better[k] > 0 else point[1:, k].max()),
            "loss": float(loss[:, k].mean()),
            "low": float(low[k]),
            "high": float(high[k]),
        }
        for k, name in enumerate(names)
    }


def rates(table: Float32, data: Sample, replicates: int, seed: int) -> tuple[Array, Array]:
    """(4,) accuracy, TAR at both rates and EER; (r, 4) the same over draws of people."""
    listed, apart = cosines(table, data.listed), cosines(table, data.apart)
    same = data.apart.same
    folds = fold_accuracy(listed, data.listed.same, data.listed.fold)
    limits = np.array(folds.thresholds)[data.listed.fold]
    right = (listed >= limits) == data.listed.same
    tars = [tar_at_far(apart[same], apart[~same], far).tar for far in FARS]
    point = [folds.mean, *tars, eer(apart[same], apart[~same]).rate]
    order = np.argsort(-apart, kind="stable")
    ends = np.flatnonzero(np.diff(apart[order], append=-np.inf))
    rows = [
        [
            np.average(right, weights=pair_weights(data.listed, weight)),
            *curve(pair_weights(data.apart, weight)[order], same[order], ends),
        ]
        for weight in draw_people(len(data.is_public), replicates, seed)
    ]
    return np.array(point), np.array(rows)


def curve(weight: Ints, same: Bools, ends: Ints) -> list[float]:
    """TAR at both rates and EER of weighted pairs from the best score down; cuts at ``ends``."""
    genuine = np.cumsum(weight * same)[ends] / (weight * same).sum()
    impostor = np.cumsum(weight * ~same)[ends] / (weight * ~same).sum()
    tars = [float(genuine[impostor <= far].max(initial=0)) for far in FARS]
    gap = np.concatenate([[1.0], 1 - genuine - impostor])  # FNMR - FMR, falling to -1
    after = int(np.argmax(gap <= 0))
    passed = np.concatenate([[0.0], impostor])
    part = gap[after - 1] / (gap[after - 1] - gap[after])
    return [*tars, float(passed[after - 1] + part * (passed[after] - passed[after - 1]))]


def draw_people(people: int, replicates: int, seed: int) -> Ints:
    """(r, people) how often each was drawn."""
    chances = np.full(people, 1 / people)
    return np.random.default_rng(seed).multinomial(people, chances, size=replicates)


def pair_weights(pairs: Pairs, weight: Ints) -> Ints:
    left, right = weight[pairs.left_person], weight[pairs.right_person]
    return np.where(pairs.same, left, left * right)


def judge_linkage(made: list[Protect], data: Sample, replicates: int, seed: int) -> dict[str, Any]:
    """D_sys of the cosine between templates of two secrets, pooled over all pairs of secrets."""
    tables = [protect(data.templates) for protect in made]
    every = np.arange(len(data.person))
    genuine = np.flatnonzero(data.listed.same)
    one, two = data.listed.left[genuine], data.listed.right[genuine]
    mated = {
        "same_photo": (every, every),
        "other_photo": (np.concatenate([one, two]), np.concatenate([two, one])),
    }
    rng = np.random.default_rng([seed, 2])
    left = np.tile(every, 2)
    right = np.array([pick_stranger(data.person, k, rng) for k in left])
    strangers = cross_scores(tables, left, right)
    result = {}
    for name, (a, b) in mated.items():
        scores = cross_scores(tables, a, b)
        found = linkability(scores.ravel(), strangers.ravel(), bins=BINS)
        alone = [linkability(s, t, bins=20).system for s, t in zip(scores, strangers, strict=True)]
        chance = [
            chance_linkability(s, t, bins=20, repeats=5, seed=seed)
            for s, t in zip(scores, strangers, strict=True)
        ]
        people = (data.person[a], data.person[left], data.person[right])
        drawn = draw_people(len(data.is_public), replicates, seed)
        draws = draw_linkage(scores, strangers, people, found.edges, drawn)
        result[name] = {
            "d_sys": found.system,
            "high": float(np.percentile(draws, SHARE[1])),
            "by_chance": chance_linkability(
                scores.ravel(), strangers.ravel(), bins=BINS, repeats=5, seed=seed
            ),
            "largest_d": float(found.local.max()),
            "n_mated": found.n_mated,
            "n_non_mated": found.n_non_mated,
            "worst_pair_of_secrets": {"d_sys": max(alone), "by_chance": max(chance), "bins": 20},
            "mean_mated": float(scores.mean()),
            "mean_non_mated": float(strangers.mean()),
        }
    return result


def pick_stranger(person: Ints, photo: int, rng: np.random.Generator) -> int:
    while True:
        other = int(rng.integers(len(person)))
        if person[other] != person[photo]:
            return other


def cross_scores(tables: list[Float32], left: Ints, right: Ints) -> Float64:
    """(pairs of secrets, n) cosines of a template under one secret and one under another."""
    return np.stack([row_cosines(a[left], b[right]) for a, b in combinations(tables, 2)])


def draw_linkage(
    mated: Float64,
    strangers: Float64,
    people: tuple[Ints, Ints, Ints],
    edges: Float64,
    drawn: Ints,
) -> list[float]:
    """D_sys over draws of people; the bins stay."""
    bins = len(edges) - 1
    own, left, right = people

    def histogram(scores: Float64, columns: int) -> Float64:
        """(columns, bins) scores of each column of all pairs of secrets."""
        place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
        flat = np.arange(columns) * bins + place
        return np.bincount(flat.ravel(), minlength=columns * bins).reshape(columns, bins)

    one, two = histogram(mated, len(own)), histogram(strangers, len(left))
    values = []
    for weight in drawn:
        p, q = weight[own] @ one, (weight[left] * weight[right]) @ two
        values.append(float(local_linkability(p / p.sum(), q / q.sum()) @ (p / p.sum())))
    return values


def link_tables(made: list[Protect], data: Sample, seed: int) -> dict[str, Any]:
    """Share of people found again in a second stolen table, by how its rows lie to one another.

    A first guess compares each row's sorted cosines to its table's other rows; then, in turn, an
    orthogonal map is fitted to the best guesses and rows are matched by it.
    """
    one, two = data.templates[data.pair[:, 0]], data.templates[data.pair[:, 1]]
    result = {"people": len(one), "by_chance": 1 / len(one)}
    for name, second in (("same_photo", one), ("other_photo", two)):
        first_guess, refined = [], []
        for k in range(ATTACK_SECRETS):
            shuffle = np.random.default_rng([seed, 3, k]).permutation(len(one))
            a, b = made[2 * k](one), made[2 * k + 1](second[shuffle])
            score = -profile_distances(a, b)
            truth = np.argsort(shuffle)
            first_guess.append(float((score.argmax(axis=1) == truth).mean()))
            refined.append(float((refine(a, b, score).argmax(axis=1) == truth).mean()))
        result[name] = {
            "by_profile": float(np.mean(first_guess)),
            "refined": float(np.mean(refined)),
            "refined_each": refined,
        }
    return result


def profile_distances(a: Float32, b: Float32) -> Float64:
    """(n, n) distances between the sorted rows of cosines of two tables."""
    x, y = (np.sort(table.astype(float) @ table.T.astype(float), axis=1) for table in (a, b))
    squares = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
    return np.sqrt(np.maximum(squares, 0))


def refine(a: Float32, b: Float32, score: Float64) -> Float64:
    # In the space of their own rows wide tables keep their cosines, and the fit is small.
    x, y = (table.astype(float) @ np.linalg.qr(table.T.astype(float))[0] for table in (a, b))
    for _ in range(ROUNDS):
        there, back = score.argmax(axis=1), score.argmax(axis=0)
        mutual = np.flatnonzero(back[there] == np.arange(len(x)))
        score = x @ fit_orthogonal(x[mutual], y[there[mutual]]) @ y.T
    return score


def fit_orthogonal(known: Array, wanted: Array) -> Float64:
    """(d', d) the map with orthonormal rows or columns that brings the known nearest the wanted."""
    left, _, right = np.linalg.svd(known.T.astype(float) @ wanted, full_matrices=False)
    return left @ right


def fit_linear(known: Float32, wanted: Float32) -> Float64:
    """(d', d) least squares with a little ridge; the smaller of its two forms is solved."""
    rows = known.astype(float)
    m, width = rows.shape
    ridge = 1e-3 * (rows * rows).sum() / width
    if m < width:
        return rows.T @ np.linalg.solve(rows @ rows.T + ridge * np.eye(m), wanted)
    return np.linalg.solve(rows.T @ rows + ridge * np.eye(width), rows.T @ wanted)


def judge_reversal(
    method: Method, made: list[Protect], data: Sample, replicates: int, seed: int
) -> dict[str, Any]:
    """What comes back with the secret: a map learnt on other people's faces, then the solver."""
    public = data.is_public[data.person]
    found = []
    for k, protect in enumerate(made[:ATTACK_SECRETS]):
        table = protect(data.templates)
        guess = table.astype(float) @ fit_linear(table[public], data.templates[public])
        if method.strength:
            guess = unit(guess).astype(float)
            guess[~public] = solve_waves(secret(k), method, guess[~public], table[~public])
        found.append(unit(guess))
    return describe_reversal(found, data, replicates, seed)


def describe_reversal(
    found: list[Float32], data: Sample, replicates: int, seed: int
) -> dict[str, Any]:
    """Likeness to the originals, and acceptance against another photo, of the private half."""
    private = np.flatnonzero(~data.is_public[data.person])
    pairs = np.flatnonzero(data.listed.same & ~data.is_public[data.listed.left_person])
    left, right = data.listed.left[pairs], data.listed.right[pairs]
    likeness = np.mean([row_cosines(x[private], data.templates[private]) for x in found])
    other = data.templates[right]
    accepted = np.stack([row_cosines(x[left], other) >= data.limit for x in found])
    original = row_cosines(data.templates[left], other) >= data.limit
    people = data.listed.left_person[pairs]
    weights = draw_people(len(data.is_public), replicates, seed)[:, people]
    draws = weights @ accepted.mean(axis=0) / weights.sum(axis=1)
    low, high = np.percentile(draws, SHARE)
    return {
        "cosine": float(likeness),
        "accepted": float(accepted.mean()),
        "low": float(low),
        "high": float(high),
        "original_accepted": float(original.mean()),
        "pairs": len(pairs),
        "people": len(np.unique(people)),
    }


def row_cosines(a: Float32, b: Float32) -> Float64:
    return np.einsum("nd,nd->n", a, b, dtype=float)


def judge_known_pairs(made: list[Protect], data: Sample, seed: int) -> dict[str, Any]:
    """What comes back of the private half without the secret, from m known pairs of the public."""
    photos = np.flatnonzero(data.is_public[data.person])
    people = data.pair[data.is_public[data.person[data.pair[:, 0]]]]
    sources = {"photo": np.stack([photos, photos], axis=1), "person": people}
    return {
        name: [judge_known(made, data, pairs, m, seed) for m in KNOWN_PAIRS if m <= len(pairs)]
        for name, pairs in sources.items()
    }


def judge_known(
    made: list[Protect], data: Sample, pairs: Ints, m: int, seed: int
) -> dict[str, Any]:
    fits: dict[str, list[Float32]] = {"orthogonal": [], "linear": []}
    for k, protect in enumerate(made[:ATTACK_SECRETS]):
        table = protect(data.templates)
        drawn = np.random.default_rng([seed, 4, k]).choice(len(pairs), m, replace=False)
        stolen, own = table[pairs[drawn, 0]], data.templates[pairs[drawn, 1]]
        fits["orthogonal"].append(unit(table @ fit_orthogonal(stolen, own)))
        fits["linear"].append(unit(table @ fit_linear(stolen, own)))
    row: dict[str, Any] = {"known": m}
    for name, found in fits.items():
        told = describe_reversal(found, data, 2, seed)
        row[name] = {"cosine": told["cosine"], "accepted": told["accepted"]}
    return row


def choose(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The criteria of the docstring, applied."""
    for row in rows:
        linked = max(row["unlinkability"][k]["high"] for k in ("same_photo", "other_photo"))
        row["meets"] = {
            "accuracy": row["accuracy"]["accuracy"]["high"] < MAX_LOSS,
            "unlinkability": linked < MAX_LINKED,
            "irreversibility": row["with_secret"]["high"] < MAX_REVERSED,
        }
    fit = [row for row in rows if row["meets"]["accuracy"] and row["meets"]["unlinkability"]]
    kept = [row for row in fit if row["meets"]["irreversibility"]]
    if kept:
        name = min(kept, key=lambda row: row["numbers"])["name"]
    else:
        cost = [(row["accuracy"]["accuracy"]["high"], row["numbers"], row["name"]) for row in fit]
        name = min(cost)[2] if cost else None
    return {"method": name, "is_irreversible": bool(kept)}


def show(result: dict[str, Any]) -> None:
    sample = result["sample"]
    print(
        f"{sample['photos']} photos of {sample['people']} people, {sample['listed_pairs']} listed "
        f"pairs, {sample['genuine_pairs']} genuine and {sample['impostor_pairs']} impostor pairs; "
        f"{ACCURACY_SECRETS} secrets"
    )
    plain = result["methods"][0]["accuracy"]
    words = [f"{name} {one['untransformed']:.2%}" for name, one in plain.items()]
    print("untransformed: " + "  ".join(words))
    print("\nloss against untransformed templates, in points [95 %]")
    for row in result["methods"]:
        words = [f"{name} {loss_words(one)}" for name, one in row["accuracy"].items()]
        print(f"  {row['name']:14} {row['numbers']:5}  " + "  ".join(words))
    print("\nD_sys between two secrets (upper end), by chance; worst pair of secrets, by chance")
    for row in result["methods"]:
        print(f"  {row['name']:14} " + "  ".join(map(link_words, row["unlinkability"].items())))
    print("\nlinking two stolen tables: share of people found, by profile and refined")
    for row in result["methods"]:
        table = row["tables"]
        words = [
            f"{kind} {table[kind]['by_profile']:.1%}, {table[kind]['refined']:.1%}"
            for kind in ("same_photo", "other_photo")
        ]
        print(f"  {row['name']:14} " + "  ".join(words) + f"  of {table['people']} people")
    print("\nreconstruction with the secret: cosine, accepted at FMR 1e-3 [95 %]")
    for row in result["methods"]:
        told = row["with_secret"]
        print(
            f"  {row['name']:14} {told['cosine']:.3f}  {told['accepted']:.1%} "
            f"[{told['low']:.1%}, {told['high']:.1%}], originals {told['original_accepted']:.1%} "
            f"({told['pairs']} pairs)"
        )
    print("\nreconstruction without the secret, from known pairs: better of two fits, accepted")
    for row in result["methods"]:
        words = [
            f"{kind} " + " ".join(f"{one['known']}: {best_fit(one):.1%}" for one in ones)
            for kind, ones in row["known_pairs"].items()
        ]
        print(f"  {row['name']:14} " + "  ".join(words))
    print("\ncriteria met")
    for row in result["methods"]:
        print(f"  {row['name']:14} " + "  ".join(f"{k} {v}" for k, v in row["meets"].items()))
    print(f"chosen: {result['chosen']}")


def loss_words(one: dict[str, float]) -> str:
    loss, low, high = (round(100 * one[k], 2) + 0.0 for k in ("loss", "low", "high"))  # no -0.00
    return f"{loss:+.2f} [{low:+.2f}, {high:+.2f}]"


def link_words(item: tuple[str, dict[str, Any]]) -> str:
    name, one = item
    worst = one["worst_pair_of_secrets"]
    return (
        f"{name} {one['d_sys']:.4f} (< {one['high']:.4f}), {one['by_chance']:.4f}; "
        f"{worst['d_sys']:.3f}, {worst['by_chance']:.3f}"
    )


def best_fit(row: dict[str, Any]) -> float:
    return max(row["orthogonal"]["accepted"], row["linear"]["accepted"])


if __name__ == "__main__":
    sys.exit(main())
