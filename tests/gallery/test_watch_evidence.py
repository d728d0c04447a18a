import math

import numpy as np
import pytest

from mien.faces.quality import Reject
from mien.gallery.watch.evidence import Evidence


def _unit(rng: np.random.Generator, n: int) -> np.ndarray:
    rows = rng.normal(size=(n, 16)) + 1.0
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _literal_template(rows: np.ndarray, quality: list[float], times: list[float], half_s: float):
    total = np.zeros(rows.shape[1])
    for row, q, t in zip(rows, quality, times, strict=True):
        age = times[-1] - t
        total += (q / 100) ** 2 * 0.5 ** (age / half_s) * row.astype(np.float64)
    return total / math.sqrt(float(total @ total))


def test_the_template_is_the_mean_weighted_by_squared_quality_and_age() -> None:
    rng = np.random.default_rng(0)
    rows, quality = _unit(rng, 8), [30.0, 80.0, 55.0, 99.0, 20.0, 61.0, 70.0, 45.0]
    times = [1000.0 + 7 * k for k in range(8)]
    evidence = Evidence(max_samples=8, half_life_s=20)
    for row, q, t in zip(rows, quality, times, strict=True):
        evidence.add(row, q, t)
    expected = _literal_template(rows, quality, times, 20)
    np.testing.assert_allclose(evidence.template(), expected, atol=1e-6)
    assert evidence.count == 8
    assert evidence.mass == pytest.approx(sum((q / 100) ** 2 for q in quality))


def test_of_many_samples_the_heaviest_are_kept() -> None:
    rng = np.random.default_rng(1)
    rows = _unit(rng, 200)
    quality = rng.uniform(20, 95, 200)
    evidence = Evidence(max_samples=5, half_life_s=1e9)
    for k, row in enumerate(rows):
        evidence.add(row, float(quality[k]), k / 30)
    assert evidence.held == 5
    best = np.argsort(-quality)[:5]
    weights = (quality[best] / 100) ** 2
    expected = weights @ rows[best]
    np.testing.assert_allclose(evidence.template(), expected / np.linalg.norm(expected), atol=1e-5)


def test_old_samples_give_way_to_new_ones() -> None:
    rows = np.eye(16, dtype=np.float32)
    evidence = Evidence(max_samples=4, half_life_s=10)
    for k in range(4):
        evidence.add(rows[0], 95, k)
    for k in range(4):
        evidence.add(rows[1], 60, 100 + k)
    assert evidence.template()[1] == pytest.approx(1.0)


def test_times_far_from_zero_do_no_harm() -> None:
    rng = np.random.default_rng(2)
    rows = _unit(rng, 4)
    early, late = (Evidence(max_samples=4, half_life_s=5) for _ in range(2))
    for k, row in enumerate(rows):
        early.add(row, 50 + k, float(k))
        late.add(row, 50 + k, 1e9 + k)
    np.testing.assert_allclose(late.template(), early.template(), atol=1e-6)


def test_reasons_are_told_commonest_first() -> None:
    evidence = Evidence(max_samples=4, half_life_s=5)
    assert evidence.words() == ("no face of this track was seen uncovered",)
    evidence.refuse((Reject.LOW_SHARPNESS,))
    for _ in range(3):
        evidence.refuse((Reject.SMALL_BOUNDING_BOX, Reject.LOW_SHARPNESS))
    assert evidence.words() == ("LOW_SHARPNESS", "SMALL_BOUNDING_BOX")
