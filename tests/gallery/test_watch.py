"""Plays with known truth; the last test is the real pipeline on moving portraits."""

import gc
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import ContractError, MissingError, RangeError
from mien.core.types import Box
from mien.faces.pipeline import FacePipeline
from mien.faces.track import TrackerConfig
from mien.gallery.gallery import Gallery
from mien.gallery.watch import FrameResult, TrackEvent, WatchConfig, Watcher, film_pipeline
from mien.media.geometry import warp_affine
from mien.media.image import load_image
from mien.media.video import Frame
from toys.portraits import portrait_path
from toys.stage import (
    Actor,
    Stage,
    draw_noise,
    exact_table,
    film_frames,
    make_gallery,
    random_face,
)

ADA, BEN, EVE = (random_face(np.random.default_rng(seed)) for seed in (1, 2, 3))

Play = tuple[list[FrameResult], list[TrackEvent]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Play]:
    """Play actors before a watcher whose gallery holds Ada and Ben."""

    def run(
        stage: Stage, seconds: float, *, config: WatchConfig | None = None, rate_hz: float = 30.0
    ) -> Play:
        pipeline = stage.pipeline()
        people = {"Ada": ADA, "Ben": BEN}
        with make_gallery(tmp_path / f"{id(stage)}.gallery", pipeline, people) as gallery:
            watcher = Watcher(pipeline, gallery, config)
            results = []
            for frame in film_frames(seconds, rate_hz=rate_hz):
                stage.now_s = frame.time_s
                results.append(watcher.update(frame))
            assert watcher.held <= 256
            return results, [e for r in results for e in r.events] + watcher.close()

    return run


def _story(events: Iterable[TrackEvent]) -> dict[int, list[tuple[str, str | None]]]:
    """What happened to each track: kinds, and the decision and person told with them."""
    stories: dict[int, list[tuple[str, str | None]]] = {}
    for event in events:
        said = event.verdict and (event.verdict.person or str(event.verdict.decision))
        stories.setdefault(event.track_id, []).append((event.kind, said))
    return stories


def _still(x: float, y: float = 180.0) -> Callable[[float], tuple[float, float]]:
    return lambda time_s: (x, y)


def test_a_known_and_an_unknown_face_get_one_decision_each(play) -> None:
    stage = Stage([Actor(ADA, _still(150)), Actor(EVE, _still(450))])
    results, events = play(stage, 4)
    assert sorted(_story(events).values()) == [
        [("opened", None), ("decided", "Ada"), ("closed", "Ada")],
        [("opened", None), ("decided", "unknown"), ("closed", "unknown")],
    ]
    for result in results[-10:]:
        told = {round(f.box[0] + f.box[2]) // 2 > 300: f.verdict for f in result.faces}
        assert told[False].person == "Ada"
        assert told[True].decision == "unknown"


def test_a_known_face_is_named_at_once_and_a_stranger_within_patience(play) -> None:
    stage = Stage([Actor(ADA, _still(150)), Actor(EVE, _still(450))])
    _, events = play(stage, 4)
    delays = {e.verdict.decision: e.decided_s - e.opened_s for e in events if e.kind == "decided"}
    assert delays["match"] < 0.2
    assert delays["unknown"] <= 2.05


def test_faces_that_cross_keep_their_names(play) -> None:
    cross = [
        Actor(ADA, lambda t: (60 + 120 * t, 180.0)),
        Actor(
            BEN,
            lambda t: (540 - 120 * t, 186.0),
            is_seen=lambda t: not 1.8 <= t < 2.2,  # behind Ada
        ),
    ]
    results, events = play(Stage(cross), 4)
    assert sorted(story[1] for story in _story(events).values()) == [
        ("decided", "Ada"),
        ("decided", "Ben"),
    ]
    for result in results:
        for face in result.faces:
            if face.verdict is not None:
                x = (face.box[0] + face.box[2]) / 2
                nearest = min(cross, key=lambda a: abs(a.path(result.time_s)[0] - x))
                gap = abs(cross[0].path(result.time_s)[0] - cross[1].path(result.time_s)[0])
                if gap > 30:
                    assert (
                        face.verdict.person
                        == {id(cross[0]): "Ada", id(cross[1]): "Ben"}[id(nearest)]
                    )


def test_a_covered_face_is_no_evidence(play) -> None:
    pair = [Actor(ADA, _still(300)), Actor(BEN, _still(340))]
    _, events = play(Stage(pair), 3)
    for event in events:
        if event.kind == "closed":
            assert event.samples == 0
            assert event.verdict.decision == "not_comparable"
            assert event.verdict.reasons == ("no face of this track was seen uncovered",)


def test_embeddings_are_rare(play) -> None:
    stage = Stage([Actor(ADA, _still(80 + 150 * k)) for k in range(1)])
    results, _ = play(stage, 10)
    assert stage.detections == len(results) == 300
    assert stage.embedded <= 4 + 20  # three or four at the beginning, then two a second


def test_a_track_that_never_passes_the_gate_is_not_comparable_and_says_why(play) -> None:
    stage = Stage([Actor(ADA, _still(300), width=lambda t: 20.0)])
    results, events = play(stage, 3)
    assert stage.embedded == 0
    assert list(_story(events).values()) == [
        [("opened", None), ("decided", "not_comparable"), ("closed", "not_comparable")]
    ]
    assert "SMALL_BOUNDING_BOX" in events[-1].verdict.reasons
    assert results[-1].faces[0].verdict.decision == "not_comparable"


def test_a_stranger_far_away_is_corrected_to_a_name_when_near(play) -> None:
    """For six seconds Ada is seen so badly that her template is hardly hers."""
    stage = Stage([Actor(ADA, _still(300), noise=lambda t: 12.0 if t < 6 else 0.3)])
    loose = TrackerConfig(contradict_cos=-1.0, same_cos=-1.0, refresh_s=0.5)
    results, events = play(stage, 20, config=WatchConfig(tracker=loose, half_life_s=4.0))
    assert list(_story(events).values()) == [
        [("opened", None), ("decided", "unknown"), ("corrected", "Ada"), ("closed", "Ada")]
    ]
    corrected = next(e for e in events if e.kind == "corrected")
    assert corrected.time_s > 6
    assert corrected.corrections == 1
    assert corrected.decided_s < 6
    assert results[100].faces[0].verdict.decision == "unknown"
    assert results[-1].faces[0].verdict.person == "Ada"


def test_a_track_that_slips_to_another_person_is_corrected(play) -> None:
    stage = Stage([Actor(ADA, _still(300)), Actor(BEN, _still(300))])
    stage.actors[0].is_seen = lambda t: t < 5
    stage.actors[1].is_seen = lambda t: t >= 5
    blind = TrackerConfig(contradict_cos=-1.0, same_cos=-1.0, refresh_s=0.5)
    _, events = play(stage, 40, config=WatchConfig(tracker=blind, half_life_s=5.0))
    assert list(_story(events).values()) == [
        [("opened", None), ("decided", "Ada"), ("corrected", "Ben"), ("closed", "Ben")]
    ]


def test_a_face_near_the_threshold_does_not_flap(play) -> None:
    """The cosine of such looks with Ada scatters around the threshold."""
    stage = Stage([Actor(ADA, _still(300), noise=lambda t: 2.5)], seed=4)
    loose = TrackerConfig(contradict_cos=-1.0, same_cos=-1.0, refresh_s=0.1)
    config = WatchConfig(tracker=loose, max_samples=1, half_life_s=0.01)
    _, events = play(stage, 60, config=config)
    (story,) = _story(events).values()
    assert sum(kind == "corrected" for kind, _ in story) <= 1


def test_a_short_track_is_decided_when_it_ends(play) -> None:
    stage = Stage([Actor(EVE, _still(300), is_seen=lambda t: 0.5 <= t < 0.8)])
    results, events = play(stage, 6)
    assert [e.kind for e in events] == ["opened", "decided", "closed"]
    assert events[-1].verdict.decision == "unknown"
    assert events[-1].seen_s == pytest.approx(0.8 - 1 / 30)
    assert events[-1].frames == 8  # nine detections, the first not yet confirmed
    assert events[-1].time_s < 4
    assert not any(r.events for r in results[130:])


def test_between_detections_boxes_move_on_at_even_speed(play) -> None:
    path = lambda t: (100 + 200 * t, 180.0)  # noqa: E731
    stage = Stage([Actor(ADA, path)])
    results, events = play(stage, 2, config=WatchConfig(detect_every=3))
    assert stage.detections == 20
    assert _story(events)[1][1] == ("decided", "Ada")
    for result in results[9:]:
        (face,) = result.faces
        assert face.is_predicted == (result.index % 3 != 0)
        assert face.verdict.person == "Ada"
        assert (face.box[0] + face.box[2]) / 2 == pytest.approx(path(result.time_s)[0], abs=4)


def test_closing_tells_all_tracks_once(play, tmp_path: Path) -> None:
    stage = Stage([Actor(ADA, _still(150)), Actor(EVE, _still(450))])
    pipeline = stage.pipeline()
    with make_gallery(tmp_path / "people.gallery", pipeline, {"Ada": ADA}) as gallery:
        watcher = Watcher(pipeline, gallery)
        for frame in film_frames(0.5):
            watcher.update(frame)
        events = watcher.close()
        assert [e.kind for e in events if e.track_id == 1].count("closed") == 1
        assert {e.track_id for e in events if e.kind == "closed"} == {1, 2}
        assert all(e.verdict is not None for e in events)
        assert watcher.close() == []
        assert watcher.held == watcher.samples_held == 0


def test_the_false_alarm_rate_is_shared_among_the_looks(play, tmp_path: Path) -> None:
    stage = Stage([Actor(ADA, _still(150))])
    _, events = play(stage, 2, config=WatchConfig(fpir=0.02, looks=8))
    verdict = events[-1].verdict
    assert verdict.point.fpir <= 0.02 / 8
    assert events[-1].as_record()["fpir"] == pytest.approx(8 * verdict.point.fpir)
    assert events[-1].as_record()["fpir"] <= 0.02
    assert any("look 1 of 8" in reason for reason in events[1].verdict.reasons)


@pytest.mark.slow
def test_memory_stays_bounded_over_a_hundred_thousand_frames(tmp_path: Path) -> None:
    """Two at a time pass by, for two seconds of every eighty, over five and a half hours."""
    rng = np.random.default_rng(7)
    crowd = [random_face(rng) for _ in range(30)]
    stage = Stage([])
    pipeline = stage.pipeline()
    config = WatchConfig(max_samples=3, tracker=TrackerConfig(refresh_s=0.5))
    pixels = draw_noise()
    opened = closed = most_tracks = most_samples = 0
    objects: list[int] = []
    with make_gallery(tmp_path / "people.gallery", pipeline, {"Ada": ADA}) as gallery:
        watcher = Watcher(pipeline, gallery, config)
        for index in range(100_000):
            if index % 400 == 0:
                chosen = rng.choice(30, 2, replace=False)
                stage.actors = [
                    Actor(crowd[k], _still(100.0 + 200 * n)) for n, k in enumerate(chosen)
                ]
            elif index % 400 == 10:
                stage.actors = []
            stage.now_s = index / 5
            result = watcher.update(Frame(pixels, stage.now_s, index))
            opened += sum(e.kind == "opened" for e in result.events)
            closed += sum(e.kind == "closed" for e in result.events)
            most_tracks = max(most_tracks, watcher.held)
            most_samples = max(most_samples, watcher.samples_held)
            if index % 20_000 == 199:
                gc.collect()
                objects.append(len(gc.get_objects()))
    assert opened == closed == 500
    assert most_tracks == 2
    assert most_samples <= 2 * 3
    assert objects[-1] - objects[1] < 1000


def test_a_crowd_is_held_to_the_number_of_tracks_allowed(play) -> None:
    stage = Stage(
        [Actor(random_face(np.random.default_rng(k)), _still(50.0 + 60 * k)) for k in range(9)]
    )
    for actor in stage.actors:
        actor.width = lambda t: 50.0
    config = WatchConfig(tracker=TrackerConfig(max_tracks=4))
    _, events = play(stage, 2, config=config)
    held = most = 0
    for event in events:
        held += {"opened": 1, "closed": -1}.get(event.kind, 0)
        most = max(most, held)
    assert held == 0
    assert 1 <= most <= 4


def test_an_endless_track_keeps_few_templates_and_few_looks(play) -> None:
    stage = Stage([Actor(ADA, _still(300))])
    _, events = play(stage, 150, rate_hz=4, config=WatchConfig(max_samples=8))
    assert events[-1].samples > 150
    assert 8 <= events[-1].looks <= 10


def test_a_gallery_of_another_pipeline_is_refused(tmp_path: Path) -> None:
    stage, other = Stage([]), Stage([])
    other.fingerprint = "stage.2"
    with (
        make_gallery(tmp_path / "people.gallery", stage.pipeline(), {"Ada": ADA}) as gallery,
        pytest.raises(ContractError, match="gallery holds templates of"),
    ):
        Watcher(other.pipeline(), gallery)


def test_without_a_calibration_nothing_is_watched(tmp_path: Path) -> None:
    pipeline = Stage([]).pipeline()
    with (
        Gallery.create(tmp_path / "people.gallery", pipeline.contract) as gallery,
        pytest.raises(MissingError, match="no calibration"),
    ):
        Watcher(pipeline, gallery)


def test_frames_out_of_order_are_refused(tmp_path: Path) -> None:
    pipeline = Stage([]).pipeline()
    frames = film_frames(0.1)
    with make_gallery(tmp_path / "people.gallery", pipeline, {"Ada": ADA}) as gallery:
        watcher = Watcher(pipeline, gallery)
        watcher.update(frames[1])
        with pytest.raises(RangeError, match="run backwards"):
            watcher.update(frames[0])


def test_an_empty_gallery_knows_nobody(tmp_path: Path) -> None:
    stage = Stage([Actor(ADA, _still(300))])
    pipeline = stage.pipeline()
    with make_gallery(tmp_path / "people.gallery", pipeline, {}) as gallery:
        watcher = Watcher(pipeline, gallery)
        results = [watcher.update(frame) for frame in film_frames(3)]
    assert results[-1].faces[0].verdict.decision == "unknown"


def test_rows_and_marks_tell_the_same(play) -> None:
    stage = Stage([Actor(ADA, _still(150)), Actor(EVE, _still(450))])
    results, _ = play(stage, 3)
    first, last = results[0].faces[0], results[-1].faces
    row = first.as_record(time_s=0.0, index=0)
    assert (row["track_id"], row["decision"], row["person"]) == (None, "undecided", None)
    assert first.as_mark().label == ""
    for face in last:
        row = face.as_record(time_s=results[-1].time_s, index=results[-1].index)
        mark = face.as_mark()
        assert mark.label.startswith(f"#{row['track_id']} {row['person'] or row['decision']}")
        assert mark.tone == row["decision"]
        assert row["box"] == pytest.approx(face.box, abs=0.051)
    undecided = next(f for r in results for f in r.faces if f.track_id > 0 and f.verdict is None)
    assert undecided.as_mark().label == f"#{undecided.track_id}"
    assert undecided.as_mark().tone == "neutral"


def _moving_portraits(
    pipeline: FacePipeline, seconds: float
) -> tuple[list[Frame], list[list[Box]]]:
    """Two faces of 80 px, one going right, one going left below it; and where they are."""
    rng = np.random.default_rng(0)
    cuts = []
    for name in ("obama_1", "biden_1"):
        photo = load_image(portrait_path(name)).pixels
        cuts.append((photo, pipeline.detect(portrait_path(name)).row(0).box))
    frames, truth = [], []
    for index in range(round(seconds * 20)):
        t = index / 20
        pixels = np.full((360, 640, 3), 120, np.uint8)
        boxes = []
        for (photo, box), (x, y) in zip(
            cuts, [(150 + 60 * t, 95), (480 - 60 * t, 255)], strict=True
        ):
            scale = 80 / box.height
            shift = np.array([75 + x % 1, 75]) - scale * np.array(box.centre)
            matrix = np.column_stack([scale * np.eye(2), shift])
            pixels[y - 75 : y + 75, int(x) - 75 : int(x) + 75] = warp_affine(
                photo, matrix, (150, 150)
            )
            half = box.width * scale / 2
            boxes.append(Box(x - half, y - 40, x + half, y + 40))
        noise = rng.normal(0, 3, pixels.shape)
        frames.append(Frame((pixels + noise).clip(0, 255).astype(np.uint8), t, index))
        truth.append(boxes)
    return frames, truth


def test_the_real_pipeline_names_moving_portraits(tmp_path: Path) -> None:
    pipeline = FacePipeline.open(film_pipeline(threads=1))
    with Gallery.create(tmp_path / "people.gallery", pipeline.contract) as gallery:
        known = portrait_path("obama_3")
        gallery.enrol("Barack Obama", pipeline.analyse(known), pixels=load_image(known).pixels)
        gallery.use_calibration(exact_table(pipeline.contract.id))
        watcher = Watcher(pipeline, gallery)
        frames, truth = _moving_portraits(pipeline, 1.5)
        results = [watcher.update(frame) for frame in frames]
        events = list(itertools.chain(*(r.events for r in results), watcher.close()))
    assert sorted(_story(events).values()) == [
        [("opened", None), ("decided", "Barack Obama"), ("closed", "Barack Obama")],
        [("opened", None), ("decided", "unknown"), ("closed", "unknown")],
    ]
    for result, boxes in zip(results[2:], truth[2:], strict=True):
        assert len(result.faces) == 2
        for face in result.faces:
            person = face.verdict and face.verdict.person
            at = max(range(2), key=lambda k: Box(*face.box).iou(boxes[k]))
            assert Box(*face.box).iou(boxes[at]) > 0.7
            assert person == ("Barack Obama" if at == 0 else None)
