"""Slow and literal measures of light on a grey picture: one pixel at a time, in float64."""

import math
from collections import Counter


def pixels_of(grey):
    return [int(value) for row in grey for value in row]


def entropy_bits(grey):
    counts = Counter(pixels_of(grey))
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def share_between(grey, low, high):
    values = pixels_of(grey)
    return sum(low <= value <= high for value in values) / len(values)


def mean_and_variance(grey):
    """Of values 0-1."""
    values = [value / 255 for value in pixels_of(grey)]
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / len(values)


def laplacian_deviation(grey):
    """Standard deviation of the four-neighbour Laplacian, the frame mirrored without its edge."""
    height, width = len(grey), len(grey[0])

    def at(r, c):
        r = -r if r < 0 else 2 * (height - 1) - r if r >= height else r
        c = -c if c < 0 else 2 * (width - 1) - c if c >= width else c
        return int(grey[r][c])

    values = [
        at(r - 1, c) + at(r + 1, c) + at(r, c - 1) + at(r, c + 1) - 4 * at(r, c)
        for r in range(height)
        for c in range(width)
    ]
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def histogram_overlap(one, two, bin_width):
    """Intersection of two histograms, 0-1."""
    counts = [Counter(value // bin_width for value in pixels_of(p)) for p in (one, two)]
    sizes = [sum(c.values()) for c in counts]
    return sum(min(counts[0][k] / sizes[0], counts[1][k] / sizes[1]) for k in range(256))
