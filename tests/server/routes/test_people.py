"""People over HTTP: named by their ids, never mixed, never lost."""

import pytest

from toys.painted import NOBODY, paint


@pytest.fixture
def two(service, collection):
    """Ada with two faces, and Eve."""
    ada = service.enrol(collection, "Ada", paint(1))
    service.enrol(collection, "Ada", paint(1, look=1))
    return ada, service.enrol(collection, "Eve", paint(2))


def names(service, collection):
    people = service.ask("GET", f"{collection}/people").json()["people"]
    return {person["name"]: person["faces"] for person in people}


def test_everybody_is_listed_with_counts(service, collection, two):
    assert names(service, collection) == {"Ada": 2, "Eve": 1}


def test_pages_hold_each_person_once(service, collection):
    for number in range(1, 6):
        service.enrol(collection, f"P{number}", paint(number))
    seen, after = [], ""
    while after is not None:
        page = service.ask("GET", f"{collection}/people?limit=2&after={after}").json()
        seen += [person["name"] for person in page["people"]]
        after = page["next"]
    assert sorted(seen) == [f"P{number}" for number in range(1, 6)]


def test_a_name_is_no_id(service, collection, two):
    assert service.ask("GET", f"{collection}/people/Ada").status_code == 404


def test_nobody_is_named_like_an_id(service, collection, two):
    ada, eve = two
    url = f"{collection}/people/{eve['person_id']}"
    assert service.ask("PATCH", url, json={"name": ada["person_id"]}).status_code == 422
    assert names(service, collection) == {"Ada": 2, "Eve": 1}


def test_a_new_name_keeps_the_id_and_a_taken_one_is_refused(service, collection, two):
    ada, _ = two
    url = f"{collection}/people/{ada['person_id']}"
    renamed = service.ask("PATCH", url, json={"name": "Augusta"}).json()
    assert (renamed["person_id"], renamed["name"]) == (ada["person_id"], "Augusta")
    assert service.ask("PATCH", url, json={"name": "Eve"}).status_code == 409


def test_merging_and_taking_it_back(service, collection, two):
    ada, eve = two
    merged = service.ask(
        "POST",
        f"{collection}/people/{ada['person_id']}/merge",
        json={"other": eve["person_id"]},
    )
    assert merged.json()["faces"] == 3
    assert names(service, collection) == {"Ada": 3}
    newest = service.ask("GET", f"{collection}/history").json()["entries"][0]
    assert service.ask("POST", f"{collection}/history/{newest['number']}/undo").status_code == 200
    assert names(service, collection) == {"Ada": 2, "Eve": 1}


def test_separate_people_cannot_be_merged(service, collection, two):
    ada, eve = two
    url = f"{collection}/people/{ada['person_id']}"
    other = {"other": eve["person_id"]}
    assert service.ask("POST", f"{url}/separate", json=other).status_code == 204
    assert service.ask("POST", f"{url}/merge", json=other).status_code == 409
    assert names(service, collection) == {"Ada": 2, "Eve": 1}


def test_a_split_makes_another_person(service, collection, two):
    ada, eve = two
    url = f"{collection}/people/{ada['person_id']}/split"
    made = service.ask("POST", url, json={"face_ids": [ada["face_id"]], "name": "Ida"})
    assert (made.status_code, made.json()["name"]) == (201, "Ida")
    assert names(service, collection) == {"Ada": 1, "Ida": 1, "Eve": 1}
    wrong = service.ask("POST", url, json={"face_ids": [eve["face_id"]], "name": "Eva"})
    assert wrong.status_code == 422
    assert "somebody else" in wrong.json()["what"]


def test_a_rejected_face_is_not_named_so_again(service, collection, two):
    ada, _ = two
    probe = paint(1, look=9)
    url = f"{collection}/people/{ada['person_id']}/reject"
    assert service.ask("POST", url, files={"image": probe}).status_code == 201
    answer = service.ask("POST", f"{collection}/search", files={"image": probe}).json()
    assert answer["faces"][0]["decision"] != "match"


def test_a_rejection_needs_a_face(service, collection, two):
    ada, _ = two
    url = f"{collection}/people/{ada['person_id']}/reject"
    assert service.ask("POST", url, files={"image": paint(NOBODY)}).json()["code"] == "no_face"
    assert service.ask("POST", url, data={"sighting_id": "x"}).status_code in {404, 415}


def test_a_deleted_person_is_never_found(service, collection, two):
    ada, _ = two
    receipt = service.ask("DELETE", f"{collection}/people/{ada['person_id']}").json()
    assert (len(receipt["faces"]), receipt["people"]) == (2, [ada["person_id"]])
    answer = service.ask("POST", f"{collection}/search", files={"image": paint(1, look=3)}).json()
    assert answer["faces"][0]["decision"] == "unknown"
    assert names(service, collection) == {"Eve": 1}
