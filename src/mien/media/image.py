"""One door for pictures: a path, bytes, a Pillow image or an array in; upright RGB uint8 out.

`load_image` checks the limits first, decodes by content and says in notes what it had to do. What
it cannot read is a typed error with a mend. How it is decoded stands in the modules beside this.
"""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from mien.core.errors import InputError, MediaError
from mien.core.types import UInt8
from mien.media.decode import (
    count_frames,
    load_picture,
    open_picture,
    stored_orientation,
    strict_pillow,
    typed_errors,
)
from mien.media.folders import find_images
from mien.media.formats import SUFFIXES, sniff
from mien.media.limits import ImageLimits
from mien.media.pixels import (
    ChannelOrder,
    Colour,
    array_to_rgb,
    check_background,
    check_channel_order,
    picture_to_rgb,
    turn_upright,
)

__all__ = ["Image", "ImageLimits", "ImageSource", "find_images", "load_image"]

ImageSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | PilImage.Image | NDArray[Any]
)

_DEFAULT_LIMITS: Final = ImageLimits()
_WHITE: Final = (255, 255, 255)
_WALK_BELOW_BYTES: Final = 8 * 2**20  # counting the frames of longer GIF and TIFF files is slow
_PATH_ERRORS: Final = {
    errno.ENOENT: ("there is no such file", "check the path"),
    errno.ENOTDIR: ("a part of the path is not a folder", "check the path"),
    errno.EACCES: ("permission is denied", "change the permissions, or copy the file"),
    errno.EPERM: ("permission is denied", "change the permissions, or copy the file"),
    errno.ENAMETOOLONG: ("the path is too long for this system", "check the path"),
    errno.ELOOP: ("its symbolic links run in a circle", "check the path"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture as everything in mien expects it.

    Attributes:
        pixels: (h, w, 3) uint8, RGB, upright, C-contiguous, read-only.
        source: The path as given, or ``<bytes>``, ``<array>``, ``<pillow>``.
        notes: What had to be done on the way, in order; empty for a plain RGB picture.
        original_mode: Pillow's mode before conversion, such as ``"CMYK"``; for arrays the dtype
            and channels, such as ``"uint16x3"``.
    """

    pixels: UInt8
    source: str
    notes: tuple[str, ...]
    original_mode: str

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


def load_image(
    source: ImageSource,
    *,
    limits: ImageLimits = _DEFAULT_LIMITS,
    channel_order: ChannelOrder = "rgb",
    background: Colour = _WHITE,
) -> Image:
    """Read a picture from anywhere.

    The EXIF orientation is applied exactly once, transparency is laid on the background, deep
    pixels are scaled to 8 bits, and of several frames the first is taken (of a Pillow image the
    current one). Files are read by content; a name that promises another format earns a note.

    Args:
        source: A path; the bytes of a file; a Pillow image; or an array (h, w), (h, w, 1),
            (h, w, 3), (h, w, 4) of uint8, uint16 or floating-point in 0-1.
        limits: Bounds on bytes and pixels, checked before decoding.
        channel_order: Order of an array's channels: ``"bgr"`` for what OpenCV has read. Has no
            meaning for the other sources, which know their own.
        background: RGB colour, 0-255 each, to lay under transparent pixels.

    Returns:
        The picture.

    Raises:
        MediaError: If it cannot be opened, is damaged, unsupported, or beyond a limit.
        ShapeError: If an array has the wrong shape or dtype.
        RangeError: If deep or floating-point pixels, or the background, are out of range.
        InputError: If the source is of another type, or the channel order unknown.
        ExtraMissingError: If it is HEIF and the extra ``heif`` is not installed.
    """
    check_background(background)
    check_channel_order(channel_order)
    if isinstance(source, np.ndarray):
        return _from_array(source, limits, channel_order, background)
    if isinstance(source, PilImage.Image):
        return _from_picture(source, "<pillow>", limits, background)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), "<bytes>", limits, background)
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        return _from_bytes(_read_file(path, limits), path, limits, background)
    raise InputError(
        what=f"the source is of type {type(source).__name__}",
        why="a picture comes from a path, bytes, a Pillow image or a numpy array",
        mend="pass one of these",
    )


def _from_array(
    array: NDArray[Any], limits: ImageLimits, order: ChannelOrder, background: Colour
) -> Image:
    if array.ndim in {2, 3} and array.size:
        limits.check_size(array.shape[1], array.shape[0], "the array")
    pixels, notes = array_to_rgb(array, order, background)
    channels = array.shape[2] if array.ndim == 3 else 1
    return _finish(pixels, "<array>", notes, f"{array.dtype}x{channels}")


def _from_bytes(data: bytes, source: str, limits: ImageLimits, background: Colour) -> Image:
    shown = _quote(source)
    limits.check_bytes(len(data), shown)
    name = sniff(data, shown)
    promised = SUFFIXES.get(Path(source).suffix.lower(), name)
    notes = [] if promised == name else [f"named as {promised}, read as {name}"]
    with strict_pillow(limits.max_pixels):
        with typed_errors(shown, name):
            picture = open_picture(data, name, shown, limits)
        with picture:
            may_walk = len(data) < _WALK_BELOW_BYTES
            return _decode(picture, source, limits, background, notes, may_walk=may_walk)


def _from_picture(
    picture: PilImage.Image, source: str, limits: ImageLimits, background: Colour
) -> Image:
    with strict_pillow(limits.max_pixels):
        limits.check_size(*picture.size, source)
        return _decode(picture, source, limits, background, [], may_walk=False)


def _decode(
    picture: PilImage.Image,
    source: str,
    limits: ImageLimits,
    background: Colour,
    notes: list[str],
    *,
    may_walk: bool,
) -> Image:
    """Pixels, orientation and notes of an opened picture."""
    shown = _quote(source)
    with typed_errors(shown, picture.format or picture.mode):
        mode, raw_mode, turned = picture.mode, _raw_mode(picture), stored_orientation(picture)
        orientation = load_picture(picture, shown, limits)
        pixels, converted = picture_to_rgb(picture, raw_mode, background, shown)
        pixels, upright = turn_upright(pixels, orientation)
        if turned != 1:
            upright = [f"orientation {turned} applied"]
        frames = _describe_frame(picture, may_walk=may_walk)
    return _finish(pixels, source, [*notes, *frames, *converted, *upright], mode)


def _raw_mode(picture: PilImage.Image) -> str:
    """How a lazy picture's pixels are stored, such as ``RGB;16B``; empty once it is loaded."""
    tiles = getattr(picture, "tile", None)
    args = tiles[0][3] if tiles else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _describe_frame(picture: PilImage.Image, *, may_walk: bool) -> list[str]:
    index = picture.tell()
    count = count_frames(picture, may_walk=may_walk)
    if count == 1:
        return []
    which = "first frame" if index == 0 else f"frame {index + 1}"
    return [f"{which} of {'several' if count is None else count}"]


def _finish(pixels: UInt8, source: str, notes: list[str], mode: str) -> Image:
    settled = np.ascontiguousarray(pixels)
    settled.setflags(write=False)
    return Image(pixels=settled, source=source, notes=tuple(notes), original_mode=mode)


def _read_file(path: str, limits: ImageLimits) -> bytes:
    """The bytes of a regular file, at most one more than the limit."""
    shown = _quote(path)
    if "\0" in path:
        raise MediaError(
            what=f"{shown} holds a NUL character",
            why="no file can be called that",
            mend="check where the path comes from",
        )
    try:
        _check_is_file(Path(path).stat().st_mode, shown)
        with Path(path).open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except OSError as err:
        why, mend = _PATH_ERRORS.get(
            err.errno or 0, (err.strerror or str(err), "check the path and the disk")
        )
        raise MediaError(what=f"{shown} cannot be opened", why=why, mend=mend) from err


def _check_is_file(mode: int, shown: str) -> None:
    if stat.S_ISDIR(mode):
        raise MediaError(
            what=f"{shown} is a folder",
            why="one picture is read at a time",
            mend="pass a file in it; find_images lists them",
        )
    if not stat.S_ISREG(mode):
        raise MediaError(
            what=f"{shown} is a pipe or a device",
            why="it has no size that could be checked",
            mend="save the picture to a file first",
        )


def _quote(source: str) -> str:
    """A source for messages: quoted, control characters escaped, not longer than a line or two."""
    if source in {"<bytes>", "<pillow>"}:
        return source
    return repr(source if len(source) <= 200 else f"{source[:120]}…{source[-60:]}")
