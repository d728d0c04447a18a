"""``mien identify``."""

import numpy as np
from PIL import Image

from mien.media.image import load_image


def test_the_known_person_is_matched_and_the_unknown_is_not(mien, gallery, portraits):
    answer = mien(
        "identify", portraits["obama_2"], portraits["obama_3"], portraits["biden_1"],
        "-g", gallery, "--json",
    )  # fmt: skip
    assert answer.code == 0
    rows = answer.rows()
    faces = [row["faces"][0] for row in rows]
    assert [face["decision"] for face in faces] == ["match", "match", "unknown"]
    assert [face["person"] for face in faces] == ["Barack Obama", "Barack Obama", None]
    for face in faces:
        assert set(face) == {"box", "decision", "person", "score", "threshold", "fmr", "reasons"}
        assert 0 < face["fmr"] <= 0.01
    assert faces[0]["score"] > faces[0]["threshold"] > faces[2]["score"]


def test_stricter_alarm_rates_give_higher_thresholds(mien, gallery, portraits):
    def threshold(fpir):
        rows = mien(
            "identify", portraits["obama_2"], "-g", gallery, "--fpir", fpir, "--json"
        ).rows()
        return rows[0]["faces"][0]["threshold"]

    assert threshold(0.1) < threshold(0.01) < threshold(0.0001)


def test_a_rate_that_the_sample_cannot_show_is_a_warning(mien, gallery, portraits):
    answer = mien("identify", portraits["obama_2"], "-g", gallery, "--fpir", "1e-9", "--json")
    assert "warning: the calibration has" in answer.err
    assert any("cannot show" in reason for reason in answer.rows()[0]["faces"][0]["reasons"])


def test_pictures_without_faces_and_broken_ones_have_their_rows(mien, gallery, portraits, tmp_path):
    Image.fromarray(np.full((200, 200, 3), 120, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"nothing")
    (tmp_path / "c.jpg").write_bytes(portraits["obama_2"].read_bytes())
    answer = mien("identify", tmp_path, "-g", gallery, "--json")
    assert answer.code == 0
    first, second, third = answer.rows()
    assert first["faces"] == []
    assert second["error"]["code"] == "media"
    assert third["faces"][0]["decision"] == "match"


def test_nothing_but_broken_pictures_is_a_failure(mien, gallery, tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"nothing")
    assert mien("identify", tmp_path / "b.jpg", "-g", gallery).code == 2


def test_a_face_too_small_is_not_comparable(mien, gallery, portraits, tmp_path):
    canvas = Image.new("RGB", (640, 480), (120, 130, 140))
    canvas.paste(Image.open(portraits["obama_2"]).resize((45, 86)), (300, 200))
    canvas.save(tmp_path / "small.png")
    rows = mien("identify", tmp_path / "small.png", "-g", gallery, "--json").rows()
    assert rows[0]["faces"][0]["decision"] == "not_comparable"
    assert "SMALL_BOUNDING_BOX" in rows[0]["faces"][0]["reasons"]
    assert rows[0]["faces"][0]["score"] is None


def test_annotated_pictures_are_written(mien, gallery, portraits, tmp_path):
    mien("identify", portraits["obama_2"], "-g", gallery, "--annotate", tmp_path / "out")
    drawn = load_image(tmp_path / "out" / "obama_2.identified.jpg").pixels
    plain = load_image(portraits["obama_2"]).pixels
    assert drawn.shape == plain.shape
    assert np.abs(drawn.astype(int) - plain).max() > 100


def test_no_gallery_says_how_to_make_one(mien, portraits, tmp_path):
    answer = mien("identify", portraits["obama_2"], "-g", tmp_path / "none")
    assert answer.code == 4
    assert "no gallery at" in answer.err
    assert "mien enrol" in answer.err


def test_int8_decides_alike(mien, gallery, portraits):
    plain = mien("identify", portraits["obama_2"], "-g", gallery, "--json").rows()
    coded = mien("identify", portraits["obama_2"], "-g", gallery, "--int8", "--json").rows()
    left, right = plain[0]["faces"][0], coded[0]["faces"][0]
    assert left["person"] == right["person"]
    assert abs(left["score"] - right["score"]) < 1e-5


def test_a_table_is_shown_to_people(mien, gallery, portraits):
    answer = mien("identify", portraits["obama_2"], "-g", gallery)
    assert "Barack Obama" in answer.out
    assert "At FPIR 0.01" in answer.out
