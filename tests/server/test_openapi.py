"""The description is the one that clients were promised.

If it is meant to change: MIEN_ACCEPT=1 make test, and look at what changed.
"""

import json
import os
from pathlib import Path

import pytest

from mien.server.app import create_app
from mien.server.settings import ServerSettings

SNAPSHOT = Path(__file__).with_name("openapi.json")


@pytest.fixture(scope="module")
def description():
    return create_app(ServerSettings()).openapi()


def test_the_description_is_the_one_promised(description):
    told = json.loads(json.dumps(description))
    told["info"]["version"] = "x"  # a new version of mien changes no promise
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("MIEN_ACCEPT"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8"), "to accept it: MIEN_ACCEPT=1"


def operations(description):
    return [
        (path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_can_be_called_by_a_generated_client(description):
    names = [operation["operationId"] for _, _, operation in operations(description)]
    assert len(names) == len(set(names))
    assert all(name.islower() and name.isidentifier() for name in names)
    for path, _, operation in operations(description):
        assert operation["summary"], path
        assert operation["description"], path
        assert len(operation["tags"]) == 1


def test_every_operation_but_the_open_ones_needs_a_key_in_either_header(description):
    bare = [path for path, _, operation in operations(description) if "security" not in operation]
    assert bare == ["/healthz", "/readyz"]
    for _, _, operation in operations(description):
        assert operation.get("security", [{"HTTPBearer": []}, {"APIKeyHeader": []}]) == [
            {"HTTPBearer": []},
            {"APIKeyHeader": []},
        ]


def test_every_operation_may_answer_with_a_problem(description):
    for _, _, operation in operations(description):
        problem = operation["responses"]["default"]["content"]["application/problem+json"]
        assert problem["schema"]["$ref"].endswith("/ProblemDocument")
        assert "422" not in operation["responses"]


def test_no_address_takes_a_name(description):
    for path, _, operation in operations(description):
        told = {one["name"] for one in operation.get("parameters", [])}
        assert not told & {"name", "person", "label"}, path
