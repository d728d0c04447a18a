"""What comes in bodies: pictures and fields, kept in memory. Films are in `films`.

Pictures show people, so that none is spooled to a temporary folder that others may read.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from mien.core.errors import InputError, MediaError
from mien.server.state import ServiceState

T = TypeVar("T", bound=BaseModel)

MAX_PICTURES: Final = 1000
_MAX_FIELDS: Final = 20
_MAX_FIELD_BYTES: Final = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form.

    Attributes:
        field: The field's name.
        name: As the client called the file; may be empty.
        data: Its bytes.
    """

    field: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read.

    Attributes:
        fields: What is no file.
        files: The files, in order.
    """

    fields: Mapping[str, str]
    files: tuple[Upload, ...]

    def parse(self, model: type[T]) -> T:
        """The fields as a model.

        Raises:
            RequestValidationError: If they do not fit.
        """
        try:
            return model.model_validate(self.fields)
        except ValidationError as err:
            faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in err.errors()]
            raise RequestValidationError(faults) from err

    def file(self, field: str) -> bytes | None:
        """The bytes of the only file of a field; None if there is none."""
        found = [upload.data for upload in self.files if upload.field == field]
        return found[0] if found else None


class _InMemory(MultiPartParser):
    """Starlette's parser without a temporary file; bodies are bounded by `limits`."""

    spool_max_size = 2**40


async def read_form(request: Request, *, files: tuple[str, ...], max_files: int = 1) -> Form:
    """Read a form with pictures.

    Args:
        request: Its body was not read yet.
        files: Fields that may be files.
        max_files: How many files may come in each of these fields.

    Raises:
        MediaError: If the body is no form.
        InputError: If it is damaged, or a field stands in it twice.
    """
    if media_type(request) != "multipart/form-data":
        raise wrong_type("a form (multipart/form-data)")
    parser = _InMemory(
        request.headers,
        whole_body(request),
        max_files=max_files * len(files),
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as err:
        raise damaged(getattr(err, "message", "its parts are not as they should be")) from err
    try:
        fields, uploads = await _take_apart(form)
    finally:
        await form.close()
    if any(sum(one.field == name for one in uploads) > max_files for name in files):
        raise damaged(f"a field holds more than {max_files} files")
    if any(upload.field not in files for upload in uploads):
        raise damaged(f"files are taken in {' and '.join(files)} only")
    return Form(fields, tuple(uploads))


async def _take_apart(form: FormData) -> tuple[dict[str, str], list[Upload]]:
    fields: dict[str, str] = {}
    uploads: list[Upload] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            uploads.append(Upload(name, value.filename or "", await value.read()))
        elif name in fields:
            raise damaged("a field stands in it twice")
        else:
            fields[name] = value
    return fields, uploads


async def read_picture(request: Request, state: ServiceState) -> bytes:
    """The picture of a request: the whole body (``image/*``), the field ``image``, or ``url``.

    Raises:
        InputError: If there is none.
        RefusedError: If it is an address, and the service fetches nothing.
    """
    if is_raw(request):
        data = b"".join([chunk async for chunk in whole_body(request)])
        if not data:
            raise _no_picture()
        return data
    form = await read_form(request, files=("image",))
    if set(form.fields) - {"url"}:
        raise damaged("there is a field besides image and url")
    return await picture_of(form, state)


async def picture_of(form: Form, state: ServiceState, field: str = "image") -> bytes:
    """The picture of a form: the field ``image``, or what is at the address in ``url``.

    Raises:
        InputError: If there is neither, or both.
        RefusedError: If it is an address, and the service fetches nothing.
    """
    data, url = form.file(field), form.fields.get("url")
    if data and url:
        raise damaged("there are both a picture and an address")
    if url:
        return await asyncio.to_thread(state.fetcher.fetch, url)  # slow: not a gallery's thread
    if not data:
        raise _no_picture()
    return data


def is_raw(request: Request) -> bool:
    """Whether the whole body is one file."""
    kind = media_type(request)
    return kind.startswith(("image/", "video/")) or kind == "application/octet-stream"


async def whole_body(request: Request) -> AsyncGenerator[bytes, None]:
    """A body in pieces, as it arrives.

    Raises:
        InputError: If the client goes away.
    """
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as err:
        raise InputError(
            what="the request ended before its body did",
            why="the client went away",
            mend="send it again",
        ) from err


def media_type(request: Request) -> str:
    """Type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def damaged(why: str) -> InputError:
    """The error for a form that cannot be used."""
    return InputError(
        what="the form cannot be read",
        why=why,
        mend="send it as the API describes it; the description is at /openapi.json",
    )


def wrong_type(wanted: str) -> MediaError:
    """The error for a body of another type than is taken."""
    return MediaError(
        what="the body is not of a type that is taken here",
        why=f"it must be {wanted}",
        mend="set Content-Type to what the body is",
    )


def _no_picture() -> InputError:
    return InputError(
        what="there is no picture in the request",
        why="it must be the body, or the field 'image' of a form",
        mend="send it as multipart/form-data, or as the body with image/jpeg",
    )
