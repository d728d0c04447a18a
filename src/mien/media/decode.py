"""The one place where Pillow is let near bytes from outside: limits first, every error typed.

`open_picture` reads a header, `load_picture` makes pixels; both run inside `strict_pillow`. Colour
and depth are left as they are found; `mien.media.pixels` turns them into RGB.
"""

import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import Final

from PIL import Image as PilImage
from PIL import ImageFile, UnidentifiedImageError, features

from mien.core.errors import MediaError, MienError
from mien.core.optional import require
from mien.media._tags import claims_too_much
from mien.media.limits import ImageLimits

# Everything that Pillow's parsers were seen, or can be read, to raise on hostile input. Wide on
# purpose: inside a decoder even a KeyError says something about the file, and nothing about us.
DECODER_ERRORS: Final = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, AttributeError,
    AssertionError, ArithmeticError, RuntimeError, BufferError, struct.error, zlib.error,
)  # fmt: skip
_ORIENTATION: Final = 0x0112
_MAX_SCANS: Final = 100  # progressive JPEG files in the wild have about ten
_JPEG_MARKER: Final = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")

_lock = threading.Lock()
_active: list[int] = []
_switches = ExitStack()


@contextmanager
def strict_pillow(max_pixels: int) -> Iterator[None]:
    """Hold Pillow's process-wide switches strict while at least one picture is being read.

    Whatever the application has set: a truncated picture is an error, never half grey; the bomb
    guard stops at our limit; Pillow's warnings stay silent. The first reader in sets the switches
    and the last one out restores them, so that threads may decode side by side.

    Args:
        max_pixels: The largest picture this reader accepts. Among several readers the largest
            limit holds in Pillow; the exact check of each is `ImageLimits.check_size`.
    """
    with _lock:
        if not _active:
            _set_switches()
        _active.append(max_pixels)
        _set_bomb_guard()
    try:
        yield
    finally:
        with _lock:
            _active.remove(max_pixels)
            if _active:
                _set_bomb_guard()
            else:
                _switches.close()


def _set_switches() -> None:
    _switches.callback(setattr, PilImage, "MAX_IMAGE_PIXELS", PilImage.MAX_IMAGE_PIXELS)
    _switches.callback(setattr, ImageFile, "LOAD_TRUNCATED_IMAGES", ImageFile.LOAD_TRUNCATED_IMAGES)
    _switches.enter_context(warnings.catch_warnings())
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def _set_bomb_guard() -> None:
    # Pillow raises at twice this figure, and only warns below.
    PilImage.MAX_IMAGE_PIXELS = (max(_active) + 1) // 2


@contextmanager
def typed_errors(source: str, name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into a `MediaError`.

    Args:
        source: How to call the picture in the message.
        name: The format that is being decoded.
    """
    try:
        yield
    except MienError:
        raise
    except PilImage.DecompressionBombError as err:
        raise MediaError(
            what=f"{source} has too many pixels, and may be a decompression bomb",
            why=str(err).partition(",")[0],
            mend="shrink the picture, or pass ImageLimits(max_pixels=...) if you trust it",
        ) from err
    except MemoryError as err:
        raise MediaError(
            what=f"{source} does not fit into memory",
            why="decoding it asked for more than the system gives",
            mend="shrink the picture, or free some memory",
        ) from err
    except DECODER_ERRORS as err:
        # Pillow's words for "no parser takes it" hold the address of a buffer and help nobody.
        detail = "bad header" if isinstance(err, UnidentifiedImageError) else err or repr(err)
        raise MediaError(
            what=f"{source} cannot be decoded as {name} ({detail})",
            why="it is truncated or damaged",
            mend="copy or export the picture again",
        ) from err


def open_picture(data: bytes, name: str, source: str, limits: ImageLimits) -> PilImage.Image:
    """Read the header of an encoded picture; no pixels yet.

    Args:
        data: The encoded picture.
        name: Its format, from `mien.media.formats.sniff`.
        source: How to call it in messages.
        limits: Checked against the width and height in the header.

    Returns:
        A lazy Pillow image at its first frame.

    Raises:
        MediaError: If the header is broken or states a size outside the limits.
        ExtraMissingError: If it is HEIF and ``pillow-heif`` is not installed.
    """
    if name == "JPEG":
        _check_scans(data, source)
    if name == "TIFF" and claims_too_much(data):
        raise MediaError(
            what=f"{source} is a TIFF file whose tags claim more than it holds",
            why="reading it could take all memory",
            mend="copy or export the picture again",
        )
    if name == "WEBP" and (canvas := _webp_canvas(data)):
        limits.check_size(*canvas, source)
    picture = _open_heif(data) if name == "HEIF" else _open_builtin(data, name, source)
    limits.check_size(*picture.size, source)
    return picture


def _open_builtin(data: bytes, name: str, source: str) -> PilImage.Image:
    if name in {"AVIF", "WEBP"} and not features.check(name.lower()):
        raise MediaError(
            what=f"{source} is {name}",
            why="the installed Pillow was built without it",
            mend="run: pip install --upgrade 'pillow>=11.3'",
        )
    return PilImage.open(BytesIO(data), formats=[name])


def _open_heif(data: bytes) -> PilImage.Image:
    # The class is used as it is: registering the plug-in would change Pillow for the application.
    picture: PilImage.Image = require("pillow_heif", extra="heif").HeifImageFile(BytesIO(data))
    return picture


def _webp_canvas(data: bytes) -> tuple[int, int] | None:
    """The size that a WebP header states: the decoder makes room for it while it is opened.

    Source:
        WebP Container Specification, "Extended File Format"; RFC 6386, section 9.1; WebP Lossless
        Bitstream Specification, section 3.
    """
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = (int.from_bytes(body[k : k + 2], "little") & 0x3FFF for k in (6, 8))
        return width, height
    return None


def _check_scans(data: bytes, source: str) -> None:
    """Refuse a JPEG of very many scans: each costs a pass over all pixels, and only a few bytes."""
    position, scans = 2, 0
    while (marker := _JPEG_MARKER.search(data, position)) and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        position = marker.end() + max(2, length)
        if scans > _MAX_SCANS:
            raise MediaError(
                what=f"{source} is a JPEG of more than {_MAX_SCANS} scans",
                why="decoding it could take hours",
                mend="save it again as a plain JPEG",
            )


def load_picture(picture: PilImage.Image, source: str, limits: ImageLimits) -> int | None:
    """Decode the current frame in place, and tell how it has to be turned.

    Pillow turns TIFF files itself while it loads them; every other format is left as stored.

    Args:
        picture: A Pillow image, lazy or loaded.
        source: How to call it in messages.
        limits: Checked again, since some decoders correct the size while they work.

    Returns:
        The orientation 1 to 8 that is still to be applied (1 when none is stated), any other
        number as it stands in the file, or None when the EXIF block cannot be read.

    Raises:
        MediaError: If the size lies outside the limits.
    """
    picture.load()
    limits.check_size(*picture.size, source)
    return exif_orientation(picture)


def exif_orientation(picture: PilImage.Image) -> int | None:
    """The orientation that a picture's EXIF block states, as `load_picture` returns it."""
    if claims_too_much(picture.info.get("exif") or b""):
        return None
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except DECODER_ERRORS:
        return None
    return value if isinstance(value, int) else 0


def stored_orientation(picture: PilImage.Image) -> int:
    """The orientation that Pillow will apply by itself on loading: of TIFF files, else 1."""
    value = getattr(picture, "tag_v2", {}).get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def count_frames(picture: PilImage.Image, *, may_walk: bool) -> int | None:
    """How many frames a picture holds.

    Args:
        picture: An open picture.
        may_walk: Whether frames may be counted by walking through the file, where the header
            does not state them (GIF, TIFF). That moves the picture, and takes time in long files.

    Returns:
        The count, 1 for a still, or None when there are several and they were not counted.
    """
    if not getattr(picture, "is_animated", False):
        return 1
    if picture.format in {"GIF", "TIFF"} and not may_walk:
        return None
    try:
        count: int = getattr(picture, "n_frames", 1)
    except DECODER_ERRORS:
        return None
    return count
