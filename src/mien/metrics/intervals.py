"""How far a measured rate may lie from the true one, because the sample is finite.

Closed forms for independent trials (Wilson, Clopper-Pearson, rule of three) and a percentile
bootstrap over any units. Pairs of faces are not independent trials: for them resample the
people, as ``subject_bootstrap`` does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mien.core.errors import RangeError
from mien.core.types import Array
from mien.metrics._values import check_count, check_rate, record_of


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value with a two-sided interval.

    Attributes:
        estimate: The value measured on the whole sample.
        low: Lower end.
        high: Upper end.
        confidence: Share of repeated samples whose interval holds the truth, in (0, 1).
        method: ``"wilson"``, ``"clopper-pearson"`` or ``"bootstrap"``.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    method: str

    def as_record(self) -> dict[str, object]:
        """The fields as JSON-ready values."""
        return record_of(self)


def supports_rate(trials: int, rate: float) -> bool:
    """Whether ``trials`` are enough to speak of an error rate: the rule of three, n >= 3 / rate.

    With fewer, even a sample without a single error does not show, at 95 %, that the rate is met.

    Source:
        Hanley, Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249, 1983.

    Raises:
        RangeError: If ``trials`` is negative or ``rate`` not in (0, 1].
    """
    n = check_count(trials, "trials", least=0)
    # The slack forgives the rounding of products such as 3,000,000 × 1e-6.
    return n * check_rate(rate, "rate") >= 3 * (1 - 1e-12)


def bound_without_events(trials: int, *, confidence: float = 0.95) -> float:
    """One-sided upper bound on a rate when no event was seen: 1 - (1 - confidence)^(1/n).

    At 95 % this is close to 3/n, the rule of three.

    Raises:
        RangeError: If ``trials`` is below 1 or ``confidence`` not in (0, 1).

    Example:
        >>> round(bound_without_events(1000), 6)
        0.002991
    """
    n = check_count(trials, "trials")
    return -math.expm1(math.log1p(-check_rate(confidence, "confidence", one=False)) / n)


def wilson_interval(events: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Score interval for a proportion: close to its nominal confidence on average, and short.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22,
        1927; without continuity correction.

    Args:
        events: Events seen, 0 … trials.
        trials: Independent trials, at least 1.
        confidence: In (0, 1).

    Raises:
        RangeError: If a count or the confidence lies outside its range.

    Example:
        >>> interval = wilson_interval(5, 100)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.0215, 0.1118)
    """
    k, n = _check_events(events, trials)
    z = NormalDist().inv_cdf((1 + check_rate(confidence, "confidence", one=False)) / 2)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 or 1 but for rounding.
    low = 0.0 if k == 0 else centre - half
    high = 1.0 if k == n else centre + half
    return Interval(p, low, high, confidence, "wilson")


def clopper_pearson_interval(events: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval for a proportion: never below its nominal confidence, hence wider.

    Source:
        Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the
        binomial", Biometrika 26, 1934.

    Args:
        events: Events seen, 0 … trials.
        trials: Independent trials, at least 1.
        confidence: In (0, 1).

    Raises:
        RangeError: If a count or the confidence lies outside its range.
    """
    k, n = _check_events(events, trials)
    tail = (1 - check_rate(confidence, "confidence", one=False)) / 2
    low = 0.0 if k == 0 else _beta_quantile(tail, k, n - k + 1)
    high = 1.0 if k == n else 1.0 - _beta_quantile(tail, n - k, k + 1)
    if k == 0:  # closed forms, exact also where the subtraction from 1 would cost digits
        high = -math.expm1(math.log(tail) / n)
    if k == n:
        low = math.exp(math.log(tail) / n)
    return Interval(k / n, low, high, confidence, "clopper-pearson")


def bootstrap_interval(
    statistic: Callable[[Array], float],
    units: Array,
    *,
    seed: int,
    replicates: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap: the spread of a statistic over samples drawn from the sample.

    Source:
        Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.

    Args:
        statistic: From an array shaped like ``units`` to a finite number.
        units: (n, …) what is drawn, with replacement, along the first axis. Units must be
            independent of each other: people or photos, not pairs that share them.
        seed: Of the random generator; the same seed gives the same interval.
        replicates: Samples drawn, at least 1.
        confidence: In (0, 1).

    Raises:
        RangeError: If there are no units, or the statistic is not finite on some sample.
    """
    n = check_count(len(units), "number of units")
    tail = (1 - check_rate(confidence, "confidence", one=False)) / 2
    rng = np.random.default_rng(seed)
    drawn = (
        statistic(units[rng.integers(n, size=n)])
        for _ in range(check_count(replicates, "replicates"))
    )
    values = np.fromiter(drawn, np.float64)
    if not np.isfinite(values).all():
        raise RangeError(
            what=f"the statistic is not finite on {(~np.isfinite(values)).sum()} samples",
            why="its spread cannot be read from them",
            mend="use more units, or a statistic that is defined on every sample",
        )
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(statistic(units)), float(low), float(high), confidence, "bootstrap")


def _check_events(events: int, trials: int) -> tuple[int, int]:
    n = check_count(trials, "trials")
    if not 0 <= events <= n:
        raise RangeError(
            what=f"{events} events in {n} trials",
            why="events are counted among the trials",
            mend=f"pass 0 … {n} events",
        )
    return int(events), n


def _beta_quantile(prob: float, a: int, b: int) -> float:
    """The x at which the regularised incomplete beta function I_x(a, b) equals ``prob``."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if _beta_cdf(middle, a, b) < prob:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_cdf(x: float, a: int, b: int) -> float:
    """I_x(a, b), taken from the side on which the continued fraction converges fast."""
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: int, b: int) -> float:
    """Continued fraction of the incomplete beta function, by Lentz's method.

    Source:
        Press et al., "Numerical Recipes", 3rd edition, section 6.4, equations 6.4.5 and 6.4.6.
    """
    tiny = 1e-300
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1) or tiny)
    value = d
    # The fraction needs in the order of sqrt(max(a, b)) terms.
    for m in range(1, 100 + 10 * math.isqrt(max(a, b))):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / (1.0 + term * d or tiny)
            c = 1.0 + term / c or tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value
