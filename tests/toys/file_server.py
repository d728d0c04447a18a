"""A small file server on this machine that can misbehave in the ways that servers do."""

import http.server
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Served:
    """What stands at one path, and how it is handed out."""

    data: bytes = b""
    etag: str | None = '"one"'
    has_ranges: bool = True
    states_length: bool = True
    cuts: list[int] = field(default_factory=list)
    """For each request in turn: bytes of the body after which the line is cut."""
    statuses: list[int] = field(default_factory=list)
    """For each request in turn: an error status instead of an answer; 200 for none."""
    redirect: str | None = None
    claim: str | None = None
    """A Content-Range to state instead of the true one."""


@dataclass
class FileServer:
    """A running server: its address, what it serves, and the requests that it saw."""

    base: str
    files: dict[str, Served] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def put(self, path: str, served: Served) -> str:
        """Serve something; its address comes back."""
        self.files[path] = served
        return f"{self.base}{path}"

    def header(self, name: str) -> list[str | None]:
        """That header of every request so far."""
        return [headers.get(name) for _, headers in self.requests]


@contextmanager
def run_file_server() -> Iterator[FileServer]:
    """Run a server on a free port of 127.0.0.1 for as long as the block lasts."""
    toy = FileServer(base="")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            toy.requests.append((self.path, dict(self.headers)))
            served = toy.files.get(self.path, Served(statuses=[404]))
            try:
                _answer(self, served)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client hung up, as it should

        def log_message(self, *_: object) -> None:
            pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        toy.base = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield toy
        finally:
            server.shutdown()
            thread.join()


def _answer(handler: http.server.BaseHTTPRequestHandler, served: Served) -> None:
    status = served.statuses.pop(0) if served.statuses else 200
    if status != 200:
        return handler.send_error(status)
    if served.redirect:
        handler.send_response(302)
        handler.send_header("Location", served.redirect)
        return handler.end_headers()
    start = _start_of(handler, served)
    if start is not None and start >= len(served.data):
        return handler.send_error(416)
    body = served.data[start or 0 :]
    handler.send_response(200 if start is None else 206)
    if start is not None:
        total = len(served.data)
        true = f"bytes {start}-{total - 1}/{total}"
        handler.send_header("Content-Range", served.claim or true)
    if served.states_length:
        handler.send_header("Content-Length", str(len(body)))
    if served.etag:
        handler.send_header("ETag", served.etag)
    handler.end_headers()
    handler.wfile.write(body[: served.cuts.pop(0)] if served.cuts else body)
    return None


def _start_of(handler: http.server.BaseHTTPRequestHandler, served: Served) -> int | None:
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    condition = handler.headers.get("If-Range", served.etag)
    return int(asked[1]) if asked and served.has_ranges and condition == served.etag else None
