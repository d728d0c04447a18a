"""Figures are counted where they belong, and nobody's name is among them."""

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from mien.faces.quality import Reject
from mien.gallery.decide import Decision
from mien.server.metrics import MeasureRequests, ServerMetrics


@pytest.fixture
def metrics():
    return ServerMetrics()


def samples(metrics):
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_applications_do_not_share_figures(metrics):
    metrics.faces(3)
    assert samples(ServerMetrics())[("mien_faces_analysed_total",)] == 0
    assert samples(metrics)[("mien_faces_analysed_total",)] == 3


def test_requests_are_counted_by_the_template_of_their_path(metrics):
    app, router = FastAPI(), APIRouter(prefix="/people")

    @router.get("/{name}")
    def person(name: str) -> str:
        return name

    @router.get("/{name}/bug")
    def bug(name: str) -> None:
        raise KeyError(name)

    app.include_router(router, prefix="/v1")
    app.add_middleware(MeasureRequests, metrics=metrics)
    client = TestClient(app, raise_server_exceptions=False)
    client.get("/v1/people/Ada")
    client.get("/v1/people/Grace")
    client.get("/v1/people/Ada/bug")
    client.get("/v1/nobody/Ada")
    client.request("ADA", "/v1/people/Ada")
    text = metrics.text().decode()
    assert "Ada" not in text
    assert "ADA" not in text
    found = {key[1:]: value for key, value in samples(metrics).items() if key[0].endswith("_count")}
    template = "/v1/people/{name}"

    def count(method, route, status):
        return found[("method", method), ("route", route), ("status", status)]

    assert count("GET", template, "2xx") == 2
    assert count("GET", template + "/bug", "5xx") == 1
    assert count("GET", "other", "4xx") == 1
    assert count("other", template, "4xx") == 1


def test_every_reason_and_decision_begins_at_zero(metrics):
    found = samples(metrics)
    for reason in Reject:
        assert found["mien_enrolment_refusals_total", ("reason", reason.value)] == 0
    for kind in Decision:
        assert found["mien_decisions_total", ("kind", kind.value)] == 0


def test_reasons_and_decisions_are_counted_and_unknown_words_are_not_repeated(metrics):
    metrics.refused([Reject.EXTREME_POSE, "Ada Lovelace"])
    metrics.decision(Decision.MATCH, best=0.62)
    metrics.decision("Ada Lovelace")
    found = samples(metrics)
    assert found["mien_enrolment_refusals_total", ("reason", "EXTREME_POSE")] == 1
    assert found["mien_enrolment_refusals_total", ("reason", "other")] == 1
    assert found["mien_decisions_total", ("kind", "match")] == 1
    assert found["mien_decisions_total", ("kind", "other")] == 1
    assert found[("mien_best_score_count",)] == 1
    assert found["mien_best_score_bucket", ("le", "0.6")] == 0
    assert found["mien_best_score_bucket", ("le", "0.65")] == 1
    assert "Ada" not in metrics.text().decode()


def test_batches_are_counted_by_size(metrics):
    for size in (1, 1, 8):
        metrics.batch(size)
    found = samples(metrics)
    assert found["mien_batch_size_bucket", ("le", "1.0")] == 2
    assert found[("mien_batch_size_sum",)] == 10


def test_gauges_are_read_when_somebody_looks(metrics):
    depth = [0]
    metrics.watch(queue=lambda: depth[0], gallery=lambda: 12_000)
    assert samples(metrics)[("mien_queue_depth",)] == 0
    depth[0] = 7
    found = samples(metrics)
    assert (found[("mien_queue_depth",)], found[("mien_gallery_templates",)]) == (7, 12_000)
