"""Fetching reaches public machines only, whatever names and redirects say, and ends in time."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time

import pytest

from mien.core.errors import InputError, RefusedError, TooLargeError
from mien.server.fetch import Fetcher
from mien.server.settings import ServerSettings
from toys.file_server import Served, run_file_server

pytestmark = pytest.mark.enable_socket
PICTURE = b"\xff\xd8\xff" + bytes(5000)


@pytest.fixture
def server():
    with run_file_server() as running:
        yield running


class Names:
    """A resolver that says what it is told, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers) or [["127.0.0.1"]]
        self.asked = []

    def __call__(self, host, port):
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def fetcher(port, names=None, is_allowed=lambda address: address == "127.0.0.1", **changes):
    defaults = {"allow_fetch": True, "fetch_allow_http": True, "max_body_bytes": 10_000}
    return Fetcher(
        ServerSettings(**(defaults | changes)),
        is_allowed=is_allowed,
        resolve=names or Names(),
        ports=frozenset({port}),
    )


def port_of(server):
    return int(server.base.rpartition(":")[2])


def place(server, path="/a.jpg"):
    return f"http://photos.example:{port_of(server)}{path}"


def test_a_picture_is_fetched_by_the_name_of_its_host(server):
    server.put("/a.jpg", Served(PICTURE))
    assert fetcher(port_of(server)).fetch(place(server)) == PICTURE
    assert server.header("Host") == [f"photos.example:{port_of(server)}"]
    assert server.header("Accept-Encoding") == ["identity"]


def test_nothing_is_fetched_unless_the_settings_allow_it(server):
    with pytest.raises(RefusedError, match="fetching is switched off"):
        fetcher(port_of(server), allow_fetch=False).fetch(place(server))
    assert server.requests == []


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], []])
def test_a_name_that_leads_inside_or_nowhere_is_refused_in_the_same_words(answers):
    with pytest.raises(RefusedError, match="its host has no public address, or another"):
        Fetcher(ServerSettings(allow_fetch=True), resolve=Names(answers)).fetch("https://a.example")


def test_the_connection_goes_to_the_address_that_was_checked(server):
    server.put("/a.jpg", Served(PICTURE))
    names = Names(["127.0.0.1"], ["10.0.0.1"])  # another answer the next time
    assert fetcher(port_of(server), names).fetch(place(server)) == PICTURE
    assert names.asked == ["photos.example"]


def test_redirects_are_followed_and_each_is_checked(server):
    server.put("/a", Served(redirect="/b"))
    server.put("/b", Served(PICTURE))
    names = Names()
    assert fetcher(port_of(server), names).fetch(place(server, "/a")) == PICTURE
    assert names.asked == ["photos.example"] * 2


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/latest", "file:///etc/passwd", "http://2130706433/", "gopher://a/"],
)
def test_a_redirect_to_where_we_would_not_go_is_refused(server, target):
    server.put("/a", Served(redirect=target))
    with pytest.raises(RefusedError, match="this address is not fetched"):
        fetcher(port_of(server)).fetch(place(server, "/a"))


def test_a_redirect_to_a_name_that_leads_inside_is_refused(server):
    server.put("/a", Served(redirect=place(server, "/b").replace("photos", "other")))
    server.put("/b", Served(PICTURE))
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    with pytest.raises(RefusedError, match="no public address"):
        fetcher(port_of(server), names).fetch(place(server, "/a"))
    assert [path for path, _ in server.requests] == ["/a"]


def test_redirects_end_after_three(server):
    server.put("/a", Served(redirect="/a"))
    with pytest.raises(InputError, match="redirects more than 3 times"):
        fetcher(port_of(server)).fetch(place(server, "/a"))
    assert len(server.requests) == 4


def test_hosts_that_are_not_listed_are_not_even_resolved(server):
    names = Names()
    with pytest.raises(RefusedError, match="not among those allowed"):
        fetcher(port_of(server), names, fetch_allow_hosts=("other.example",)).fetch(place(server))
    assert names.asked == []


@pytest.mark.parametrize("states_length", [True, False])
def test_what_is_too_large_is_not_read_to_its_end(server, states_length):
    server.put("/a.jpg", Served(bytes(10_001), states_length=states_length))
    with pytest.raises(TooLargeError, match="more than 10,000 bytes"):
        fetcher(port_of(server)).fetch(place(server))


def test_what_is_just_not_too_large_is_fetched(server):
    server.put("/a.jpg", Served(bytes(10_000)))
    assert len(fetcher(port_of(server)).fetch(place(server))) == 10_000


def test_a_broken_connection_gives_no_half_picture(server):
    server.put("/a.jpg", Served(PICTURE, cuts=[100]))
    with pytest.raises(InputError, match="the connection broke"):
        fetcher(port_of(server)).fetch(place(server))


def test_a_status_other_than_200_is_an_error(server):
    with pytest.raises(InputError, match="status 404"):
        fetcher(port_of(server)).fetch(place(server, "/nowhere"))


@contextlib.contextmanager
def listening(serve):
    """A server that treats its one client as ``serve`` does."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def run():
            with contextlib.suppress(OSError):
                connection, _ = door.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                socket.create_connection(door.getsockname(), timeout=1).close()
            thread.join()


def trickle(text):
    def serve(connection):
        connection.recv(1000)
        for _ in range(200):
            connection.sendall(text)
            time.sleep(0.02)

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        trickle(b"H"),
        lambda connection: [connection.recv(1000) for _ in range(2)],
        lambda connection: (
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"),
            trickle(b"x")(connection),
        ),
    ],
    ids=["head", "silence", "body"],
)
def test_a_fetch_ends_in_time_and_what_was_cut_is_not_taken_for_whole(serve):
    with listening(serve) as port:
        start = time.monotonic()
        with pytest.raises(InputError, match="was not there in time|the connection broke"):
            fetcher(port, fetch_timeout_s=0.3).fetch(f"http://photos.example:{port}/")
        assert time.monotonic() - start < 2


def test_a_resolver_that_hangs_is_not_waited_for():
    gate = threading.Event()

    def resolve(host, port):
        gate.wait(5)
        return []

    start = time.monotonic()
    with pytest.raises(InputError, match="was not there in time"):
        fetcher(443, resolve, fetch_timeout_s=0.2).fetch("https://photos.example/")
    assert time.monotonic() - start < 1
    gate.set()


def test_what_is_not_http_is_an_error():
    with (
        listening(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as port,
        pytest.raises(InputError, match="was not HTTP"),
    ):
        fetcher(port).fetch(f"http://photos.example:{port}/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for photos.example that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "photos.example")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("photos.example"), x509.IPAddress(ipaddress.ip_address("8.8.8.8"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(
    ("host", "words"),
    [("photos.example", None), ("other.example", "certificate is not valid")],
)
def test_tls_is_spoken_with_the_name_and_the_certificate_must_be_of_it(certificate, host, words):
    asked = []
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    theirs.sni_callback = lambda connection, name, context: asked.append(name)

    def serve(connection):
        with theirs.wrap_socket(connection, server_side=True) as line:
            line.recv(1000)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(5000))

    with listening(serve) as port:
        fetching = Fetcher(
            ServerSettings(allow_fetch=True),
            is_allowed=lambda address: address == "127.0.0.1",
            resolve=Names(),
            context=ssl.create_default_context(cafile=str(certificate)),
            ports=frozenset({port}),
        )
        if words:
            with pytest.raises(InputError, match=words):
                fetching.fetch(f"https://{host}:{port}/a.jpg")
        else:
            assert fetching.fetch(f"https://{host}:{port}/a.jpg") == bytes(5000)
    assert asked == [host]


def test_a_tls_handshake_that_does_not_end_is_cut():
    with listening(trickle(b"\x16")) as port:
        start = time.monotonic()
        with pytest.raises(InputError):
            fetcher(port, fetch_timeout_s=0.3).fetch(f"https://photos.example:{port}/")
        assert time.monotonic() - start < 2


def test_the_systems_resolver_gives_numeric_addresses():
    from mien.server.fetch import resolve_host

    assert set(resolve_host("localhost", 443)) <= {"127.0.0.1", "::1"}
