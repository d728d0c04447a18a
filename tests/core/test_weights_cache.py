import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mien.core.errors import ConfigError, InternalError, MediaError, StorageError
from mien.core.weights import cache as cache_module
from mien.core.weights import cache_root, derived_file
from mien.core.weights.cache import remembered_sha256

CARD = "ab" * 32


class Builder:
    """Counts its calls and writes a known text."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_bytes(b"expanded")


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.setenv("MIEN_CACHE", "")
    assert cache_root().name == "mien"


def test_a_derived_file_is_built_once_and_stands_where_stated(tmp_path: Path):
    build = Builder()
    first = derived_file(CARD, "expanded-v1", "onnx", build, cache_dir=tmp_path)
    second = derived_file(CARD, "expanded-v1", ".onnx", build, cache_dir=tmp_path)
    assert first == second == tmp_path / "derived" / f"{CARD[:16]}-expanded-v1.onnx"
    assert first.read_bytes() == b"expanded"
    assert build.calls == 1


def test_the_sidecar_is_what_sha256sum_reads(tmp_path: Path):
    target = derived_file(CARD, "v1", "bin", Builder(), cache_dir=tmp_path)
    sidecar = target.with_name(f"{target.name}.sha256")
    assert sidecar.read_text() == f"{hashlib.sha256(b'expanded').hexdigest()}  {target.name}\n"


@pytest.mark.parametrize("damage", [b"", b"ruined!!", b"expanded and more"])
def test_a_damaged_derived_file_is_built_anew_with_a_warning(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    build = Builder()
    target = derived_file(CARD, "v1", "bin", build, cache_dir=tmp_path)
    target.write_bytes(damage)
    with caplog.at_level(logging.WARNING, logger="mien"):
        again = derived_file(CARD, "v1", "bin", build, cache_dir=tmp_path)
    assert again.read_bytes() == b"expanded"
    assert build.calls == 2
    assert "is damaged; building it anew" in caplog.text


def test_a_derived_file_without_its_sidecar_is_built_anew(tmp_path: Path):
    build = Builder()
    target = derived_file(CARD, "v1", "bin", build, cache_dir=tmp_path)
    target.with_name(f"{target.name}.sha256").unlink()
    derived_file(CARD, "v1", "bin", build, cache_dir=tmp_path)
    assert build.calls == 2


def test_two_threads_build_one_derived_file_once(tmp_path: Path):
    started, results, build = threading.Barrier(4), [], Builder()

    def work() -> None:
        started.wait()
        results.append(derived_file(CARD, "v1", "bin", build, cache_dir=tmp_path).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"expanded"] * 4
    assert build.calls == 1


def test_two_processes_build_one_derived_file_once(tmp_path: Path):
    program = (
        "import pathlib, time\n"
        "from mien.core.weights import derived_file\n"
        "def build(path):\n"
        "    pathlib.Path('calls').open('a').write('x')\n"
        "    time.sleep(0.3)\n"
        "    path.write_bytes(b'expanded')\n"
        f"derived_file('{CARD}', 'v1', 'bin', build, cache_dir=pathlib.Path('.'))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    running = [subprocess.Popen(command, cwd=tmp_path) for _ in range(2)]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert (tmp_path / "calls").read_text() == "x"


def test_an_error_of_the_recipe_passes_through_and_leaves_nothing(tmp_path: Path):
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise MediaError(what="bad", why="broken", mend="mend")

    with pytest.raises(MediaError):
        derived_file(CARD, "v1", "bin", fail, cache_dir=tmp_path)
    assert [p.name for p in (tmp_path / "derived").iterdir() if p.suffix != ".lock"] == []


def test_a_recipe_that_writes_nothing_is_our_bug(tmp_path: Path):
    with pytest.raises(InternalError, match="left no file"):
        derived_file(CARD, "v1", "bin", lambda _: None, cache_dir=tmp_path)


@pytest.mark.parametrize("recipe", ["../up", "a/b", "a b", "a:b"])
def test_a_recipe_must_fit_into_a_file_name(recipe: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="part of a file name"):
        derived_file(CARD, recipe, "bin", Builder(), cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="set MIEN_CACHE"):
        derived_file(CARD, "v1", "bin", Builder(), cache_dir=tmp_path / "file")


def test_a_settled_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[Path] = []
    monkeypatch.setattr(cache_module, "sha256_of", lambda path: calls.append(path) or "digest")
    path = tmp_path / "w"
    path.write_bytes(b"weights")
    os.utime(path, (1_000_000, 1_000_000))
    assert [remembered_sha256(path) for _ in range(3)] == ["digest"] * 3
    assert len(calls) == 1
    os.utime(path, (1_000_001, 1_000_001))
    remembered_sha256(path)
    assert len(calls) == 2


def test_a_file_just_written_is_hashed_afresh_even_if_its_time_stays(tmp_path: Path):
    path, now = tmp_path / "w", time.time_ns()
    for content in (b"one", b"two"):
        path.write_bytes(content)
        os.utime(path, ns=(now, now))
        assert remembered_sha256(path) == hashlib.sha256(content).hexdigest()


def test_an_unreadable_file_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot read"):
        remembered_sha256(tmp_path)
