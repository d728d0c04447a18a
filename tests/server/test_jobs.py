"""Jobs are few, belong to a key, and are forgotten after their time."""

import time

import numpy as np
import pytest

from mien.core.errors import BusyError, ConflictError, MissingError
from mien.media.video import VideoWriter
from mien.server.collections import Collections
from mien.server.jobs import Jobs, JobState
from mien.server.settings import ServerSettings
from toys.stage import Actor, Stage, draw_noise, exact_table, make_gallery, random_face


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def stage():
    face = random_face(np.random.default_rng(1))
    return Stage([Actor(face, lambda t: (160.0, 180.0))], step_s=0.05)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def jobs(tmp_path, stage, clock):
    pipeline = stage.pipeline()
    with make_gallery(tmp_path / "cast.gallery", pipeline, {"Ada": stage.actors[0].face}) as made:
        made.keep_calibration(exact_table(pipeline.contract.id))
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "left").write_bytes(b"by an earlier run")
    settings = ServerSettings(data_folder=tmp_path, max_jobs=2, keep_jobs_s=60)
    collections = Collections(tmp_path, pipeline.contract)
    one = Jobs(settings, pipeline, collections, clock=clock)
    yield one
    one.close()
    collections.close()


def start(jobs, frames=10, collection="cast", key_id="k"):
    film = jobs.folder / f"film-{time.monotonic_ns()}"
    with VideoWriter(film.with_suffix(".mp4"), rate_hz=20.0, width=640, height=360) as writer:
        for _ in range(frames):
            writer.write(draw_noise())
    film.with_suffix(".mp4").rename(film)
    return jobs.start(film, key_id=key_id, collection=collection, fpir=0.01)


def wait(job):
    deadline = time.monotonic() + 20
    while not job.is_over and time.monotonic() < deadline:
        time.sleep(0.01)
    return job.state


def test_films_left_by_an_earlier_run_are_removed(jobs):
    assert list(jobs.folder.iterdir()) == []


def test_a_job_runs_to_its_end_and_holds_ids_only(jobs):
    job = start(jobs, frames=30)
    assert wait(job) is JobState.DONE
    assert (job.frames, job.progress) == (30, 1.0)
    assert job.events[-1]["row"] == "closed"
    assert job.tracks == [job.events[-1]]
    assert "Ada" not in str(job.events)
    assert len(job.tracks[0]["person_id"]) == 32


def test_only_so_many_are_taken(jobs, stage, monkeypatch):
    slow = stage.detect
    monkeypatch.setattr(stage, "detect", lambda images: time.sleep(0.05) or slow(images))
    first, second = start(jobs, 60), start(jobs, 60)
    with pytest.raises(BusyError, match="2 films are waiting"):
        start(jobs)
    for job in (first, second):
        jobs.drop(job)
        assert wait(job) is JobState.CANCELLED
        with pytest.raises(ConflictError, match="was cancelled"):
            job.check_wanted()
    assert wait(start(jobs)) is JobState.DONE
    assert list(jobs.folder.iterdir()) == []


def test_jobs_are_told_to_their_key_only_and_forgotten_after_their_time(jobs, clock):
    job = start(jobs)
    wait(job)
    assert jobs.all("k") == [job]
    assert jobs.all("other") == []
    with pytest.raises(MissingError, match="no such job"):
        jobs.find(job.job_id, "other")
    assert jobs.find(job.job_id, "k") is job
    clock.now = 61.0
    with pytest.raises(MissingError):
        jobs.find(job.job_id, "k")
    assert jobs.all("k") == []


def test_a_collection_that_is_gone_fails_the_job(jobs):
    job = start(jobs, collection="gone")
    assert wait(job) is JobState.FAILED
    assert job.error.code == "missing"


def test_a_bug_fails_the_job_and_not_the_worker(jobs, stage, monkeypatch):
    def fail(_):
        raise KeyError("Ada")

    monkeypatch.setattr(stage, "detect", fail)
    job = start(jobs)
    assert wait(job) is JobState.FAILED
    assert job.error.code == "internal"
    assert "Ada" not in str(job.error)
    monkeypatch.undo()
    assert wait(start(jobs)) is JobState.DONE
