"""Each route needs its scope, in its collection, whoever asks."""

import json
import re

import pytest

from mien.core.errors import IdentityMissingError
from mien.server.access import person_of
from mien.server.principal import SCOPES
from toys.painted import paint

C = "/v1/collections/{collection_id}"
NEEDED = {
    "get_metrics": "admin",
    "get_version": None,
    "create_collection": "admin",
    "list_collections": None,
    "describe_collection": None,
    "delete_collection": "admin",
    "search_faces": "search",
    "search_faces_stream": "search",
    "compare_faces": "detect",
    "detect_faces": "detect",
    "undo_change": "admin",
    "list_history": "admin",
    "list_receipts": "delete",
    "verify_receipt": "delete",
    "expire_faces": "delete",
    "verify_collection": "admin",
    "export_person": "admin",
    "export_collection": "admin",
    "import_collection": "admin",
    "delete_face": "delete",
    "delete_person": "delete",
    "create_job": "search",
    "list_jobs": "search",
    "get_job": "search",
    "get_job_events": "search",
    "get_job_result": "search",
    "delete_job": "search",
}
OPEN = {"get_health", "get_readiness"}


def operations(app):
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] not in OPEN:
                yield method.upper(), path, operation["operationId"]


def test_every_route_refuses_keys_without_its_scope(service, collection):
    name = collection.rpartition("/")[2]
    body = {"collection_id": "new", "name": "N", "other": "x", "face_ids": ["x"], "person": "P"}
    for method, path, operation in operations(service.app):
        scope = NEEDED.get(operation, "enrol")
        if scope is None:
            continue
        others = [one for one in SCOPES if one != scope]
        url = re.sub(r"\{number\}", "1", path.replace("{collection_id}", name))
        url = re.sub(r"\{\w+\}", "x", url) + f"?confirm={name}"
        options = {"json": {k: v for k, v in body.items() if fits(operation, k)}}
        if operation == "verify_receipt":
            options = {"json": RECEIPT}
        answer = service.ask(method, url, key=service.key_for(*others), **options)
        assert answer.status_code == 403, (operation, answer.text)
        assert answer.json()["facts"]["scope"] == scope
        elsewhere = service.key_for(scope, collections=("elsewhere",))
        if "{collection_id}" in path:
            assert service.ask(method, url, key=elsewhere, **options).status_code == 403, operation


RECEIPT = {
    "schema": "mien.receipt/1",
    "gallery": "",
    "number": 1,
    "at": "",
    "cause": "",
    "people": [],
    "faces": [],
    "removed": {},
    "checks": {},
    "previous": "",
    "signer": "",
    "signature": "",
}


def fits(operation, field):
    fields = {
        "create_collection": {"collection_id"},
        "rename_person": {"name"},
        "merge_people": {"other"},
        "separate_people": {"other"},
        "split_person": {"face_ids", "name"},
        "confirm_sighting": {"person"},
    }
    return field in fields.get(operation, set())


def test_changes_are_written_down_without_names(service, collection):
    before = len(service.state.audit.path.read_text().splitlines())
    service.enrol(collection, "Ada Lovelace", paint(1))
    service.ask("POST", f"{collection}/search", files={"image": paint(1)})
    text = service.state.audit.path.read_text()
    lines = [json.loads(line) for line in text.splitlines()[before:]]
    told = [(line["action"], line["result"]) for line in lines]
    assert told == [("faces.enrol", "begun"), ("faces.enrol", "ok"), ("faces.search", "ok")]
    assert lines[1]["counts"] == {"faces": 1}
    assert {line["key"] for line in lines} == {service.key.split("_")[1]}
    assert "Lovelace" not in text


def test_people_are_found_by_id_and_not_by_name(service, collection):
    face = service.enrol(collection, "Ada", paint(1))
    gallery = service.gallery(collection)
    assert person_of(gallery, face["person_id"]).name == "Ada"
    with pytest.raises(IdentityMissingError, match="nobody in the collection has this id"):
        person_of(gallery, "Ada")
