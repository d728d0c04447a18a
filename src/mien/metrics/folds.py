"""Verification accuracy by cross-validation, in the manner of Labeled Faces in the Wild.

A threshold is chosen on all folds but one and judged on that one. Which pair is in which fold is
given, or drawn here; reading pairs from files is not done here.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Array, Bools, Float64, Ints
from mien.metrics._values import check_count, check_flags, check_labels, check_scores, record_of


@dataclass(frozen=True, slots=True)
class FoldAccuracy:
    """Accuracy over folds.

    Attributes:
        mean: Mean of the folds' accuracies, 0-1; every fold weighs the same.
        standard_error: Sample deviation over folds (k - 1 in its divisor) over the root of k.
        per_fold: Accuracy on each fold, in rising order of the folds' numbers.
        thresholds: The threshold each was judged at; +inf (null in records) if no pair of the
            other folds could be compared.
    """

    mean: float
    standard_error: float
    per_fold: tuple[float, ...]
    thresholds: tuple[float, ...]

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


def fold_accuracy(scores: ArrayLike, same: ArrayLike, folds: ArrayLike) -> FoldAccuracy:
    """Accuracy with the threshold chosen on the other folds.

    A pair that could not be compared (-inf) is wrong whatever the truth: else a detector that
    finds no face would be right about every pair of two people.

    Source:
        Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild", UMass TR 07-49, 2007,
        section 4. The paper leaves ties open; see `best_threshold`.

    Args:
        scores: (n,) similarities, finite or -inf; same is predicted for score >= threshold.
        same: (n,) booleans, true where both pictures show one person.
        folds: (n,) fold of each pair, whole numbers; at least two different ones.

    Raises:
        ShapeError: If lengths or types disagree.
        RangeError: If scores are out of range, or there is but one fold.
    """
    values = check_scores(scores, "scores")
    truth = check_flags(same, "same", length=values.size)
    fold_of = check_labels(folds, "folds", length=values.size)
    numbers = np.unique(fold_of)
    k = check_count(numbers.size, "number of folds", least=2)
    per_fold, thresholds = [], []
    for number in numbers:
        held_out = fold_of == number
        threshold = best_threshold(values[~held_out], truth[~held_out])
        per_fold.append(float(_is_right(values[held_out], truth[held_out], threshold).mean()))
        thresholds.append(threshold)
    return FoldAccuracy(
        mean=float(np.mean(per_fold)),
        standard_error=float(np.std(per_fold, ddof=1) / math.sqrt(k)),
        per_fold=tuple(per_fold),
        thresholds=tuple(thresholds),
    )


def best_threshold(scores: ArrayLike, same: ArrayLike) -> float:
    """A threshold that maximises accuracy.

    Accuracy is constant between neighbouring scores. Of the stretches with the highest accuracy
    the widest is taken, the lowest if several are, and its middle returned. Stretches end at the
    lowest and highest finite score.

    Args:
        scores: (n,) similarities, finite or -inf.
        same: (n,) booleans.

    Returns:
        A finite threshold; +inf if no score is finite.

    Raises:
        ShapeError: If lengths or types disagree.
        RangeError: If scores are out of range.

    Example:
        >>> best_threshold([0.0, 0.25, 0.75, 1.0], [False, False, True, True])
        0.5
    """
    values = check_scores(scores, "scores")
    truth = check_flags(same, "same", length=values.size)
    compared = np.isfinite(values)
    if not compared.any():
        return math.inf
    # Between cuts[i - 1] and cuts[i] all thresholds accept the same pairs.
    cuts = np.unique(values[compared])
    right = _right_counts(values[compared], truth[compared], cuts)
    lower = np.concatenate([cuts[:1], cuts])
    upper = np.concatenate([cuts, cuts[-1:]])
    best = np.concatenate([[False], right == right.max(), [False]])
    starts = np.flatnonzero(best[1:-1] & ~best[:-2])
    ends = np.flatnonzero(best[1:-1] & ~best[2:])
    widest = int(np.argmax(upper[ends] - lower[starts]))
    low, high = float(lower[starts[widest]]), float(upper[ends[widest]])
    middle = low + (high - low) / 2
    # A stretch is open at its lower end, except the first, which accepts everything.
    needs_step = starts[widest] > 0 and middle <= low
    return math.nextafter(low, math.inf) if needs_step else middle


def assign_folds(n_pairs: int, k: int = 10, *, groups: ArrayLike | None = None) -> Ints:
    """A fold for each pair.

    Without ``groups`` pair i goes to fold i modulo k. Published protocols bring their own folds
    (LFW's ten are blocks of 600 pairs); use those to compare with published figures.

    With ``groups`` no group is in two folds. Groups that meet in a pair are kept together, and
    the largest are placed first, each into the fold with the fewest pairs so far.

    Args:
        n_pairs: Number of pairs, at least k.
        k: Number of folds, at least 2.
        groups: (n_pairs,) one number for each pair, or (n_pairs, 2) the people on either side.

    Returns:
        (n_pairs,) folds 0 … k-1, none empty.

    Raises:
        ShapeError: If ``groups`` has another shape or is not of whole numbers.
        RangeError: If a count is too small, or the groups fall into fewer than k separate sets.

    Example:
        >>> assign_folds(5, 2).tolist()
        [0, 1, 0, 1, 0]
    """
    folds = check_count(k, "k", least=2)
    n = check_count(n_pairs, "n_pairs", least=folds)
    if groups is None:
        return np.arange(n) % folds
    sets = _separate_sets(_check_groups(groups, n))
    sizes = np.bincount(sets)
    if sizes.size < folds:
        raise RangeError(
            what=f"the pairs link their groups into {sizes.size} separate sets",
            why=f"{folds} folds without a shared group need at least as many",
            mend="ask for fewer folds, or draw impostor pairs inside folds of people",
        )
    fold_of_set = np.empty(sizes.size, np.int64)
    load = np.zeros(folds, np.int64)
    for number in np.argsort(-sizes, kind="stable"):
        fold_of_set[number] = np.argmin(load)
        load[fold_of_set[number]] += sizes[number]
    return fold_of_set[sets]


def _is_right(scores: Float64, same: Bools, threshold: float) -> Bools:
    correct: Bools = np.isfinite(scores) & ((scores >= threshold) == same)
    return correct


def _right_counts(scores: Float64, same: Bools, cuts: Float64) -> Ints:
    """(c + 1,) correct pairs at a threshold equal to each cut, and above the last."""
    genuine, impostor = np.sort(scores[same]), np.sort(scores[~same])
    rejected_impostors = np.searchsorted(impostor, cuts, side="left")
    accepted_genuine = genuine.size - np.searchsorted(genuine, cuts, side="left")
    return np.append(rejected_impostors + accepted_genuine, impostor.size)


def _check_groups(groups: ArrayLike, n_pairs: int) -> Array:
    array = np.asarray(groups)
    if array.shape not in {(n_pairs,), (n_pairs, 2)} or array.dtype.kind not in "iu":
        raise ShapeError(
            what=f"groups have shape {array.shape} and type {array.dtype}",
            why="each pair has one whole number, or one for either side",
            mend=f"pass whole numbers of shape ({n_pairs},) or ({n_pairs}, 2)",
        )
    return array.reshape(n_pairs, -1)


def _separate_sets(groups: Array) -> Ints:
    """(n,) number of the connected set that each pair's groups belong to."""
    members = np.unique(groups, return_inverse=True)[1].reshape(groups.shape)
    pairs = [(int(row[0]), int(row[-1])) for row in members]
    parent = list(range(int(members.max()) + 1))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for left, right in pairs:
        parent[find(right)] = find(left)
    roots = np.array([find(left) for left, _ in pairs])
    return np.unique(roots, return_inverse=True)[1]
