"""Slow and literal average linkage: all pairs of clusters, all pairs of faces, each time."""

import itertools

import numpy as np


def average_linkage(vectors, photos, threshold, penalty=0.0, cannot=()):
    """Sets of rows, merged best first, while the best score reaches the threshold."""
    vectors = np.asarray(vectors, np.float64)
    clusters = [{row} for row in range(len(vectors))]

    def score(a, b):
        if any((x in a and y in b) or (y in a and x in b) for x, y in cannot):
            return -np.inf
        pairs = list(itertools.product(a, b))
        mean = np.mean([vectors[i] @ vectors[j] for i, j in pairs])
        met = sum(photos[i] == photos[j] for i, j in pairs)
        return mean - penalty * min(1, met / min(len(a), len(b)))

    while len(clusters) > 1:
        best = max(itertools.combinations(clusters, 2), key=lambda pair: score(*pair))
        if score(*best) < threshold:
            break
        clusters = [c for c in clusters if c not in best] + [best[0] | best[1]]
    return {frozenset(cluster) for cluster in clusters}
