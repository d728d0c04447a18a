"""Depth, colour and transparency, against arithmetic done by hand or by another library."""

import struct

import numpy as np
import pytest
from PIL import Image as PilImage

from mien.core.errors import RangeError, ShapeError
from mien.media.image import load_image
from toys.pictures import chunk, draw_corner, encode, write_png

RGB = draw_corner()
BACK = (9, 8, 7)


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65278, 65535]], ">u2")
    data = write_png(7, 1, 16, 0, b"\0" + values.tobytes())
    image = load_image(data)
    expected = np.rint(values.astype(float) / 257)
    np.testing.assert_array_equal(image.pixels[:, :, 0], expected)
    assert image.notes == ("16-bit reduced to 8-bit",)


@pytest.mark.parametrize("colour_type", [2, 6])
def test_16_bit_colour_is_scaled_to_within_one_level(colour_type: int) -> None:
    channels = 3 if colour_type == 2 else 4
    values = np.array([[1000, 30000, 65535, 65535][:channels]], ">u2")
    image = load_image(write_png(1, 1, 16, colour_type, b"\0" + values.tobytes()))
    assert np.abs(image.pixels[0, 0] - values[0, :3] / 257).max() <= 1
    assert "16-bit reduced to 8-bit" in image.notes


def test_12_bit_grey_reaches_white() -> None:
    tiff = PilImage.new("I;16", (2, 1))
    data = bytearray(encode(tiff, "TIFF"))
    # BitsPerSample (tag 258, SHORT, one value): 16 becomes 12; two pixels then take three bytes.
    entry = struct.pack("<HHIH", 258, 3, 1, 16)
    position = data.index(entry)
    data[position : position + 10] = struct.pack("<HHIH", 258, 3, 1, 12)
    counts = data.index(struct.pack("<HHIH", 279, 4, 1, 4))
    data[counts + 8 : counts + 12] = struct.pack("<I", 3)
    offset = struct.unpack_from("<I", data, data.index(struct.pack("<HHI", 273, 4, 1)) + 8)[0]
    data[offset : offset + 3] = b"\xff\xf8\x00"
    image = load_image(bytes(data))
    assert image.pixels[0, :, 0].tolist() == [255, 128]
    assert image.notes == ("12-bit reduced to 8-bit",)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_arrays_are_scaled(dtype: type) -> None:
    image = load_image(np.array([[0, 0.5, 1]], dtype))
    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert image.original_mode == f"{np.dtype(dtype)}x1"


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, np.nan, np.inf])
def test_floating_point_beyond_the_unit_range_is_refused(value: float) -> None:
    with pytest.raises(RangeError, match=r"must be finite and lie in 0 to 1; divide by 255"):
        load_image(np.array([[0.5, value]]))


def test_16_bit_arrays_are_scaled() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257.0)
    np.testing.assert_array_equal(load_image(values).pixels[:, :, 1], expected)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_four_shapes_of_array_are_taken(shape: tuple[int, ...]) -> None:
    assert load_image(np.full(shape, 200, np.uint8)).pixels.shape == (4, 5, 3)


@pytest.mark.parametrize("shape", [(5,), (4, 5, 2), (1, 4, 5, 3), (0, 5, 3), (4, 0)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"the array has the shape"):
        load_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.complex64, "U1"])
def test_other_types_of_number_are_refused(dtype: object) -> None:
    with pytest.raises(ShapeError, match=r"dtype .*pixels are uint8, uint16, or floating-point"):
        load_image(np.zeros((4, 5), dtype))


@pytest.mark.parametrize("name", ["PNG", "TIFF", "array", "pillow"])
def test_alpha_is_laid_on_the_background(name: str) -> None:
    rng = np.random.default_rng(1)
    rgba = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    sources = {"array": rgba, "pillow": PilImage.fromarray(rgba)}
    image = load_image(sources[name] if name in sources else encode(rgba, name), background=BACK)
    alpha = rgba[:, :, 3:] / 255
    expected = rgba[:, :, :3] * alpha + np.array(BACK) * (1 - alpha)
    assert np.abs(image.pixels - expected).max() <= 1
    assert image.notes == ("alpha flattened on (9, 8, 7)",)


def test_opaque_alpha_leaves_the_colours_alone() -> None:
    image = load_image(PilImage.fromarray(RGB).convert("RGBA"))
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.notes == ("opaque alpha dropped",)


def test_grey_with_alpha_is_flattened_on_white() -> None:
    picture = PilImage.merge("LA", [PilImage.new("L", (2, 2), v) for v in (0, 51)])
    image = load_image(encode(picture, "PNG"))
    assert np.unique(image.pixels).tolist() == [204]
    assert image.notes == ("alpha flattened on white",)


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "key", "expected"),
    [
        (1, 0, bytes([0b10000000]), struct.pack(">H", 1), [9, 0]),
        (2, 0, bytes([0b01110000]), struct.pack(">H", 1), [9, 255]),
        (4, 0, bytes([0x2A]), struct.pack(">H", 2), [9, 170]),
        (8, 0, bytes([7, 70]), struct.pack(">H", 7), [9, 70]),
        (16, 0, struct.pack(">2H", 1000, 1001), struct.pack(">H", 1000), [9, 4]),
        (8, 2, bytes([1, 2, 3, 4, 5, 6]), struct.pack(">3H", 1, 2, 3), [9, 4]),
        (16, 2, struct.pack(">6H", 0, 1, 2, 3000, 4, 5), struct.pack(">3H", 0, 1, 2), [9, 11]),
    ],
)  # fmt: skip
def test_the_transparent_colour_of_a_png_is_found_at_every_depth(
    depth: int, colour_type: int, row: bytes, key: bytes, expected: list[int]
) -> None:
    data = write_png(2, 1, depth, colour_type, b"\0" + row, chunk(b"tRNS", key))
    image = load_image(data, background=BACK)
    assert image.pixels[0, 0].tolist() == list(BACK)
    assert image.pixels[0, :, 0].tolist() == expected
    assert "alpha flattened on (9, 8, 7)" in image.notes


def test_a_palette_with_graded_transparency_is_flattened() -> None:
    row, palette = bytes([0, 1, 2]), bytes([100, 0, 0, 0, 100, 0, 0, 0, 100])
    extra = chunk(b"PLTE", palette), chunk(b"tRNS", bytes([0, 128]))
    image = load_image(write_png(3, 1, 8, 3, b"\0" + row, *extra), background=(0, 0, 0))
    assert image.pixels[0].tolist() == [[0, 0, 0], [0, 50, 0], [0, 0, 100]]
    assert image.notes == ("alpha flattened on black",)


def test_1_bit_pictures_become_black_and_white() -> None:
    image = load_image(encode(PilImage.fromarray(RGB).convert("1"), "PNG"))
    assert np.unique(image.pixels).tolist() == [0, 255]
    assert image.notes == ("1-bit converted",)


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_polarity(name: str) -> None:
    image = load_image(encode(PilImage.fromarray(RGB).convert("CMYK"), name))
    assert np.abs(image.pixels.astype(int) - RGB).mean() < 6
    assert image.notes == ("CMYK converted",)
    assert image.original_mode == "CMYK"


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "HSV"])
def test_other_colour_models_come_back_close(mode: str) -> None:
    if mode == "LAB":
        picture = PilImage.merge("LAB", [PilImage.new("L", (4, 4), v) for v in (137, 128, 128)])
        expected = np.full((4, 4, 3), 128)  # L* = 53.6 is middle grey in sRGB
    else:
        picture, expected = PilImage.fromarray(RGB).convert(mode), RGB.astype(int)
    image = load_image(picture)
    assert np.abs(image.pixels - expected).mean() < 4
    assert image.notes == (f"{mode} converted",)


def test_32_bit_grey_of_unknown_range_is_refused() -> None:
    with pytest.raises(RangeError, match=r"from -5 to 0; beyond 0 to 65535 it is unknown"):
        load_image(PilImage.fromarray(np.array([[-5, 0]], np.int32)))
