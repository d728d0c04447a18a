"""Average-linkage agglomeration over a sparse graph, with links and the same-photo prior.

A cluster consists of parts. Faces come together in parts by likeness, and parts are tied into
clusters by links: when a user says that the child and the adult are one person, either look goes
on attracting faces by itself, and neither spoils the other's average.
"""

import heapq

import numpy as np

from mien.core.types import Float32, Float64, Ints


class Merger:
    """Parts and clusters that become fewer. Of two that merge, that of the lower number survives.

    The score of two parts is the mean cosine over all pairs of their faces, less ``penalty`` times
    the share of the smaller part's faces that have a companion in the other: a face of the same
    photo. The mean is exact, from the sums of templates: mean(A, B) = sum(A)·sum(B) / (|A| |B|).

    Attributes:
        parts: (u,) for each part the one that it has merged into, itself at first.
    """

    def __init__(
        self,
        sums: Float64,
        counts: Ints,
        clusters: Ints,
        *,
        candidates: Ints,
        companions: Ints,
        cannot: Ints,
        threshold: float,
        penalty: float,
    ) -> None:
        """Take the graph in.

        Args:
            sums: (u, d) sum of the templates of each part; changed in place.
            counts: (u,) faces of each part.
            clusters: (u,) cluster of each part, 0 … c-1, each at least once.
            candidates: (m, 2) pairs of parts that may merge; repetitions do no harm.
            companions: (p, 2) parts of pairs of faces of one photo; repetitions are counted.
            cannot: (l, 2) pairs of clusters that must stay apart.
            threshold: Smallest score that merges.
            penalty: Cosine that a companion costs.
        """
        self.parts: Ints = np.arange(len(sums))
        self._sums = sums
        self._counts = counts.astype(np.float64)
        self._cluster = clusters.tolist()
        self._successor = list(range(max(self._cluster, default=-1) + 1))
        self._near = _neighbours(candidates, len(sums))
        self._companions = _count_neighbours(companions, len(sums))
        self._apart = _neighbours(cannot, len(self._successor))
        self._threshold = threshold
        self._penalty = penalty
        self._version = [0] * len(sums)
        self._heap: list[tuple[float, int, int, int, int]] = []

    def run(self) -> None:
        """Merge the most alike pair of parts, and again, until none reaches the threshold.

        Each part queues the best of its pairs only. When that is found out of date, or refused,
        the part looks for its best again. So the best pair of all is always at the head: the
        younger of its parts has seen it, and queues it or a better one.
        """
        for part in range(len(self._near)):
            self._queue_best(part)
        while self._heap:
            _, a, b, version_a, version_b = heapq.heappop(self._heap)
            if self._version[a] != version_a:
                continue
            if self._version[b] != version_b:
                self._queue_best(a)
            elif self._unite(a, b):
                self._merge(*sorted((a, b)))
            else:
                self._near[a].discard(b)
                self._near[b].discard(a)
                self._queue_best(a)

    def force(self) -> None:
        """Tie the most alike parts into one cluster, and again, until links forbid the rest."""
        parts = np.unique(self._followed())
        left, right = np.triu_indices(len(parts), 1)
        scores = [self._scores(a, parts[k + 1 :].tolist()) for k, a in enumerate(parts.tolist())]
        for pair in np.argsort(-np.concatenate(scores), kind="stable"):
            self._unite(int(parts[left[pair]]), int(parts[right[pair]]))

    def result(self) -> tuple[Ints, Ints]:
        """(u,) part and (u,) cluster that each part is in now."""
        parts = self._followed()
        return parts, np.array([self._root(part) for part in parts.tolist()], np.int64)

    def _followed(self) -> Ints:
        for part, into in enumerate(self.parts.tolist()):
            self.parts[part] = self.parts[into]  # lower, so it is final already
        return self.parts

    def _root(self, part: int) -> int:
        cluster: int = self._cluster[part]
        while self._successor[cluster] != cluster:
            cluster = self._successor[cluster]
        self._cluster[part] = cluster
        return cluster

    def _unite(self, a: int, b: int) -> bool:
        """Make the clusters of two parts one; whether they are."""
        keep, gone = sorted((self._root(a), self._root(b)))
        if gone in self._apart[keep]:
            return False
        if keep != gone:
            self._successor[gone] = keep
            _redirect(self._apart, keep, gone)
        return True

    def _queue_best(self, part: int) -> None:
        """Queue the best pair of one part, if it reaches the threshold."""
        if not self._near[part]:
            return
        others = sorted(self._near[part])
        scores = self._scores(part, others)
        best = int(scores.argmax())
        if scores[best] >= self._threshold:
            other, versions = others[best], self._version
            entry = (-float(scores[best]), part, other, versions[part], versions[other])
            heapq.heappush(self._heap, entry)

    def _scores(self, part: int, others: list[int]) -> Float64:
        rows = np.array(others, np.int64)
        sizes = self._counts[rows]
        scores: Float64 = self._sums[rows] @ self._sums[part] / (sizes * self._counts[part])
        shared = self._companions[part]
        if shared and self._penalty:
            met = np.array([shared.get(other, 0) for other in others])
            smaller = np.minimum(sizes, self._counts[part])
            scores -= self._penalty * np.minimum(1, met / smaller)
        return scores

    def _merge(self, a: int, b: int) -> None:
        self._sums[a] += self._sums[b]
        self._counts[a] += self._counts[b]
        self._version[a] += 1
        self._version[b] = -1
        self.parts[b] = a
        _redirect(self._near, a, b)
        self._redirect_companions(a, b)
        self._queue_best(a)

    def _redirect_companions(self, a: int, b: int) -> None:
        into, gone = self._companions[a], self._companions[b]
        into.pop(b, None)
        for other, met in gone.items():
            if other != a:
                into[other] = into.get(other, 0) + met
                self._companions[other].pop(b)
                self._companions[other][a] = into[other]
        gone.clear()


def sum_by_part(vectors: Float32, parts: Ints) -> Float64:
    """(u, d) sums of the rows of each part, in float64.

    Args:
        vectors: (n, d) templates, n >= 1.
        parts: (n,) numbers 0 … u-1, each at least once.
    """
    order = np.argsort(parts, kind="stable")
    starts = np.flatnonzero(np.diff(parts[order], prepend=-1))
    return np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)


def _neighbours(pairs: Ints, n: int) -> list[set[int]]:
    near: list[set[int]] = [set() for _ in range(n)]
    for a, b in pairs[pairs[:, 0] != pairs[:, 1]].tolist():
        near[a].add(b)
        near[b].add(a)
    return near


def _count_neighbours(pairs: Ints, n: int) -> list[dict[int, int]]:
    met: list[dict[int, int]] = [{} for _ in range(n)]
    for a, b in pairs[pairs[:, 0] != pairs[:, 1]].tolist():
        met[a][b] = met[b][a] = met[a].get(b, 0) + 1
    return met


def _redirect(near: list[set[int]], keep: int, gone: int) -> None:
    """Let one have the neighbours of another, which has none from then on."""
    for other in near[gone]:
        near[other].discard(gone)
        near[other].add(keep)
    near[keep] |= near[gone]
    near[keep] -= {keep, gone}
    near[gone] = set()
