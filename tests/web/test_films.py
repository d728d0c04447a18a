"""Films watched for the page: done, cancelled, forsaken, failed."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from mien.core.errors import BusyError, MediaError
from mien.media.video import VideoWriter
from mien.server.settings import ServerSettings
from mien.web.films import FORSAKEN_S, Films
from toys.stage import Actor, Stage, draw_noise, make_gallery, random_face

ADA = random_face(np.random.default_rng(1))
RATE_HZ = 20.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    pixels = draw_noise()
    with VideoWriter(path, rate_hz=RATE_HZ, width=640, height=360) as writer:
        for _ in range(40):
            writer.write(pixels)
    return path


@pytest.fixture
def cast(tmp_path):
    """A pipeline that sees Ada, and a gallery that knows her."""
    pipeline = Stage([Actor(ADA, lambda t: (300.0, 180.0))], step_s=1 / RATE_HZ).pipeline()
    with make_gallery(tmp_path / "a.gallery", pipeline, {"Ada": ADA}) as gallery:
        yield pipeline, gallery


@pytest.fixture
def films(cast, tmp_path):
    settings = ServerSettings(data_folder=tmp_path, max_jobs=1)
    films = Films(SimpleNamespace(settings=settings, pipeline=cast[0]))
    yield films
    films.close()


def wait(work):
    for _ in range(600):
        if work.ask():
            return
        time.sleep(0.02)
    pytest.fail("the film never ends")


def test_a_film_is_watched_and_annotated(films, cast, clip, tmp_path):
    work = films.start(clip, tmp_path / "out.mp4", cast[1], fpir=0.01)
    wait(work)
    assert work.error is None
    assert (work.frames, work.progress) == (40, 1.0)
    assert [track.verdict.person for track in work.summary.tracks] == ["Ada"]
    assert (tmp_path / "out.mp4").exists()
    assert clip.exists()


def test_a_cancelled_film_ends_and_leaves_nothing(films, cast, clip, tmp_path):
    work = films.start(clip, tmp_path / "out.mp4", cast[1], fpir=0.01)
    work.cancel()
    wait(work)
    assert work.is_cancelled
    assert work.summary is None
    assert not (tmp_path / "out.mp4").exists()


def test_a_film_that_nobody_asks_about_is_not_watched_on(cast, clip, tmp_path):
    now = [0.0]

    def clock() -> float:
        now[0] += FORSAKEN_S / 4
        return now[0]

    settings = ServerSettings(data_folder=tmp_path)
    films = Films(SimpleNamespace(settings=settings, pipeline=cast[0]), clock=clock)
    work = films.start(clip, tmp_path / "out.mp4", cast[1], fpir=0.01)
    for _ in range(500):
        if work.is_over:
            break
        time.sleep(0.02)
    films.close()
    assert "it was cancelled, or the page was closed" in str(work.error)
    assert work.frames < 40


def test_what_is_no_film_is_told(films, cast, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no film")
    work = films.start(path, tmp_path / "out.mp4", cast[1], fpir=0.01)
    wait(work)
    assert isinstance(work.error, MediaError)
    assert str(tmp_path) not in str(work.error)


def test_only_so_many_films_may_wait(films, cast, clip, tmp_path):
    first = films.start(clip, tmp_path / "1.mp4", cast[1], fpir=0.01)
    with pytest.raises(BusyError, match="1 films are waiting or being watched"):
        films.start(clip, tmp_path / "2.mp4", cast[1], fpir=0.01)
    first.cancel()
    wait(first)
    films.start(clip, tmp_path / "2.mp4", cast[1], fpir=0.01).cancel()


def test_leaving_ends_what_is_not_over(films, cast, clip, tmp_path):
    work = films.start(clip, tmp_path / "out.mp4", cast[1], fpir=0.01)
    work.leave()
    wait(work)
    assert work.is_cancelled
