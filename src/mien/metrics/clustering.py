"""How well found clusters agree with the true people.

All figures come from one contingency table, never from a list of pairs, so a hundred thousand
faces take a fraction of a second. Making clusters is the business of ``faces`` and ``gallery``.

A label of -1 means "alone", in the truth as in the prediction: each such item is a cluster of
its own, and no two of them belong together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.types import Array, Ints
from mien.metrics._values import check_count, check_labels, record_of


@dataclass(frozen=True, slots=True)
class Agreement:
    """Precision and recall with their harmonic mean, all 0-1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 if both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def as_record(self) -> dict[str, object]:
        """Precision, recall and F as JSON-ready values."""
        return record_of(self) | {"f1": self.f1}


@dataclass(frozen=True, slots=True)
class ClusteringScores:
    """Agreement of clusters with people.

    Attributes:
        pairwise: Over pairs of items: of those put together, how many belong together, and back.
        bcubed: Over items: the same for each item's own cluster, averaged. Large clusters weigh
            less here than in ``pairwise``.
        purity: Share of items that are of their cluster's most frequent person, 0-1; it is 1 if
            all are alone, so never read it by itself.
        adjusted_rand: Rand index corrected for chance; 1 is perfect, about 0 is chance.
        n_items: Items judged.
        n_clusters: Clusters found; items alone count as one each.
        n_people: True people, counted alike.
    """

    pairwise: Agreement
    bcubed: Agreement
    purity: float
    adjusted_rand: float
    n_items: int
    n_clusters: int
    n_people: int

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values, with F beside precision and recall."""
        pair, cubed = self.pairwise.as_record(), self.bcubed.as_record()
        return record_of(self) | {"pairwise": pair, "bcubed": cubed}


@dataclass(frozen=True, slots=True, eq=False)
class _Contingency:
    """How many items each met combination of person and cluster has.

    Attributes:
        cells: (c,) items in each combination that occurs.
        person: (c,) row of each.
        cluster: (c,) column of each.
        people: (p,) items of each person.
        clusters: (k,) items of each cluster.
    """

    cells: Ints
    person: Ints
    cluster: Ints
    people: Ints
    clusters: Ints


def clustering_scores(truth: ArrayLike, predicted: ArrayLike) -> ClusteringScores:
    """Every figure of this room at once.

    Source:
        B-cubed: Bagga, Baldwin, "Entity-based cross-document coreferencing using the vector space
        model", 1998, weighing all items alike. Adjusted Rand: Hubert, Arabie, "Comparing
        partitions", Journal of Classification 2, 1985.

    Args:
        truth: (n,) number of each item's person; -1 means alone.
        predicted: (n,) number of each item's cluster; -1 means alone.

    Raises:
        ShapeError: If they are not whole numbers, or their lengths disagree.
        RangeError: If there is no item.

    Example:
        >>> scores = clustering_scores([0, 0, 1, 1], [0, 0, 0, -1])
        >>> round(scores.pairwise.precision, 3), scores.pairwise.recall, scores.purity
        (0.333, 0.5, 0.75)
    """
    people = check_labels(truth, "truth")
    clusters = check_labels(predicted, "predicted", length=people.size)
    check_count(people.size, "number of items")
    table = _tabulate(people, clusters)
    return ClusteringScores(
        pairwise=_pairwise(table),
        bcubed=_bcubed(table),
        purity=_purity(table),
        adjusted_rand=_adjusted_rand(table),
        n_items=people.size,
        n_clusters=table.clusters.size,
        n_people=table.people.size,
    )


def count_clusters(labels: ArrayLike) -> int:
    """Number of clusters; each item labelled -1 counts as one.

    Raises:
        ShapeError: If labels are not whole numbers along one axis.

    Example:
        >>> count_clusters([0, 0, 7, -1, -1])
        4
    """
    return int(np.unique(_separate(check_labels(labels, "labels"))).size)


def _separate(labels: Ints) -> Ints:
    """Numbers 0 … k-1 in which every -1 has become a cluster of its own."""
    alone = labels == -1
    numbers = np.empty_like(labels)
    groups, numbers[~alone] = np.unique(labels[~alone], return_inverse=True)
    numbers[alone] = groups.size + np.arange(alone.sum())
    return numbers


def _tabulate(truth: Ints, predicted: Ints) -> _Contingency:
    rows, columns = _separate(truth), _separate(predicted)
    people, clusters = np.bincount(rows), np.bincount(columns)
    keys, cells = np.unique(rows * clusters.size + columns, return_counts=True)
    return _Contingency(cells, keys // clusters.size, keys % clusters.size, people, clusters)


def _pairs(counts: Array) -> int:
    """Unordered pairs within groups of these sizes."""
    return int((counts * (counts - 1) // 2).sum())


def _pairwise(table: _Contingency) -> Agreement:
    """Without a pair to judge there is no mistake: the share is then 1."""
    both, found, true = _pairs(table.cells), _pairs(table.clusters), _pairs(table.people)
    return Agreement(both / found if found else 1.0, both / true if true else 1.0)


def _bcubed(table: _Contingency) -> Agreement:
    squares = table.cells.astype(np.float64) ** 2
    n = table.people.sum()
    return Agreement(
        float((squares / table.clusters[table.cluster]).sum() / n),
        float((squares / table.people[table.person]).sum() / n),
    )


def _purity(table: _Contingency) -> float:
    largest = np.zeros(table.clusters.size, np.int64)
    np.maximum.at(largest, table.cluster, table.cells)
    return float(largest.sum() / table.people.sum())


def _adjusted_rand(table: _Contingency) -> float:
    """Two equal partitions give 1, also where chance alone could not differ."""
    both, found, true = _pairs(table.cells), _pairs(table.clusters), _pairs(table.people)
    total = _pairs(table.people.sum())
    if both == found == true:
        return 1.0
    # Whole numbers throughout: products of pair counts overflow 64 bits, Python's do not.
    return 2 * (both * total - found * true) / ((found + true) * total - 2 * found * true)
