"""Tables say what was counted, refuse what they cannot show, and survive the trip to a file."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ContractError, IntegrityError, MissingError, RangeError, ShapeError
from mien.gallery import calibration as module
from mien.gallery.calibration import (
    MIN_GENUINE,
    MIN_PEOPLE,
    CalibrationTable,
    Provenance,
    calibrate,
    check_contract,
    load_table,
    parse_table,
    score_pairs,
    shipped_table,
)
from toys.templates import draw_people

PROVENANCE = Provenance(
    data="toy people", date="2026-01-02", version="0.0", selection="all", seed=3, replicates=40
)
quickly = settings(max_examples=60, deadline=None)


def measure(templates, people, **changes):
    provenance = replace(PROVENANCE, **changes)
    return calibrate(templates, people, contract="toy-64-0", provenance=provenance)


@pytest.fixture(scope="module")
def sample():
    return draw_people(40, 3, spread=1.3)


@pytest.fixture(scope="module")
def measured(sample):
    return measure(*sample)


@pytest.fixture(scope="module")
def table(measured) -> CalibrationTable:
    return measured[0]


def count_by_hand(templates, people):
    """Slow and literal: every pair of photos once, in float64."""
    genuine, impostor = [], []
    for i in range(len(people)):
        for j in range(i + 1, len(people)):
            score = float(np.dot(templates[i].astype(np.float64), templates[j]))
            (genuine if people[i] == people[j] else impostor).append(score)
    return np.array(genuine), np.array(impostor)


def test_rates_are_those_of_counting_by_hand(sample, table):
    genuine, impostor = count_by_hand(*sample)
    assert (table.n_genuine, table.n_impostor) == (len(genuine), len(impostor))
    for k, cut in enumerate(table.thresholds):
        assert table.fmr[k] == np.sum(impostor >= cut) / len(impostor)
        assert table.fnmr[k] == np.sum(genuine < cut) / len(genuine)


def test_people_photos_and_pairs_are_counted(sample, table):
    assert (table.n_people, table.n_photos) == (40, 120)
    assert (table.n_genuine, table.n_impostor) == (40 * 3, 120 * 119 // 2 - 40 * 3)
    assert table.contract == "toy-64-0"
    assert table.provenance == PROVENANCE


def test_histograms_hold_every_pair(sample, table):
    genuine, impostor = count_by_hand(*sample)
    for scores, counts in ((genuine, table.genuine_counts), (impostor, table.impostor_counts)):
        assert list(counts) == np.histogram(scores, table.edges)[0].tolist()
    assert sum(table.genuine_counts) == table.n_genuine
    assert sum(table.impostor_counts) == table.n_impostor


def test_copies_and_opposites_are_in_the_outer_bins():
    templates, people = draw_people(20, 3, dim=8, spread=0.5)
    twice = np.concatenate([templates, templates[:5], -templates[:1]])
    table, _ = measure(twice, np.concatenate([people, people[:5], ["nobody"]]))
    assert sum(table.genuine_counts) == table.n_genuine
    assert sum(table.impostor_counts) == table.n_impostor
    assert table.genuine_counts[-1] >= 5


def test_the_same_seed_gives_the_same_table(sample, table):
    assert measure(*sample)[0] == table
    assert measure(*sample, seed=4)[0].fnmr_high != table.fnmr_high


def test_order_of_the_photos_changes_no_rate(sample, table):
    templates, people = sample
    order = np.random.default_rng(1).permutation(len(people))
    shuffled, _ = measure(templates[order], people[order])
    assert (shuffled.fmr, shuffled.fnmr) == (table.fmr, table.fnmr)


def test_intervals_hold_the_rates_they_belong_to(table):
    for rate, low, high in (
        (table.fmr, table.fmr_low, table.fmr_high),
        (table.fnmr, table.fnmr_low, table.fnmr_high),
    ):
        assert all(a <= r <= b for a, r, b in zip(low, rate, high, strict=True))


@quickly
@given(st.floats(-1, 1))
def test_intervals_read_at_any_score_hold_the_rate_read_there(table, score):
    for read, (low, high) in (
        (table.fmr_at(score), table.fmr_interval_at(score)),
        (table.fnmr_at(score), table.fnmr_interval_at(score)),
    ):
        assert 0 <= low <= read.rate <= high <= 1


def test_nothing_is_claimed_beyond_the_ends(table):
    assert table.fmr_interval_at(-0.5) == (0, 1)
    assert table.fnmr_interval_at(0.99) == (0, 1)
    assert table.fmr_interval_at(0.99)[1] >= table.smallest_fmr


def test_smallest_rates_follow_the_rule_of_three(table):
    assert table.smallest_fmr == 3 / table.n_impostor
    assert table.smallest_fnmr == 3 / table.n_genuine
    assert replace(table, n_impostor=2).smallest_fmr == 1


@pytest.mark.parametrize("asked", [0.3, 0.1, 0.01, 0.001])
def test_a_supported_rate_gets_the_lowest_threshold_that_keeps_it(sample, table, asked):
    found = table.threshold_for(asked)
    assert found.supported
    assert found.fmr == asked
    _, impostor = count_by_hand(*sample)
    cuts = np.array(table.thresholds)
    above, below = cuts[cuts >= found.threshold][0], cuts[cuts < found.threshold][-1]
    assert np.mean(impostor >= above) <= asked < np.mean(impostor >= below)


def test_an_unsupported_rate_gets_the_strictest_threshold_that_is_supported():
    crowd = draw_people(41, 3, spread=1.3)  # 3 / 7380 is a rate that rounding would lift
    table, _ = measure(*crowd)
    found = table.threshold_for(1e-6)
    assert not found.supported
    assert found.fmr == table.smallest_fmr
    _, impostor = count_by_hand(*crowd)
    reached = [int((impostor >= cut).sum()) for cut in table.thresholds]
    assert found.threshold == table.thresholds[reached.index(3)]
    assert table.fmr_at(found.threshold).is_upper_bound


@quickly
@given(st.floats(1e-9, 1), st.floats(1e-9, 1))
def test_a_smaller_rate_never_gets_a_lower_threshold(table, one, other):
    strict, lax = (table.threshold_for(rate) for rate in sorted((one, other)))
    assert strict.threshold >= lax.threshold


@pytest.mark.parametrize("asked", [0.0, -0.1, 1.5, math.nan])
def test_impossible_rates_are_refused(table, asked):
    with pytest.raises(RangeError, match=r"fmr is .*lies in \(0, 1\]"):
        table.threshold_for(asked)


def test_too_few_people_are_refused_in_words():
    templates, people = draw_people(MIN_PEOPLE - 1, 4)
    with pytest.raises(
        RangeError, match=r"19 people and 114 same-person pairs; .*below 20 people and 30 .*small"
    ) as caught:
        measure(templates, people)
    assert caught.value.facts == {"n_people": 19, "n_genuine": 114}


def test_too_few_same_person_pairs_are_refused_in_words():
    templates, people = draw_people(MIN_GENUINE, 1)
    with pytest.raises(RangeError, match=r"30 people and 0 same-person pairs.*at least two photos"):
        measure(templates, people)


def test_no_photos_at_all_are_refused_in_words():
    with pytest.raises(RangeError, match=r"0 people and 0 same-person pairs"):
        measure(np.zeros((0, 8), np.float32), np.array([], dtype=str))


def test_the_least_sample_that_is_not_refused():
    table, _ = measure(*draw_people(MIN_PEOPLE, 3))
    assert (table.n_people, table.n_genuine) == (20, 60)


def test_templates_without_their_people_are_refused():
    with pytest.raises(ShapeError, match=r"templates are \(4, 8\), people \(3,\)"):
        score_pairs(np.zeros((4, 8), np.float32), np.array(["a", "b", "c"]), seed=0)
    with pytest.raises(ShapeError, match=r"templates are \(8,\)"):
        score_pairs(np.zeros(8, np.float32), np.array(["a"] * 8), seed=0)


def test_every_pair_is_scored_once(sample):
    templates, people = sample
    pairs = score_pairs(templates, people, seed=0)
    n = len(people)
    assert (pairs.left < pairs.right).all()
    assert len(set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))) == n * (n - 1) // 2
    np.testing.assert_array_equal(pairs.same, people[pairs.left] == people[pairs.right])
    expected = (templates.astype(np.float64) @ templates.T)[pairs.left, pairs.right]
    np.testing.assert_allclose(pairs.scores, expected, atol=1e-6)


@pytest.fixture(scope="module")
def crowd():
    """More pairs than are scored at once: four photos of each of 300 people."""
    return draw_people(300, 4, dim=4)


@pytest.fixture
def draw(crowd, monkeypatch):
    """Pairs of the crowd, with room for 3,000 different-person pairs."""
    monkeypatch.setattr(module, "_MAX_IMPOSTORS", 3_000)
    return lambda seed=1: score_pairs(*crowd, seed=seed)


def rows_of(pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))


def test_no_pair_is_drawn_twice_or_with_itself(draw):
    pairs = draw()
    assert len(set(rows_of(pairs))) == len(pairs.left)
    assert (pairs.left < pairs.right).all()


def test_drawn_impostor_pairs_truly_differ_and_fill_the_room(crowd, draw):
    pairs, people = draw(), crowd[1]
    np.testing.assert_array_equal(pairs.same, people[pairs.left] == people[pairs.right])
    assert (~pairs.same).sum() == 3_000


def test_a_draw_keeps_all_same_person_pairs(draw):
    assert draw().same.sum() == 300 * 6


def test_the_seed_decides_the_draw(draw):
    assert rows_of(draw()) == rows_of(draw())
    assert rows_of(draw()) != rows_of(draw(seed=2))


def test_scores_belong_to_the_drawn_pairs(crowd, draw):
    pairs, templates = draw(), crowd[0].astype(np.float64)
    expected = (templates[pairs.left] * templates[pairs.right]).sum(1)
    np.testing.assert_allclose(pairs.scores, expected, atol=1e-6)


def test_every_photo_is_drawn_about_as_often(draw):
    """A draw that is sorted and then cut off would leave out the last people."""
    hits = np.zeros(1200)
    for pairs in map(draw, range(8)):
        for side in (pairs.left, pairs.right):
            hits += np.bincount(side[~pairs.same], minlength=1200)
    tenths = hits.reshape(10, -1).sum(1) / hits.sum()
    np.testing.assert_allclose(tenths, 0.1, atol=0.005)


def test_a_table_survives_its_json(table):
    assert parse_table(table.to_json(), "toy") == table


def test_a_table_survives_its_file(table, tmp_path):
    path = tmp_path / "deep" / "table.json"
    table.save(path)
    assert load_table(path) == table
    assert json.loads(path.read_text())["schema"] == "mien.calibration/1"


def test_a_table_holds_no_names_and_no_templates(sample, table):
    text = table.to_json()
    assert not any(name in text for name in set(sample[1]))
    lengths = {
        f.name: len(getattr(table, f.name))
        for f in fields(table)
        if isinstance(getattr(table, f.name), tuple)
    }
    assert set(lengths.values()) == {len(table.thresholds), len(table.edges), len(table.edges) - 1}


def broken(table, **changes) -> str:
    return json.dumps(json.loads(table.to_json()) | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema": "mien.calibration/9"}, "schema is not 'mien.calibration/1'"),
        ({"n_people": "many"}, "n_people is 'many'"),
        ({"n_impostor": 0}, "pairs of both kinds must be counted"),
        ({"thresholds": [0.1, 0.2]}, "each threshold has two intervals"),
        ({"fmr_low": [math.nan] * 201}, "each threshold has two intervals"),
        ({"fmr": [0.1] * 200}, "201 thresholds and 200 rates"),
        ({"fmr": list(np.linspace(0, 1, 201))}, "FMR never rises"),
        ({"fnmr": list(np.linspace(1, 0, 201))}, "FNMR never falls"),
        ({"genuine_counts": [1, 2]}, "each bin"),
        ({"impostor_counts": [-1] * 75}, "none negative"),
        ({"edges": [0.5] * 76}, "borders of the bins must rise"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table, changes, why):
    with pytest.raises(IntegrityError, match=why) as caught:
        parse_table(broken(table, **changes), "toy.json")
    assert caught.value.what == "toy.json is not a calibration table"
    assert "mien calibrate DIR" in caught.value.mend


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"table"', "{}"])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(IntegrityError, match=r"toy\.json is not a calibration table"):
        parse_table(text, "toy.json")


def test_a_missing_key_is_named(table):
    values = json.loads(table.to_json())
    del values["confidence"]
    with pytest.raises(IntegrityError, match="'confidence' is missing"):
        parse_table(json.dumps(values), "toy.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"none\.json cannot be read \(FileNotFoundError\)"):
        load_table(tmp_path / "none.json")


def test_a_picture_is_no_table(tmp_path):
    path = tmp_path / "table.json"
    path.write_bytes(b"\xff\xd8\xff\xe0 not text")
    with pytest.raises(IntegrityError, match="is not a calibration table"):
        load_table(path)


def test_a_contract_that_nobody_measured_has_no_table():
    with pytest.raises(MissingError, match=r"no calibration for the contract toy-64-0.*mien calib"):
        shipped_table("toy-64-0")


def test_a_table_of_another_contract_is_refused_in_words(table):
    check_contract(table, "toy-64-0")
    with pytest.raises(
        ContractError, match=r"calibration is of toy-64-0, the templates are of toy-64-1; .*calibr"
    ):
        check_contract(table, "toy-64-1")
