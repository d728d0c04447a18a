"""What comes in, what comes out, and what is said when it cannot."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageFile, ImageOps

from mien.core.errors import ExtraMissingError, InputError, MediaError, RangeError, ShapeError
from mien.media.image import ImageLimits, load_image
from toys.pictures import draw_corner, draw_heic, draw_zoo, encode, orientation_exif

RGB = draw_corner()
TURNS = {
    1: None,
    2: PilImage.Transpose.FLIP_LEFT_RIGHT,
    3: PilImage.Transpose.ROTATE_180,
    4: PilImage.Transpose.FLIP_TOP_BOTTOM,
    5: PilImage.Transpose.TRANSPOSE,
    6: PilImage.Transpose.ROTATE_90,
    7: PilImage.Transpose.TRANSVERSE,
    8: PilImage.Transpose.ROTATE_270,
}  # how the camera stored the upright picture: the inverse of what the reader has to do


def stored(orientation: int) -> PilImage.Image:
    picture = PilImage.fromarray(RGB)
    turn = TURNS[orientation]
    return picture if turn is None else picture.transpose(turn)


def test_a_plain_picture_comes_back_as_it_was_drawn(tmp_path: Path) -> None:
    path = tmp_path / "toy.png"
    path.write_bytes(encode(RGB, "PNG"))
    image = load_image(path)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert (image.source, image.notes, image.original_mode) == (str(path), (), "RGB")
    assert (image.width, image.height) == (32, 24)


@pytest.mark.parametrize("name", list(draw_zoo()))
def test_every_kind_of_file_gives_the_promised_array(name: str) -> None:
    pixels = load_image(draw_zoo()[name]).pixels
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable


def test_opencv_can_work_on_what_is_returned() -> None:
    small = cv2.resize(load_image(encode(RGB, "PNG")).pixels, (16, 12))
    assert small.shape == (12, 16, 3)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_decodes_to_the_same_picture(name: str, orientation: int) -> None:
    options = {"lossless": True} if name == "WEBP" else {}
    options |= {"quality": 100, "subsampling": "4:4:4"} if name in {"JPEG", "AVIF"} else {}
    data = encode(stored(orientation), name, exif=orientation_exif(orientation), **options)
    image = load_image(data)
    difference = np.abs(image.pixels.astype(int) - RGB)
    assert difference.mean() < (4 if name in {"JPEG", "AVIF"} else 1e-9)
    expected = () if orientation == 1 else (f"orientation {orientation} applied",)
    assert image.notes == expected


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_orientation_is_applied_once_to_pillow_images(name: str, tmp_path: Path) -> None:
    path = tmp_path / "toy"
    path.write_bytes(encode(stored(6), name, exif=orientation_exif(6)))
    for prepare in (lambda p: p, lambda p: p.load() and p, ImageOps.exif_transpose):
        with PilImage.open(path) as picture:
            np.testing.assert_array_equal(load_image(prepare(picture)).pixels, RGB)


def test_a_nonsense_orientation_is_ignored_and_said() -> None:
    image = load_image(encode(RGB, "PNG", exif=orientation_exif(9)))
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.notes == ("orientation 9 ignored, not 1 to 8",)


def test_broken_exif_costs_a_note_and_not_the_picture() -> None:
    image = load_image(encode(RGB, "PNG", exif=b"Exif\0\0nonsense"))
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.notes == ("EXIF unreadable, orientation unknown",)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_taken_and_said(name: str) -> None:
    frames = [PilImage.new("RGB", (8, 8), (v, v, v)) for v in (40, 120, 200)]
    options = {"lossless": True} if name == "WEBP" else {}
    data = encode(frames[0], name, save_all=True, append_images=frames[1:], **options)
    image = load_image(data)
    assert np.unique(image.pixels).tolist() == [40]
    assert "first frame of 3" in image.notes


def test_the_current_frame_of_a_pillow_image_is_taken(tmp_path: Path) -> None:
    frames = [PilImage.new("L", (8, 8), v) for v in (40, 120, 200)]
    path = tmp_path / "toy.gif"
    path.write_bytes(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with PilImage.open(path) as picture:
        picture.seek(1)
        image = load_image(picture)
        assert picture.tell() == 1
    assert image.pixels[0, 0, 0] == 120
    assert "frame 2 of several" in image.notes


def test_a_file_is_read_by_content_and_a_wrong_name_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "toy.jpg"
    path.write_bytes(encode(RGB, "PNG"))
    image = load_image(path)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.notes == ("named as JPEG, read as PNG",)


def test_a_path_may_hold_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "Ünï 写真 🙂.png"
    path.write_bytes(encode(RGB, "PNG"))
    assert load_image(str(path)).source == str(path)


@pytest.mark.parametrize(
    ("source", "label"),
    [(RGB, "<array>"), (PilImage.fromarray(RGB), "<pillow>"), (encode(RGB, "PNG"), "<bytes>")],
)
def test_sources_without_a_path_have_a_label(source: object, label: str) -> None:
    image = load_image(source)
    assert image.source == label
    np.testing.assert_array_equal(image.pixels, RGB)


def test_an_array_is_copied_and_stays_writable() -> None:
    array = RGB.copy()
    image = load_image(array)
    array[:] = 0
    np.testing.assert_array_equal(image.pixels, RGB)


def test_channel_order_turns_arrays_and_leaves_files_alone() -> None:
    swapped = load_image(RGB[:, :, ::-1], channel_order="bgr")
    np.testing.assert_array_equal(swapped.pixels, RGB)
    assert swapped.notes == ("BGR reordered",)
    file = load_image(encode(RGB, "PNG"), channel_order="bgr")
    np.testing.assert_array_equal(file.pixels, RGB)


def test_heic_is_read_and_leaves_pillow_as_it_was() -> None:
    pytest.importorskip("pillow_heif")
    image = load_image(draw_heic())
    assert np.abs(image.pixels - draw_corner(96, 128).astype(int)).mean() < 6
    assert "HEIF" not in PilImage.OPEN


def test_heic_without_the_extra_names_the_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    with pytest.raises(ExtraMissingError, match=r"pip install 'mien\[heif\]'"):
        load_image(head)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "gone.png", r"gone\.png' cannot be opened; there is no such file"),
        (lambda p: p, r"is a folder; one picture is read at a time"),
        (lambda p: f"{p}/a\0b.png", r"holds a NUL character"),
        (lambda p: p / ("x" * 5000), r"…x+' cannot be opened; the path is too long"),
        (lambda p: "/dev/null", r"is a pipe or a device"),
        (lambda p: "", r"'' cannot|'' is a folder"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_media_error(make, words: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=words) as caught:
        load_image(make(tmp_path))
    assert len(str(caught.value)) < 600


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_media_error(tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(encode(RGB, "PNG"))
    path.chmod(0)
    with pytest.raises(MediaError, match=r"permission is denied"):
        load_image(path)


def test_denied_permission_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(encode(RGB, "PNG"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match=r"cannot be opened; permission is denied"):
        load_image(path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(MediaError, match=r"empty\.jpg' is empty \(0 bytes\)"):
        load_image(path)


@pytest.mark.parametrize("name", list(draw_zoo()))
def test_a_cut_file_is_refused_or_complete_never_half(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = draw_zoo()[name]
    whole = load_image(data).pixels
    refused = 0
    for length in np.linspace(1, len(data) - 1, 40).astype(int):
        try:
            part = load_image(data[:length]).pixels
        except MediaError:
            refused += 1
        else:
            np.testing.assert_array_equal(part, whole)
    assert refused > 5
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_limits_on_bytes_and_pixels_hold_for_every_source(tmp_path: Path) -> None:
    path = tmp_path / "toy.png"
    path.write_bytes(encode(RGB, "PNG"))
    with pytest.raises(MediaError, match=r"more than 50 bytes.*max_bytes"):
        load_image(path, limits=ImageLimits(max_bytes=50))
    tight = ImageLimits(max_pixels=32 * 24 - 1)
    for source in (path, path.read_bytes(), RGB, PilImage.fromarray(RGB)):
        with pytest.raises(MediaError, match=r"too many pixels"):
            load_image(source, limits=tight)
    assert load_image(path, limits=ImageLimits(max_pixels=32 * 24)).width == 32


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(MediaError, match=r"0 x 5 pixels; each side needs at least 1"):
        load_image(PilImage.new("RGB", (0, 5)))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"background": (0, 0, 256)}, RangeError, r"three whole numbers from 0 to 255"),
        ({"background": (0.5, 0, 0)}, RangeError, r"three whole numbers"),
        ({"channel_order": "grb"}, InputError, r"only 'rgb' and 'bgr'"),
    ],
)
def test_options_are_checked(options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_image(RGB, **options)


def test_other_types_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"the source is of type list"):
        load_image([[1, 2], [3, 4]])
    with pytest.raises(ShapeError, match=r"transpose\(1, 2, 0\)"):
        load_image(np.zeros((3, 20, 20), np.uint8))
