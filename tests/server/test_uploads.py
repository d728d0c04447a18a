"""What is sent arrives whole, in memory or in the data folder, and nowhere else."""

import asyncio
import tempfile

import pytest
from fastapi.exceptions import RequestValidationError

from mien.core.errors import InputError, MediaError
from mien.server.forms import EnrolForm
from mien.server.uploads import is_raw, read_form
from toys.bodies import FILE, HEAD, form, part, request


def read(body, files=("image",), **options):
    max_files = options.pop("max_files", 1)
    return asyncio.run(read_form(request(body, **options), files=files, max_files=max_files))


def test_fields_and_files_arrive(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "_TemporaryFileArgs", refuse, raising=False)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    picture = bytes(range(256)) * 20_000  # five megabytes
    found = read(
        form(part(FILE.format("image", "Ada.jpg"), picture), part(HEAD.format("person"), b"Ada"))
    )
    assert found.fields == {"person": "Ada"}
    assert found.file("image") == picture
    assert found.files[0].name == "Ada.jpg"
    assert found.parse(EnrolForm).person == "Ada"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (form(part(HEAD.format("a"), b"1"), part(HEAD.format("a"), b"2")), "stands in it twice"),
        (form(part(FILE.format("photo", "x"), b"1")), "files are taken in image only"),
        (
            form(*(part(FILE.format("image", "x"), b"1") for _ in range(2))),
            "Too many files|more than 1 files",
        ),
        (form(part(HEAD.format("a"), b"x" * 70_000)), "exceeded maximum size"),
        (form(*(part(HEAD.format(f"f{k}"), b"x") for k in range(30))), "Too many fields"),
        (b"nothing of the kind", "not as they should be|Invalid multipart"),
        (part("X: y", b"1"), "must be provided"),
    ],
)
def test_damaged_forms_are_refused(body, words):
    with pytest.raises(InputError, match=words):
        read(body)


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/mixed; boundary=b"])
def test_what_is_no_form_is_refused(kind):
    with pytest.raises(MediaError, match="not of a type that is taken"):
        read(b"{}", kind=kind)


def test_a_form_without_a_boundary_is_refused():
    with pytest.raises(InputError, match="Missing boundary"):
        read(b"", kind="multipart/form-data")


def test_a_client_that_goes_away_is_no_fault_of_ours():
    with pytest.raises(InputError, match="ended before its body did"):
        read(part(FILE.format("image", "x"), b"1"), whole=False)


def test_fields_that_do_not_fit_are_named():
    found = read(form(part(HEAD.format("person"), b"Ada"), part(HEAD.format("force"), b"maybe")))
    with pytest.raises(RequestValidationError) as caught:
        found.parse(EnrolForm)
    assert caught.value.errors()[0]["loc"] == ("body", "force")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("image/jpeg", True),
        ("Video/MP4; x=y", True),
        ("application/octet-stream", True),
        ("multipart/form-data; boundary=image/", False),
        ("", False),
        ("text/plain", False),
    ],
)
def test_bodies_that_are_one_file_are_known_by_their_type(kind, expected):
    assert is_raw(request(b"", kind=kind)) is expected
