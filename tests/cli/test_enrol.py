"""``mien enrol``."""

import shutil

import numpy as np
from PIL import Image


def test_one_person_by_name(mien, portraits, tmp_path):
    path = tmp_path / "p.gallery"
    answer = mien(
        "enrol", portraits["obama_1"], portraits["obama_2"],
        "--name", "Barack Obama", "--gallery", path, "--consent", "public figure", "--json",
    )  # fmt: skip
    assert answer.code == 0
    rows = answer.rows()
    assert [row["person"] for row in rows] == ["Barack Obama"] * 2
    assert all(len(row["face_id"]) == 32 for row in rows)
    assert "1 people with 2 templates" in answer.err
    assert "sealed" in answer.err


def test_a_folder_per_person(mien, portraits, tmp_path):
    root = tmp_path / "people"
    for name, person in (("obama_1", "Obama"), ("obama_3", "Obama"), ("biden_1", "Biden")):
        (root / person).mkdir(parents=True, exist_ok=True)
        shutil.copy(portraits[name], root / person)
    answer = mien("enrol", root, "-g", tmp_path / "p.gallery", "--json")
    assert answer.code == 0
    assert sorted(row["person"] for row in answer.rows()) == ["Biden", "Obama", "Obama"]


def test_a_refused_picture_does_not_stop_the_others(mien, portraits, tmp_path):
    blank = tmp_path / "blank.png"
    Image.fromarray(np.full((200, 200, 3), 120, np.uint8)).save(blank)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    answer = mien(
        "enrol", blank, broken, portraits["obama_1"], "--name", "B", "-g", tmp_path / "g", "--json"
    )
    assert answer.code == 0
    codes = [row.get("error", {}).get("code") for row in answer.rows()]
    assert codes == ["no_face", "media", None]
    assert "1 of 3 pictures enrolled" in answer.err


def test_nothing_enrolled_is_a_failure_with_the_errors_code(mien, tmp_path):
    blank = tmp_path / "blank.png"
    Image.fromarray(np.full((200, 200, 3), 120, np.uint8)).save(blank)
    assert mien("enrol", blank, "--name", "B", "-g", tmp_path / "g").code == 3


def test_enrolling_twice_is_refused_and_changes_nothing(mien, gallery, portraits):
    again = mien("enrol", portraits["obama_1"], "--name", "Barack Obama", "-g", gallery, "--json")
    assert again.code == 8
    assert "enrolled already, for the same person" in again.rows()[0]["error"]["what"]
    other = mien("enrol", portraits["obama_1"], "--name", "Somebody", "-g", gallery, "--json")
    assert other.code == 8
    assert "for another person" in other.rows()[0]["error"]["what"]
    assert "Barack" not in other.out
    assert "1 people with 1 templates" in other.err


def test_many_faces_need_a_choice(mien, portraits, tmp_path):
    scene = Image.new("RGB", (1100, 600), (90, 110, 130))
    scene.paste(Image.open(portraits["obama_1"]).resize((400, 500)), (350, 50))
    scene.paste(Image.open(portraits["biden_1"]).resize((132, 300)), (0, 300))
    scene.save(tmp_path / "two.png")
    arguments = ("enrol", tmp_path / "two.png", "--name", "B", "-g", tmp_path / "g", "--json")
    refused = mien(*arguments)
    assert refused.code == 2
    assert "2 faces were found" in refused.rows()[0]["error"]["what"]
    assert "--face main" in refused.rows()[0]["error"]["mend"]
    chosen = mien(*arguments, "--face", "main")
    assert chosen.code == 0
    assert chosen.rows()[0]["box"][0] > 350


def test_pictures_without_a_name_are_asked_for_it(mien, portraits, tmp_path):
    answer = mien("enrol", portraits["obama_1"], "-g", tmp_path / "g")
    assert answer.code == 2
    assert "mien cannot know whom a single picture shows" in answer.err
    assert not (tmp_path / "g").exists()


def test_a_gallery_of_another_pipeline_is_refused(mien, gallery, portraits):
    answer = mien("enrol", portraits["obama_2"], "--name", "B", "-g", gallery, "--embedder", "dlib")
    assert answer.code == 6
    assert "the gallery holds templates of sface-128-" in answer.err


def test_a_table_is_shown_to_people(mien, portraits, tmp_path):
    answer = mien("enrol", portraits["obama_1"], "--name", "Barack Obama", "-g", tmp_path / "g")
    assert "Barack Obama" in answer.out
    assert "enrolled" in answer.out
