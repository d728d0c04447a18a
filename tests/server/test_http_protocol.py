"""Connections on a real socket: late, large and many heads are cut off, all else is served."""

import asyncio
import contextlib
import socket
import time

import pytest

from mien.server.http_protocol import bounded_protocol, uvicorn_config
from mien.server.settings import ServerSettings
from toys.http_server import running_server

pytestmark = pytest.mark.enable_socket
GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/early":  # answers without reading
        await reply(send, b"early")
        return
    if scope["path"] == "/large":
        await reply(send, b"x" * 2**25)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await asyncio.sleep(0.6 if scope["path"] == "/slow" else 0)
    names = [name for name, _ in scope["headers"]]
    await reply(send, b"%d %d" % (len(body), names.count(b"x-trailer")))


async def reply(send, body):
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def running(**changes):
    bounds = {"header_timeout_s": 0.3, "body_timeout_s": 0.5, "keep_alive_s": 1}
    return running_server(app, ServerSettings(**(bounds | changes), port=0))


@pytest.fixture(scope="module")
def port():
    with running() as (_, number):
        yield number


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def answer_to(connection, request):
    """Send a request and take the whole answer, from a connection that stays open."""
    connection.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(1000)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    while len(body) < length:
        body += connection.recv(1000)
    return head, body


def read_all(connection):
    """All that comes until the other side closes, and how long that took."""
    start, parts = time.monotonic(), []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts), time.monotonic() - start


def test_a_request_is_served_and_no_server_is_named(port):
    with connect(port) as connection:
        head, body = answer_to(connection, GET)
    assert (head[:15], body) == (b"HTTP/1.1 200 OK", b"0 0")
    assert b"server:" not in head


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: h\r\nx: "])
def test_a_head_that_does_not_end_is_cut_off(port, start):
    with connect(port) as connection:
        connection.sendall(start)
        answer, took_s = read_all(connection)
    assert 0.2 < took_s < 1.5
    assert answer.startswith(b"HTTP/1.1 408") == bool(start)


@pytest.mark.parametrize("drop", [b"x", b"\r\n"])
@pytest.mark.parametrize("before", [b"", GET])
def test_a_trickle_does_not_keep_a_connection_open(port, drop, before):
    with connect(port) as connection:
        connection.sendall(before)
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - start < 3:
                connection.sendall(drop)
                time.sleep(0.05)
    assert time.monotonic() - start < 1.5


def test_the_rest_of_a_body_that_was_answered_cannot_trickle_in_forever(port):
    with connect(port) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nhost: h\r\ncontent-length: 9999\r\n\r\n")
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - start < 3:
                connection.sendall(b"x")
                time.sleep(0.05)
    assert time.monotonic() - start < 1.5


def test_a_request_in_work_is_not_cut_off_by_the_time_for_heads(port):
    with connect(port) as connection:
        assert answer_to(connection, GET.replace(b"/ ", b"/slow "))[1] == b"0 0"


def test_connections_stay_open_between_requests_and_then_end(port):
    with connect(port) as connection:
        for _ in range(3):
            assert answer_to(connection, GET)[1] == b"0 0"
            time.sleep(0.15)
        assert read_all(connection)[1] < 2.5


def test_requests_sent_at_once_are_all_answered(port):
    with connect(port) as connection:
        connection.sendall(GET * 5)
        assert read_all(connection)[0].count(b"200 OK") == 5


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 400_000,
        b"GET /" + b"a" * 400_000,
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    ],
)
def test_a_head_that_is_too_large_is_refused(port, head):
    with connect(port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
        answer, _ = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""  # a reset may take the answer along


def test_a_large_head_within_the_limit_is_served(port):
    with connect(port) as connection:
        head = b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"a" * 30_000 + b"\r\n\r\n"
        assert answer_to(connection, head)[1] == b"0 0"


def test_a_body_larger_than_a_head_may_be_is_served(port):
    with connect(port) as connection:
        head = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 500000\r\n\r\n"
        assert answer_to(connection, head + b"x" * 500_000)[1] == b"500000 0"


def test_headers_behind_the_body_do_not_become_headers_of_the_request(port):
    with connect(port) as connection:
        head = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
        body = b"1\r\nx\r\n0\r\nx-trailer: y\r\n\r\n"
        assert answer_to(connection, head + body)[1] == b"1 0"


def test_what_is_not_http_is_refused(port):
    with connect(port) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert read_all(connection)[0].startswith(b"HTTP/1.1 400")


def test_who_does_not_read_an_answer_is_cut_off():
    with running() as (server, port), connect(port) as connection:
        connection.sendall(GET.replace(b"/ ", b"/large "))
        deadline = time.monotonic() + 4
        time.sleep(0.2)
        while server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not server.server_state.connections


def test_connections_beyond_the_limit_are_sent_away_and_places_become_free():
    with (
        running(max_connections=3, header_timeout_s=5) as (_, port),
        contextlib.ExitStack() as all_,
    ):
        held = [all_.enter_context(connect(port)) for _ in range(3)]
        for connection in held:
            connection.sendall(b"GET")
        time.sleep(0.2)
        with connect(port) as extra:
            assert read_all(extra)[0].startswith(b"HTTP/1.1 503")
        held[0].close()
        time.sleep(0.2)
        with connect(port) as extra:
            assert answer_to(extra, GET)[1] == b"0 0"


def test_bounds_of_one_server_are_not_those_of_another():
    one = bounded_protocol(ServerSettings(max_connections=1))
    two = bounded_protocol(ServerSettings(max_connections=2))
    assert (one.max_connections, two.max_connections) == (1, 2)


def test_a_proxy_is_believed_only_if_told_so():
    assert not uvicorn_config(app, ServerSettings()).proxy_headers
    assert uvicorn_config(app, ServerSettings(trusted_proxy=True)).proxy_headers
