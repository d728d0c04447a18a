"""Collections over HTTP: made, described, and deleted only when that is said twice."""

import pytest


def test_a_new_collection_is_described(service):
    made = service.ask("POST", "/v1/collections", json={"collection_id": "staff", "strict": True})
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/collections/staff"
    told = service.ask("GET", "/v1/collections/staff").json()
    assert told == made.json()
    assert (told["people"], told["faces"], told["strict"]) == (0, 0, True)
    assert told["contract"] == service.state.pipeline.contract.id
    assert len(told["key_id"]) == 8
    again = service.ask("POST", "/v1/collections", json={"collection_id": "staff"})
    assert again.status_code == 409


@pytest.mark.parametrize("name", ["", "Staff", "../x", "a/b", "-a", "a.b", "x" * 64, "a\n"])
def test_what_is_no_id_is_refused(service, name):
    before = sorted(path.name for path in service.state.settings.data_folder.iterdir())
    refused = service.ask("POST", "/v1/collections", json={"collection_id": name})
    assert (refused.status_code, refused.json()["code"]) == (422, "input")
    assert sorted(path.name for path in service.state.settings.data_folder.iterdir()) == before


def test_calibration_and_its_origin_are_told(service, collection):
    told = service.ask("GET", collection).json()["calibration"]
    assert (told["data"], told["people"]) == ("random directions", 1000)


def test_deleting_asks_for_the_id_twice(service, collection):
    name = collection.rpartition("/")[2]
    for query in ("", "?confirm=", "?confirm=other"):
        assert service.ask("DELETE", f"{collection}{query}").status_code == 422
    assert service.ask("DELETE", f"{collection}?confirm={name}").status_code == 204
    assert service.ask("GET", collection).status_code == 404
    assert not list(service.state.settings.data_folder.glob(f"{name}.*"))
    assert service.ask("DELETE", f"{collection}?confirm={name}").status_code == 404


def test_a_key_sees_only_its_collections(service, collection):
    name = collection.rpartition("/")[2]
    other = service.collection()
    key = service.key_for("search", collections=(name,))
    assert service.ask("GET", "/v1/collections", key=key).json() == {"collections": [name]}
    assert service.ask("GET", collection, key=key).status_code == 200
    assert service.ask("GET", other, key=key).status_code == 403


def test_whether_a_collection_exists_is_not_told_to_those_who_may_not_use_it(service, collection):
    key = service.key_for("search", "admin", collections=("mine",))
    answers = [
        service.ask("GET", path, key=key).json() for path in (collection, "/v1/collections/nope")
    ]
    assert [answer["status"] for answer in answers] == [403, 403]
    assert answers[0]["detail"] == answers[1]["detail"]


def test_making_and_deleting_need_the_scope_admin(service, collection):
    key = service.key_for("enrol", "delete")
    wanted = {"collection_id": "another"}
    assert service.ask("POST", "/v1/collections", json=wanted, key=key).status_code == 403
    name = collection.rpartition("/")[2]
    assert service.ask("DELETE", f"{collection}?confirm={name}", key=key).status_code == 403
