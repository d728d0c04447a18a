"""Keys of galleries: where they are looked for, how they are written, and that they stay secret."""

import base64
import stat
import threading
import time

import pytest

from mien.core import keys
from mien.core.errors import ConfigError, MissingError, StorageError
from mien.core.keys import Key, find_key, load_key, new_key, parse_key, write_key_file

SECRET = bytes(range(200, 232))  # its base64 holds letters that differ between the alphabets
TEXT = base64.b64encode(SECRET).decode()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without a key, whose configuration lies in a folder of the test's."""
    monkeypatch.delenv(keys.KEY_VARIABLE, raising=False)
    monkeypatch.delenv(keys.FILE_VARIABLE, raising=False)
    path = tmp_path / "config" / "gallery.key"
    monkeypatch.setattr(keys, "default_key_file", lambda: path)
    return path


def test_a_key_does_not_show_its_secret():
    key = Key(SECRET)
    assert TEXT not in repr(key)
    assert "200" not in repr(key)
    assert SECRET.hex() not in repr(key)
    assert key.id not in SECRET.hex()


def test_a_key_has_an_id_that_depends_on_its_secret_only():
    assert Key(SECRET, "here").id == Key(SECRET, "there").id
    assert Key(SECRET).id != Key(bytes(32)).id
    assert len(Key(SECRET).id) == 8


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(ConfigError, match=f"a key of {size} bytes .*AES-256.*32 bytes"):
        Key(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"  {TEXT}\n",
        TEXT.replace("+", "-").replace("/", "_"),
        SECRET.hex(),
        SECRET.hex().upper(),
    ],
)
def test_base64_and_hexadecimal_digits_are_read(text):
    assert parse_key(text, "a test") == Key(SECRET)


@pytest.mark.parametrize("text", ["", "hunter2", TEXT[:-8], "z" * 64, TEXT + TEXT, "ü" * 44])
def test_other_texts_are_refused_and_not_repeated(text):
    with pytest.raises(ConfigError, match=r"in a test|\(a test\)") as caught:
        parse_key(text, "a test")
    assert not text or text not in str(caught.value)


def test_new_keys_differ():
    assert len({new_key().secret for _ in range(20)}) == 20


def test_a_key_file_comes_back_and_is_private(tmp_path):
    path = tmp_path / "a" / "gallery.key"
    write_key_file(path, Key(SECRET))
    assert load_key(path) == Key(SECRET)
    assert path.read_text() == TEXT + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(tmp_path):
    path = tmp_path / "gallery.key"
    write_key_file(path, Key(SECRET))
    with pytest.raises(ConfigError, match="exists; it may hold the only key of a gallery"):
        write_key_file(path, new_key())
    assert load_key(path) == Key(SECRET)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_key_file(tmp_path / "file" / "gallery.key", new_key())


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_key_file_that_cannot_be_read_is_missing(tmp_path, content):
    path = tmp_path / "gallery.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingError, match="cannot be opened without its key; check the path"):
        load_key(path)


def test_a_file_that_holds_something_else_is_no_key(tmp_path):
    path = tmp_path / "gallery.key"
    path.write_text("my dog's name")
    with pytest.raises(
        ConfigError, match="cannot be read; it must be 32 bytes in base64"
    ) as caught:
        load_key(path)
    assert "dog" not in str(caught.value)


def test_the_variable_comes_first_then_its_file_then_the_users_own(home, tmp_path, monkeypatch):
    with pytest.raises(MissingError, match="neither MIEN_GALLERY_KEY nor MIEN_GALLERY_KEY_FILE"):
        find_key()
    write_key_file(home, Key(b"h" * 32))
    assert find_key().secret == b"h" * 32
    named = tmp_path / "named.key"
    write_key_file(named, Key(b"n" * 32))
    monkeypatch.setenv(keys.FILE_VARIABLE, str(named))
    assert find_key().secret == b"n" * 32
    monkeypatch.setenv(keys.KEY_VARIABLE, TEXT)
    assert find_key().secret == SECRET
    assert find_key().origin == "the variable MIEN_GALLERY_KEY"


def test_a_named_file_that_is_missing_is_not_passed_over(home, tmp_path, monkeypatch):
    write_key_file(home, Key(SECRET))
    monkeypatch.setenv(keys.FILE_VARIABLE, str(tmp_path / "lost.key"))
    with pytest.raises(MissingError, match=r"lost.key cannot be read \(FileNotFoundError\)"):
        find_key(make=True)


def test_a_key_is_made_once_if_asked_for(home):
    made = find_key(make=True)
    assert find_key() == find_key(make=True) == made == load_key(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o600


def test_the_users_own_key_lies_in_the_configuration_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys.default_key_file().name == "gallery.key"
    assert keys.default_key_file().parent.name == "mien"


def test_many_who_need_a_first_key_get_the_same_one(home, monkeypatch):
    real = keys.write_atomically

    def slowly(*arguments, **options):
        time.sleep(0.02)  # long enough for the others to find that there is no file yet
        return real(*arguments, **options)

    monkeypatch.setattr(keys, "write_atomically", slowly)
    found: list[Key] = []
    threads = [threading.Thread(target=lambda: found.append(find_key(make=True))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert {key.secret for key in found} == {load_key(home).secret}
