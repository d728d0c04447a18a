"""Downloads, against a server on this machine; every other host stays blocked."""

import hashlib
import io
import tempfile
import threading
import urllib.request
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ConfigError, IntegrityError, StorageError, WeightsMissingError
from mien.core.weights._http import LastingError, _Redirects
from mien.core.weights.download import fetch_file
from toys.file_server import FileServer, Served, run_file_server

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

DATA = np.random.default_rng(7).bytes(100_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server():
    with run_file_server() as running:
        yield running


def fetch(destination: Path, *urls: str, **options) -> Path:
    return fetch_file(
        urls, destination, sha256=SHA256, size_bytes=len(DATA), pause_s=0, timeout_s=5, **options
    )


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_arrives_whole_and_nothing_else_stays(server: FileServer, tmp_path: Path):
    url = server.put("/w.onnx", Served(DATA))
    fetched = fetch(tmp_path / "new" / "w.onnx", url)
    assert fetched.read_bytes() == DATA
    assert visible(fetched.parent) == ["w.onnx"]


def test_progress_grows_by_chunks_to_the_whole(server: FileServer, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    url = server.put("/w", Served(DATA))
    fetch(tmp_path / "w", url, chunk=40_000, progress=lambda *step: seen.append(step))
    assert seen == [(40_000, 100_000), (80_000, 100_000), (100_000, 100_000)]


def test_a_whole_file_is_not_fetched_again(server: FileServer, tmp_path: Path):
    (tmp_path / "w").write_bytes(DATA)
    fetch(tmp_path / "w", server.put("/w", Served(DATA)))
    assert server.requests == []


def test_a_cut_line_is_continued_where_it_broke(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, cuts=[30_000]))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA
    assert server.header("Range") == [None, "bytes=30000-"]
    assert server.header("If-Range") == [None, '"one"']


def test_the_next_call_continues_what_an_earlier_one_left(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, cuts=[30_000], statuses=[200, 404]))
    with pytest.raises(WeightsMissingError, match="404"):
        fetch(tmp_path / "w", url)
    assert visible(tmp_path) == ["w.part", "w.part.json"]
    assert fetch(tmp_path / "w", url).read_bytes() == DATA
    assert server.header("Range")[-1] == "bytes=30000-"


def test_a_weak_etag_is_not_used_as_a_condition(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, cuts=[30_000], etag='W/"one"'))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA
    assert server.header("If-Range") == [None, None]
    assert server.header("Range")[-1] == "bytes=30000-"


def test_a_server_without_ranges_is_asked_for_the_whole_again(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, cuts=[30_000], has_ranges=False))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA


def test_a_file_that_changed_on_the_server_is_begun_again(server: FileServer, tmp_path: Path):
    old = Served(bytes(len(DATA)), cuts=[30_000], statuses=[200, 404])
    url = server.put("/w", old)
    with pytest.raises(WeightsMissingError):
        fetch(tmp_path / "w", url)
    server.put("/w", Served(DATA, etag='"two"'))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA


@pytest.mark.parametrize("claim", ["bytes 0-99999/100000", "bytes 30000-99999/7", "nonsense"])
def test_a_part_that_does_not_fit_is_begun_again(claim: str, server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, cuts=[30_000], claim=claim))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA
    assert server.header("Range") == [None, "bytes=30000-", None]


def test_halves_of_two_files_are_noticed_without_an_etag(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(bytes(len(DATA)), etag=None, cuts=[30_000], statuses=[200, 404]))
    with pytest.raises(WeightsMissingError):
        fetch(tmp_path / "w", url)
    server.put("/w", Served(DATA, etag=None))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA
    assert server.header("Range")[-2:] == ["bytes=30000-", None]


def test_another_mirror_does_not_continue_the_first_ones_part(server: FileServer, tmp_path: Path):
    first = server.put("/a", Served(DATA, cuts=[30_000], statuses=[200, 404]))
    second = server.put("/b", Served(DATA))
    assert fetch(tmp_path / "w", first, second).read_bytes() == DATA
    assert server.header("Range") == [None, "bytes=30000-", None]


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(DATA)), max_size=3),
    has_ranges=st.booleans(),
    states_length=st.booleans(),
    etag=st.sampled_from([None, '"one"', 'W/"one"']),
)
def test_up_to_three_cuts_anywhere_do_no_harm(cuts, has_ranges, states_length, etag):
    served = Served(DATA, cuts=cuts, has_ranges=has_ranges, states_length=states_length, etag=etag)
    with run_file_server() as server, tempfile.TemporaryDirectory() as folder:
        fetched = fetch(Path(folder) / "w", server.put("/w", served))
        assert fetched.read_bytes() == DATA
        assert visible(fetched.parent) == ["w"]


def test_wrong_bytes_are_refused_and_not_kept(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA[::-1]))
    with pytest.raises(IntegrityError, match=f"hash is not {SHA256[:16]}"):
        fetch(tmp_path / "w", url)
    assert visible(tmp_path) == []
    assert len(server.requests) == 1


def test_a_wrong_length_is_refused_before_the_body(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA + b"more"))
    with pytest.raises(IntegrityError, match="offers 100004 bytes where 100000 are expected"):
        fetch(tmp_path / "w", url)
    assert visible(tmp_path) == []


def test_a_server_that_sends_without_end_is_cut_off(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA + bytes(2_000_000), states_length=False))
    seen: list[int] = []
    with pytest.raises(IntegrityError, match="sends more than 100000 bytes"):
        fetch(tmp_path / "w", url, chunk=10_000, progress=lambda done, _: seen.append(done))
    assert max(seen) <= len(DATA)
    assert visible(tmp_path) == []


def test_the_second_mirror_serves_when_the_first_has_nothing(server: FileServer, tmp_path: Path):
    good = server.put("/there", Served(DATA))
    assert fetch(tmp_path / "w", f"{server.base}/not-there", good).read_bytes() == DATA
    assert [path for path, _ in server.requests] == ["/not-there", "/there"]


def test_the_second_mirror_serves_when_the_first_is_wrong(server: FileServer, tmp_path: Path):
    urls = server.put("/bad", Served(DATA[::-1])), server.put("/good", Served(DATA))
    assert fetch(tmp_path / "w", *urls).read_bytes() == DATA


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, statuses=[503, 429]))
    assert fetch(tmp_path / "w", url).read_bytes() == DATA


def test_patience_ends_after_four_attempts(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA, statuses=[503] * 9))
    with pytest.raises(WeightsMissingError, match=r"w could not be fetched; .*status 503"):
        fetch(tmp_path / "w", url)
    assert len(server.requests) == 4


def test_a_closed_port_is_reported_as_unreachable(tmp_path: Path):
    with run_file_server() as gone:
        url = gone.put("/w", Served(DATA))
    with pytest.raises(WeightsMissingError, match="unreachable"):
        fetch(tmp_path / "w", url)


@pytest.mark.parametrize(
    "url",
    ["http://hub.example/w", "ftp://hub.example/w", "file:///etc/hosts", "w.onnx", "https://x:y/"],
)
def test_only_https_is_asked(url: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="https only"):
        fetch(tmp_path / "w", url)


def test_an_address_with_a_password_is_refused_without_showing_it(tmp_path: Path):
    with pytest.raises(ConfigError, match="without a user or password") as caught:
        fetch(tmp_path / "w", "https://me:s3cret@hub.example/w")
    assert "hub.example" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_message_shows_no_query(server: FileServer, tmp_path: Path):
    with pytest.raises(WeightsMissingError, match=r"127\.0\.0\.1.*status 404") as caught:
        fetch(tmp_path / "w", f"{server.base}/w?key=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [("http://hub.example/w", "which we do not ask"), ("file:///etc/hosts", "status 302")],
)
def test_a_redirect_may_not_leave_https(
    target: str, message: str, server: FileServer, tmp_path: Path
):
    url = server.put("/w", Served(redirect=target))
    with pytest.raises(WeightsMissingError, match=message):
        fetch(tmp_path / "w", url)


def redirect(newurl: str, body: io.BytesIO) -> urllib.request.Request | None:
    asked = urllib.request.Request("https://hub.example/w", headers={"Range": "bytes=5-"})
    return _Redirects(None).redirect_request(asked, body, 302, "Found", Message(), newurl)


def test_a_public_server_may_not_redirect_to_this_machine():
    with pytest.raises(LastingError, match="redirected to this machine"):
        redirect("http://127.0.0.1/w", io.BytesIO())


def test_a_redirect_keeps_the_range_and_leaves_its_own_body_unread():
    body = io.BytesIO(b"endless")
    follow = redirect("https://store.example/w", body)
    assert follow.get_header("Range") == "bytes=5-"
    assert body.closed


def test_a_redirect_without_end_ends(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(redirect="/w"))
    with pytest.raises(WeightsMissingError, match="302"):
        fetch(tmp_path / "w", url)


def test_the_token_goes_to_the_hub_and_stays_there(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MIEN_HUB_TOKEN", "s3cret")
    with run_file_server() as store:
        away = store.put("/w", Served(DATA))
        server.put("/moved", Served(redirect=away))
        url = server.put("/w", Served(redirect="/moved"))
        fetch(tmp_path / "w", url, hub=f"{server.base}/models")
        assert server.header("Authorization") == ["Bearer s3cret", "Bearer s3cret"]
        assert store.header("Authorization") == [None]


def test_a_mirror_that_is_not_the_hub_sees_no_token(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MIEN_HUB_TOKEN", "s3cret")
    fetch(tmp_path / "w", server.put("/w", Served(DATA)), hub="https://hub.example")
    assert server.header("Authorization") == [None]


def test_two_that_want_one_file_fetch_it_once(server: FileServer, tmp_path: Path):
    url = server.put("/w", Served(DATA))
    threads = [threading.Thread(target=fetch, args=(tmp_path / "w", url)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "w").read_bytes() == DATA
    assert len(server.requests) == 1


def test_a_place_that_cannot_be_written_is_a_storage_error(server: FileServer, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot write .*file/w"):
        fetch(tmp_path / "file" / "w", server.put("/w", Served(DATA)))
