"""``mien gallery``."""

from mien.gallery.sqlite import SqliteIndex


def test_people_are_listed(mien, gallery):
    assert mien("gallery", "list", "-g", gallery, "--json").rows() == [
        {"person": "Barack Obama", "templates": 1}
    ]
    shown = mien("gallery", "list", "-g", gallery)
    assert "Barack Obama" in shown.out
    assert "not encrypted" in shown.err


def test_a_person_is_shown_without_templates(mien, gallery):
    (row,) = mien("gallery", "show", "Barack Obama", "-g", gallery, "--json").rows()
    assert set(row) == {"person", "face_id", "enrolled_at", "quality", "source", "consent", "box"}


def test_a_person_is_deleted_for_good(mien, gallery, portraits):
    answer = mien("gallery", "delete", "Barack Obama", "-g", gallery, "--json")
    assert answer.rows() == [{"deleted": 1, "templates": 0, "people": 0}]
    assert mien("gallery", "list", "-g", gallery, "--json").rows() == []
    face = mien("identify", portraits["obama_2"], "-g", gallery, "--json").rows()[0]["faces"][0]
    assert face["decision"] == "unknown"
    assert "the gallery is empty" in face["reasons"]


def test_one_template_is_deleted(mien, gallery, portraits):
    mien("enrol", portraits["obama_2"], "--name", "Barack Obama", "-g", gallery)
    rows = mien("gallery", "show", "Barack Obama", "-g", gallery, "--json").rows()
    answer = mien("gallery", "delete", "--face", rows[0]["face_id"], "-g", gallery, "--json")
    assert answer.rows()[0] == {"deleted": 1, "templates": 1, "people": 1}


def test_deleting_nobody_is_an_error_without_the_name(mien, gallery):
    answer = mien("gallery", "delete", "Ada Lovelace", "-g", gallery)
    assert answer.code == 4
    assert "nobody of that name" in answer.err
    assert "Ada" not in answer.err
    assert mien("gallery", "delete", "--face", "0" * 32, "-g", gallery).code == 4
    assert mien("gallery", "delete", "-g", gallery).code == 2


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


def test_something_else_is_no_gallery(mien, tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 5000)
    answer = mien("gallery", "list", "-g", tmp_path / "x")
    assert answer.code == 6
    assert "damaged or no gallery" in answer.err
