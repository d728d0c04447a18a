"""The lock between processes: one at a time, and free again when its holder dies."""

import subprocess
import sys
import threading
import time

import pytest

from mien.core.lock import hold_lock

HOLDER = (
    "import pathlib, sys, time\n"
    "from mien.core.lock import hold_lock\n"
    "with hold_lock(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


def test_two_threads_never_hold_it_at_once(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(10):
            with hold_lock(tmp_path / "a.bin"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40


def test_another_process_is_waited_for_until_it_dies(tmp_path):
    target = tmp_path / "a.bin"
    got = threading.Event()

    def wait():
        with hold_lock(target):
            got.set()

    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(target)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not got.wait(0.2)
        process.kill()
        waiting.join(10)
    assert got.is_set()


def test_two_files_have_two_locks(tmp_path):
    with hold_lock(tmp_path / "a"), hold_lock(tmp_path / "b"):
        assert sorted(one.name for one in tmp_path.iterdir()) == [".a.lock", ".b.lock"]


def test_the_lock_file_stays_and_folders_are_made(tmp_path):
    with hold_lock(tmp_path / "deep" / "er" / "a.bin"):
        pass
    assert (tmp_path / "deep" / "er" / ".a.bin.lock").read_bytes() == b""
    with hold_lock(tmp_path / "deep" / "er" / "a.bin"):
        pass


def test_an_error_inside_gives_it_back(tmp_path):
    with pytest.raises(KeyError), hold_lock(tmp_path / "a"):
        raise KeyError
    with hold_lock(tmp_path / "a"):
        pass


def test_a_place_that_cannot_be_written_is_the_callers_to_explain(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), hold_lock(tmp_path / "file" / "a"):
        pass
