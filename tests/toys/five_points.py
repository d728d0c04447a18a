"""The package's portraits as arrays, and where the five points of their faces are."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toys.portraits import portrait_path

LANDMARKS: Final = {
    "obama_1": [[386.9, 188.5], [493.2, 186.9], [442.4, 241.3], [389.3, 286.8], [485.4, 287.0]],
    "obama_2": [[211.4, 312.8], [310.5, 321.1], [239.3, 368.6], [206.0, 423.3], [296.0, 430.4]],
    "obama_3": [[317.2, 161.0], [371.0, 161.2], [349.6, 191.5], [318.2, 220.4], [365.3, 221.1]],
    "biden_1": [[234.3, 149.6], [298.5, 152.0], [267.4, 184.8], [234.6, 206.0], [289.1, 213.8]],
}
"""Found once with YuNet, looked over, and rounded; order of `core.types.FIVE_POINTS`."""


def load_portrait(name: str) -> NDArray[np.uint8]:
    """A portrait as (h, w, 3) RGB."""
    with Image.open(portrait_path(name)) as picture:
        return np.asarray(picture.convert("RGB"))


def landmarks_of(name: str) -> NDArray[np.float64]:
    """The five points, (5, 2)."""
    return np.array(LANDMARKS[name])
