"""Every answer carries the id of its request and careful headers, refusals too."""

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import Response

from mien.server.headers import API_POLICY, PAGE_POLICY, CarefulHeaders
from mien.server.problems import install


@pytest.fixture
def client():
    app = FastAPI()
    install(app)
    app.add_middleware(CarefulHeaders, page_path="/page")

    @app.get("/id")
    def show(request: Request) -> str:
        return request.state.request_id

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError

    @app.get("/page/asset")
    def asset() -> Response:
        return Response("x", headers={"Server": "old/1.0", "Cache-Control": "max-age=60"})

    @app.get("/page")
    def page() -> Response:
        return Response("x")

    return TestClient(app)


@pytest.mark.parametrize("path", ["/id", "/nowhere", "/bug"])
def test_the_api_allows_browsers_nothing(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == API_POLICY
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]


def test_the_page_may_use_the_camera_and_its_own_scripts_only(client):
    headers = client.get("/page").headers
    assert headers["content-security-policy"] == PAGE_POLICY
    assert "camera=(self)" in headers["permissions-policy"]
    assert "http" not in PAGE_POLICY
    assert "*" not in PAGE_POLICY


def test_what_only_looks_like_the_page_is_not_it(client):
    assert client.get("/pages").headers["content-security-policy"] == API_POLICY


def test_assets_of_the_page_may_be_cached_and_no_server_is_named(client):
    headers = client.get("/page/asset").headers
    assert headers["cache-control"] == "max-age=60"
    assert "server" not in headers


def test_the_id_is_the_services_own_and_reaches_routes_answers_and_problems(client):
    answer = client.get("/id", headers={"X-Request-ID": "Ada Lovelace"})
    assert answer.headers["x-request-id"] == answer.json()
    assert re.fullmatch("[0-9a-f]{16}", answer.json())
    broken = client.get("/bug")
    assert broken.json()["request_id"] == broken.headers["x-request-id"] != answer.json()


def test_an_application_at_the_root_may_be_the_page():
    app = CarefulHeaders(FastAPI(), page_path="/")
    assert TestClient(app).get("/any").headers["content-security-policy"] == PAGE_POLICY
