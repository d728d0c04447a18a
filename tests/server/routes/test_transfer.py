"""People leave a collection in a file, and enter another one."""

import io
import json
import zipfile

from toys.painted import paint

WORDS = "correct horse battery staple"


def people(service, collection):
    listed = service.ask("GET", f"{collection}/people").json()["people"]
    return {one["name"]: one["person_id"] for one in listed}


def taken(service, collection, data, **fields):
    form = {"passphrase": WORDS} | fields
    return service.ask("POST", f"{collection}/import", files={"bundle": ("b", data)}, data=form)


def test_a_person_gets_all_that_is_kept(service, collection):
    face = service.enrol(collection, "Ada Lovelace", paint(1))
    answer = service.ask("GET", f"{collection}/people/{face['person_id']}/export")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        record = json.loads(archive.read("record.json"))
    assert record["name"] == "Ada Lovelace"
    assert [one["face_id"] for one in record["faces"]] == [face["face_id"]]
    assert service.ask("GET", f"{collection}/people/{'0' * 32}/export").status_code == 404


def test_a_bundle_goes_from_collection_to_collection(service, collection):
    for number, name in ((1, "Ada"), (2, "Bob")):
        service.enrol(collection, name, paint(number))
    bundle = service.ask("POST", f"{collection}/export", json={"passphrase": WORDS})
    assert b"Ada" not in bundle.content
    other = service.collection()
    answer = taken(service, other, bundle.content, signer=bundle.headers["mien-signer"])
    assert answer.json()["people"] == 2
    assert people(service, other) == people(service, collection)
    assert taken(service, other, bundle.content).json()["known"] == 2


def test_some_people_alone(service, collection):
    ada = service.enrol(collection, "Ada", paint(1))["person_id"]
    service.enrol(collection, "Bob", paint(2))
    wanted = {"passphrase": WORDS, "people": [ada]}
    bundle = service.ask("POST", f"{collection}/export", json=wanted)
    other = service.collection()
    assert taken(service, other, bundle.content).json()["faces"] == 1
    assert list(people(service, other)) == ["Ada"]


def test_what_cannot_be_taken_in_changes_nothing(service, collection):
    service.enrol(collection, "Ada", paint(1))
    bundle = service.ask("POST", f"{collection}/export", json={"passphrase": WORDS}).content
    other = service.collection()
    service.enrol(other, "Ada", paint(9))
    assert taken(service, other, bundle).status_code == 409
    assert taken(service, other, bundle, passphrase="wrong words, wrong").status_code == 403
    assert taken(service, other, bundle[:-1]).status_code == 422
    assert taken(service, other, b"no bundle").status_code == 422
    assert service.gallery(other).count().faces == 1
    assert taken(service, other, bundle, join="true").status_code == 200


def test_no_file_is_left_and_admin_is_needed(service, collection):
    face = service.enrol(collection, "Ada", paint(1))
    key = service.key_for("search", "enrol", "delete")
    person = f"{collection}/people/{face['person_id']}/export"
    assert service.ask("GET", person, key=key).status_code == 403
    refused = service.ask("POST", f"{collection}/export", json={"passphrase": WORDS}, key=key)
    assert refused.status_code == 403
    folder = service.state.settings.data_folder
    assert not [path for path in folder.iterdir() if path.name.startswith(".transfer-")]
