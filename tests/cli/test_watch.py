"""``mien watch``."""

import numpy as np
import pytest
from PIL import Image

from mien.core.records import read_jsonl
from mien.media.video import VideoWriter, probe_video


@pytest.fixture(scope="module")
def film(tmp_path_factory, portraits):
    """A known person walks from left to right, an unknown one stands; 1.6 s at 640x360."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    known = Image.open(portraits["obama_2"]).convert("RGB").resize((160, 306))
    stranger = Image.open(portraits["biden_1"]).convert("RGB").resize((132, 300))
    with VideoWriter(path, rate_hz=15, width=640, height=360) as writer:
        for k in range(24):
            frame = Image.new("RGB", (640, 360), (70, 90, 80))
            frame.paste(stranger, (500, 40))
            frame.paste(known, (20 + 8 * k, 30))
            writer.write(np.asarray(frame), k / 15)
    return path


def test_a_film_gives_one_answer_a_track(mien, gallery, film, tmp_path):
    answer = mien(
        "watch", film, "-g", gallery, "--rows", tmp_path / "r.jsonl", "--film", tmp_path / "o.mp4",
        "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    tracks = answer.rows()
    assert sorted((t["decision"], t["person"]) for t in tracks) == [
        ("match", "Barack Obama"),
        ("unknown", None),
    ]
    rows = list(read_jsonl(tmp_path / "r.jsonl", schema="mien.watch/1"))
    names = {row["person"] for row in rows if row["row"] == "face" and row["track_id"] is not None}
    assert names == {"Barack Obama", None}
    assert probe_video(tmp_path / "o.mp4").width == 640


def test_a_table_is_shown_to_people(mien, gallery, film):
    answer = mien("watch", film, "-g", gallery, "--seconds", "1")
    assert "Barack Obama" in answer.out


def test_a_missing_film_is_an_error(mien, gallery, tmp_path):
    answer = mien("watch", tmp_path / "none.mp4", "-g", gallery)
    assert answer.code == 2
    assert "none.mp4" in answer.err


def test_a_missing_camera_is_an_error(mien, gallery):
    answer = mien("watch", "/dev/video99", "-g", gallery)
    assert answer.code == 2
    assert "mend:" in answer.err


def test_a_film_of_a_camera_is_refused(mien, gallery, tmp_path):
    answer = mien("watch", "7", "-g", gallery, "--film", tmp_path / "o.mp4")
    assert answer.code == 2
    assert "--film is given with a camera" in answer.err
