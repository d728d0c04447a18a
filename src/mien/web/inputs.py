"""Controls that several tabs share: a picture from a file or camera, and the false alarm rate."""

from typing import Any, Final

import gradio as gr

from mien.core.errors import InputError, MediaError
from mien.gallery.gallery import DEFAULT_FPIR
from mien.media.image import Image, load_image
from mien.reports.words import one_in
from mien.web.visit import Visit

_LEAST: Final = -5.0  # powers of ten
_MOST: Final = -0.5
_STEP: Final = 0.25


def picture_input(label: str) -> gr.Image:
    """A place for a picture from a file, the clipboard or the camera."""
    place = gr.Image(
        label=label,
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        buttons=[],
        height=320,
    )
    # Gradio would have Pillow open it, without limits; a class of our own it takes for a plug-in.
    ordinary = place.preprocess
    vars(place)["preprocess"] = lambda payload: _path_of(payload) or ordinary(payload)
    return place


def _path_of(payload: Any) -> str | None:
    """Where an upload stands, unopened; None if there is none, or none on disk."""
    is_inline = payload is None or (payload.url or "").startswith("data:")
    return None if is_inline else payload.path


def read_upload(visit: Visit, path: str | None) -> Image:
    """The uploaded picture.

    Raises:
        InputError: If there is none.
        MediaError: If it cannot be read, or exceeds a limit.
    """
    if not path:
        raise InputError(
            what="no picture was chosen",
            why="there is nothing to look at",
            mend="choose a file, paste a picture, or take one with the camera",
        )
    try:
        image = load_image(path, limits=visit.state.settings.image_limits)
    except MediaError as err:
        raise without_path(err, path, "the picture") from err
    return Image(image.pixels, "the picture", image.notes, image.original_mode)


def without_path(error: MediaError, path: str, name: str) -> MediaError:
    """The same error without the place of an upload, which is nobody's business.

    Args:
        error: What was met.
        path: The place.
        name: What to call the file.
    """
    what = error.what.replace(repr(path), name).replace(path, name)
    return MediaError(what=what, why=error.why, mend=error.mend)


def fpir_slider() -> gr.Slider:
    """The tolerated rate of false alarms, as a power of ten: equal steps are equal factors."""
    import math

    return gr.Slider(
        _LEAST,
        _MOST,
        value=math.log10(DEFAULT_FPIR),
        step=_STEP,
        label="Tolerated false alarms, from few (left) to many (right)",
        buttons=[],
        elem_classes="no-number",
    )


def fpir_of(power: float) -> float:
    """The rate that a position of the slider stands for, to two digits."""
    return float(f"{10 ** min(max(power, _LEAST), _MOST):.2g}")


def fpir_words(visit: Visit, power: float) -> str:
    """What a position of the slider means in the gallery as it is now."""
    fpir = fpir_of(power)
    point = visit.gallery.operating_point(fpir)
    words = (
        f"At most {one_in(fpir)} faces of strangers may be given a name (FPIR {fpir:g}). "
        f"With {point.comparisons:,} enrolled {'face' if point.comparisons == 1 else 'faces'} "
        f"that means a threshold of {point.threshold:.3f}."
    )
    return words if point.warning is None else f"{words} But {point.warning}."
