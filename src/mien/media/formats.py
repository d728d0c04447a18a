"""Which picture formats are read, told from their first bytes and not from their names.

The list is short on purpose: a parser that is never started cannot be attacked. Nothing is decoded
here; that is the business of `mien.media.decode`.
"""

import re
from typing import Final

from mien.core.errors import MediaError

SUFFIXES: Final = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}
"""Names of files that hold pictures, and the format that each promises."""

FORMATS: Final = tuple(dict.fromkeys(SUFFIXES.values()))
"""All formats that can be read."""

_SIGNATURES: Final = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF.{4}WEBP", "WEBP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]", "TIFF"),
    (rb"P[1-6][ \t\r\n\v\f#]", "PPM"),
    (rb"BM.{12}[\x0c-\x7c]\x00\x00\x00", "BMP"),
)
_OTHERS: Final = (
    (rb"%PDF", "a PDF document"),
    (rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg", "an SVG"),
    (rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html)", "a web page"),
    (rb".{4}ftyp(qt|isom|iso\d|mp4|M4V|avc1|dash|3gp)", "a film"),
    (rb"\x1aE\xdf\xa3|RIFF.{4}AVI ", "a film"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\x00\x00\x00\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb"\x00\x00\x01\x00", "an icon"),
    (rb"8BPS", "a Photoshop document"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"[\t\r\n\x20-\x7e]+\Z", "plain text"),
)
_HEIF_BRANDS: Final = {
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
}  # fmt: skip
_HEAD: Final = 512


def sniff(data: bytes, source: str) -> str:
    """The format of a picture, by its first bytes.

    Args:
        data: The encoded picture, or at least its first 512 bytes.
        source: How to call it in the message.

    Returns:
        One of ``FORMATS``.

    Raises:
        MediaError: If the format is not one that is read; says what the file seems to be.
    """
    head = bytes(data[:_HEAD])
    for pattern, name in _SIGNATURES:
        if re.match(pattern, head, re.DOTALL):
            return name
    if head[4:8] == b"ftyp" and (boxed := _sniff_boxes(head)):
        return boxed
    raise MediaError(
        what=f"{source} is {_describe(head)}, an unsupported format",
        why=f"only {', '.join(FORMATS)} are read, told from the first bytes",
        mend="convert it to JPEG or PNG",
    )


def _sniff_boxes(head: bytes) -> str | None:
    """AVIF and HEIF share a container; the major brand, then the others, tell them apart."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major, *compatible = [head[8:12], *(head[i : i + 4] for i in range(16, end, 4))]
    if major in {b"avif", b"avis"}:
        return "AVIF"
    if major not in _HEIF_BRANDS:
        return None
    general = major in {b"mif1", b"msf1"}
    return "AVIF" if general and {b"avif", b"avis"} & set(compatible) else "HEIF"


def _describe(head: bytes) -> str:
    for pattern, name in _OTHERS:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            return name
    return "no known picture"
