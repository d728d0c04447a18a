"""Films that arrive: written to the data folder piece by piece, readable by the service only."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from mien.core.errors import InputError, MienError
from mien.core.files import storage_error
from mien.server.uploads import damaged, is_raw, media_type, whole_body, wrong_type


async def save_film(request: Request, folder: Path) -> Path:
    """Write a film to a new file that only the service can read.

    Args:
        request: The film is its whole body (``video/*``), or the field ``video`` of a form.
        folder: Where to put it.

    Raises:
        InputError: If there is no film in it.
        StorageError: If it cannot be written.
    """
    path = folder / secrets.token_hex(16)
    chunks = whole_body(request) if is_raw(request) else _field_of(request, "video")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            async for chunk in chunks:
                file.write(chunk)
            if file.tell() == 0:
                raise InputError(
                    what="there is no film in the request",
                    why="it must be the body, or the field 'video' of a form",
                    mend="send it as multipart/form-data, or as the body with video/mp4",
                )
    except BaseException as err:
        path.unlink(missing_ok=True)
        if isinstance(err, OSError) and not isinstance(err, MienError):
            raise storage_error(err, path) from err
        raise
    return path


async def _field_of(request: Request, field: str) -> AsyncIterator[bytes]:
    """The bytes of one file of a form, as they arrive."""
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if media_type(request) != "multipart/form-data" or not boundary:
        raise wrong_type("a film (video/*) or a form (multipart/form-data)")
    part = _OnePart(field)
    parser = MultipartParser(boundary, part.callbacks())
    try:
        async for chunk in whole_body(request):
            parser.write(chunk)
            yield part.take()
        parser.finalize()
    except FormParserError as err:
        raise damaged("its parts are not as they should be") from err


class _OnePart:
    """Collects what belongs to one field while a form is parsed."""

    def __init__(self, field: str) -> None:
        self._field = field.encode()
        self._name = self._value = b""
        self._is_wanted = False
        self._found = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
        }

    def take(self) -> bytes:
        found, self._found = bytes(self._found), bytearray()
        return found

    def _begin(self) -> None:
        self._is_wanted, self._name, self._value = False, b"", b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._is_wanted = options.get(b"name") == self._field
        self._name = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_wanted:
            self._found += data[start:end]
