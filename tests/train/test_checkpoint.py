import resource
import shutil
import subprocess

import pytest
import torch

from mien.core.errors import ConflictError, IntegrityError, MissingError, RangeError, StorageError
from mien.train.checkpoint import Checkpoints, Snapshot
from toys.training import run_script, snapshot


def assert_equal(a: Snapshot, b: Snapshot) -> None:
    assert (a.step, a.facts) == (b.step, b.facts)
    assert torch.equal(a.rng, b.rng)
    for x, y in ((a.model, b.model), (a.ema, b.ema), (a.optimiser, b.optimiser)):
        assert x.keys() == y.keys()
        assert all(x[k].dtype == y[k].dtype and torch.equal(x[k], y[k]) for k in x)


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path / "run", keep=2)


def test_a_snapshot_comes_back_to_the_last_bit(checkpoints) -> None:
    checkpoints.save(snapshot(5))
    assert_equal(checkpoints.load(), snapshot(5))


def test_the_newest_are_kept_and_any_of_them_can_be_read(checkpoints) -> None:
    for step in (9, 10, 200):
        checkpoints.save(snapshot(step))
    assert checkpoints.steps() == [10, 200]
    assert sorted(p.name for p in checkpoints.folder.iterdir()) == [
        "step-000000010",
        "step-000000200",
    ]
    assert_equal(checkpoints.load(10), snapshot(10))
    assert checkpoints.load().step == 200


def test_the_hashes_are_those_of_sha256sum(checkpoints) -> None:
    folder = checkpoints.save(snapshot(1))
    command = ["sha256sum", "--check", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == 5


def test_no_file_is_a_pickle(checkpoints) -> None:
    folder = checkpoints.save(snapshot(1))
    suffixes = {path.suffix for path in folder.iterdir()}
    assert suffixes == {".safetensors", ".json", ""}


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "ema.safetensors",
        "optimiser.safetensors",
        "rng.safetensors",
        "run.json",
        "SHA256SUMS",
    ],
)
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_refused(checkpoints, name, harm) -> None:
    path = checkpoints.save(snapshot(3)) / name
    data = bytearray(path.read_bytes())
    if harm == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: len(data) // 2] if harm == "cut" else data)
    if harm == "remove":
        path.unlink()
    with pytest.raises(IntegrityError, match="step-000000003 is damaged.*delete this folder"):
        checkpoints.load()


def test_after_the_damaged_one_is_deleted_the_one_before_it_is_read(checkpoints) -> None:
    checkpoints.save(snapshot(3))
    (checkpoints.save(snapshot(6)) / "run.json").unlink()
    shutil.rmtree(checkpoints.path(6))
    assert checkpoints.load().step == 3


def test_a_checkpoint_is_never_written_over(checkpoints) -> None:
    checkpoints.save(snapshot(3))
    with pytest.raises(ConflictError, match="step-000000003 exists"):
        checkpoints.save(snapshot(3))


def test_what_is_not_there_is_missing(checkpoints) -> None:
    with pytest.raises(MissingError, match="has no checkpoint; it has those of the steps none"):
        checkpoints.load()
    checkpoints.save(snapshot(3))
    with pytest.raises(MissingError, match="no checkpoint of step 4; it has those of the steps 3"):
        checkpoints.load(4)


def test_to_keep_none_is_refused(tmp_path) -> None:
    with pytest.raises(RangeError, match="keep is 0"):
        Checkpoints(tmp_path, keep=0)


@pytest.mark.parametrize("room", [0, 200, 5_000])
def test_a_full_disk_leaves_the_old_checkpoint_whole(checkpoints, room) -> None:
    checkpoints.save(snapshot(3, size=20_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            checkpoints.save(snapshot(6, size=20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in checkpoints.folder.iterdir()] == ["step-000000003"]
    assert_equal(checkpoints.load(), snapshot(3, size=20_000))


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write .*step-000000001"):
        Checkpoints(tmp_path / "file" / "run").save(snapshot(1))


def test_a_kill_while_checkpoints_are_written_leaves_whole_ones_only(tmp_path) -> None:
    run_script(tmp_path, "checkpoints")
    for folder in sorted(tmp_path.iterdir()):
        checkpoints = Checkpoints(folder, keep=2)
        steps = checkpoints.steps()
        assert 1 <= len(steps) <= 3  # a third, if the kill came before the oldest was removed
        for step in steps:
            assert_equal(checkpoints.load(step), snapshot(step, size=5_000))
        checkpoints.save(snapshot(steps[-1] + 1, size=5_000))
        assert not list(folder.glob(".step-*"))
        assert len(checkpoints.steps()) == 2
    assert len(list(tmp_path.iterdir())) == 8
