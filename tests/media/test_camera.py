"""Sources here are generators held back by events, so that no test depends on being fast."""

import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import av
import numpy as np
import pytest

from mien.core.errors import ExtraMissingError, MediaError
from mien.media.camera import LatestFrame
from mien.media.video import Frame, VideoWriter


def _frame(index: int) -> Frame:
    return Frame(np.full((4, 4, 3), index % 256, np.uint8), index / 30, index)


def _wait_until(fact: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < limit
        time.sleep(0.002)


def _camera_threads() -> int:
    return sum(t.name == "mien-camera" for t in threading.enumerate())


class Endless:
    """A source that gives ``burst`` frames at once and then one each time it is let go."""

    def __init__(self, burst: int) -> None:
        self.burst, self.go_on, self.closed_in = burst, threading.Semaphore(0), ""

    def __iter__(self) -> Iterator[Frame]:
        for index in range(10_000):
            if index >= self.burst and not self.go_on.acquire(timeout=10):
                return
            yield _frame(index)

    def close(self) -> None:
        self.closed_in = threading.current_thread().name


def test_a_slow_reader_gets_the_newest_frame_and_the_count_of_the_missed() -> None:
    source = Endless(burst=100)
    with LatestFrame(source) as camera:
        _wait_until(lambda: camera.seen == 100)
        assert camera.read().index == 99
        assert (camera.seen, camera.dropped) == (100, 99)
        source.go_on.release()
        assert camera.read().index == 100
        assert camera.dropped == 99
        source.go_on.release()


def test_a_fast_reader_gets_every_frame_of_a_slow_source_once() -> None:
    source = Endless(burst=0)
    with LatestFrame(source) as camera:
        for index in range(20):
            threading.Timer(0.005, source.go_on.release).start()
            assert camera.read().index == index
        assert (camera.seen, camera.dropped) == (20, 0)
        source.go_on.release()


def test_a_source_that_is_too_slow_is_reported_and_may_come_later() -> None:
    source = Endless(burst=0)
    with LatestFrame(source) as camera:
        with pytest.raises(MediaError, match=r"no frame came within 0\.05 s") as caught:
            camera.read(timeout_s=0.05)
        assert caught.value.facts["has_ended"] is False
        source.go_on.release()
        assert camera.read().index == 0
        source.go_on.release()


def test_a_camera_that_fails_hands_out_its_last_frame_then_says_why() -> None:
    def failing() -> Iterator[Frame]:
        yield from map(_frame, range(3))
        raise OSError("device unplugged")

    with LatestFrame(failing()) as camera:
        _wait_until(lambda: camera.seen == 3)
        assert camera.read().index == 2
        for _ in range(2):
            with pytest.raises(MediaError, match=r"after 3 frames.*device unplugged") as caught:
                camera.read(timeout_s=5)
        assert isinstance(caught.value.__cause__, OSError)
    assert _camera_threads() == 0


def test_the_end_of_a_source_is_told_after_its_last_frame() -> None:
    with LatestFrame(map(_frame, range(5))) as camera:
        _wait_until(lambda: camera.seen == 5)
        assert camera.read().index == 4
        with pytest.raises(MediaError, match=r"after 5 frames; it has ended") as caught:
            camera.read()
        assert caught.value.facts == {"seen": 5, "dropped": 4, "has_ended": True}


def test_closing_joins_the_thread_and_closes_the_source_in_it() -> None:
    source = Endless(burst=5)
    camera = LatestFrame(source)
    source.go_on.release(2)
    _wait_until(lambda: camera.seen == 7)
    threading.Timer(0.02, source.go_on.release).start()
    camera.close()
    camera.close()
    assert _camera_threads() == 0
    assert source.closed_in == "mien-camera"
    with pytest.raises(MediaError, match="it was closed"):
        camera.read()


def test_closing_wakes_a_waiting_reader() -> None:
    source = Endless(burst=0)
    camera = LatestFrame(source)
    threading.Timer(0.02, camera.close).start()
    threading.Timer(0.1, source.go_on.release).start()
    with pytest.raises(MediaError, match="it was closed"):
        camera.read(timeout_s=10)
    _wait_until(lambda: _camera_threads() == 0)


def test_a_source_that_hangs_does_not_hang_close() -> None:
    source = Endless(burst=0)
    camera = LatestFrame(source)
    with pytest.raises(MediaError, match=r"Endless did not stop within 0\.02 s"):
        camera.close(timeout_s=0.02)
    source.go_on.release()
    camera.close()
    assert _camera_threads() == 0


def test_memory_holds_one_frame_however_many_came() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    def many() -> Iterator[Frame]:
        for index in range(500):
            frame = _frame(index)
            alive.append(weakref.ref(frame.pixels))
            yield frame

    with LatestFrame(many()) as camera:
        _wait_until(lambda: camera.seen == 500)
        assert sum(ref() is not None for ref in alive) <= 3


def test_an_address_is_read_through_pyav(tmp_path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, rate_hz=30, width=64, height=48) as writer:
        for _ in range(20):
            writer.write(np.full((48, 64, 3), 120, np.uint8))
    with LatestFrame(str(path)) as camera:
        frame = camera.read()
        _wait_until(lambda: camera.seen == 20)
    assert frame.pixels.shape == (48, 64, 3)
    assert frame.pixels.mean() == pytest.approx(120, abs=3)


def test_a_missing_camera_is_told_at_once() -> None:
    with pytest.raises(MediaError, match=r"cannot open the camera 93; .*plugged in"):
        LatestFrame(93)
    assert _camera_threads() == 0


def test_cameras_by_number_are_refused_elsewhere(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(MediaError, match="on Linux only"):
        LatestFrame(0)


def test_passwords_in_addresses_do_not_reach_messages(tmp_path) -> None:
    with pytest.raises(MediaError) as caught:
        LatestFrame(f"file://user:secret@host{tmp_path}/none.mp4")
    assert "secret" not in str(caught.value)
    assert "file://host" in str(caught.value)


def test_a_stream_that_breaks_off_is_told(tmp_path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(60):
            pixels = np.full((48, 64, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    with LatestFrame(str(path)) as camera:
        _wait_until(lambda: not camera._thread.is_alive())
        camera.read()
        with pytest.raises(MediaError, match=r"it failed: the camera .* broke off"):
            camera.read()


def test_without_pyav_the_install_command_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'mien\[video\]'"):
        LatestFrame("rtsp://camera/1")
