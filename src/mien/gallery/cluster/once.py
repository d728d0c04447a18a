"""Putting the faces of a folder together, all at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.core.types import Float32, Ints
from mien.gallery.cluster._inputs import Rows, check_rows
from mien.gallery.cluster._merge import Merger, sum_by_part
from mien.gallery.cluster._pairs import find_candidates, same_photo_pairs
from mien.gallery.cluster.config import ClusterConfig
from mien.gallery.cluster.links import Links


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Faces put together by person: n faces, k clusters.

    Attributes:
        labels: (n,) each face's cluster; somebody met once is a cluster of one.
        clusters: (k,) the labels in use, rising. Found all at once they are 0 … k-1, by first face.
        sizes: (k,) faces of each cluster.
        representatives: (k,) row of the face to show: near its cluster's centre, and of good
            quality.
        cohesion: (k,) mean cosine over the pairs of each cluster; 1 for a cluster of one.
    """

    labels: Ints
    clusters: Ints
    sizes: Ints
    representatives: Ints
    cohesion: Float32

    def __len__(self) -> int:
        return len(self.clusters)

    def members(self, cluster: int) -> Ints:
        """Rows of one cluster, rising; none if there is no such cluster."""
        return np.flatnonzero(self.labels == cluster)


def cluster_faces(
    templates: ArrayLike,
    photos: ArrayLike,
    *,
    quality: ArrayLike | None = None,
    links: Links | None = None,
    config: ClusterConfig | None = None,
) -> Clustering:
    """Put the faces of each person together.

    The most alike two clusters are merged, by their average cosine, until no two reach the
    threshold. The result does not depend on the order of the faces, but for the numbering.

    Source:
        Average linkage: Sokal, Michener, "A statistical method for evaluating systematic
        relationships", 1958. We differ in three points: faces of one photo count against a merge,
        two poor faces do not vouch for each other, and only the most alike pairs are looked at
        (which changes nothing as long as no face has more than ``config.neighbours`` of them).

    Args:
        templates: (n, d) float, rows of length 1, of one pipeline.
        photos: (n,) whole numbers; faces of one photo share theirs.
        quality: (n,) unified quality, 0-100; None takes all for clear.
        links: What is known about pairs of rows.
        config: Settings.

    Raises:
        ShapeError: If the arrays do not fit together.
        RangeError: If a template is not of length 1, a quality not in 0-100, or a link names a
            row that does not exist.
        ConflictError: If links contradict each other; the message names the rows.

    Example:
        >>> faces = np.array([[1, 0], [0.96, 0.28], [0, 1]])
        >>> cluster_faces(faces, photos=[0, 1, 2]).labels.tolist()
        [0, 0, 1]
    """
    settings, known = config or ClusterConfig(), links or Links.of()
    faces = check_rows(templates, photos, quality)
    groups = known.groups(len(faces))
    order = faces.canonical_order()
    place = np.argsort(order)
    ordered = faces.take(order)
    _, clusters = regroup(
        ordered,
        parts=np.arange(len(faces)),
        clusters=number_by_first(groups[order]),
        candidates=pair_rows(ordered, settings),
        cannot=place[known.cannot],
        config=settings,
    )
    return describe(faces, number_by_first(clusters[place]))


def pair_rows(faces: Rows, config: ClusterConfig, *, start: int = 0) -> Ints:
    """Candidates for a merge among the faces, at least one of each pair from ``start`` on."""
    poor = faces.quality < config.clear_quality
    most = config.neighbours
    return find_candidates(faces.vectors, config.threshold, most, poor=poor, start=start)


def regroup(
    faces: Rows,
    *,
    parts: Ints,
    clusters: Ints,
    candidates: Ints,
    cannot: Ints,
    config: ClusterConfig,
    force: bool = False,
) -> tuple[Ints, Ints]:
    """Merge what is alike, beginning from given parts and clusters.

    Args:
        faces: n faces.
        parts: (n,) the faces' parts, 0 … u-1, each at least once.
        clusters: (n,) the faces' clusters, 0 … c-1, each at least once; the same within a part.
        candidates: (m, 2) rows.
        cannot: (l, 2) rows.
        config: Settings.
        force: Afterwards tie together what is not alike, too, as far as links allow.

    Returns:
        (n,) parts and (n,) clusters; of those that merged the lowest number survives.
    """
    if not len(faces):
        return parts, clusters
    _, first = np.unique(parts, return_index=True)
    merger = Merger(
        sum_by_part(faces.vectors, parts),
        np.bincount(parts),
        clusters[first],
        candidates=parts[candidates],
        companions=parts[same_photo_pairs(faces.photos)],
        cannot=clusters[cannot],
        threshold=config.threshold,
        penalty=config.same_photo_penalty,
    )
    merger.run()
    if force:
        merger.force()
    new_parts, new_clusters = merger.result()
    return new_parts[parts], new_clusters[parts]


def number_by_first(values: Ints) -> Ints:
    """Numbers 0, 1, … for the distinct values, in order of their first appearance.

    Example:
        >>> number_by_first(np.array([7, 3, 7, 5])).tolist()
        [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def describe(faces: Rows, labels: Ints) -> Clustering:
    """A clustering with what can be said about each cluster."""
    clusters, units, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if not len(faces):
        return Clustering(labels, clusters, sizes, clusters, np.zeros(0, np.float32))
    sums = sum_by_part(faces.vectors, units)
    squares = (sums**2).sum(1)
    pairs = sizes * (sizes - 1)
    cohesion = np.where(pairs, (squares - sizes) / np.maximum(pairs, 1), 1.0)
    centres = sums / np.sqrt(np.maximum(squares, 1e-12))[:, None]
    typical = (faces.vectors * centres[units]).sum(1) * faces.quality
    best = np.lexsort((-typical, units))
    return Clustering(
        labels=labels,
        clusters=clusters,
        sizes=sizes,
        representatives=best[np.searchsorted(units[best], np.arange(len(clusters)))],
        cohesion=cohesion.astype(np.float32),
    )
