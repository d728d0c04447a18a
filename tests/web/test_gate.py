"""Nothing passes the gate without a session, and of Gradio only what the page uses."""

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from mien.server.api_keys import ApiKeys
from mien.web.gate import COOKIE, Gate, key_id_of
from mien.web.sessions import Sessions


async def inner(scope, receive, send):
    """Says whose key came through."""
    await PlainTextResponse(f"inside: {key_id_of(Request(scope))}")(scope, receive, send)


@pytest.fixture
def keys(tmp_path):
    return ApiKeys(tmp_path / "keys.json")


@pytest.fixture
def client(keys):
    gate = Gate(inner, sessions=Sessions(keys), failures_per_minute=3)
    return TestClient(gate, follow_redirects=False)


@pytest.fixture
def inside(client, keys):
    """A client that has logged in."""
    client.post("/login", data={"key": keys.create("one", scopes=("search",))[1]})
    return client


PAGES = ("/", "/config", "/assets/a.js", "/gradio_api/queue/join", "/gradio_api/info", "/x")


@pytest.mark.parametrize("path", PAGES)
def test_without_a_session_nothing_is_served(client, path):
    assert client.get(path).status_code == 401
    asked = client.get(path, headers={"accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/login")
    assert client.post(path).status_code == 401
    assert "inside" not in asked.text


def test_a_key_logs_in_with_a_cookie_that_scripts_cannot_read(client, keys):
    key, text = keys.create("one", scopes=("search",))
    answer = client.post("/login", data={"key": text})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/").text == f"inside: {key.key_id}"


def test_a_wrong_key_is_told_in_words_and_soon_throttled(client):
    for _ in range(3):
        answer = client.post("/login", data={"key": "mien_wrong"})
        assert answer.status_code == 401
        assert "The API key is not valid" in answer.text
    answer = client.post("/login", data={"key": "mien_wrong"})
    assert answer.status_code == 429
    assert "Ask again in" in answer.text


def test_a_long_form_is_not_read_to_its_end(client):
    assert client.post("/login", data={"key": "x" * 5000}).status_code == 413


def test_logging_out_closes_the_door(inside):
    inside.post("/logout")
    assert inside.get("/").status_code == 401


def test_logging_out_works_for_this_site_only(inside):
    foreign = {"origin": "https://elsewhere.example"}
    assert inside.post("/logout", headers=foreign).status_code == 403
    assert inside.post("/logout", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert "inside" in inside.get("/").text


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://example.org/a.jpg",
        "/gradio_api/file=https:/example.org/a.jpg",
        "/gradio_api/proxy=https://example.org/",
        "/gradio_api/info",
        "/gradio_api/run/predict",
        "/gradio_api/vibe-edit/",
        "/monitoring",
        "/gradio_api/runs",
    ],
)
def test_addresses_of_gradio_that_the_page_does_not_use_are_closed(inside, path):
    assert inside.get(path).status_code == 404
    assert inside.post(path).status_code == 404


def test_what_the_page_uses_is_open(inside):
    for path in ("/", "/config", "/assets/a.js", "/gradio_api/file=/somewhere/a.jpg"):
        assert "inside" in inside.get(path).text


def test_a_foreign_cookie_opens_nothing(client):
    client.cookies.set(COOKIE, "guessed")
    assert client.get("/").status_code == 401
