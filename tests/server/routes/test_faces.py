"""Enrolling over HTTP keeps what was sent, and refuses what must not be kept."""

import pytest

from toys.painted import NOBODY, paint


def enrol(service, path, picture, **fields):
    files = {"image": ("Ada Lovelace.png", picture, "image/png")}
    return service.ask("POST", f"{path}/faces", files=files, data=fields)


def test_an_enrolled_face_is_answered_as_it_is_stored(service, collection):
    made = enrol(
        service, collection, paint(1), person="Ada", consent="form 12", retain_until="2099-01-31"
    )
    face = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == f"{collection}/faces/{face['face_id']}"
    assert (face["person"], face["consent"], face["retain_until"]) == (
        "Ada",
        "form 12",
        "2099-01-31",
    )
    assert service.ask("GET", made.headers["location"]).json() == face


def test_a_picture_without_a_face_is_refused_with_its_code(service, collection):
    refused = enrol(service, collection, paint(NOBODY), person="Ada")
    assert (refused.status_code, refused.json()["code"]) == (422, "no_face")


def test_what_is_no_picture_is_refused(service, collection):
    refused = enrol(service, collection, b"nothing", person="Ada")
    assert (refused.status_code, refused.json()["code"]) == (415, "media")


def test_a_face_of_somebody_else_is_refused_with_rekognitions_code(service, collection):
    service.enrol(collection, "Ada", paint(1))
    service.enrol(collection, "Eve", paint(2))
    refused = enrol(service, collection, paint(1, look=1), person="Eve")
    assert refused.status_code == 409
    assert "ASSOCIATED_TO_A_DIFFERENT_USER" in refused.json()["facts"]["codes"]
    assert "Ada" not in refused.text
    assert (
        enrol(service, collection, paint(1, look=1), person="Eve", force="true").status_code == 201
    )


def test_the_same_picture_is_not_enrolled_twice(service, collection):
    service.enrol(collection, "Ada", paint(1))
    assert enrol(service, collection, paint(1), person="Ada").json()["code"] == "conflict"


def test_a_misspelt_field_is_refused_not_dropped(service, collection):
    refused = enrol(service, collection, paint(1), person="Ada", retain_untill="2099-01-31")
    assert refused.status_code == 422
    assert refused.json()["facts"]["fields"][0]["where"] == "body.retain_untill"
    assert service.gallery(collection).count().faces == 0


@pytest.mark.parametrize("fields", [{}, {"person": ""}, {"person": "A", "retain_until": "soon"}])
def test_missing_and_wrong_fields_are_named(service, collection, fields):
    refused = enrol(service, collection, paint(1), **fields)
    assert (refused.status_code, refused.json()["code"]) == (422, "input")


def test_a_strict_collection_demands_consent_and_a_day(service):
    strict = service.collection(strict=True)
    assert enrol(service, strict, paint(1), person="Ada").json()["code"] == "refused"
    service.enrol(strict, "Ada", paint(1), consent="form", retain_until="2099-01-31")


def test_pages_of_faces_hold_each_face_once(service, collection):
    for number in range(1, 6):
        service.enrol(collection, f"P{number}", paint(number))
    seen, after = [], ""
    while after is not None:
        page = service.ask("GET", f"{collection}/faces?limit=2&after={after}").json()
        seen += [face["person"] for face in page["faces"]]
        after = page["next"]
    assert sorted(seen) == ["P1", "P2", "P3", "P4", "P5"]


def test_faces_of_one_person_are_listed_by_id(service, collection):
    ada = service.enrol(collection, "Ada", paint(1))
    service.enrol(collection, "Eve", paint(2))
    found = service.ask("GET", f"{collection}/faces?person_id={ada['person_id']}").json()["faces"]
    assert [face["face_id"] for face in found] == [ada["face_id"]]
    assert service.ask("GET", f"{collection}/faces?person_id=Ada").status_code == 404


def test_consent_and_day_can_be_changed(service, collection):
    face = service.enrol(collection, "Ada", paint(1), consent="old")
    url = f"{collection}/faces/{face['face_id']}"
    changed = service.ask("PATCH", url, json={"retain_until": "2098-12-31"}).json()
    assert (changed["consent"], changed["retain_until"]) == ("old", "2098-12-31")
    assert service.ask("PATCH", url, json={"retain_until": "2098-13-31"}).status_code == 422


def test_a_deleted_face_comes_with_a_receipt_and_is_gone(service, collection):
    face = service.enrol(collection, "Ada", paint(1), keep_crop="true")
    url = f"{collection}/faces/{face['face_id']}"
    assert service.ask("GET", f"{url}/crop").content.startswith(b"\xff\xd8")
    receipt = service.ask("DELETE", url).json()
    assert receipt["faces"] == [face["face_id"]]
    assert set(receipt["checks"].values()) == {"absent"}
    assert [service.ask("GET", one).status_code for one in (url, f"{url}/crop")] == [404, 404]


def test_a_crop_is_kept_only_if_asked_for(service, collection):
    face = service.enrol(collection, "Ada", paint(1))
    assert service.ask("GET", f"{collection}/faces/{face['face_id']}/crop").status_code == 404


def test_the_main_face_can_be_chosen(portrait_service, portraits):
    path = portrait_service.collection()
    face = portrait_service.enrol(path, "Joe", portraits["biden_1"].read_bytes(), face="main")
    assert face["person"] == "Joe"
