import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError
from mien.core.types import FIVE_POINTS, Box, HeadPose

NUMBER = st.floats(-1e6, 1e6)


@st.composite
def boxes(draw) -> Box:
    x0, x1 = sorted((draw(NUMBER), draw(NUMBER)))
    y0, y1 = sorted((draw(NUMBER), draw(NUMBER)))
    return Box(x0, y0, x1, y1)


def iou_by_counting(a: Box, b: Box) -> float:
    """Slow and literal: boxes with whole corners, one cell at a time."""

    def cells(box: Box) -> set[tuple[int, int]]:
        across, down = range(int(box.x0), int(box.x1)), range(int(box.y0), int(box.y1))
        return {(x, y) for x in across for y in down}

    union = cells(a) | cells(b)
    return len(cells(a) & cells(b)) / len(union) if union else 0.0


WHOLE = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(0, 5)] * 2).map(
    lambda v: Box(v[0], v[1], v[0] + v[2], v[1] + v[3])
)


@given(WHOLE, WHOLE)
def test_iou_equals_counted_cells(a: Box, b: Box) -> None:
    assert a.iou(b) == pytest.approx(iou_by_counting(a, b))


@given(boxes(), boxes())
def test_iou_is_symmetric_and_bounded(a: Box, b: Box) -> None:
    assert a.iou(b) == b.iou(a)
    assert 0 <= a.iou(b) <= 1 + 1e-9


@given(boxes())
def test_iou_with_itself_is_one_unless_the_box_is_empty(box: Box) -> None:
    assert box.iou(box) == (pytest.approx(1) if box.width * box.height > 0 else 0)


def test_boxes_that_touch_do_not_overlap() -> None:
    assert Box(0, 0, 10, 10).iou(Box(10, 0, 20, 10)) == 0


def test_a_box_knows_its_sides_and_centre() -> None:
    box = Box(10, 20, 40, 25)
    assert (box.width, box.height, box.centre) == (30, 5, (25, 22.5))


def test_a_box_may_reach_outside_the_picture_and_may_be_empty() -> None:
    assert Box(-5, -5, -5, 3).width == 0


@pytest.mark.parametrize(
    "corners",
    [(10, 0, 5, 5), (0, 10, 5, 5), (math.nan, 0, 5, 5), (0, 0, math.inf, 5), (-math.inf, 0, 5, 5)],
)
def test_a_box_of_another_kind_is_refused_with_its_values(corners) -> None:
    message = rf"box is \({corners[0]}, .*x0 <= x1.*not \(x, y, width, height\)"
    with pytest.raises(RangeError, match=message):
        Box(*corners)


def test_a_box_in_a_record_is_rounded() -> None:
    assert Box(1.26, 2.0, 3.04, 4.96).as_list() == [1.3, 2.0, 3.0, 5.0]
    assert Box(1.26, 2.0, 3.04, 4.96).as_list(digits=2) == [1.26, 2.0, 3.04, 4.96]


def test_head_pose_in_degrees() -> None:
    assert HeadPose(math.pi / 2, -math.pi / 4, 0).degrees() == pytest.approx((90, -45, 0))


def test_the_subject_s_right_comes_first() -> None:
    assert FIVE_POINTS[:2] == ("right_eye", "left_eye")
    assert FIVE_POINTS[3:] == ("right_mouth_corner", "left_mouth_corner")
