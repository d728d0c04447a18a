"""A film arrives whole in the data folder, or leaves nothing there."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import InputError, MediaError, StorageError
from mien.server.films import save_film
from toys.bodies import FILE, HEAD, form, part, request


def save(folder, body, **options):
    return asyncio.run(save_film(request(body, **options), folder))


@settings(max_examples=30, deadline=None)
@given(data=st.binary(min_size=1, max_size=3000), size=st.integers(1, 700))
def test_a_film_is_saved_as_it_was_sent_however_it_arrives(tmp_path_factory, data, size):
    folder = tmp_path_factory.mktemp("films")
    body = form(
        part(HEAD.format("other"), b"x"),
        part(FILE.format("video", "Ada.mp4"), data),
        part(FILE.format("more", "x"), b"y"),
    )
    path = save(folder, body, size=size)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Ada" not in path.name
    raw = save(folder, data, kind="video/mp4", size=size)
    assert raw.read_bytes() == data


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"body": form(part(FILE.format("image", "x"), b"1"))}, InputError),
        ({"body": b"", "kind": "video/mp4"}, InputError),
        ({"body": b"x", "kind": "text/plain"}, MediaError),
        ({"body": b"garbage"}, InputError),
        ({"body": part(FILE.format("video", "x"), b"1"), "whole": False}, InputError),
    ],
)
def test_nothing_stays_behind_of_a_film_that_did_not_arrive(tmp_path, options, error):
    with pytest.raises(error):
        save(tmp_path, **options)
    assert list(Path(tmp_path).iterdir()) == []


def test_a_disk_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        save(tmp_path / "missing", b"x", kind="video/mp4")
