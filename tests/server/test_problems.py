"""Every failure has one shape, and none of them gives anything away."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI, UploadFile
from fastapi.testclient import TestClient
from pydantic import BaseModel

from mien.core import errors
from mien.core.errors import BusyError, MienError, QualityError, StorageError
from mien.faces.quality import Reject
from mien.server.problems import TYPE_BASE, install, respond

WORDS = {"what": "crop is 50 px", "why": "64 px are needed", "mend": "pass a larger crop"}


class Person(BaseModel):
    name: str
    age: int


def every_error():
    found = [MienError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.fixture
def app():
    app = FastAPI()
    install(app)

    @app.post("/people")
    def enrol(person: Person) -> None:
        raise QualityError(**WORDS, codes=[Reject.LOW_SHARPNESS])

    @app.get("/bug")
    def bug() -> None:
        raise KeyError("Ada Lovelace")

    @app.get("/disk")
    def disk() -> None:
        raise StorageError(what="cannot write /srv/secret/place", why="x", mend="y", errno=28)

    @app.post("/picture")
    def picture(file: UploadFile) -> str:
        return file.filename or ""

    return app


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.mark.parametrize("kind", every_error())
def test_every_error_becomes_a_problem_document(kind):
    response = respond(kind(**WORDS, count=3), "r1")
    document = json.loads(response.body)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == document["status"] == kind.status
    assert document["type"] == f"{TYPE_BASE}{kind.code}"
    assert document["code"] == kind.code
    assert document["request_id"] == "r1"
    assert document["detail"] == f"{document['what']}; {document['why']}; {document['mend']}"
    assert set(document) >= {"title", "what", "why", "mend", "facts"}


def test_the_words_and_facts_of_an_error_reach_the_client(client):
    document = client.post("/people", json={"name": "Ada", "age": 36}).json()
    assert {name: document[name] for name in WORDS} == WORDS
    assert document["facts"] == {"codes": ["LOW_SHARPNESS"]}


def test_a_request_that_does_not_fit_names_the_parts_and_repeats_no_value(client):
    response = client.post("/people", json={"name": "Ada Lovelace", "age": "very old"})
    document = response.json()
    assert (response.status_code, document["code"]) == (422, "input")
    assert [field["where"] for field in document["facts"]["fields"]] == ["body.age"]
    assert "very old" not in response.text
    assert "Ada" not in response.text


def test_broken_json_has_the_same_shape(client):
    response = client.post(
        "/people", content=b'{"name": "Ada', headers={"content-type": "application/json"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "input")
    assert "Ada" not in response.text


def test_a_broken_form_has_the_same_shape(client):
    response = client.post(
        "/picture", content=b"x", headers={"content-type": "multipart/form-data"}
    )
    assert (response.status_code, response.json()["code"]) == (400, "input")


def test_an_unknown_address_has_the_same_shape(client):
    response = client.get("/nowhere/Ada")
    assert (response.status_code, response.json()["code"]) == (404, "missing")
    assert "Ada" not in response.text


def test_a_wrong_method_has_the_same_shape_and_says_which_are_right(client):
    response = client.delete("/people")
    assert (response.status_code, response.json()["code"]) == (405, "input")
    assert response.headers["allow"] == "POST"


def test_a_bug_says_nothing_but_that_it_is_one_and_the_log_holds_its_place(client, caplog):
    with caplog.at_level(logging.ERROR, "mien"):
        response = client.get("/bug")
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    for text in ("Ada", "KeyError", "test_problems"):
        assert text not in response.text
    assert "unexpected KeyError" in caplog.text
    assert "test_problems.py" in caplog.text
    assert "Lovelace" not in caplog.text


def test_a_fault_of_the_service_tells_no_paths_to_the_client(client, caplog):
    with caplog.at_level(logging.ERROR, "mien"):
        response = client.get("/disk")
    assert (response.status_code, response.json()["code"]) == (507, "storage")
    assert "secret" not in response.text
    assert response.json()["facts"] == {}
    assert "/srv/secret/place" in caplog.text


def test_who_must_wait_is_told_how_long():
    response = respond(BusyError(**WORDS, retry_after_s=2.1))
    assert response.headers["retry-after"] == "3"
    assert json.loads(response.body)["what"] == WORDS["what"]


def test_who_has_no_key_is_told_the_scheme():
    response = respond(errors.UnauthorisedError(**WORDS))
    assert response.headers["www-authenticate"] == 'Bearer realm="mien"'


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.array([1, 2]), [1, 2]),
        (float("nan"), None),
        (float("inf"), None),
        (np.float64("nan"), None),
        (("a", 1), ["a", 1]),
        ({1: {2.0}}, {"1": [2.0]}),
        (Path("a/b"), "a/b"),
        (Reject.EXTREME_POSE, "EXTREME_POSE"),
        (True, True),
        (None, None),
    ],
)
def test_facts_are_safe_for_json(value, plain):
    document = json.loads(respond(errors.InputError(**WORDS, fact=value)).body)
    assert document["facts"] == {"fact": plain}
