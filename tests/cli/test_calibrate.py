"""``mien calibrate``."""

import json
import shutil

import pytest

from mien.gallery import labelled as module
from mien.gallery.labelled import LabelledTemplates
from toys.templates import draw_people


@pytest.fixture
def few(tmp_path, portraits):
    for person, names in {"Obama": ("obama_1", "obama_2"), "Biden": ("biden_1",)}.items():
        (tmp_path / "few" / person).mkdir(parents=True)
        for name in names:
            shutil.copy(portraits[name], tmp_path / "few" / person)
    return tmp_path / "few"


@pytest.fixture
def crowd(monkeypatch):
    """Embedding a hundred people takes a minute; the templates of toys take none."""
    rows, names = draw_people(60, 3, dim=128)
    paths = tuple(f"{name}/{k}.jpg" for k, name in enumerate(names))
    data = LabelledTemplates(rows, names, paths, rows[:, 0] * 0 + 80, ())
    monkeypatch.setattr(module, "embed_labelled", lambda *_, **__: data)


def test_a_sample_too_small_is_refused_and_reported(mien, few, tmp_path):
    answer = mien("calibrate", few, "--out", tmp_path / "report.html", "--table", tmp_path / "t")
    assert answer.code == 2
    assert "the sample has 2 people and 1 same-person pairs" in answer.err
    assert "too small" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "t").exists()


@pytest.mark.usefixtures("crowd")
def test_thresholds_report_and_table(mien, tmp_path):
    answer = mien(
        "calibrate", tmp_path, "--out", tmp_path / "report.html", "--table", tmp_path / "t.json",
        "--name", "toys", "--replicates", 20, "--json",
    )  # fmt: skip
    assert answer.code == 0
    (row,) = answer.rows()
    assert (row["people"], row["photos"], row["genuine_pairs"]) == (60, 180, 180)
    assert row["thresholds"]["0.01"]["supported"] is True
    assert row["thresholds"]["1e-05"]["supported"] is False
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "toys" in page
    table = json.loads((tmp_path / "t.json").read_text())
    assert table["provenance"]["data"] == "toys"


@pytest.mark.usefixtures("crowd")
def test_a_gallery_keeps_the_table(mien, gallery, portraits, tmp_path):
    def threshold():
        rows = mien("identify", portraits["obama_2"], "-g", gallery, "--json").rows()
        return rows[0]["faces"][0]["threshold"]

    before = threshold()
    answer = mien(
        "calibrate", tmp_path, "--out", tmp_path / "r.html", "-g", gallery, "--replicates", 20
    )
    assert answer.code == 0
    assert threshold() != before


def test_loose_pictures_are_refused(mien, few, tmp_path):
    shutil.copy(few / "Biden" / "biden_1.jpg", few)
    answer = mien("calibrate", few, "--out", tmp_path / "report.html")
    assert answer.code == 2
    assert "each person needs a folder" in answer.err
