"""``mien serve``, in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(tmp_path, port, *options):
    command = [sys.executable, "-m", "mien", "serve", "--data", str(tmp_path / "data")]
    return subprocess.Popen(
        [*command, "--port", str(port), *options],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def ask(port, path, key=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def wait(port, process):
    for _ in range(200):
        assert process.poll() is None, process.stderr.read()
        try:
            return ask(port, "/readyz")
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the service does not get ready")


def test_the_first_start_shows_a_key_that_opens_everything(tmp_path, port):
    process = start(tmp_path, port, "--no-page")
    try:
        line = process.stderr.readline()
        assert "shown only now" in line
        key = line.split()[-1]
        wait(port, process)
        assert ask(port, "/v1/collections", key) == {"collections": []}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(port, "/v1/collections")
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
    assert key not in (tmp_path / "data/keys.json").read_text()
    assert "Traceback" not in rest


def test_a_setting_that_is_unknown_is_told(tmp_path, mien):
    (tmp_path / "service.toml").write_text("colour = 3\n")
    answer = mien("serve", "--config", tmp_path / "service.toml")
    assert answer.code == 2
    assert "unknown key 'colour'" in answer.err


def test_a_port_that_is_none_is_told(mien, tmp_path):
    assert mien("serve", "--port", "99999", "--data", tmp_path).code == 2
