"""Bounds are checked on numbers alone."""

import pytest

from mien.core.errors import ConfigError, MediaError
from mien.media.limits import ImageLimits


def test_photos_of_50_megapixels_pass_and_of_100_do_not() -> None:
    ImageLimits().check_size(8688, 5792, "photo")
    with pytest.raises(MediaError, match=r"photo has too many pixels: 11648 x 8736 = 101,756,928"):
        ImageLimits().check_size(11648, 8736, "photo")


def test_sides_and_bytes_at_the_bound_pass() -> None:
    limits = ImageLimits(max_bytes=10, max_pixels=12, min_side=3)
    limits.check_bytes(10, "x")
    limits.check_size(4, 3, "x")
    with pytest.raises(MediaError, match=r"more than 10 bytes"):
        limits.check_bytes(11, "x")
    with pytest.raises(MediaError, match=r"each side needs at least 3"):
        limits.check_size(6, 2, "x")


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "min_side"])
def test_a_bound_below_one_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"ImageLimits\.{name} is 0"):
        ImageLimits(**{name: 0})
