"""``mien gallery``."""

import json
import zipfile

import pytest

from mien.core.keys import new_key, write_key_file
from mien.gallery.sqlite import SqliteIndex


@pytest.fixture
def two(mien, gallery, portraits):
    """A gallery of two people, the first with two templates."""
    mien("enrol", portraits["obama_2"], "--name", "Barack Obama", "-g", gallery, "--keep-crops")
    mien("enrol", portraits["biden_1"], "--name", "Joe Biden", "-g", gallery)
    return gallery


def people(mien, gallery):
    rows = mien("gallery", "list", "-g", gallery, "--json").rows()
    return {row["person"]: row["templates"] for row in rows}


def faces(mien, gallery, person):
    rows = mien("gallery", "show", person, "-g", gallery, "--json").rows()
    return [row["face_id"] for row in rows]


def test_people_are_listed(mien, gallery):
    (row,) = mien("gallery", "list", "-g", gallery, "--json").rows()
    assert (row["person"], row["templates"], row["consent"]) == ("Barack Obama", 1, False)
    assert len(row["person_id"]) == 32
    shown = mien("gallery", "list", "-g", gallery)
    assert "Barack Obama" in shown.out
    assert "missing" in shown.out
    assert "sealed" in shown.err


def test_a_person_is_shown_without_templates(mien, gallery):
    (row,) = mien("gallery", "show", "Barack Obama", "-g", gallery, "--json").rows()
    assert set(row) == {
        "person", "person_id", "face_id", "enrolled_at", "quality", "source", "consent",
        "retain_until", "box",
    }  # fmt: skip
    by_id = mien("gallery", "show", row["person_id"], "-g", gallery, "--json").rows()
    assert by_id == [row]


def test_a_person_is_deleted_for_good(mien, gallery, portraits, tmp_path):
    file = tmp_path / "receipt.json"
    answer = mien("gallery", "delete", "Barack Obama", "-g", gallery, "--receipt", file, "--json")
    (row,) = answer.rows()
    assert (row["deleted"], row["templates"], row["people"], row["complete"]) == (1, 0, 0, True)
    assert json.loads(file.read_text()) == row["receipt"]
    assert "Barack" not in file.read_text()
    assert mien("gallery", "list", "-g", gallery, "--json").rows() == []
    face = mien("identify", portraits["obama_2"], "-g", gallery, "--json").rows()[0]["faces"][0]
    assert face["decision"] == "unknown"
    assert "the gallery is empty" in face["reasons"]


def test_a_receipt_is_checked(mien, gallery, tmp_path):
    file = tmp_path / "receipt.json"
    mien("gallery", "delete", "Barack Obama", "-g", gallery, "--receipt", file)
    assert mien("gallery", "receipt", file).code == 0
    assert "nothing is left" in mien("gallery", "receipt", file, "-g", gallery).err
    file.write_text(file.read_text().replace('"faces":1', '"faces":0'))
    forged = mien("gallery", "receipt", file)
    assert forged.code == 6
    assert "not genuine" in forged.err
    assert mien("gallery", "receipt", tmp_path / "none").code == 4


def test_one_template_is_deleted(mien, two):
    first, second = faces(mien, two, "Barack Obama")
    (row,) = mien("gallery", "delete", "--face", first, "-g", two, "--json").rows()
    assert (row["deleted"], row["templates"], row["people"]) == (1, 2, 2)
    assert faces(mien, two, "Barack Obama") == [second]


def test_deleting_nobody_is_an_error_without_the_name(mien, gallery):
    answer = mien("gallery", "delete", "Ada Lovelace", "-g", gallery)
    assert answer.code == 4
    assert "nobody of that name" in answer.err
    assert "Ada" not in answer.err
    assert mien("gallery", "delete", "--face", "0" * 32, "-g", gallery).code == 4
    assert mien("gallery", "delete", "-g", gallery).code == 2


def test_people_are_merged_and_parted_again(mien, two):
    assert mien("gallery", "merge", "Barack Obama", "Joe Biden", "-g", two).code == 0
    assert people(mien, two) == {"Barack Obama": 3}
    undone = mien("gallery", "undo", "-g", two, "--json").rows()[0]
    assert undone["op"] == "merge"
    assert people(mien, two) == {"Barack Obama": 2, "Joe Biden": 1}


def test_faces_are_split_off(mien, two):
    face_id = faces(mien, two, "Barack Obama")[1]
    answer = mien("gallery", "split", face_id, "--name", "Barry", "-g", two, "--json")
    assert answer.rows()[0]["templates"] == 1
    assert people(mien, two) == {"Barack Obama": 1, "Barry": 1, "Joe Biden": 1}


def test_two_people_are_kept_apart(mien, two):
    assert mien("gallery", "separate", "Barack Obama", "Joe Biden", "-g", two).code == 0
    refused = mien("gallery", "merge", "Barack Obama", "Joe Biden", "-g", two)
    assert refused.code == 8
    assert "noted not to be one person" in refused.err


def test_a_person_gets_another_name(mien, gallery):
    assert mien("gallery", "rename", "Barack Obama", "B. Obama", "-g", gallery).code == 0
    assert people(mien, gallery) == {"B. Obama": 1}
    rows = mien("gallery", "history", "-g", gallery, "--json").rows()
    assert [row["op"] for row in rows] == ["rename", "enrol"]
    assert {row["actor"] for row in rows} == {"cli"}
    assert "rename" in mien("gallery", "history", "-g", gallery).out


def test_a_strict_gallery_asks_for_consent_and_an_end(mien, gallery, portraits):
    assert "1 people lack" in mien("gallery", "strict", "true", "-g", gallery).err
    refused = mien("enrol", portraits["obama_2"], "--name", "Barack Obama", "-g", gallery)
    assert refused.code == 7
    terms = ("--consent", "form 12", "--retain-until", "2099-12-31")
    arguments = ("enrol", portraits["obama_2"], "--name", "Barack Obama", "-g", gallery)
    assert mien(*arguments, *terms).code == 0


def test_what_is_due_is_deleted(mien, gallery, portraits):
    mien(
        "enrol",
        portraits["biden_1"],
        "--name",
        "Joe",
        "-g",
        gallery,
        "--retain-until",
        "2020-01-01",
    )
    (row,) = mien("gallery", "expire", "-g", gallery, "--json").rows()
    assert (row["deleted"], row["templates"]) == (1, 1)
    assert row["receipt"]["cause"] == "retention"
    assert mien("gallery", "expire", "-g", gallery, "--json").rows() == [{"deleted": 0}]


def test_terms_are_changed(mien, gallery):
    (face_id,) = faces(mien, gallery, "Barack Obama")
    answer = mien("gallery", "amend", face_id, "--consent", "form 3", "-g", gallery, "--json")
    assert answer.rows() == [{"face_id": face_id, "consent": "form 3", "retain_until": ""}]
    bad = mien("gallery", "amend", face_id, "--retain-until", "soon", "-g", gallery)
    assert bad.code == 2
    assert "write it as 2027-01-31" in bad.err


def test_a_bundle_goes_from_gallery_to_gallery(mien, two, tmp_path):
    key, bundle, other = tmp_path / "k", tmp_path / "all.mien", tmp_path / "other.gallery"
    assert mien("gallery", "key", "new", key).code == 0
    (out,) = mien("gallery", "export", bundle, "--key-file", key, "-g", two, "--json").rows()
    assert (out["people"], out["templates"], out["encrypted"]) == (2, 3, True)
    taken = mien(
        "gallery", "import", bundle, "--key-file", key, "--signer", out["signer"], "-g", other,
        "--json",
    ).rows()[0]  # fmt: skip
    assert (taken["people"], taken["templates"], taken["known"]) == (2, 3, 0)
    assert people(mien, other) == people(mien, two)
    assert mien("gallery", "verify", "-g", other).code == 0
    again = mien("gallery", "import", bundle, "--key-file", key, "-g", other, "--json").rows()[0]
    assert (again["templates"], again["known"]) == (0, 3)
    wrong = mien("gallery", "import", bundle, "--key-file", key, "--signer", "00" * 8, "-g", other)
    assert wrong.code == 6


def test_a_bundle_of_another_person_of_that_name_is_refused(mien, two, portraits, tmp_path):
    words, bundle, other = tmp_path / "w", tmp_path / "b.mien", tmp_path / "other.gallery"
    words.write_text("correct horse battery staple\n")
    arguments = ("--passphrase-file", words)
    mien("gallery", "export", bundle, *arguments, "--person", "Joe Biden", "-g", two)
    mien("enrol", portraits["obama_3"], "--name", "Joe Biden", "-g", other)
    refused = mien("gallery", "import", bundle, *arguments, "-g", other)
    assert refused.code == 8
    assert "--join" in refused.err
    assert people(mien, other) == {"Joe Biden": 1}
    assert mien("gallery", "import", bundle, *arguments, "--join", "-g", other).code == 0
    assert people(mien, other) == {"Joe Biden": 2}
    words.write_text("wrong\n")
    assert mien("gallery", "import", bundle, *arguments, "-g", other).code == 7


def test_a_person_gets_all_that_is_kept(mien, two, tmp_path):
    out = tmp_path / "mine.zip"
    arguments = ("gallery", "export", out, "--subject", "-g", two)
    assert mien(*arguments).code == 2
    assert mien(*arguments, "--person", "Barack Obama").code == 0
    with zipfile.ZipFile(out) as archive:
        record = json.loads(archive.read("record.json"))
        names = archive.namelist()
    assert record["name"] == "Barack Obama"
    assert [len(face["template"]) for face in record["faces"]] == [128, 128]
    assert sum(name.endswith(".jpg") for name in names) == 1
    assert out.stat().st_mode & 0o077 == 0


def test_the_key_is_exchanged(mien, gallery, tmp_path, monkeypatch):
    write_key_file(tmp_path / "new.key", new_key())
    assert mien("gallery", "rotate-key", tmp_path / "new.key", "-g", gallery).code == 0
    refused = mien("gallery", "list", "-g", gallery)
    assert refused.code == 7
    assert "MIEN_GALLERY_KEY_FILE" in refused.err
    monkeypatch.delenv("MIEN_GALLERY_KEY")
    monkeypatch.setenv("MIEN_GALLERY_KEY_FILE", str(tmp_path / "new.key"))
    assert people(mien, gallery) == {"Barack Obama": 1}
    (row,) = mien("gallery", "key", "show", "--json").rows()
    assert row["origin"] == str(tmp_path / "new.key")
    assert mien("gallery", "key", "new", tmp_path / "new.key").code == 2


def test_a_gallery_is_made_anew_for_another_pipeline(mien, gallery, tmp_path):
    out = tmp_path / "dlib.gallery"
    answer = mien("gallery", "reembed", out, "--embedder", "dlib", "-g", gallery, "--json")
    assert answer.rows()[0]["templates"] == 1
    assert people(mien, out) == {"Barack Obama": 1}
    assert people(mien, gallery) == {"Barack Obama": 1}


def test_a_sound_gallery_verifies(mien, gallery):
    answer = mien("gallery", "verify", "-g", gallery, "--json")
    assert answer.code == 0
    assert answer.rows() == [{"sound": True, "faults": [], "templates": 1}]


def test_a_damaged_gallery_does_not(mien, gallery, portraits):
    index = SqliteIndex(gallery)
    index.open()
    index._db.execute("UPDATE faces SET vector = zeroblob(512)")
    index.close()
    answer = mien("gallery", "verify", "-g", gallery, "--json")
    assert answer.code == 6
    assert "is damaged" in answer.rows()[0]["faults"][0]
    searched = mien("identify", portraits["obama_2"], "-g", gallery)
    assert searched.code == 6
    assert "mien gallery verify" in searched.err


def test_lost_changes_are_told_and_may_be_accepted(mien, gallery, portraits):
    old = gallery.read_bytes()
    mien("enrol", portraits["obama_2"], "--name", "Barack Obama", "-g", gallery)
    gallery.write_bytes(old)
    lost = mien("gallery", "verify", "-g", gallery)
    assert lost.code == 6
    assert "--accept-loss" in lost.err
    assert mien("gallery", "verify", "--accept-loss", "-g", gallery).code == 0
    assert people(mien, gallery) == {"Barack Obama": 1}


def test_something_else_is_no_gallery(mien, tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 5000)
    answer = mien("gallery", "list", "-g", tmp_path / "x")
    assert answer.code == 6
    assert "damaged or no gallery" in answer.err


def test_a_search_server_is_attached_and_left(mien, two, portraits, tmp_path):
    url = f"milvus+file://{tmp_path}/faces.db#people"
    assert mien("gallery", "attach", "nonsense://x", "-g", two).code == 2
    assert people(mien, two) == {"Barack Obama": 2, "Joe Biden": 1}
    attached = mien("gallery", "attach", url, "-g", two, "--json")
    assert attached.rows() == [{"attached": True, "templates": 3}]
    face = mien("identify", portraits["obama_3"], "-g", two, "--json").rows()[0]["faces"][0]
    assert face["person"] == "Barack Obama"
    assert mien("gallery", "verify", "-g", two).code == 0
    (row,) = mien("gallery", "delete", "Joe Biden", "-g", two, "--json").rows()
    assert row["receipt"]["checks"]["search server"] == "absent"
    assert mien("gallery", "detach", "-g", two, "--json").rows() == [{"detached": True}]
    assert mien("gallery", "verify", "-g", two).code == 0
