"""Slow and literal error rates, one pair at a time, in float64."""

import itertools
import math


def accepted(scores, threshold):
    return sum(1 for s in scores if s > -math.inf and s >= threshold)


def rates_at(genuine, impostor, threshold):
    """(FMR, FNMR): accept when score >= threshold, and never a failure."""
    fmr = accepted(impostor, threshold) / len(impostor)
    return fmr, (len(genuine) - accepted(genuine, threshold)) / len(genuine)


def auc(genuine, impostor):
    """Share of (genuine, impostor) combinations in the right order, ties halved."""
    wins = [(g > i) + 0.5 * (g == i) for g, i in itertools.product(genuine, impostor)]
    return sum(wins) / len(wins)


def equal_error_rate(genuine, impostor):
    """Walk along the curve; where FNMR - FMR changes sign, solve for the crossing."""
    cuts = [*sorted({s for s in [*genuine, *impostor] if s > -math.inf}), math.inf]
    points = [(1.0, 0.0)] + [rates_at(genuine, impostor, t) for t in cuts]
    for (fmr0, fnmr0), (fmr1, fnmr1) in itertools.pairwise(points):
        if fnmr0 <= fmr0 and fnmr1 >= fmr1 and fmr0 - fnmr0 != fmr1 - fnmr1:
            share = (fmr0 - fnmr0) / ((fmr0 - fnmr0) - (fmr1 - fnmr1))
            return fmr0 + share * (fmr1 - fmr0)
    raise ValueError("the curve does not cross")


def best_tar(genuine, impostor, far):
    """The largest TAR over all thresholds whose FMR keeps to ``far``."""
    cuts = [*genuine, *impostor, *(math.nextafter(s, math.inf) for s in impostor), math.inf]
    allowed = [t for t in cuts if rates_at(genuine, impostor, t)[0] <= far]
    return max(accepted(genuine, t) / len(genuine) for t in allowed)


def best_accuracy(scores, same):
    """The highest accuracy that any one threshold reaches; failures are always wrong."""
    cuts = [s for s in scores if s > -math.inf] + [math.inf]
    return max(accuracy(scores, same, t) for t in cuts)


def accuracy(scores, same, threshold):
    right = [s > -math.inf and (s >= threshold) == y for s, y in zip(scores, same, strict=True)]
    return sum(right) / len(right)


def weighted_rates(scores, left, right, weight, threshold):
    """(FMR, FNMR) when person i counts weight[i] times."""
    totals = {True: 0, False: 0}
    passed = {True: 0, False: 0}
    for s, i, j in zip(scores, left, right, strict=True):
        w = weight[i] if i == j else weight[i] * weight[j]
        totals[i == j] += w
        passed[i == j] += w * (s >= threshold)
    return passed[False] / totals[False], 1 - passed[True] / totals[True]
