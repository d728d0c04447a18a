"""Films are watched in the background, for the key that sent them, and leave no file behind."""

import asyncio
import json
import stat
import time

import numpy as np
import pytest

from mien.media.video import VideoWriter
from toys.service import running_service
from toys.stage import Actor, Stage, draw_noise, exact_table, make_gallery, random_face

ADA, EVE = (random_face(np.random.default_rng(seed)) for seed in (1, 3))
RATE_HZ = 20.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Three seconds."""
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    with VideoWriter(path, rate_hz=RATE_HZ, width=640, height=360) as writer:
        for _ in range(60):
            writer.write(draw_noise())
    return path.read_bytes()


@pytest.fixture
def stage():
    actors = [Actor(ADA, lambda t: (160.0, 180.0)), Actor(EVE, lambda t: (460.0, 180.0))]
    return Stage(actors, step_s=1 / RATE_HZ)


@pytest.fixture
def films(tmp_path, stage):
    """A service that watches the stage, with Ada in the collection ``cast``."""
    pipeline = stage.pipeline()
    with make_gallery(tmp_path / "cast.gallery", pipeline, {"Ada": ADA}) as gallery:
        gallery.keep_calibration(exact_table(pipeline.contract.id))
    with running_service(tmp_path, pipeline, max_jobs=2, keep_jobs_s=100) as one:
        yield one


CAST = "/v1/collections/cast/jobs"


def send(films, clip, **options):
    answer = films.ask("POST", CAST, files={"video": ("Ada.mp4", clip, "video/mp4")}, **options)
    assert answer.status_code == 202, answer.text
    return answer


def wait(films, job_id, *states):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        job = films.ask("GET", f"/v1/jobs/{job_id}").json()
        if job["state"] in states:
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def test_a_film_is_watched_and_its_people_are_named(films, clip):
    made = send(films, clip)
    url = made.headers["location"]
    job = wait(films, made.json()["job_id"], "done")
    assert (job["progress"], job["frames"], job["error"]) == (1.0, 60, None)
    result = films.ask("GET", f"{url}/result").json()
    assert {track["person"] for track in result["tracks"]} == {"Ada", None}
    lines = [json.loads(line) for line in films.ask("GET", f"{url}/events").text.splitlines()]
    assert [line["row"] for line in lines].count("opened") == 2
    assert {line["person"] for line in lines if line["row"] == "decided"} == {"Ada", None}
    assert list((films.state.jobs.folder).iterdir()) == []


def test_a_film_may_be_the_whole_body(films, clip):
    made = films.ask("POST", CAST, content=clip, headers={"content-type": "video/mp4"})
    assert wait(films, made.json()["job_id"], "done")["frames"] == 60


def test_whoever_is_deleted_is_gone_from_results(films, clip):
    job_id = send(films, clip).json()["job_id"]
    wait(films, job_id, "done")
    (ada,) = films.ask("GET", "/v1/collections/cast/people").json()["people"]
    films.ask("DELETE", f"/v1/collections/cast/people/{ada['person_id']}")
    for part in ("result", "events"):
        assert "Ada" not in films.ask("GET", f"/v1/jobs/{job_id}/{part}").text


def test_events_come_while_the_film_runs_and_end_with_it(films, clip, stage, monkeypatch):
    slow = stage.detect
    monkeypatch.setattr(stage, "detect", lambda images: time.sleep(0.02) or slow(images))
    job_id = send(films, clip).json()["job_id"]

    async def follow():
        states = []
        async with films.client() as client:
            events = asyncio.create_task(client.get(f"/v1/jobs/{job_id}/events"))
            while not events.done():
                states.append((await client.get(f"/v1/jobs/{job_id}")).json()["state"])
                await asyncio.sleep(0.05)
            return states, events.result().text.splitlines()

    states, lines = films.run(follow())
    assert "running" in states
    assert json.loads(lines[-1])["row"] == "closed"


def test_a_job_is_cancelled_and_its_film_removed(films, clip, stage, monkeypatch):
    slow = stage.detect
    monkeypatch.setattr(stage, "detect", lambda images: time.sleep(0.05) or slow(images))
    first, second = (send(films, clip).json()["job_id"] for _ in range(2))
    wait(films, first, "running")
    (film, _) = films.state.jobs.folder.iterdir()
    assert stat.S_IMODE(film.stat().st_mode) == 0o600
    full = films.ask("POST", CAST, files={"video": clip})
    assert (full.status_code, full.json()["code"]) == (503, "busy")
    assert int(full.headers["retry-after"]) > 0
    assert films.ask("GET", f"/v1/jobs/{first}/result").status_code == 409
    for job_id in (first, second):
        assert films.ask("DELETE", f"/v1/jobs/{job_id}").status_code == 204
        assert wait(films, job_id, "cancelled")["frames"] < 60
    assert list(films.state.jobs.folder.iterdir()) == []
    assert films.ask("DELETE", f"/v1/jobs/{first}").status_code == 204
    assert films.ask("GET", f"/v1/jobs/{first}").status_code == 404


def test_what_is_no_film_fails_and_its_place_is_not_told(films, clip):
    job = wait(films, send(films, b"nothing").json()["job_id"], "failed")
    assert job["error"]["code"] == "media"
    assert str(films.state.jobs.folder) not in json.dumps(job)


def test_jobs_belong_to_their_key(films, clip):
    job_id = send(films, clip).json()["job_id"]
    other = films.key_for("search")
    assert films.ask("GET", "/v1/jobs", key=other).json() == {"jobs": []}
    for method, part in (("GET", ""), ("GET", "/result"), ("GET", "/events"), ("DELETE", "")):
        answer = films.ask(method, f"/v1/jobs/{job_id}{part}", key=other)
        assert answer.status_code == 404
    assert [job["job_id"] for job in films.ask("GET", "/v1/jobs").json()["jobs"]] == [job_id]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"files": {"image": b"x"}}, 422),
        ({"json": {}}, 415),
        ({"content": b"", "headers": {"content-type": "video/mp4"}}, 422),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
    ],
)
def test_a_request_without_a_film_is_refused(films, options, status):
    answer = films.ask("POST", CAST, **options)
    assert answer.status_code == status, answer.text
    assert list(films.state.jobs.folder.iterdir()) == []
