"""Slow and literal clustering figures: every pair of items, every item against every other."""

import itertools
from collections import Counter


def together(labels, a, b):
    """Whether two items share a cluster; -1 is alone, but every item is with itself."""
    return a == b or (labels[a] == labels[b] and labels[a] != -1)


def pairwise(truth, predicted):
    pairs = list(itertools.combinations(range(len(truth)), 2))
    found = {p for p in pairs if together(predicted, *p)}
    true = {p for p in pairs if together(truth, *p)}
    both = len(found & true)
    return both / len(found) if found else 1.0, both / len(true) if true else 1.0


def bcubed(truth, predicted):
    items = range(len(truth))
    precision, recall = [], []
    for a in items:
        cluster = {b for b in items if together(predicted, a, b)}
        person = {b for b in items if together(truth, a, b)}
        precision.append(len(cluster & person) / len(cluster))
        recall.append(len(cluster & person) / len(person))
    return sum(precision) / len(precision), sum(recall) / len(recall)


def purity(truth, predicted):
    truth = spread(truth)
    clusters = {}
    for person, cluster in zip(truth, spread(predicted), strict=True):
        clusters.setdefault(cluster, []).append(person)
    return sum(Counter(c).most_common(1)[0][1] for c in clusters.values()) / len(truth)


def spread(labels):
    """Give each -1 a label of its own."""
    return [1000 + i if label == -1 else label for i, label in enumerate(labels)]
