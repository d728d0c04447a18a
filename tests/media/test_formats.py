"""Formats are told by content, and what is not read is called by its name."""

import pytest

from mien.core.errors import MediaError
from mien.media.formats import SUFFIXES, sniff
from toys.pictures import draw_zoo


@pytest.mark.parametrize("name", list(draw_zoo()))
def test_a_file_is_what_its_name_promises(name: str) -> None:
    assert sniff(draw_zoo()[name], "toy") == SUFFIXES[f".{name.split('.')[-1]}"]


@pytest.mark.parametrize(
    ("major", "compatible", "name"),
    [
        (b"heic", [b"mif1"], "HEIF"),
        (b"mif1", [b"heic"], "HEIF"),
        (b"mif1", [b"miaf", b"avif"], "AVIF"),
        (b"avis", [], "AVIF"),
    ],
)
def test_brands_tell_avif_from_heif(major: bytes, compatible: list[bytes], name: str) -> None:
    box = b"ftyp" + major + bytes(4) + b"".join(compatible)
    assert sniff((len(box) + 4).to_bytes(4, "big") + box + bytes(32), "toy") == name


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello, world\n", r"plain text, an unsupported format; only JPEG, PNG"),
        (b"%PDF-1.7\n\x80", r"a PDF document"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", r"an SVG"),
        (b"<!DOCTYPE html><html>", r"a web page"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", r"a film"),
        (b"\x1aE\xdf\xa3" + bytes(40), r"a film"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", r"JPEG 2000"),
        (b"PK\x03\x04" + bytes(40), r"a ZIP archive"),
        (bytes(100), r"no known picture"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        sniff(data, "'toy'")
