"""What a detector returns."""

import numpy as np
import pytest

from mien.core.errors import ShapeError
from mien.faces.detect.protocol import Detections


def some(n: int) -> Detections:
    numbers = np.arange(n, dtype=np.float32)
    return Detections(
        np.repeat(numbers[:, None], 4, 1), np.repeat(numbers, 10).reshape(n, 5, 2), numbers
    )


def test_rows_are_taken_in_the_order_asked_for():
    taken = some(4).take(np.array([3, 0]))
    assert taken.scores.tolist() == [3, 0]
    assert taken.boxes[0].tolist() == [3] * 4
    assert len(some(4).take(np.array([True, False, False, True]))) == 2


def test_no_face_has_the_shapes_of_many():
    nothing = Detections.none()
    assert len(nothing) == 0
    assert (nothing.boxes.shape, nothing.landmarks.shape) == ((0, 4), (0, 5, 2))


def test_columns_of_different_length_are_refused():
    with pytest.raises(ShapeError, match=r"must be \(n, 4\), \(n, 5, 2\) and \(n,\)"):
        Detections(
            np.zeros((2, 4), np.float32), np.zeros((1, 5, 2), np.float32), np.zeros(2, np.float32)
        )
