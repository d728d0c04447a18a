"""Slow and literal linkability, one score and one bin at a time."""


def histogram(scores, low, high, bins):
    """Share of the scores in each of the equal bins; the last holds its upper end."""
    counts = [0] * bins
    for score in scores:
        place = int((score - low) / (high - low) * bins)
        counts[min(place, bins - 1)] += 1
    return [count / len(scores) for count in counts]


def local(p_mated, p_non_mated, omega):
    """D(s), as the paper writes it."""
    if p_mated == 0:
        return 0.0
    if p_non_mated == 0:
        return 1.0
    ratio = omega * p_mated / p_non_mated
    return 2 * ratio / (1 + ratio) - 1 if ratio > 1 else 0.0


def system(mated, non_mated, bins, omega):
    """D_sys: the sum over bins of p(s | mated) D(s)."""
    low, high = min([*mated, *non_mated]), max([*mated, *non_mated])
    p = histogram(mated, low, high, bins)
    q = histogram(non_mated, low, high, bins)
    return sum(a * local(a, b, omega) for a, b in zip(p, q, strict=True))
