"""Films of one noisy picture; the stage tells which faces each frame shows."""

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from mien.core.errors import MediaError, StorageError
from mien.core.records import read_jsonl
from mien.faces.track import TrackerConfig
from mien.gallery.watch import SCHEMA, FilmSummary, WatchConfig, Watcher, watch_file
from mien.media.video import VideoWriter, read_video
from toys.stage import Actor, Stage, draw_noise, make_gallery, random_face

ADA, EVE = (random_face(np.random.default_rng(seed)) for seed in (1, 3))
RATE_HZ = 20.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of 640 x 360."""
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    pixels = draw_noise()
    with VideoWriter(path, rate_hz=RATE_HZ, width=640, height=360) as writer:
        for _ in range(60):
            writer.write(pixels)
    return path


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., FilmSummary]:
    """Watch a film before a gallery that holds Ada; rows and film go to the temporary folder."""

    def run(
        path: Path, actors: list[Actor], config: WatchConfig | None = None, **options: object
    ) -> FilmSummary:
        stage = Stage(actors, step_s=1 / RATE_HZ)
        pipeline = stage.pipeline()
        with make_gallery(tmp_path / "people.gallery", pipeline, {"Ada": ADA}) as gallery:
            outputs = {"rows": tmp_path / "rows.jsonl", "film": tmp_path / "out.mp4"} | options
            return watch_file(path, Watcher(pipeline, gallery, config), **outputs)

    return run


def _rows(tmp_path: Path, kind: str) -> list[dict]:
    rows = list(read_jsonl(tmp_path / "rows.jsonl", schema=SCHEMA))
    return [row for row in rows if row["row"] == kind]


def _pair() -> list[Actor]:
    return [Actor(ADA, lambda t: (160.0, 180.0)), Actor(EVE, lambda t: (460.0, 180.0))]


def test_every_row_of_a_track_bears_its_last_answer(clip: Path, watch, tmp_path: Path) -> None:
    summary = watch(clip, _pair())
    assert summary.frames == 60
    faces, tracks = _rows(tmp_path, "face"), _rows(tmp_path, "track")
    assert len(faces) == 2 * 60
    assert sorted({row["frame"] for row in faces}) == list(range(60))
    assert len(tracks) == len(summary.tracks) == 2
    assert {row["decision"] for row in tracks} == {"match", "unknown"}
    late = next(row for row in tracks if row["decision"] == "unknown")
    assert late["decided_s"] > 1.0
    for track in tracks:
        mine = [row for row in faces if row["track_id"] == track["track_id"]]
        assert len(mine) == 59  # from its confirmation in the second frame on
        assert {(r["decision"], r["person"]) for r in mine} == {
            (track["decision"], track["person"])
        }
        centre = 160 if track["person"] == "Ada" else 460
        assert all((r["box"][0] + r["box"][2]) / 2 == pytest.approx(centre, abs=3) for r in mine)
    assert [row["decision"] for row in faces if row["track_id"] is None] == ["undecided"] * 2
    assert faces[-1]["time_s"] == pytest.approx(59 / RATE_HZ, abs=1e-3)


def test_a_corrected_name_reaches_back_to_the_first_row(clip: Path, watch, tmp_path: Path) -> None:
    actor = Actor(ADA, lambda t: (300.0, 180.0), noise=lambda t: 12.0 if t < 1 else 0.2)
    blind = TrackerConfig(contradict_cos=-1.0, same_cos=-1.0, refresh_s=0.1)
    config = WatchConfig(tracker=blind, patience_s=0.5, half_life_s=0.3, look_gap_s=0.1)
    summary = watch(clip, [actor], config)
    assert [(t.corrections, t.verdict.person) for t in summary.tracks] == [(1, "Ada")]
    people = [row["person"] for row in _rows(tmp_path, "face") if row["track_id"]]
    assert people == ["Ada"] * 59


def test_the_annotated_film_shows_the_last_answer_from_the_beginning(
    clip: Path, watch, tmp_path: Path
) -> None:
    watch(clip, _pair())
    with read_video(tmp_path / "out.mp4") as reader:
        drawn = list(reader)
    with read_video(clip) as reader:
        assert [f.time_s for f in drawn] == pytest.approx([f.time_s for f in reader], abs=1e-3)
    edge = drawn[5].pixels[150:210, 409:413].reshape(-1, 3).astype(float)
    orange = np.array([213, 94, 0])
    nearest = np.abs(edge - orange).max(1).min()
    assert nearest < 60  # the frame of the stranger, decided only after two seconds


def test_frames_are_reported_while_the_film_is_watched(clip: Path, watch) -> None:
    seen = []
    watch(clip, _pair(), rows=None, film=None, on_frame=lambda r: seen.append(r.index))
    assert seen == list(range(60))


def test_a_part_of_a_film_keeps_the_film_s_clock(clip: Path, watch, tmp_path: Path) -> None:
    summary = watch(clip, _pair(), start_s=1.0, stop_s=2.0)
    assert summary.frames == 20
    times = [row["time_s"] for row in _rows(tmp_path, "face")]
    assert (min(times), max(times)) == pytest.approx((1.0, 1.95), abs=1e-3)
    with read_video(tmp_path / "out.mp4") as reader:
        drawn = [frame.time_s for frame in reader]
    assert drawn == pytest.approx([k / RATE_HZ for k in range(20)], abs=1e-3)


def test_a_damaged_film_gives_all_good_frames_before_the_error(watch, tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.gop_size = 5
        for k in range(60):
            frame = av.VideoFrame.from_ndarray(draw_noise(), format="rgb24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    with pytest.raises(MediaError, match=r"is damaged at \d"):
        watch(path, _pair())
    faces, tracks = _rows(tmp_path, "face"), _rows(tmp_path, "track")
    frames = len({row["frame"] for row in faces})
    assert 20 < frames < 60
    assert len(tracks) == 2
    with read_video(tmp_path / "out.mp4") as reader:
        assert sum(1 for _ in reader) == frames


def test_what_is_no_film_leaves_no_output(watch, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no film")
    with pytest.raises(MediaError):
        watch(path, _pair())
    assert not (tmp_path / "rows.jsonl").exists()
    assert not (tmp_path / "out.mp4").exists()


def test_a_full_disk_is_told_in_words(clip: Path, watch, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(StorageError, match="the disk is full"):
        watch(clip, _pair())
