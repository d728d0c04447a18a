"""Films drawn here by code: a square moves by one step a frame, so a frame tells its number."""

import errno
import gc
import io
import os
import sys
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from PIL import Image

from mien.core.errors import (
    ConfigError,
    ExtraMissingError,
    InternalError,
    MediaError,
    RangeError,
    ShapeError,
    StorageError,
)
from mien.core.files import storage_error
from mien.media.video import Frame, VideoWriter, probe_video, read_video

SIZE = (96, 64)
STEP = 3


def _picture(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    pixels = np.full((height, width, 3), (40, 60, 160), np.uint8)
    pixels[24:40, number * STEP % 80 : number * STEP % 80 + 12] = (20, 220, 40)
    pixels[:12, :12] = (230, 20, 20)  # a red corner, upper left
    return pixels


def _write(path: Path, frames: int = 25, rate_hz: float = 25.0) -> Path:
    with VideoWriter(path, rate_hz=rate_hz, width=SIZE[0], height=SIZE[1]) as writer:
        for number in range(frames):
            writer.write(_picture(number))
    return path


def _encode(
    path: Path,
    *,
    frames: int = 50,
    codec: str = "libx264",
    turn: tuple[int, bool] | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    form: str | None = None,
) -> Path:
    """A film by plain PyAV, for what our writer does not offer."""
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.gop_size = 10
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1])
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    frames = list(read_video(_write(tmp_path / "a.mp4")))
    assert [f.index for f in frames] == list(range(25))
    assert np.allclose([f.time_s for f in frames], np.arange(25) / 25, atol=1e-4)
    for number, frame in enumerate(frames):
        assert frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels.astype(int) - _picture(number)).mean() < 12


def test_the_header_is_told(tmp_path: Path) -> None:
    info = probe_video(_write(tmp_path / "a.mp4"))
    assert (info.width, info.height, info.frames, info.rotation) == (96, 64, 25, 0)
    assert info.codec == "h264"
    assert info.rate_hz == pytest.approx(25, rel=1e-3)
    assert info.duration_s == pytest.approx(1, abs=0.05)


def test_uneven_times_survive_writing_and_reading(tmp_path: Path) -> None:
    times = [0.5, 0.52, 0.6, 1.7, 1.7334, 4.0]
    with VideoWriter(tmp_path / "v.mp4", rate_hz=30, width=96, height=64) as writer:
        for number, time_s in enumerate(times):
            writer.write(_picture(number), time_s)
    assert [f.time_s for f in read_video(tmp_path / "v.mp4")] == pytest.approx(times, abs=2e-5)


def test_frames_without_a_time_do_not_drift(tmp_path: Path) -> None:
    rate_hz = 24_000 / 1001  # its step is no whole number of ticks
    frames = list(read_video(_write(tmp_path / "a.mp4", 200, rate_hz)))
    assert frames[-1].time_s == pytest.approx(199 / rate_hz, abs=2e-5)


def test_every_third_frame_keeps_its_index(tmp_path: Path) -> None:
    frames = list(read_video(_write(tmp_path / "a.mp4"), every=3))
    assert [f.index for f in frames] == list(range(0, 25, 3))


def test_a_lower_rate_picks_the_first_frame_of_each_step(tmp_path: Path) -> None:
    frames = list(read_video(_write(tmp_path / "a.mp4"), rate_hz=10))
    assert [f.index for f in frames] == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]


def test_a_rate_above_the_films_own_hands_out_every_frame(tmp_path: Path) -> None:
    assert len(list(read_video(_write(tmp_path / "a.mp4"), rate_hz=100))) == 25


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_part_is_the_same_as_in_the_whole(tmp_path: Path, suffix: str) -> None:
    path = _encode(tmp_path / f"a.{suffix}", frames=100)
    whole = [f for f in read_video(path) if f.time_s + 1e-6 >= 2.5 and f.time_s < 3.0]
    part = list(read_video(path, start_s=2.5, stop_s=3.0))
    assert len(part) == len(whole) == 12
    for one, other in zip(part, whole, strict=True):
        assert one.time_s == other.time_s
        assert np.array_equal(one.pixels, other.pixels)
    assert [f.index for f in part] == list(range(len(part)))


def test_a_transport_streams_clock_starts_at_zero(tmp_path: Path) -> None:
    assert next(read_video(_encode(tmp_path / "a.ts"))).time_s == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_film_that_begins_late_is_whole(tmp_path: Path, suffix: str) -> None:
    with av.open(str(tmp_path / f"a.{suffix}"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(100, 120):
            frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = list(read_video(tmp_path / f"a.{suffix}"))
    assert len(frames) == 20
    assert frames[0].time_s == pytest.approx(0 if suffix == "ts" else 4, abs=1e-6)
    duration_s = probe_video(tmp_path / f"a.{suffix}").duration_s
    assert duration_s == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "flv"])
def test_a_start_after_the_end_gives_nothing(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg4" if suffix == "avi" else "libx264"
    path = _encode(tmp_path / f"a.{suffix}", codec=codec)
    assert list(read_video(path, start_s=30)) == []


def test_a_raw_stream_gets_its_times_from_the_rate(tmp_path: Path) -> None:
    path = _encode(tmp_path / "a.h264", form="h264", frames=60)
    assert [f.time_s for f in read_video(path)] == pytest.approx(np.arange(60) / 25)
    assert next(read_video(path, start_s=1.6)).time_s == pytest.approx(1.6)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_rotation_and_mirroring_are_applied(
    tmp_path: Path, turn: int, *, is_mirrored: bool
) -> None:
    path = _encode(tmp_path / "r.mp4", frames=3, turn=(turn, is_mirrored))
    expected = np.rot90(_picture(0), turn // 90)
    expected = expected[:, ::-1] if is_mirrored else expected
    pixels = next(read_video(path)).pixels
    assert np.abs(pixels.astype(int) - expected).mean() < 12
    info = probe_video(path)
    assert (info.height, info.width) == pixels.shape[:2]
    assert is_mirrored or info.rotation == -turn % 360


@pytest.mark.parametrize(
    ("aspect", "shape"), [(Fraction(4, 3), (64, 128, 3)), (Fraction(2, 3), (96, 96, 3))]
)
def test_oblong_pixels_are_made_square(tmp_path: Path, aspect, shape) -> None:
    path = _encode(tmp_path / "a.mp4", frames=3, aspect=aspect)
    assert next(read_video(path)).pixels.shape == shape
    assert (probe_video(path).height, probe_video(path).width) == shape[:2]


def test_the_limit_holds_for_stretched_pixels_too(tmp_path: Path) -> None:
    path = _encode(tmp_path / "a.mp4", frames=3, aspect=Fraction(50))
    with pytest.raises(MediaError, match="4800 × 64 px; the limit is 200,000"):
        next(read_video(path, max_pixels=200_000))


def test_large_frames_are_shrunk_and_small_ones_left(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp4")
    assert next(read_video(path, max_side_px=48)).pixels.shape == (32, 48, 3)
    assert next(read_video(path, max_side_px=500)).pixels.shape == (64, 96, 3)


def test_two_threads_decode_the_same(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp4")
    for one, two in zip(read_video(path), read_video(path, threads=2), strict=True):
        assert np.array_equal(one.pixels, two.pixels)


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"96 × 64 px; the limit is 5,000"):
        read_video(_write(tmp_path / "a.mp4"), max_pixels=5000)


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.touch(), r"empty \(0 bytes\)"),
        (lambda path: path.write_text("#EXTM3U\n#EXTINF:5,\nother.ts\n"), "not a film"),
        (lambda path: path.write_bytes(os.urandom(5000)), "not a film"),
        (_sound_only, "sound only"),
    ],
    ids=["missing", "folder", "empty", "playlist", "noise", "sound"],
)
def test_what_is_no_film_is_refused_with_a_reason(tmp_path: Path, make, words: str) -> None:
    path = tmp_path / "a.mp4"
    make(path)
    for function in (read_video, probe_video):
        with pytest.raises(MediaError, match=words):
            function(path)


def test_a_picture_is_no_film(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    with pytest.raises(MediaError, match="not a film"):
        read_video(tmp_path / "a.png")


def test_a_name_like_a_protocol_is_only_a_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(Path("concat:a.mp4"))
    assert len(list(read_video("concat:a.mp4"))) == 25


def test_a_film_cut_off_before_its_index_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cut off"):
        read_video(_cut(_write(tmp_path / "a.mp4"), 0.6))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_film_cut_off_later_yields_its_beginning_then_says_where(
    tmp_path: Path, suffix: str
) -> None:
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    codec = "mpeg4" if suffix == "avi" else "libx264"
    path = _encode(tmp_path / f"a.{suffix}", frames=200, options=options, codec=codec)
    whole = list(read_video(path))
    seen, error = _read_to_the_error(_cut(path, 0.6))
    assert len(whole) == 200
    assert 20 < len(seen) < 200
    assert all(np.array_equal(f.pixels, g.pixels) for f, g in zip(seen, whole, strict=False))
    assert error.facts["index"] == pytest.approx(len(seen), abs=3)
    assert error.facts["time_s"] == pytest.approx(seen[-1].time_s, abs=0.15)


def _read_to_the_error(path: Path) -> tuple[list[Frame], MediaError]:
    seen: list[Frame] = []
    reader = read_video(path)
    with pytest.raises(MediaError, match=r"damaged at \d\.\d\d s \(frame \d+\)") as caught:
        seen.extend(reader)  # keeps what came before the error
    return seen, caught.value


def test_damage_in_the_middle_does_not_hide_the_end(tmp_path: Path) -> None:
    path = _encode(tmp_path / "a.mp4", frames=100)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        middle, size = packets[45].pos, packets[45].size
    data = bytearray(path.read_bytes())
    data[middle : middle + size] = b"\xff" * size
    path.write_bytes(data)
    seen, error = _read_to_the_error(path)
    assert seen[-1].time_s == pytest.approx(99 / 25, abs=1e-3)
    assert 90 < len(seen) < 100
    assert error.facts["time_s"] == pytest.approx(45 / 25, abs=0.3)


def test_frames_may_not_grow_beyond_the_limit_midway(tmp_path: Path) -> None:
    small = _encode(tmp_path / "s.h264", form="h264", frames=10).read_bytes()
    with av.open(str(tmp_path / "l.h264"), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        for number in range(10):
            picture = _picture(number, 320, 320)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    (tmp_path / "both.h264").write_bytes(small + (tmp_path / "l.h264").read_bytes())
    shapes = {f.pixels.shape for f in read_video(tmp_path / "both.h264")}
    assert shapes == {(64, 96, 3), (320, 320, 3)}
    with pytest.raises(MediaError, match="320 × 320 px; the limit is 60,000"):
        list(read_video(tmp_path / "both.h264", max_pixels=60_000))


def test_memory_holds_few_frames_without_the_garbage_collectors_help(tmp_path: Path) -> None:
    path = _encode(tmp_path / "a.mp4", frames=100)
    gc.collect()
    gc.disable()
    try:
        for frame in read_video(path):
            last = frame.index
        decoded = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert last == 99
    assert 1 <= decoded <= 3


def _open_files(path: Path) -> int:
    return sum(Path(f.path) == path.resolve() for f in psutil.Process().open_files())


def test_the_file_is_given_back_at_every_way_out(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp4")
    with read_video(path) as frames:
        next(frames)
        assert _open_files(path) == 1
    assert _open_files(path) == 0
    assert list(frames) == []
    ended = read_video(path)
    assert len(list(ended)) == 25
    assert _open_files(path) == 0
    with pytest.raises(MediaError):
        read_video(path, max_pixels=1)
    assert _open_files(path) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "every must be 1"),
        ({"rate_hz": 0.0}, "rate_hz must be above 0"),
        ({"every": 2, "rate_hz": 5.0}, "exclude each other"),
        ({"start_s": -1.0}, "start_s must be 0"),
        ({"start_s": 2.0, "stop_s": 2.0}, "stop_s must lie after"),
        ({"max_side_px": 0}, "max_side_px must be 1"),
        ({"max_pixels": 0}, "max_pixels must be 1"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_contradicting_options_are_refused(tmp_path: Path, options, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_video(_write(tmp_path / "a.mp4", frames=2), **options)


def test_without_pyav_the_install_command_is_told(tmp_path: Path, monkeypatch) -> None:
    path = _write(tmp_path / "a.mp4", frames=2)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'mien\[video\]'"):
        read_video(path)


def test_odd_sides_are_padded_by_their_last_pixels_and_it_is_said(tmp_path: Path) -> None:
    picture = _picture(4, 95, 63)
    with VideoWriter(tmp_path / "a.mp4", rate_hz=25, width=95, height=63) as writer:
        writer.write(picture)
    assert writer.padding == (1, 1)
    pixels = next(read_video(tmp_path / "a.mp4")).pixels
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels[:63, :95].astype(int) - picture).mean() < 12
    assert np.abs(pixels[:, -1].astype(int) - pixels[:, -2]).max() < 8


def test_mpeg4_serves_where_h264_is_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with VideoWriter(tmp_path / "a.mp4", rate_hz=30, width=96, height=64) as writer:
        for number, time_s in enumerate([0.0, 0.1, 0.15]):
            writer.write(_picture(number), time_s)
    assert writer.codec == probe_video(tmp_path / "a.mp4").codec == "mpeg4"
    times = [f.time_s for f in read_video(tmp_path / "a.mp4")]
    assert times == pytest.approx([0.0, 0.1, 0.15], abs=2e-5)


def test_an_error_while_writing_leaves_the_old_film_and_no_neighbour(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp4")
    before = path.read_bytes()

    def write_and_fail() -> None:
        with VideoWriter(path, rate_hz=25, width=96, height=64) as writer:
            writer.write(_picture(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.mp4"]  # noqa: PTH208


def test_a_film_without_frames_is_not_left_behind(tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError, match="no frame was written"),
        VideoWriter(tmp_path / "a.mp4", rate_hz=25, width=96, height=64),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    @contextmanager
    def onto_a_full_disk(path: Path):
        try:
            yield Full()
        except OSError as err:
            raise storage_error(err, path) from err

    monkeypatch.setattr("mien.media._film_writer.write_atomically", onto_a_full_disk)
    with pytest.raises(StorageError, match="the disk is full"):
        _write(tmp_path / "a.mp4")


def test_frames_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", rate_hz=25, width=96, height=64) as writer:
        writer.write(_picture(0), 1.0)
        with pytest.raises(ShapeError, match=r"uint8 \(64, 96, 3\)"):
            writer.write(np.zeros((64, 95, 3), np.uint8))
        with pytest.raises(ShapeError, match="float64"):
            writer.write(np.zeros((64, 96, 3)))
        for time_s in (1.0, 0.5, -1.0, float("nan")):
            with pytest.raises(RangeError, match=f"time is {time_s} s"):
                writer.write(_picture(1), time_s)
    with pytest.raises(InternalError, match="outside its block"):
        writer.write(_picture(1))


def test_a_writer_needs_a_size_and_a_rate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 × 64 px"):
        VideoWriter(tmp_path / "a.mp4", rate_hz=25, width=0, height=64)
    with pytest.raises(ConfigError, match="nan frames"):
        VideoWriter(tmp_path / "a.mp4", rate_hz=float("nan"), width=96, height=64)
