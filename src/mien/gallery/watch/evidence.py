"""What the faces of one track say together: a template that grows better while the track lasts."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mien.core.types import Array, Float32
from mien.faces.quality import Reject


class Evidence:
    """Samples of one track, and the reasons against those that could not be used.

    The template is the mean of the samples weighted by (quality / 100)², an older sample counting
    half as much with each ``half_life_s``. Of many samples the heaviest are kept.

    Attributes:
        count: Samples taken in so far.
        mass: Sum of (quality / 100)² of all of them, undiminished by age.
        rejects: How often each reason kept a face out.
    """

    def __init__(self, *, max_samples: int, half_life_s: float) -> None:
        self._max_samples = max_samples
        self._half_life_s = half_life_s
        self._samples: list[tuple[float, Float32]] = []  # base-2 logarithm of the weight, template
        self.count = 0
        self.mass = 0.0
        self.rejects: Counter[Reject] = Counter()

    @property
    def held(self) -> int:
        """Samples in memory."""
        return len(self._samples)

    def add(self, template: Array, quality: float, time_s: float) -> None:
        """Take in one face.

        Args:
            template: (d,) of length 1.
            quality: Unified quality, above 0 to 100.
            time_s: When it was seen.
        """
        share = quality / 100
        self.count += 1
        self.mass += share**2
        # All samples age alike, so that the moment of the latest need not be known.
        weight_log2 = 2 * math.log2(share) + time_s / self._half_life_s
        self._samples.append((weight_log2, np.asarray(template, np.float32)))
        if len(self._samples) > self._max_samples:
            lightest = min(range(len(self._samples)), key=lambda k: self._samples[k][0])
            del self._samples[lightest]

    def refuse(self, reasons: Sequence[Reject]) -> None:
        """Note why a face was not used."""
        self.rejects.update(reasons)

    def template(self) -> Float32:
        """(d,) the weighted mean, of length 1; there must be a sample."""
        heaviest = max(weight for weight, _ in self._samples)
        weights = np.array([2.0 ** (weight - heaviest) for weight, _ in self._samples])
        mean = weights @ np.stack([vector for _, vector in self._samples]).astype(np.float64)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def words(self) -> tuple[str, ...]:
        """Why no face could be used, commonest reason first."""
        codes = tuple(str(code) for code, _ in self.rejects.most_common())
        return codes or ("no face of this track was seen uncovered",)
