"""Nobody comes in without a key, and nobody too often."""

import json

import pytest
from starlette.datastructures import Headers

from mien.core.errors import UnauthorisedError
from mien.server.admission import is_open, presented_key, principal_of
from mien.server.principal import Principal
from toys.painted import Painted
from toys.service import running_service


@pytest.fixture
def strict(tmp_path):
    """A service that throttles, and its folder."""
    options = {"requests_per_minute": 60, "burst": 4, "failures_per_minute": 3}
    with running_service(tmp_path, Painted().pipeline(), **options) as one:
        yield one


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer k")],
        [("authorization", "bearer  k ")],
        [("x-api-key", "k")],
        [("authorization", "Bearer k"), ("x-api-key", "other")],
    ],
)
def test_a_key_is_taken_from_either_header(headers):
    assert presented_key(Headers(raw=[(n.encode(), v.encode()) for n, v in headers])) == "k"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "has no API key"),
        ([("authorization", "Basic eDp5")], "not given as one bearer token"),
        ([("authorization", "Bearer")], "not given as one bearer token"),
        ([("authorization", "Bearer a"), ("authorization", "Bearer b")], "not given as one"),
        ([("cookie", "key=x")], "has no API key"),
    ],
)
def test_without_one_key_nobody_is_let_in(headers, words):
    with pytest.raises(UnauthorisedError, match=words):
        presented_key(Headers(raw=[(n.encode(), v.encode()) for n, v in headers]))


def test_few_addresses_are_open():
    paths = ["/healthz", "/readyz", "/openapi.json", "/app", "/app/x"]
    assert all(is_open(path, page=True) for path in paths)
    for path in ("/", "/metrics", "/v1/version", "/apple", "/healthz/", "/v1/../app"):
        assert not is_open(path, page=True)
    assert not is_open("/app", page=False)


def test_at_an_open_address_nobody_is_known():
    with pytest.raises(UnauthorisedError):
        principal_of({})
    who = Principal("0" * 8, frozenset(), frozenset())
    assert principal_of({"state": {"principal": who}}) is who


def test_answers_tell_how_many_requests_are_left_and_then_to_wait(strict):
    left = [strict.ask("GET", "/v1/version").headers["ratelimit"] for _ in range(4)]
    assert left == [f'"key";r={n}' for n in (3, 2, 1, 0)]
    late = strict.ask("GET", "/v1/version")
    assert (late.status_code, late.json()["code"]) == (429, "throttled")
    assert int(late.headers["retry-after"]) >= 1
    other = strict.key_for("search")
    fresh = strict.ask("GET", "/v1/version", key=other)
    assert (fresh.status_code, fresh.headers["ratelimit-policy"]) == (200, '"key";q=60;w=60')


def test_an_address_that_fails_too_often_waits_but_valid_keys_still_come_in(strict):
    statuses = [strict.ask("GET", "/v1/version", key="wrong").status_code for _ in range(5)]
    assert statuses == [401] * 3 + [429] * 2
    assert strict.ask("GET", "/v1/version").status_code == 200


def test_refusals_are_written_down_without_the_key(strict):
    refused = strict.ask("GET", "/v1/version", key="mien_00000000_secret")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    line = json.loads(strict.state.audit.path.read_text().splitlines()[-1])
    assert (line["action"], line["result"]) == ("service.refuse", "unauthorised")
    assert line["request"] == refused.headers["x-request-id"]
    assert "secret" not in strict.state.audit.path.read_text()
