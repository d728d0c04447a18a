"""``mien demo``."""

from mien.faces.quality import QualityGate
from mien.reports import demo as module


def test_the_main_job_on_real_photos(mien, tmp_path):
    answer = mien("demo", "--out", tmp_path / "demo", "--json")
    assert answer.code == 0
    rows = answer.rows()
    assert [(row["photo"], row["decision"], row["right"]) for row in rows] == [
        ("obama_2.jpg", "match", True),
        ("obama_3.jpg", "match", True),
        ("biden_1.jpg", "unknown", True),
    ]
    assert "report.html" in answer.err
    assert (tmp_path / "demo" / "identified-biden_1.jpg").exists()


def test_a_wrong_answer_is_a_failure(mien, tmp_path, monkeypatch):
    blind = QualityGate(min_inter_eye_px=5000)
    monkeypatch.setattr(module.QualityGate, "probe", staticmethod(lambda: blind))
    answer = mien("demo", "--out", tmp_path / "demo")
    assert answer.code == 1
    assert "NO" in answer.out
    assert "An answer is wrong" in (tmp_path / "demo" / "report.html").read_text()
