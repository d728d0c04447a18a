"""The history says which key did what, in ids, and takes changes back."""

from toys.painted import paint


def test_changes_are_listed_newest_first_without_names(service, collection):
    face = service.enrol(collection, "Ada Lovelace", paint(1))
    answer = service.ask("GET", f"{collection}/history")
    (entry,) = answer.json()["entries"]
    key_id = service.key.split("_")[1]
    assert (entry["op"], entry["actor"], entry["can_undo"]) == ("enrol", key_id, True)
    assert entry["facts"]["face_id"] == face["face_id"]
    assert "Lovelace" not in answer.text


def test_an_enrolment_is_taken_back_once(service, collection):
    service.enrol(collection, "Ada", paint(1))
    assert service.ask("POST", f"{collection}/history/1/undo").json()["op"] == "enrol"
    assert service.gallery(collection).count().faces == 0
    assert service.ask("POST", f"{collection}/history/1/undo").status_code == 409
    assert service.ask("POST", f"{collection}/history/99/undo").status_code == 404
    assert service.ask("POST", f"{collection}/history/0/undo").status_code == 422


def test_history_needs_the_scope_admin(service, collection):
    key = service.key_for("search", "enrol", "delete")
    assert service.ask("GET", f"{collection}/history", key=key).status_code == 403
