"""Landmarks as vertices of the head, in the field's standard order.

They were chosen by geometry on the mean head (``tools/choose_landmarks.py``) and checked by eye.
Because they are vertices, a landmark is where the surface is, whatever the face does. Hidden jaw
points stay on the jaw; they do not slide along the outline as annotators' points do.
"""

from functools import lru_cache
from typing import Final

import numpy as np

from mien.core.types import Ints
from mien.studio.head import LEFT_EYE, RIGHT_EYE, Head, load_head

_IBUG68: Final = (
    1832, 1975, 1973, 1800, 1801, 1947, 1945, 1941, 1944, 4267, 4270, 4272,
    4135, 4134, 4297, 4299, 4164, 255, 225, 204, 205, 208, 2646, 2643,
    2642, 2662, 2687, 132, 131, 201, 1702, 320, 313, 317, 2739, 2745,
    2444, 2425, 2426, 1103, 1070, 2440, 3458, 4743, 4742, 4761, 4757, 3425,
    407, 2002, 450, 455, 2873, 4324, 2830, 2898, 2904, 492, 486, 480,
    435, 471, 520, 2890, 2858, 2928, 540, 518,
)  # fmt: skip
"""Order of the 300-W scheme (iBUG): jaw 0-16 from the picture's left, brows 17-26, nose 27-35,
eyes 36-47, outer lips 48-59, inner lips 60-67."""

_FIVE: Final = (30, 48, 54)
"""Nose tip and mouth corners, right then left, as numbers of the 68."""


@lru_cache(maxsize=1)
def landmark_vertices() -> dict[str, Ints]:
    """Vertex numbers by scheme.

    Returns:
        ``"ibug68"``: (68,); ``"five"``: (5,) in the order of `core.types.FIVE_POINTS`, whose eye
        points are the pupils.
    """
    head = load_head()
    pupils = [_foremost(head, eye) for eye in (RIGHT_EYE, LEFT_EYE)]
    five = [*pupils, *(_IBUG68[number] for number in _FIVE)]
    return {"ibug68": np.array(_IBUG68, np.int64), "five": np.array(five, np.int64)}


def _foremost(head: Head, part: int) -> int:
    vertices = np.flatnonzero(head.part == part)
    return int(vertices[head.vertices[vertices, 2].argmax()])
