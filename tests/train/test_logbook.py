import resource
import signal
import subprocess
import sys

import pytest

from mien.core.errors import IntegrityError, RangeError, StorageError
from mien.train.logbook import Logbook


@pytest.fixture
def book(tmp_path):
    with Logbook(tmp_path / "run" / "logbook.jsonl") as book:
        yield book


def fill(book: Logbook) -> None:
    for step in range(1, 6):
        book.write(step, {"loss": 1 / (step + 2)})


def test_lines_come_back_to_the_last_bit(book) -> None:
    fill(book)
    assert book.read() == [{"step": s, "loss": 1 / (s + 2)} for s in range(1, 6)]


def test_what_lies_beyond_a_step_is_dropped_and_the_rest_stays_as_it_is(book) -> None:
    fill(book)
    before = book.path.read_bytes()
    book.rewind(3)
    assert before.startswith(book.path.read_bytes())
    assert [line["step"] for line in book.read()] == [1, 2, 3]
    book.write(4, {"loss": 1 / 6})
    book.write(5, {"loss": 1 / 7})
    assert book.path.read_bytes() == before


def test_a_torn_last_line_is_passed_over_and_dropped(book) -> None:
    fill(book)
    whole = book.path.read_bytes()
    for cut in range(1, 25):
        book.path.write_bytes(whole[:-cut])
        assert [line["step"] for line in book.read()] == [1, 2, 3, 4]
    book.rewind(5)
    book.write(5, {"loss": 1 / 7})
    assert book.path.read_bytes() == whole


def test_lines_survive_a_kill(book) -> None:
    code = """if True:
        import os, pathlib, signal, sys
        from mien.train.logbook import Logbook
        book = Logbook(pathlib.Path(sys.argv[1]))
        for step in range(5):
            book.write(step, {"loss": 0.5})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", code, str(book.path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(book.read()) == 5


def test_a_logbook_that_is_not_there_is_wound_back_to_nothing(book) -> None:
    book.rewind(0)
    assert not book.path.exists()


@pytest.mark.parametrize("text", ["no JSON\n{}\n", '{"loss": 1}\n', '{"step": "1"}\n', "[1]\n"])
def test_another_file_is_refused(book, text) -> None:
    book.path.parent.mkdir()
    book.path.write_text(text)
    with pytest.raises(IntegrityError, match="is not a logbook"):
        book.rewind(1)
    assert book.path.read_text() == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_say_is_refused(book, value) -> None:
    with pytest.raises(RangeError, match="margin is (nan|inf) after step 7"):
        book.write(7, {"margin": value})
    assert not book.path.exists()


def test_a_full_disk_is_told_and_leaves_whole_lines(book) -> None:
    fill(book)
    size = book.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(StorageError, match="cannot write .*logbook.jsonl"):
            book.write(6, {"loss": 0.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(book.read()) == 5
    book.rewind(5)
    assert book.path.stat().st_size == size
