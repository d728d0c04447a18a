"""Cameras are iterables held back by events, so that no test depends on being fast."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import InternalError, MediaError, StorageError
from mien.core.records import read_jsonl
from mien.gallery.gallery import Gallery
from mien.gallery.watch import SCHEMA, RecordLog, TrackEvent, Watcher, watch_live
from mien.media.camera import LatestFrame
from mien.media.video import Frame
from toys.stage import Actor, Stage, draw_noise, make_gallery, random_face

ADA = random_face(np.random.default_rng(1))
PIXELS = draw_noise()


class Camera:
    """Gives a frame each time the last one was used, then fails, or ends."""

    def __init__(self, frames: int, *, error: Exception | None = None) -> None:
        self.frames, self.error = frames, error
        self.used = threading.Semaphore(1)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames):
            assert self.used.acquire(timeout=10)
            yield Frame(PIXELS, index / 30, index)
        assert self.used.acquire(timeout=10)
        if self.error:
            raise self.error


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with make_gallery(tmp_path / "people.gallery", Stage([]).pipeline(), {"Ada": ADA}) as found:
        yield found


def _watcher(gallery: Gallery) -> Watcher:
    return Watcher(Stage([Actor(ADA, lambda t: (300.0, 180.0))]).pipeline(), gallery)


def test_when_the_camera_fails_all_tracks_are_closed_before_the_error(gallery: Gallery) -> None:
    source = Camera(10, error=OSError("cable pulled"))
    events: list[TrackEvent] = []
    frames: list[int] = []

    def use_all(camera: LatestFrame) -> None:
        for frame, _ in watch_live(camera, _watcher(gallery), on_event=events.append):
            frames.append(frame.index)
            source.used.release()

    with (
        LatestFrame(source) as camera,
        pytest.raises(MediaError, match="it failed: cable pulled"),
    ):
        use_all(camera)
    assert frames == list(range(10))
    assert [e.kind for e in events] == ["opened", "decided", "closed"]
    assert events[-1].verdict.person == "Ada"


def test_events_come_with_their_frame_and_not_later(gallery: Gallery) -> None:
    source = Camera(5)
    events: list[TrackEvent] = []
    with LatestFrame(source) as camera:
        steps = watch_live(camera, _watcher(gallery), on_event=events.append)
        for _ in range(3):
            _, result = next(steps)
            assert tuple(events[len(events) - len(result.events) :]) == result.events
            source.used.release()
        assert [e.kind for e in events][:2] == ["opened", "decided"]
        steps.close()


def test_leaving_the_loop_closes_all_tracks(gallery: Gallery) -> None:
    source = Camera(5)
    events: list[TrackEvent] = []
    with LatestFrame(source) as camera:
        steps = watch_live(camera, _watcher(gallery), on_event=events.append)
        for frame, _ in steps:
            source.used.release()
            if frame.index == 3:
                break
        steps.close()
        assert events[-1].kind == "closed"
        source.used.release()


class Burst:
    """A hundred frames at once, then silence until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for index in range(100):
            yield Frame(PIXELS, index / 30, index)
        assert self.go_on.wait(10)
        yield Frame(PIXELS, 5.0, 150)


def test_frames_that_came_meanwhile_are_left_out_and_counted(gallery: Gallery) -> None:
    source = Burst()
    with LatestFrame(source) as camera:
        limit = time.monotonic() + 10
        while camera.seen < 100:
            assert time.monotonic() < limit
            time.sleep(0.002)
        steps = watch_live(camera, _watcher(gallery), on_event=lambda event: None)
        assert next(steps)[0].index == 99
        source.go_on.set()
        assert next(steps)[0].index == 150
        assert camera.dropped == 99
        steps.close()


def test_a_silent_camera_is_an_error_after_the_time_given(gallery: Gallery) -> None:
    source = Burst()
    with LatestFrame(source) as camera:
        steps = watch_live(camera, _watcher(gallery), on_event=lambda event: None, timeout_s=0.2)
        with pytest.raises(MediaError, match=r"no frame came within 0\.2 s"):
            for _ in steps:
                pass
        source.go_on.set()


def test_each_row_is_on_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "live.jsonl"
    with RecordLog(path) as log:
        for k in range(3):
            log.write({"row": "opened", "track_id": k})
            lines = path.read_text().splitlines()
            assert json.loads(lines[-1]) == {"row": "opened", "track_id": k}
        assert [row["track_id"] for row in read_jsonl(path, schema=SCHEMA)] == [0, 1, 2]


def test_events_of_a_live_run_can_be_read_back(gallery: Gallery, tmp_path: Path) -> None:
    source = Camera(6)
    path = tmp_path / "live.jsonl"

    def use_all(camera: LatestFrame, log: RecordLog) -> None:
        steps = watch_live(camera, _watcher(gallery), on_event=lambda e: log.write(e.as_record()))
        for _ in steps:
            source.used.release()

    with (
        LatestFrame(source) as camera,
        RecordLog(path) as log,
        pytest.raises(MediaError, match="it has ended"),
    ):
        use_all(camera, log)
    rows = list(read_jsonl(path, schema=SCHEMA))
    assert [row["row"] for row in rows] == ["opened", "decided", "closed"]
    assert (rows[-1]["decision"], rows[-1]["person"]) == ("match", "Ada")


def test_a_log_outside_its_block_or_in_a_bad_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="outside its block"):
        RecordLog(tmp_path / "a.jsonl").write({})
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), RecordLog(tmp_path / "file" / "a"):
        pass
