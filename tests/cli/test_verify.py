"""``mien verify``: the exit code is the answer."""

import numpy as np
from PIL import Image


def test_one_person_is_zero(mien, portraits):
    answer = mien("verify", portraits["obama_1"], portraits["obama_2"], "--json")
    (row,) = answer.rows()
    assert answer.code == 0
    assert row["same"] is True
    assert row["decision"] == "match"
    assert set(row) == {"same", "score", "threshold", "fmr", "decision", "reasons"}
    assert row["fmr"] <= 1e-4


def test_two_people_are_one(mien, portraits):
    answer = mien("verify", portraits["obama_1"], portraits["biden_1"], "--json")
    assert answer.code == 1
    assert answer.rows()[0]["same"] is False
    assert answer.rows()[0]["decision"] == "different"


def test_no_face_is_three(mien, portraits, tmp_path):
    Image.fromarray(np.full((200, 200, 3), 120, np.uint8)).save(tmp_path / "blank.png")
    answer = mien("verify", portraits["obama_1"], tmp_path / "blank.png", "--json")
    (row,) = answer.rows()
    assert answer.code == 3
    assert row["same"] is None
    assert row["score"] is None
    assert row["decision"] == "not_comparable"
    assert "no face was found" in row["reasons"][0]


def test_a_stricter_rate_raises_the_threshold(mien, portraits):
    def threshold(fmr):
        rows = mien("verify", portraits["obama_1"], portraits["obama_2"], "--fmr", fmr, "--json")
        return rows.rows()[0]["threshold"]

    assert threshold(1e-2) < threshold(1e-5)


def test_bystanders_are_mentioned(mien, portraits, tmp_path):
    scene = Image.new("RGB", (1100, 600), (90, 110, 130))
    scene.paste(Image.open(portraits["obama_1"]).resize((400, 500)), (350, 50))
    scene.paste(Image.open(portraits["biden_1"]).resize((132, 300)), (0, 300))
    scene.save(tmp_path / "two.png")
    answer = mien("verify", tmp_path / "two.png", portraits["obama_2"], "--json")
    assert answer.code == 0
    assert "2 faces found, the main one was compared" in answer.rows()[0]["reasons"][1]


def test_unreadable_pictures_are_an_error_not_an_answer(mien, portraits, tmp_path):
    answer = mien("verify", portraits["obama_1"], tmp_path / "absent.jpg", "--json")
    assert answer.code == 2
    assert answer.out == ""
    assert "there is no such file" in answer.err


def test_a_folder_is_not_a_picture(mien, portraits, tmp_path):
    answer = mien("verify", portraits["obama_1"], tmp_path)
    assert answer.code == 2
    assert "mend:" in answer.err


def test_a_table_of_another_pipeline_is_refused(mien, portraits, tmp_path):
    from mien.faces.pipeline import FacePipeline
    from mien.gallery.calibration import shipped_table

    table = shipped_table(FacePipeline.open().contract.id)
    table.save(tmp_path / "own.json")
    good = mien(
        "verify", portraits["obama_1"], portraits["obama_2"],
        "--calibration", tmp_path / "own.json",
    )  # fmt: skip
    assert good.code == 0
    text = (tmp_path / "own.json").read_text().replace(table.contract, "other-128-000000000000")
    (tmp_path / "other.json").write_text(text)
    answer = mien(
        "verify", portraits["obama_1"], portraits["obama_2"],
        "--calibration", tmp_path / "other.json",
    )  # fmt: skip
    assert answer.code == 6
    assert "the calibration is of other-128" in answer.err
