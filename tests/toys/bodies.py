"""Bodies of requests, byte by byte, and requests that bring them in pieces."""

from starlette.requests import Request

HEAD = 'Content-Disposition: form-data; name="{}"'
FILE = HEAD + '; filename="{}"'


def part(head, data):
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def form(*parts):
    return b"".join(parts) + b"--b--\r\n"


def request(body, kind="multipart/form-data; boundary=b", size=1000, *, whole=True):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    messages = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
    end = {"type": "http.request", "body": b"", "more_body": False}
    messages.append(end if whole else {"type": "http.disconnect"})

    async def receive():
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    return Request(scope, receive)
