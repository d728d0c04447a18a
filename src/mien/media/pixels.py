"""From any pixels that Pillow or numpy can hold to RGB uint8, with a note on each change.

Depth is scaled, never clipped; transparency is laid on a background; colour models are converted.
Colour profiles and gamma are not applied. Pure functions: no file is touched here.
"""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from mien.core.errors import InputError, RangeError, ShapeError
from mien.core.types import UInt8

Colour = tuple[int, int, int]
ChannelOrder = Literal["rgb", "bgr"]

_ALPHA_MODES: Final = {"LA", "La", "PA", "RGBA", "RGBa"}
_PLAIN_MODES: Final = {"RGB", "RGBX", "L", "P"}
_NAMES: Final = {(255, 255, 255): "white", (0, 0, 0): "black"}
_MIRRORS: Final = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}  # orientation: (swap axes, then flip rows, then flip columns); EXIF 2.32, tag 0x0112


def check_background(colour: Colour) -> None:
    """Raise unless a colour is three whole numbers from 0 to 255.

    Raises:
        RangeError: If it is not.
    """
    whole = all(isinstance(v, (int, np.integer)) for v in colour)
    if len(colour) != 3 or not whole or not all(0 <= v <= 255 for v in colour):
        raise RangeError(
            what=f"background is {colour!r}",
            why="it needs three whole numbers from 0 to 255",
            mend="pass (red, green, blue), such as (255, 255, 255)",
        )


def turn_upright(pixels: UInt8, orientation: int | None) -> tuple[UInt8, list[str]]:
    """Apply an EXIF orientation.

    Args:
        pixels: (h, w, 3).
        orientation: 1 to 8; None when the EXIF block was unreadable.

    Returns:
        The upright picture (a view), and a note unless it was upright already.
    """
    if orientation is None:
        return pixels, ["EXIF unreadable, orientation unknown"]
    if orientation == 1:
        return pixels, []
    if orientation not in _MIRRORS:
        return pixels, [f"orientation {orientation} ignored, not 1 to 8"]
    swap, flip_rows, flip_columns = _MIRRORS[orientation]
    turned = pixels.swapaxes(0, 1) if swap else pixels
    turned = turned[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return turned, [f"orientation {orientation} applied"]


def picture_to_rgb(
    picture: PilImage.Image, raw_mode: str, background: Colour, source: str
) -> tuple[UInt8, list[str]]:
    """The pixels of a loaded Pillow image as RGB.

    Args:
        picture: A loaded image of any mode. It is not changed.
        raw_mode: How the pixels were stored (Pillow's raw mode), empty when not known.
        background: Colour under transparent pixels.
        source: How to call it in messages.

    Returns:
        (h, w, 3) pixels, and the notes.

    Raises:
        RangeError: If a 32-bit picture holds values whose range is unknown.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep_grey_to_rgb(picture, raw_mode, background, source)
    notes = ["16-bit reduced to 8-bit"] if ";16" in raw_mode else []
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        flat, note = _flatten(_with_alpha(picture, raw_mode), background)
        return flat, [*notes, note]
    if picture.mode not in _PLAIN_MODES:
        notes.append(f"{'1-bit' if picture.mode == '1' else picture.mode} converted")
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB")), notes


def _with_alpha(picture: PilImage.Image, raw_mode: str) -> PilImage.Image:
    """RGBA pixels, with the transparent colour of a PNG found at the depth of the pixels."""
    if picture.mode == "La":
        return picture.convert("LA").convert("RGBA")
    if picture.mode == "RGBA":
        return picture
    key = picture.info.get("transparency")
    if raw_mode in {"L;2", "L;4"} and isinstance(key, int):
        levels = 3 if raw_mode == "L;2" else 15
        key = key * 255 // levels if key <= levels else key
    elif raw_mode.startswith("RGB;16") and isinstance(key, tuple):
        key = tuple(v >> 8 for v in key)
    else:
        return picture.convert("RGBA")
    copy = picture.copy()
    copy.info["transparency"] = key
    return copy.convert("RGBA")


def _flatten(picture: PilImage.Image, background: Colour) -> tuple[UInt8, str]:
    """Lay an RGBA picture on a colour."""
    alpha = picture.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return np.asarray(picture.convert("RGB")), "opaque alpha dropped"
    canvas = PilImage.new("RGB", picture.size, background)
    canvas.paste(picture, mask=alpha)
    return np.asarray(canvas), f"alpha flattened on {_NAMES.get(background, background)}"


def _deep_grey_to_rgb(
    picture: PilImage.Image, raw_mode: str, background: Colour, source: str
) -> tuple[UInt8, list[str]]:
    """16-bit, 32-bit and floating-point grey, scaled to 0-255."""
    values = np.asarray(picture)
    if picture.mode == "F":
        grey, note = _unit_to_bytes(values, source), "float reduced to 8-bit"
    else:
        white = 4095 if raw_mode == "I;12" else 65535
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > white:
            raise RangeError(
                what=f"{source} holds grey values from {low} to {high}",
                why=f"beyond 0 to {white} it is unknown which value is white",
                mend="scale it to 8 or 16 bits first",
            )
        grey = _scale_to_bytes(values, white)
        note = f"{12 if white == 4095 else 16}-bit reduced to 8-bit"
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    key = picture.info.get("transparency")
    if not isinstance(key, int) or not (clear := values == key).any():
        return rgb, [note]
    rgb[clear] = background
    return rgb, [note, f"alpha flattened on {_NAMES.get(background, background)}"]


def _scale_to_bytes(values: NDArray[Any], white: int) -> UInt8:
    """Whole numbers 0 to ``white`` to 0-255, rounded to the nearest."""
    table = (np.arange(white + 1) * 255 + white // 2) // white
    scaled: UInt8 = table.astype(np.uint8)[values]
    return scaled


def _unit_to_bytes(values: NDArray[Any], source: str) -> UInt8:
    """Numbers 0-1 to 0-255, rounded to the nearest."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # written so that NaN fails, too
        raise RangeError(
            what=f"{source} holds floating-point values from {low:g} to {high:g}",
            why="floating-point pixels must be finite and lie in 0 to 1",
            mend="divide by 255 if they are bytes, and replace what is not finite",
        )
    scaled: UInt8 = np.rint(values.astype(np.float32) * np.float32(255)).astype(np.uint8)
    return scaled


def array_to_rgb(
    array: NDArray[Any], channel_order: ChannelOrder, background: Colour
) -> tuple[UInt8, list[str]]:
    """The pixels of an array as RGB.

    Args:
        array: (h, w), (h, w, 1), (h, w, 3) or (h, w, 4); uint8, uint16 or floating in 0-1.
        channel_order: Order of the first three channels, if there are three.
        background: Colour under transparent pixels.

    Returns:
        A new (h, w, 3) array, and the notes.

    Raises:
        ShapeError: If shape or dtype are none of these.
        RangeError: If floating-point values leave 0-1.
    """
    _check_array(array)
    pixels, notes = _array_to_bytes(array)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2), notes
    if channel_order == "bgr":
        pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
        notes.append("BGR reordered")
    if pixels.shape[2] == 3:
        return pixels, notes
    flat, note = _flatten(PilImage.fromarray(np.ascontiguousarray(pixels)), background)
    return flat, [*notes, note]


def _check_array(array: NDArray[Any]) -> None:
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {1, 3, 4}):
        first = array.ndim == 3 and array.shape[0] in {1, 3, 4}
        raise ShapeError(
            what=f"the array has the shape {array.shape}",
            why="a picture is (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)",
            mend="move the channels last: array.transpose(1, 2, 0)"
            if first
            else "pass one picture at a time, channels last",
        )
    if 0 in array.shape:
        raise ShapeError(
            what=f"the array has the shape {array.shape}",
            why="it holds no pixels",
            mend="pass a picture of at least 1 x 1 pixels",
        )


def _array_to_bytes(array: NDArray[Any]) -> tuple[UInt8, list[str]]:
    if array.dtype == np.uint8:
        return array.astype(np.uint8), []
    if array.dtype == np.uint16:
        return _scale_to_bytes(array, 65535), ["16-bit reduced to 8-bit"]
    if np.issubdtype(array.dtype, np.floating):
        return _unit_to_bytes(array, "the array"), ["float reduced to 8-bit"]
    raise ShapeError(
        what=f"the array has the dtype {array.dtype}",
        why="pixels are uint8, uint16, or floating-point in 0 to 1",
        mend="use array.astype(numpy.uint8) if the values are 0 to 255",
    )


def check_channel_order(order: str) -> None:
    """Raise unless a channel order is ``"rgb"`` or ``"bgr"``.

    Raises:
        InputError: If it is not.
    """
    if order not in {"rgb", "bgr"}:
        raise InputError(
            what=f"channel_order is {order!r}",
            why="only 'rgb' and 'bgr' are known",
            mend="pass 'bgr' for arrays that OpenCV has read, else 'rgb'",
        )
