"""``mien evaluate``."""

import csv
import shutil

import pytest

from mien.core.records import read_jsonl


@pytest.fixture
def data(portraits, tmp_path):
    for path in portraits.values():
        shutil.copy(path, tmp_path)
    pairs = [
        ("obama_1.jpg", "obama_2.jpg", 1),
        ("obama_1.jpg", "biden_1.jpg", 0),
        ("obama_2.jpg", "obama_3.jpg", 1),
        ("obama_2.jpg", "biden_1.jpg", 0),
    ] * 5
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("left", "right", "same"), *pairs])
    return tmp_path


def test_the_record_has_the_fields_figures(mien, data):
    answer = mien(
        "evaluate", "recognition", "--pairs", data / "pairs.csv", "--images", data,
        "--rows", data / "rows.jsonl", "--json",
    )  # fmt: skip
    assert answer.code == 0
    (row,) = answer.rows()
    assert row["accuracy"] == 1
    assert row["pairs"] == 20
    assert row["failures_to_enrol"] == 0
    assert row["tar_at_far"]["0.01"]["tar"] == 1
    assert row["tar_at_far"]["0.01"]["supported"] is False
    assert row["ms_per_image"] > 0
    assert len(list(read_jsonl(data / "rows.jsonl", schema="mien.verification/1"))) == 20


def test_people_get_a_table(mien, data):
    answer = mien("evaluate", "recognition", "--pairs", data / "pairs.csv", "--images", data)
    assert "TAR at FAR 0.01" in answer.out


def test_missing_pairs_are_an_error(mien, data):
    answer = mien("evaluate", "recognition", "--pairs", data / "no.csv", "--images", data)
    assert answer.code == 4
    assert "no.csv cannot be read" in answer.err


def test_too_few_people_for_an_open_set(mien, portraits, tmp_path):
    (tmp_path / "Obama").mkdir()
    shutil.copy(portraits["obama_1"], tmp_path / "Obama")
    answer = mien("evaluate", "identification", "--images", tmp_path)
    assert answer.code == 2
    assert "at least 40" in answer.err
