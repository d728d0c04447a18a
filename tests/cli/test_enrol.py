"""``mien enrol``."""

import json
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


def test_the_name_of_the_file_may_be_the_persons(mien, portraits, tmp_path):
    folder = tmp_path / "known"
    folder.mkdir()
    for name, person in (("obama_1", "Barack Obama"), ("biden_1", "Joe Biden")):
        shutil.copy(portraits[name], folder / f"{person}.jpg")
    answer = mien("enrol", folder, "--layout", "files", "-g", tmp_path / "g", "--json")
    assert sorted(row["person"] for row in answer.rows()) == ["Barack Obama", "Joe Biden"]


def test_an_export_of_compreface_is_taken_in(mien, portraits, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    ids = [f"6b135f5b-a365-4522-b1f1-4c9ac2dd072{k}" for k in range(3)]
    listed = [
        {"image_id": ids[0], "subject": "Obama"},
        {"image_id": ids[1], "subject": "Biden"},
        {"image_id": ids[2], "subject": "Biden"},
    ]
    page = {"faces": listed, "page_number": 0, "page_size": 20, "total_pages": 1}
    (folder / "faces.json").write_text(json.dumps(page | {"total_elements": 3}))
    shutil.copy(portraits["obama_1"], folder / f"{ids[0]}.jpg")
    shutil.copy(portraits["biden_1"], folder / f"{ids[1]}.jpg")
    answer = mien("enrol", folder, "--layout", "compreface", "-g", tmp_path / "g", "--json")
    assert [row["person"] for row in answer.rows()] == ["Obama", "Biden"]
    assert ids[2] in answer.err


def test_regions_name_the_faces_and_are_written_back(mien, gallery, portraits, tmp_path):
    photo = tmp_path / "photo.jpg"
    shutil.copy(portraits["obama_2"], photo)
    mien("identify", photo, "-g", gallery, "--xmp", "sidecar")
    assert "Barack Obama" in (tmp_path / "photo.jpg.xmp").read_text()
    other = tmp_path / "other.gallery"
    answer = mien("enrol", tmp_path / "photo.jpg", "--layout", "regions", "-g", other, "--json")
    assert [row["person"] for row in answer.rows()] == ["Barack Obama"]
    bad = mien("identify", photo, "-g", gallery, "--xmp", "somewhere")
    assert bad.code == 2


def test_a_face_that_speaks_against_its_name_needs_force(mien, gallery, portraits):
    arguments = ("enrol", portraits["obama_2"], "--name", "Joe", "-g", gallery, "--json")
    refused = mien(*arguments)
    assert refused.code == 8
    facts = refused.rows()[0]["error"]["facts"]
    assert facts["codes"] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    assert mien(*arguments, "--force").code == 0


def test_a_strict_gallery_is_strict_from_the_start(mien, portraits, tmp_path):
    arguments = ("enrol", portraits["obama_1"], "--name", "B", "-g", tmp_path / "g")
    assert mien(*arguments, "--strict").code == 7
    terms = ("--consent", "form 1", "--retain-until", "2099-01-01")
    assert mien(*arguments, *terms).code == 0


def test_without_a_key_one_is_made_and_told(mien, portraits, tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_GALLERY_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    answer = mien("enrol", portraits["obama_1"], "--name", "B", "-g", tmp_path / "g")
    assert "keep a copy of that file elsewhere" in answer.err
    (tmp_path / "config/mien/gallery.key").unlink()
    lost = mien("gallery", "list", "-g", tmp_path / "g")
    assert lost.code == 4
    assert "restore that file" in lost.err
