"""Faces kept for review are enrolled, rejected or forgotten, and then no longer kept."""

import pytest

from toys.painted import paint


@pytest.fixture
def kept(service, collection):
    """Path of a kept face in a collection that holds one other person."""
    service.enrol(collection, "Ada", paint(1))
    found = service.ask("POST", f"{collection}/search?keep=true", files={"image": paint(50)})
    return f"{collection}/sightings/{found.json()['faces'][0]['sighting_id']}"


def left(service, collection):
    return service.ask("GET", f"{collection}/sightings").json()["sightings"]


def test_a_kept_face_is_shown(service, collection, kept):
    (sighting,) = left(service, collection)
    assert sighting["decision"] == "unknown"
    assert sighting["keep_until"] > sighting["at"][:10]
    assert service.ask("GET", f"{kept}/crop").content.startswith(b"\xff\xd8")


def test_a_confirmed_face_is_enrolled_and_found(service, collection, kept):
    made = service.ask("POST", f"{kept}/confirm", json={"person": "Eve", "consent": "form"})
    assert (made.status_code, made.json()["person"]) == (201, "Eve")
    assert left(service, collection) == []
    found = service.ask("POST", f"{collection}/search", files={"image": paint(50, look=2)})
    assert found.json()["faces"][0]["person"] == "Eve"
    assert service.ask("POST", f"{kept}/confirm", json={"person": "Eve"}).status_code == 404


def test_a_rejected_face_is_not_kept(service, collection, kept):
    assert service.ask("POST", f"{kept}/reject").status_code == 201
    assert left(service, collection) == []
    assert service.gallery(collection).people.rejections().keys() != set()


def test_a_face_that_resembles_nobody_cannot_be_rejected(service, collection):
    found = service.ask("POST", f"{collection}/search?keep=true", files={"image": paint(50)})
    url = f"{collection}/sightings/{found.json()['faces'][0]['sighting_id']}"
    assert service.ask("POST", f"{url}/reject").json()["code"] == "conflict"


def test_a_forgotten_face_leaves_nothing(service, collection, kept):
    assert service.ask("DELETE", kept).status_code == 204
    assert left(service, collection) == []
    assert service.ask("GET", f"{kept}/crop").status_code == 404
