"""Whether two protected templates betray that they are of one person, from scores alone.

A linkage score is any number an attacker can compute from two templates protected with different
secrets. Mated scores are of one person, non-mated ones of two. How templates are protected, and
which attacks there are, is not known here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import RangeError
from mien.core.types import Float64
from mien.metrics._values import check_count, check_scores, record_of


@dataclass(frozen=True, slots=True, eq=False)
class Linkability:
    """How far scores tell mated pairs from non-mated ones; 0 is unlinkable, 1 fully linkable.

    Attributes:
        edges: (k + 1,) rising; bin i holds edges[i] <= score < edges[i + 1], the last its end too.
        local: (k,) D(s) of each bin: how much likelier mated than non-mated such a score is,
            p(mated | s) - p(non-mated | s), and 0 where it is not likelier.
        system: D_sys, the mean of D(s) over the mated scores.
        n_mated: Mated scores.
        n_non_mated: Non-mated scores.
    """

    edges: Float64
    local: Float64
    system: float
    n_mated: int
    n_non_mated: int

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


def linkability(
    mated: ArrayLike, non_mated: ArrayLike, *, bins: int = 100, omega: float = 1.0
) -> Linkability:
    """The local measure D(s) and the global measure D_sys.

    Densities are histograms of equal bins from the lowest to the highest score. D_sys is the sum
    over bins, the exact integral of such a density; the authors' script takes the trapezoid rule,
    which counts the outer bins by half. Finite samples push D_sys up: see `chance_linkability`.

    Source:
        Gomez-Barrero, Galbally, Rathgeb, Busch, "General framework to evaluate unlinkability in
        biometric template protection systems", IEEE TIFS 13(6), 2018, equations 5-8.

    Args:
        mated: (n,) finite scores of templates of one person, under different secrets.
        non_mated: (m,) finite scores of templates of two people, under different secrets.
        bins: Bins of the histograms.
        omega: p(mated) / p(non-mated) before a score is seen; 1 favours the attacker.

    Raises:
        ShapeError: If the scores are not numbers along one axis.
        RangeError: If there are none, one is not finite, or ``bins`` or ``omega`` is not positive.

    Example:
        >>> linkability([0.8, 0.9], [0.1, 0.2]).system
        1.0
        >>> linkability([0.1, 0.2], [0.1, 0.2]).system
        0.0
    """
    same, different = _check_finite(mated, "mated"), _check_finite(non_mated, "non-mated")
    prior = _check_omega(omega)
    edges = _edges(same, different, check_count(bins, "bins"))
    shares = [np.histogram(scores, edges)[0] / scores.size for scores in (same, different)]
    local = local_linkability(*shares, omega=prior)
    return Linkability(
        edges=edges,
        local=local,
        system=float(local @ shares[0]),
        n_mated=same.size,
        n_non_mated=different.size,
    )


def local_linkability(mated: Float64, non_mated: Float64, *, omega: float = 1.0) -> Float64:
    """D(s) of bins from the share of mated and of non-mated scores in each.

    D = 2·ω·LR / (1 + ω·LR) - 1 where ω·LR > 1, else 0; LR is the ratio of the shares. Where only
    mated scores fall it is 1, where none fall 0.
    """
    weighed = omega * mated
    total = weighed + non_mated
    difference = np.maximum(weighed - non_mated, 0.0)
    return np.divide(difference, total, out=np.zeros_like(total), where=total > 0)


def chance_linkability(
    mated: ArrayLike,
    non_mated: ArrayLike,
    *,
    bins: int = 100,
    omega: float = 1.0,
    repeats: int = 20,
    seed: int,
) -> float:
    """The D_sys that samples of these sizes show when nothing can be linked.

    The mean over shuffles of all scores among the two kinds. A D_sys near it is no evidence of
    linkage; the more scores and the fewer bins, the lower it is.

    Args:
        mated: As in `linkability`.
        non_mated: As in `linkability`.
        bins: As in `linkability`.
        omega: As in `linkability`.
        repeats: Shuffles.
        seed: Of the shuffles.

    Raises:
        ShapeError: As in `linkability`.
        RangeError: As in `linkability`, or if ``repeats`` is not positive.
    """
    same, different = _check_finite(mated, "mated"), _check_finite(non_mated, "non-mated")
    pooled = np.concatenate([same, different])
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(check_count(repeats, "repeats")):
        rng.shuffle(pooled)
        shuffled = linkability(pooled[: same.size], pooled[same.size :], bins=bins, omega=omega)
        values.append(shuffled.system)
    return float(np.mean(values))


def _edges(same: Float64, different: Float64, bins: int) -> Float64:
    low, high = min(same.min(), different.min()), max(same.max(), different.max())
    edges: Float64 = np.linspace(low, high, bins + 1)
    # Scores that are all equal, or nearly, have no room for that many bins.
    return edges if (np.diff(edges) > 0).all() else np.array([low, np.nextafter(high, np.inf)])


def _check_finite(values: ArrayLike, kind: str) -> Float64:
    scores = check_scores(values, f"{kind} scores")
    failures = int(np.isneginf(scores).sum())
    if failures:
        raise RangeError(
            what=f"{failures} {kind} scores are -inf",
            why="a linkage score compares two templates that exist",
            mend="pass the finite scores, and report failures to enrol beside the value",
        )
    return scores


def _check_omega(omega: float) -> float:
    if 0 < omega < np.inf:
        return float(omega)
    raise RangeError(
        what=f"omega is {omega}",
        why="it is the ratio of two probabilities that are not nought",
        mend="pass 1, or another positive number",
    )
