import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from mien.core.errors import ConfigError, StorageError
from mien.core.files import sha256_of, storage_error, write_atomically


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "results.bin"
    path.write_bytes(b"old")
    return path


def assert_untouched(old: Path) -> None:
    assert old.read_bytes() == b"old"
    assert [p.name for p in old.parent.iterdir()] == ["results.bin"]


def test_a_file_is_replaced_and_no_temporary_is_left(old: Path) -> None:
    with write_atomically(old) as file:
        file.write(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new"
    assert [p.name for p in old.parent.iterdir()] == ["results.bin"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a" / "b" / "c.bin") as file:
        file.write(b"new")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("is_private", "mode"), [(False, 0o644), (True, 0o600)])
def test_others_may_read_unless_the_file_is_private(
    tmp_path: Path, is_private: bool, mode: int
) -> None:
    before = os.umask(0o022)
    try:
        with write_atomically(tmp_path / "a.bin", private=is_private) as file:
            file.write(b"new")
            (temporary,) = tmp_path.iterdir()
            assert stat.S_IMODE(temporary.stat().st_mode) == mode
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == mode


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("mine")])
def test_the_old_file_stays_when_the_body_raises(old: Path, error: BaseException) -> None:
    def write() -> None:
        with write_atomically(old) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error), match="mine"):
        write()
    assert_untouched(old)


def test_the_old_file_stays_when_the_disk_fills_at_the_end(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = r"cannot write .*results\.bin; the disk is full; free some space"
    with pytest.raises(StorageError, match=message) as caught, write_atomically(old) as file:
        file.write(b"half")
    assert caught.value.errno == errno.ENOSPC
    assert isinstance(caught.value.__cause__, OSError)
    assert_untouched(old)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is full")
@pytest.mark.parametrize("size", [10, 10_000_000], ids=["when flushed", "at once"])
def test_the_old_file_stays_when_the_kernel_says_that_the_disk_is_full(
    old: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    real = os.open

    def on_a_full_disk(path: Path, flags: int, mode: int) -> int:
        os.close(real(path, flags, mode))
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", on_a_full_disk)
    with pytest.raises(StorageError, match="the disk is full"), write_atomically(old) as file:
        file.write(bytes(size))
    assert_untouched(old)


def test_a_fault_of_another_file_is_not_called_a_fault_of_this_one(old: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"source\.bin"), write_atomically(old) as file:
        file.write((old.parent / "source.bin").read_bytes())
    assert_untouched(old)


def test_typed_errors_of_the_body_pass_as_they_are(old: Path) -> None:
    inner = storage_error(OSError(errno.EROFS, "x"), Path("other.bin"))
    for error in (inner, ConfigError(what="a", why="b", mend="c")):
        with pytest.raises(type(error)) as caught, write_atomically(old):
            raise error
        assert caught.value is error
    assert_untouched(old)


def test_a_parent_that_is_a_file_is_named(old: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*x\.bin; .*; check the place"):
        write_atomically(old / "x.bin").__enter__()
    assert_untouched(old)


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*place"):  # noqa: SIM117
        with write_atomically(tmp_path / "place"):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


@pytest.mark.parametrize("name", ["n" * 300, "ü" * 200])
def test_a_name_that_is_too_long_is_said_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="too long for this file system; choose a shorter"):  # noqa: SIM117
        with write_atomically(tmp_path / name) as file:
            file.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_the_longest_possible_name_is_written(tmp_path: Path) -> None:
    with write_atomically(tmp_path / ("ü" * 127)) as file:
        file.write(b"x")
    assert (tmp_path / ("ü" * 127)).read_bytes() == b"x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_left_alone(old: Path) -> None:
    old.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StorageError, match="not writable; choose another place, or change"):
            write_atomically(old).__enter__()
    finally:
        old.parent.chmod(stat.S_IRWXU)
    assert_untouched(old)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; free some space and repeat"),
        (errno.EDQUOT, "the disk quota is used up; free some space"),
        (errno.EACCES, "the place is not writable; choose another place, or change its perm"),
        (errno.EROFS, "the file system is read-only; choose another place"),
        (errno.ENOENT, "the folder does not exist; make it first"),
        (errno.ENAMETOOLONG, "the path is too long for this file system; choose a shorter one"),
        (errno.EIO, "Input/output error; check the place and try again"),
    ],
)
def test_every_refusal_of_the_system_is_put_in_words(
    number: int, words: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match=rf"^cannot write .*results\.bin; {words}") as caught:
        write_atomically(old).__enter__()
    assert caught.value.facts == {"errno": number}
    assert_untouched(old)


def test_an_error_without_a_number_keeps_its_own_words() -> None:
    error = storage_error(OSError("the tape tore"), Path("a.bin"))
    assert str(error) == "cannot write a.bin; the tape tore; check the place and try again"


def test_several_writers_of_one_file_leave_one_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "shared.bin"

    def write(letter: bytes) -> None:
        with write_atomically(path) as file:
            file.write(letter * 100_000)

    threads = [threading.Thread(target=write, args=(bytes([65 + k]),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert len(content) == 100_000
    assert len(set(content)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["shared.bin"]


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_sha256_is_that_of_the_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_sha256_of_abc_is_the_published_one(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.skipif(os.name == "nt", reason="modes are another system's")
def test_private_files_are_their_owners_only(tmp_path: Path) -> None:
    for private, mode in ((True, 0o600), (False, 0o644)):
        before = os.umask(0o022)
        with write_atomically(tmp_path / "file", private=private) as file:
            file.write(b"x")
        os.umask(before)
        assert (tmp_path / "file").stat().st_mode & 0o777 == mode
