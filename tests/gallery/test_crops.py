"""The piece of a picture that shows a face."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mien.gallery.crops import SIDE_PX, crop_jpeg


def read(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(jpeg))).astype(int)


@pytest.fixture
def picture():
    """Grey, with a red face in the middle."""
    pixels = np.full((400, 300, 3), 128, np.uint8)
    pixels[150:250, 100:200] = (220, 30, 30)
    return pixels


def test_a_crop_is_a_square_around_the_face(picture):
    crop = read(crop_jpeg(picture, (100, 150, 200, 250)))
    side = len(crop)
    assert crop.shape == (170, 170, 3)
    assert np.abs(crop[side // 2, side // 2] - (220, 30, 30)).max() < 12
    assert np.abs(crop[3, 3] - 128).max() < 12
    red = crop[:, :, 0] - crop[:, :, 2] > 100
    assert abs(int(red.sum()) - 100 * 100) < 700


def test_a_large_face_is_made_smaller(picture):
    crop = read(crop_jpeg(picture, (10, 20, 290, 380)))
    assert crop.shape == (SIDE_PX, SIDE_PX, 3)


@pytest.mark.parametrize(
    "box",
    [
        (-50, -60, 40, 30),
        (250, 350, 400, 500),
        (-900, -900, -800, -800),
        (5, 5, 5, 5),
        (-9, 0, 999, 999),
    ],
)
def test_what_lies_outside_the_picture_is_black(picture, box):
    jpeg = crop_jpeg(picture, box)
    crop = read(jpeg)
    assert crop.shape[0] == crop.shape[1] <= SIDE_PX
    if box[2] < 0:
        assert crop.max() < 5
    if box == (-50, -60, 40, 30):
        assert crop[2, 2].max() < 20
        assert np.abs(crop[-3, -3] - 128).max() < 20


def test_a_narrow_box_gives_a_square_too(picture):
    assert read(crop_jpeg(picture, (100, 150, 110, 250))).shape == (170, 170, 3)


def test_a_crop_is_small(picture):
    assert len(crop_jpeg(picture, (0, 0, 300, 400))) < 20_000
