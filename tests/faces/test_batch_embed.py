"""Many pictures on several processes: the same rows from every engine, after any interruption."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from mien.core.errors import ConfigError, ExtraMissingError, InternalError
from mien.faces import batch_embed
from mien.faces._rows import NO_FACE, concatenate, picture_starts, rows_of, take, whole_pictures
from mien.faces.batch_embed import EmbedPictures, embed_pictures
from mien.faces.parts import PipelineConfig

CONFIG = PipelineConfig()


@pytest.fixture(scope="module")
def folder(portraits, tmp_path_factory):
    """150 small pictures: four faces over and over, blanks and broken files between them."""
    root = tmp_path_factory.mktemp("photos")
    small = [cv2.resize(cv2.imread(str(p)), (200, 250)) for p in portraits.values()]
    two = np.hstack(small[:2])
    kinds = [cv2.imencode(".jpg", pixels)[1].tobytes() for pixels in [*small, two, two * 0]]
    kinds.append(b"no picture")
    for number in range(150):
        (root / f"{number}.jpg").write_bytes(kinds[number % 7])
    return root


@pytest.fixture(scope="module")
def paths(folder):
    return [str(folder / f"{number}.jpg") for number in range(150)]


@pytest.fixture(scope="module")
def rows(paths):
    """All of them, in this process."""
    return EmbedPictures(CONFIG)({"path": paths})


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], name)


def test_every_picture_has_a_row(rows, paths, pipeline):
    starts = picture_starts(rows)
    assert rows["path"][starts].tolist() == paths
    assert rows["face"][:8].tolist() == [0, 0, 0, 0, 0, 1, NO_FACE, NO_FACE]
    assert rows["error"][6] == ""
    assert json.loads(rows["error"][7])["code"] == "media"
    faces = pipeline.analyse(paths[4]).faces
    assert (rows["vector"][4:6] * faces.embeddings).sum(1) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(rows["box"][4:6], faces.boxes, atol=0.01)
    assert rows["landmarks"].shape == (len(rows["path"]), 5, 2)
    assert not rows["vector"][6:8].any()


def test_processes_give_the_rows_of_one_process(rows, paths):
    found = list(embed_pictures(paths, CONFIG, workers=2))
    assert len(found) == 5
    assert_same(concatenate(found), rows)


def test_few_pictures_start_no_process(rows, paths, monkeypatch):
    monkeypatch.setattr(batch_embed, "ProcessPoolExecutor", None)
    (found,) = embed_pictures(paths[:20], CONFIG, workers=2)
    assert_same(found, take(rows, slice(0, len(found["path"]))))
    assert list(embed_pictures([], CONFIG)) == []


def test_no_outcomes_are_no_rows():
    rows = rows_of([], 128)
    assert {len(column) for column in rows.values()} == {0}
    assert picture_starts(rows).tolist() == []
    assert list(whole_pictures([rows], 3)) == []


@pytest.mark.parametrize("cut", [1, 2, 5, 13, 1000])
@pytest.mark.parametrize("at_least", [1, 4, 64])
def test_groups_never_cut_a_picture(rows, cut, at_least):
    n = len(rows["path"])
    batches = [take(rows, slice(at, at + cut)) for at in range(0, n, cut)]
    groups = list(whole_pictures(batches, at_least))
    assert_same(concatenate(groups), rows)
    seen = [set(group["path"]) for group in groups]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 150
    assert all(len(one) >= at_least for one in seen[:-1])


def test_a_process_that_dies_is_reported(paths, monkeypatch):
    monkeypatch.setattr(batch_embed, "_begin", os._exit)
    with pytest.raises(InternalError, match="process that embeds .* ended early.*goes on"):
        list(embed_pictures(paths, CONFIG, workers=2))


def test_wrong_settings_are_said_at_once(paths, monkeypatch):
    with pytest.raises(ConfigError, match="threads is 0"):
        next(embed_pictures(paths, CONFIG, workers=0))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'mien\[scale\]'"):
        next(embed_pictures(paths, CONFIG, engine="ray"))


@pytest.fixture
def short_temporary(monkeypatch):
    """A folder for Ray's own files; sockets stand in it, whose paths must be short."""
    with tempfile.TemporaryDirectory(prefix="t", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield


def start(folder, target, engine):
    code = "from mien.cli.app import run; run()"
    command = [sys.executable, "-c", code, "embed", folder, "--out", target]
    return subprocess.Popen(
        [*command, "--engine", engine, "--workers", "2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    (row,) = [json.loads(line) for line in out.splitlines()]
    return row, err


def kill_in_the_middle(process, target):
    """End it the hard way as soon as a piece is finished; no worker may go on living."""
    pieces = target.with_name(target.name + ".pieces")
    ends = time.monotonic() + 180
    while not list(pieces.glob("*.json")):
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    names = {child.pid: child.name() for child in children}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    # Two agents of Ray need up to a minute to see that they are alone; they hold no pictures.
    workers = [child for child in children if "Agent" not in names[child.pid]]
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []


@pytest.fixture(scope="module")
def complete(folder, paths, tmp_path_factory):
    """What a run that nobody interrupts writes."""
    target = tmp_path_factory.mktemp("complete") / "faces.parquet"
    row, _ = finish(start(folder, target, "local"))
    assert (row["pictures"], row["without_face"], len(row["failed"])) == (150, 21, 21)
    table = pq.read_table(target)
    assert table["path"].to_pylist() == [p for k, p in enumerate(paths) for _ in (1, 1)[: n(k)]]
    return table


def n(number):
    return (1, 1, 1, 1, 2, 0, 0)[number % 7]


@pytest.mark.slow
@pytest.mark.usefixtures("short_temporary")
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_killed_run_goes_on_and_loses_nothing(engine, folder, complete, tmp_path):
    target = tmp_path / "faces.parquet"
    kill_in_the_middle(start(folder, target, engine), target)
    row, err = finish(start(folder, target, engine))
    assert "going on: " in err
    assert row["pictures"] == 150
    assert pq.read_table(target).equals(complete, check_metadata=True)
    assert list(tmp_path.iterdir()) == [target]
