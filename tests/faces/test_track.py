"""Faces here are squares on drawn paths with random unit vectors for appearance: truth is known."""

import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ConfigError, ExtraMissingError, RangeError, ShapeError
from mien.core.types import Box
from mien.faces._detections import pairwise_iou
from mien.faces._motion import Motion
from mien.faces.track import FaceTracker, TrackerConfig

DIMENSIONS = 128
NOISE = 0.5  # gives cosines near 0.8 between two looks at one face

Path = Callable[[float], tuple[float, float]]


@dataclass
class Actor:
    """A face with a path; ``seen`` says when the detector finds it."""

    path: Path
    seen: Callable[[float], bool] = lambda time_s: True
    score: Callable[[float], float] = lambda time_s: 0.9
    width: float = 80.0


def _face(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=DIMENSIONS)
    return vector / np.linalg.norm(vector)


def _look(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return face + NOISE * _face(rng)


def _box(centre: Sequence[float], width: float = 80.0) -> np.ndarray:
    x, y = centre
    return np.array([x - width / 2, y - width / 2, x + width / 2, y + width / 2])


def _times(seconds: float, rate_hz: float = 30.0) -> np.ndarray:
    return np.arange(round(seconds * rate_hz)) / rate_hz


def _play(
    actors: Sequence[Actor],
    times: Iterable[float],
    *,
    embed: str = "all",
    jitter: float = 1.5,
    tracker: FaceTracker | None = None,
    seed: int = 3,
) -> tuple[list[list[int]], int]:
    """Ids that each actor got, in order of time, and how many embeddings were made."""
    rng = np.random.default_rng(seed)
    tracker = tracker or FaceTracker()
    faces = [_face(rng) for _ in actors]
    told: list[list[int]] = [[] for _ in actors]
    cost = 0
    for time_s in times:
        here = [i for i in rng.permutation(len(actors)) if actors[i].seen(time_s)]
        boxes = np.array(
            [_box(actors[i].path(time_s), actors[i].width) + rng.normal(0, jitter, 4) for i in here]
        ).reshape(-1, 4)
        looks = np.array([_look(faces[i], rng) for i in here]).reshape(-1, DIMENSIONS)
        scores = np.array([actors[i].score(time_s) for i in here])
        if embed == "none":
            ids = tracker.update(boxes, scores, None, time_s)
        else:
            mask = np.ones(len(here), bool)
            if embed == "asked":
                mask = tracker.needs_embedding(boxes, time_s)
            cost += int(mask.sum())
            ids = tracker.update(boxes, scores, looks, time_s, is_embedded=mask)
        for i, track_id in zip(here, ids, strict=True):
            told[i].append(int(track_id))
    return told, cost


def _confirmed(ids: Iterable[int]) -> set[int]:
    return {i for i in ids if i != -1}


def _switches(told: Sequence[Sequence[int]]) -> int:
    """Changes of a confirmed id along each actor."""
    count = 0
    for ids in told:
        sure = [i for i in ids if i != -1]
        count += sum(a != b for a, b in itertools.pairwise(sure))
    return count


def _line(start: Sequence[float], speed: Sequence[float]) -> Path:
    return lambda t: (start[0] + speed[0] * t, start[1] + speed[1] * t)


def _crossing() -> list[Actor]:
    """Two faces that meet at 2 s, where the farther one is hidden for half a second."""
    return [
        Actor(_line((100, 300), (200, 0))),
        Actor(_line((900, 310), (-200, 0)), seen=lambda t: not 1.8 <= t < 2.3),
    ]


def _bounce() -> list[Actor]:
    """Two faces that meet at 2 s and turn back, which by motion alone looks like crossing."""
    return [
        Actor(lambda t: (500 - 2 - 200 * abs(t - 2), 300)),
        Actor(lambda t: (500 + 2 + 200 * abs(t - 2), 310)),
    ]


@pytest.mark.parametrize("scene", [_crossing, _bounce])
@pytest.mark.parametrize("embed", ["all", "asked"])
@pytest.mark.parametrize("seed", range(5))
def test_faces_that_meet_keep_their_ids(scene, embed: str, seed: int) -> None:
    told, _ = _play(scene(), _times(4), embed=embed, seed=seed)
    assert _switches(told) == 0
    assert [_confirmed(ids) for ids in told] in ([{1}, {2}], [{2}, {1}])


@pytest.mark.parametrize("scene", [_crossing, _bounce])
@pytest.mark.parametrize("seed", range(5))
def test_without_embeddings_meeting_faces_may_swap_but_are_followed(scene, seed: int) -> None:
    told, _ = _play(scene(), _times(4), embed="none", seed=seed)
    for ids in told:
        assert sum(i == -1 for i in ids) <= 4
    assert len(_confirmed(told[0] + told[1])) <= 3


def test_the_turning_faces_are_a_hard_scene_without_embeddings() -> None:
    swaps = [
        _switches(_play(_bounce(), _times(4), embed="none", seed=seed)[0]) for seed in range(5)
    ]
    assert sum(swaps) > 0  # or the tests above would prove nothing


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_swap_while_two_faces_are_one_heals_at_once(*, is_asked: bool) -> None:
    """Where boxes cover each other, their crops show both faces; so do the embeddings here."""
    rng, tracker, actors = np.random.default_rng(1), FaceTracker(), _bounce()
    faces = np.stack([_face(rng), _face(rng)])
    told = []
    for time_s in _times(4):
        boxes = np.stack([_box(a.path(time_s)) for a in actors]) + rng.normal(0, 1.5, (2, 4))
        share = min(0.5, pairwise_iou(boxes, boxes)[0, 1])
        looks = (1 - share) * faces + share * faces[::-1]
        looks = np.stack([_look(look, rng) for look in looks])
        mask = tracker.needs_embedding(boxes, time_s) if is_asked else np.ones(2, bool)
        told.append(
            tracker.update(boxes, np.full(2, 0.9), looks, time_s, is_embedded=mask).tolist()
        )
    wrong = [index for index, ids in enumerate(told[1:], 1) if ids != [1, 2]]
    assert all(58 <= index <= 64 for index in wrong)  # they meet in frame 60


def test_a_straight_crossing_is_solved_by_motion_alone() -> None:
    actors = [Actor(_line((100, 300), (200, 0))), Actor(_line((900, 310), (-200, 0)))]
    assert _switches(_play(actors, _times(4), embed="none")[0]) == 0


def _replaced(gap_s: float) -> list[Actor]:
    return [
        Actor(lambda t: (300, 300), seen=lambda t: t < 1),
        Actor(lambda t: (305, 302), seen=lambda t: t >= 1 + gap_s),
    ]


@pytest.mark.parametrize(("embed", "gap_s"), [("all", 0.0), ("all", 0.1), ("asked", 0.1)])
def test_a_stranger_in_the_same_place_gets_another_id(embed: str, gap_s: float) -> None:
    first, second = _play(_replaced(gap_s), _times(2), embed=embed)[0]
    assert _confirmed(first) == {1}
    assert _confirmed(second) == {2}


def test_a_stranger_put_there_by_a_cut_is_noticed_within_the_refresh_time() -> None:
    _, second = _play(_replaced(0), _times(4), embed="asked")[0]
    assert set(second[33:]) == {2}


def test_position_alone_cannot_tell_a_stranger_in_the_same_place() -> None:
    first, second = _play(_replaced(0.1), _times(2), embed="none")[0]
    assert _confirmed(first) == _confirmed(second) == {1}


def test_a_doubted_track_is_not_continued_by_position_alone() -> None:
    rng = np.random.default_rng(0)
    mine, other = _face(rng), _face(rng)
    tracker = FaceTracker()
    box, score = _box((300, 300))[None], np.array([0.9])
    for frame in range(10):
        tracker.update(box, score, mine[None], frame / 30)
    tracker.update(box, score, other[None], 10 / 30)  # a stranger, embedded once
    later = [int(tracker.update(box, score, None, frame / 30)[0]) for frame in range(11, 20)]
    assert 1 not in later
    assert int(tracker.update(box, score, mine[None], 20 / 30)[0]) == 1


@pytest.mark.parametrize("gap_s", [0.3, 1.0, 2.5])
def test_a_face_hidden_for_a_while_gets_its_id_back_wherever_it_returns(gap_s: float) -> None:
    actors = [
        Actor(
            lambda t: (200, 200) if t < 1 else (900, 500),
            seen=lambda t: not 1 <= t < 1 + gap_s,
        ),
        Actor(lambda t: (500, 300)),
    ]
    for embed in ("all", "asked"):
        told, _ = _play(actors, _times(5), embed=embed)
        assert _switches(told) == 0
        assert len(_confirmed(told[0] + told[1])) == 2


def test_after_too_long_a_face_is_a_new_one_and_the_old_track_has_ended() -> None:
    tracker = FaceTracker(TrackerConfig(max_gap_s=1.0))
    actor = Actor(lambda t: (200, 200), seen=lambda t: not 1 <= t < 2.2)
    told, _ = _play([actor], _times(3), tracker=tracker)
    assert _confirmed(told[0]) == {1, 2}
    assert tracker.finished() == [1]
    assert tracker.finished() == []
    tracker.flush()
    assert tracker.finished() == [2]
    assert tracker.held == 0


def test_missed_detections_do_not_cost_the_id() -> None:
    rng = np.random.default_rng(5)
    missed = {round(t, 6) for t in _times(6) if rng.random() < 0.3}
    actors = [
        Actor(
            lambda t: (300 + 150 * math.sin(2 * t), 300), seen=lambda t: round(t, 6) not in missed
        ),
        Actor(lambda t: (700, 300 + 100 * math.cos(3 * t))),
    ]
    for embed in ("all", "asked", "none"):
        assert _switches(_play(actors, _times(6), embed=embed)[0]) == 0


def test_weak_detections_continue_a_track_but_do_not_begin_one() -> None:
    actor = Actor(_line((100, 300), (100, 0)), score=lambda t: 0.3 if 1 <= t < 2 else 0.9)
    assert _play([actor], _times(3), embed="none")[0][0][2:] == [1] * 88
    weak = Actor(lambda t: (300, 300), score=lambda t: 0.5)
    assert _confirmed(_play([weak], _times(2))[0][0]) == set()


@pytest.mark.parametrize("embed", ["all", "asked", "none"])
def test_faces_enter_and_leave(embed: str) -> None:
    actors = [
        Actor(_line((0, 100 + 150 * k), (150, 0)), seen=lambda t, k=k: k <= t < k + 3)
        for k in range(5)
    ]
    tracker = FaceTracker(TrackerConfig(max_gap_s=0.6))
    told, _ = _play(actors, _times(8), embed=embed, tracker=tracker)
    assert [_confirmed(ids) for ids in told] == [{1}, {2}, {3}, {4}, {5}]
    assert tracker.finished() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("rate_hz", [5.0, 12.0, 60.0])
def test_the_rate_of_frames_does_not_matter(rate_hz: float) -> None:
    actors = [Actor(_line((100, 300), (100, 20))), Actor(_line((900, 300), (-60, 0)))]
    assert _switches(_play(actors, _times(5, rate_hz), embed="none")[0]) == 0


def test_uneven_intervals_do_no_harm() -> None:
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.uniform(0.005, 0.2, 60))
    for embed in ("all", "asked", "none"):
        assert _switches(_play(_crossing()[:1], times, embed=embed)[0]) == 0


def test_a_stalled_camera_does_not_end_a_resting_face() -> None:
    times = np.concatenate([_times(1), 3.5 + _times(1)])
    assert _switches(_play([Actor(lambda t: (300, 300))], times, embed="none")[0]) == 0


def test_jitter_and_four_faces_close_together() -> None:
    actors = [Actor(lambda t, k=k: (100 + 90 * k, 300)) for k in range(4)]
    for embed in ("all", "asked", "none"):
        assert _switches(_play(actors, _times(5), embed=embed, jitter=4)[0]) == 0


def test_few_embeddings_are_asked_for_when_faces_stand_apart() -> None:
    actors = [Actor(_line((100 + 300 * k, 300), (10, 0))) for k in range(4)]
    _, cost = _play(actors, _times(10), embed="asked")
    assert 4 * (3 + 8) <= cost <= 4 * (3 + 10)  # three at first, then one a second


def test_embeddings_are_spread_over_frames() -> None:
    tracker, rng = FaceTracker(), np.random.default_rng(0)
    boxes = np.stack([_box((100 + 300 * k, 300)) for k in range(4)])
    looks, asked = np.stack([_face(rng) for _ in range(4)]), []
    for time_s in _times(4):
        mask = tracker.needs_embedding(boxes, time_s)
        asked.append(int(mask.sum()))
        tracker.update(boxes, np.full(4, 0.9), looks, time_s, is_embedded=mask)
    assert asked[:3] == [4, 4, 4]
    assert max(asked[3:]) == 1


def test_new_and_covered_faces_are_asked_for() -> None:
    tracker = FaceTracker(TrackerConfig(first_embeddings=0))
    box = _box((300, 300))[None]
    assert tracker.needs_embedding(box).tolist() == [True]
    for time_s in (0.0, 0.1):
        tracker.update(box, np.array([0.9]), np.eye(1, 8), time_s)
    assert tracker.needs_embedding(box).tolist() == [False]
    crowd = np.stack([_box((300, 300)), _box((340, 300)), _box((900, 300))])
    assert tracker.needs_embedding(crowd).tolist() == [True, True, True]
    assert tracker.needs_embedding(np.empty((0, 4))).tolist() == []


def test_weak_detections_without_a_track_are_not_asked_for() -> None:
    tracker, boxes = FaceTracker(), np.stack([_box((300, 300)), _box((700, 300))])
    tracker.update(boxes[:1], np.array([0.9]), None, 0.0)
    assert tracker.needs_embedding(boxes, 0.03).tolist() == [True, True]
    weak = tracker.needs_embedding(boxes, 0.03, scores=np.array([0.3, 0.3]))
    assert weak.tolist() == [True, False]


def test_masked_rows_and_rows_of_nan_are_the_same() -> None:
    rng = np.random.default_rng(4)
    boxes = np.stack([_box((300, 300)), _box((700, 300))])
    looks = np.stack([_face(rng), np.full(DIMENSIONS, np.nan)])
    masked = np.stack([looks[0], _face(rng)])
    one, other = FaceTracker(), FaceTracker()
    for time_s in _times(0.3):
        a = one.update(boxes, np.full(2, 0.9), looks, time_s)
        b = other.update(
            boxes, np.full(2, 0.9), masked, time_s, is_embedded=np.array([True, False])
        )
        assert a.dtype == np.int64
        assert a.tolist() == b.tolist()
    assert a.tolist() == [1, 2]


_frames = st.lists(
    st.lists(
        st.tuples(
            st.floats(0, 300), st.floats(0, 300), st.floats(5, 120), st.floats(0, 1), st.booleans()
        ),
        max_size=6,
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(_frames, st.integers(0, 2**16))
def test_ids_are_unique_within_a_frame_and_end_once(frames, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker, told, ended, time_s = FaceTracker(TrackerConfig(max_tracks=4)), set(), [], 0.0
    for faces in frames:
        time_s += float(rng.choice([0.0, 0.03, 0.5, 4.0], p=[0.1, 0.7, 0.1, 0.1]))
        boxes = np.array([_box((x, y), w) for x, y, w, _, _ in faces]).reshape(-1, 4)
        looks = rng.normal(size=(len(faces), 3))  # three numbers: many faces look alike
        mask = np.array([m for *_, m in faces], bool)
        assert tracker.needs_embedding(boxes, time_s).shape == (len(faces),)
        scores = np.array([s for *_, s, _ in faces])
        ids = tracker.update(boxes, scores, looks, time_s, is_embedded=mask)
        sure = ids[ids != -1].tolist()
        assert len(set(sure)) == len(sure)
        assert min(sure, default=1) >= 1
        assert not set(sure) & set(ended)
        told |= set(sure)
        ended += tracker.finished()
        assert tracker.held <= 4
    tracker.flush()
    ended += tracker.finished()
    assert sorted(ended) == sorted(set(ended))
    assert told <= set(ended)


def test_memory_stays_bounded_over_ten_thousand_frames() -> None:
    rng = np.random.default_rng(1)
    tracker, most = FaceTracker(TrackerConfig(max_tracks=40)), 0
    for frame in range(10_000):
        corner = rng.uniform(0, 900, (3, 2))
        boxes = np.hstack([corner, corner + rng.uniform(20, 200, (3, 1))])
        tracker.update(boxes, rng.uniform(0.5, 1, 3), rng.normal(size=(3, 16)), frame / 30)
        tracker.finished()
        most = max(most, tracker.held)
    assert 10 < most <= 40


def test_four_faces_cost_little() -> None:
    actors = [Actor(_line((100 + 300 * k, 300), (10, 0))) for k in range(4)]
    begin = time.perf_counter()
    _play(actors, _times(5), embed="asked")
    assert (time.perf_counter() - begin) / 150 < 0.02  # a frame; a wide margin for busy machines


def test_overlap_agrees_with_the_box_type() -> None:
    rng = np.random.default_rng(6)
    corner = rng.uniform(0, 50, (20, 2))
    boxes = np.hstack([corner, corner + rng.uniform(1, 60, (20, 2))])
    expected = [[Box(*a).iou(Box(*b)) for b in boxes] for a in boxes]
    assert np.allclose(pairwise_iou(boxes, boxes), expected)


def test_motion_agrees_with_a_textbook_filter() -> None:
    """The same filter as matrices, for x alone."""
    rng = np.random.default_rng(8)
    state, cover = np.array([100.0, 0.0]), np.diag([(0.05 * 80) ** 2, (4.0 * 80) ** 2])
    motion, previous = Motion(_box((100, 50)), 0.0), 0.0
    for time_s in np.cumsum(rng.uniform(0.01, 0.2, 30)):
        gap, x = time_s - previous, 100 + 120 * time_s + rng.normal(0, 4)
        step = np.array([[1, gap], [0, 1]])
        push = np.array([gap**2 / 2, gap])
        state = step @ state
        cover = step @ cover @ step.T + np.outer(push, push) * (15.0 * 80) ** 2
        gain = cover[:, 0] / (cover[0, 0] + (0.05 * 80) ** 2)
        state = state + gain * (x - state[0])
        cover = cover - np.outer(gain, cover[0])
        motion.correct(_box((x, 50)), time_s, horizon_s=1.0)
        previous = time_s
    ahead = motion.box_at(previous + 0.3, horizon_s=1.0)
    assert (ahead[0] + ahead[2]) / 2 == pytest.approx(state[0] + 0.3 * state[1])
    rest = motion.box_at(previous + 9.0, horizon_s=0.0)
    assert (rest[0] + rest[2]) / 2 == pytest.approx(state[0])


BOX, SCORE = _box((50, 50))[None], np.array([0.9])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((BOX[0], SCORE, None, 1.0), ShapeError, r"boxes are \(4,\)"),
        ((BOX[:, [2, 3, 0, 1]], SCORE, None, 1.0), RangeError, "box is empty"),
        ((BOX * np.nan, SCORE, None, 1.0), RangeError, "not finite"),
        ((BOX, SCORE[:0], None, 1.0), ShapeError, r"scores are \(0,\).*1 boxes"),
        ((BOX, SCORE * 9, None, 1.0), RangeError, "score lies outside"),
        ((BOX, SCORE, np.ones((2, 8)), 1.0), ShapeError, r"embeddings are \(2, 8\)"),
        ((BOX, SCORE, np.zeros((1, 8)), 1.0), RangeError, "zero or infinite"),
        ((BOX, SCORE, np.full((1, 8), np.inf), 1.0), RangeError, "zero or infinite"),
        ((BOX, SCORE, np.ones((1, 9)), 1.0), ShapeError, "have 9 numbers; those before had 8"),
        ((BOX, SCORE, None, -1.0), RangeError, r"-1\.0 s after 0\.5 s"),
        ((BOX, SCORE, None, math.nan), RangeError, "nan s"),
    ],
)
def test_what_cannot_be_tracked_is_refused_and_changes_nothing(arguments, error, words) -> None:
    tracker = FaceTracker()
    tracker.update(BOX, SCORE, np.ones((1, 8)), 0.5)
    with pytest.raises(error, match=words):
        tracker.update(*arguments)
    assert tracker.update(BOX, SCORE, np.ones((1, 8)), 0.6).tolist() == [1]


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"is_embedded is bool \(2,\)"):
        FaceTracker().update(BOX, SCORE, np.ones((1, 8)), 0.0, is_embedded=np.ones(2, bool))


@pytest.mark.parametrize(
    "wrong",
    [
        {"low_score": 0.7},
        {"min_iou": 0.0},
        {"contradict_cos": 0.6},
        {"max_gap_s": 0.1},
        {"confirm_hits": 0},
        {"max_tracks": 0},
        {"refresh_s": 0.0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"break the rule .*{next(iter(wrong))}"):
        TrackerConfig(**wrong)


def test_without_scipy_the_install_command_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'mien\[video\]'"):
        FaceTracker()
