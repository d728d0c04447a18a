"""The open-set protocol on people whose templates are drawn."""

import numpy as np
import pytest

from mien.core.errors import MissingError, RangeError
from mien.faces.contract import Contract
from mien.systems.recognition.identification import evaluate_identification
from toys.templates import draw_people

CONTRACT = Contract("toy", "1", 1, "toy", "1", 64)


def run(rows, names, **options):
    options = {"calibration": "enrolled", "fpir": 0.05, "seed": 3} | options
    return evaluate_identification(rows, names, contract=CONTRACT, **options)


def test_counts_add_up_and_nobody_is_on_both_sides():
    rows, names = draw_people(80, 3)
    report = run(rows, names)
    assert report.n_enrolled == 40
    assert report.n_mated == 80
    assert report.n_nonmated == 120


def test_rates_equal_a_literal_count():
    rows, names = draw_people(100, 3, spread=1.2)
    report = run(rows, names)
    drawn = np.random.default_rng(3).permutation(np.unique(names))[:50]
    enrolled = {str(name): rows[np.flatnonzero(names == name)[0]] for name in drawn}
    alarms = misses = mated = nonmated = 0
    for row, name in zip(rows, names, strict=True):
        scores = {who: float(row @ vector) for who, vector in enrolled.items()}
        best = max(scores, key=scores.get)
        if name not in enrolled:
            nonmated += 1
            alarms += scores[best] >= report.point.threshold
        elif not np.array_equal(row, enrolled[name]):
            mated += 1
            misses += best != name or scores[best] < report.point.threshold
    assert report.fpir.estimate == pytest.approx(alarms / nonmated)
    assert report.fnir.estimate == pytest.approx(misses / mated)
    assert 0 < report.fnir.estimate < 1


def test_asking_for_fewer_alarms_never_gives_more():
    rows, names = draw_people(100, 3, spread=1.2)
    strict, lax = run(rows, names, fpir=0.01), run(rows, names, fpir=0.5)
    assert strict.fpir.estimate <= lax.fpir.estimate
    assert strict.fnir.estimate >= lax.fnir.estimate


def test_the_record_says_whether_the_promise_was_kept():
    rows, names = draw_people(100, 3, spread=0.8)
    record = run(rows, names).as_record()
    low, high = record["fpir_stated_interval"]
    assert record["fpir_within_stated_interval"] == (low <= record["fpir"] <= high)
    assert record["enrolled"] == 50


def test_another_seed_draws_other_people():
    rows, names = draw_people(60, 3, spread=1.3)
    thresholds = {run(rows, names, seed=seed).point.threshold for seed in range(3)}
    assert len(thresholds) > 1


def test_too_few_people_are_refused():
    rows, names = draw_people(30, 3)
    with pytest.raises(RangeError, match="there are 30 people; .*at least 40"):
        run(rows, names)


def test_people_with_one_photo_each_cannot_be_missed():
    rows, names = draw_people(50, 1)
    with pytest.raises(RangeError, match="nobody enrolled has a second photo"):
        run(rows, names)


def test_a_contract_without_a_table_says_so():
    rows, names = draw_people(50, 3)
    with pytest.raises(MissingError, match="ships no calibration for the contract toy-64-"):
        run(rows, names, calibration="shipped")
