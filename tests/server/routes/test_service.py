"""Health needs no key, figures need one, and neither tells names."""

import pytest

import mien
from mien.core.errors import IntegrityError
from toys.painted import paint


def test_health_and_description_need_no_key(service):
    assert service.ask("GET", "/healthz", key="").json() == {"status": "ok"}
    ready = service.ask("GET", "/readyz", key="")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert service.ask("GET", "/openapi.json", key="").json()["openapi"].startswith("3.")
    assert service.ask("GET", "/v1/version", key="").status_code == 401


def test_the_version_is_told_to_every_key(service):
    told = service.ask("GET", "/v1/version", key=service.key_for("detect")).json()
    assert told == {"version": mien.__version__, "contract": service.state.pipeline.contract.id}


def test_a_leaping_clock_shows(service, monkeypatch):
    monkeypatch.setattr(service.state.retention, "_offset", 4000.0)
    ready = service.ask("GET", "/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["clock"].startswith("was set by")


def test_a_collection_that_cannot_be_opened_shows_without_its_name(service, monkeypatch):
    fault = IntegrityError(what="x", why="y", mend="z")
    monkeypatch.setitem(service.state.collections.faults, "secret", fault)
    ready = service.ask("GET", "/readyz")
    assert ready.json()["checks"]["collections"] == "1 cannot be opened"
    assert "secret" not in ready.text


def test_a_disk_that_cannot_be_written_shows(service, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mien.server.routes.service.shutil.disk_usage", refuse)
    assert service.ask("GET", "/readyz").json()["checks"]["disk"] == "No space left on device"


def test_figures_are_for_the_scope_admin_and_hold_no_names(service, collection):
    service.enrol(collection, "Ada Lovelace", paint(1))
    service.ask("POST", f"{collection}/search", files={"image": paint(1)})
    told = service.ask("GET", "/metrics")
    assert told.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/collections/{collection_id}/search"' in told.text
    assert 'mien_decisions_total{kind="match"}' in told.text
    assert "Lovelace" not in told.text
    assert collection not in told.text
    assert service.ask("GET", "/metrics", key=service.key_for("search")).status_code == 403


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/v1/nothing"])
def test_other_addresses_are_not_there(service, path):
    assert service.ask("GET", path).json()["code"] == "missing"
