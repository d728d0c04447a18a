"""Who is in a film, while it runs: detector, tracker, templates and one decision a track."""

from collections.abc import Iterable

import numpy as np

from mien.core.types import Array, Float32, Float64
from mien.faces.detect.protocol import Detections
from mien.faces.pipeline import FacePipeline
from mien.faces.track import UNCONFIRMED, FaceTracker
from mien.gallery.decide import Verdict
from mien.gallery.gallery import Gallery
from mien.gallery.watch.config import WatchConfig
from mien.gallery.watch.decision import TrackDecision
from mien.gallery.watch.evidence import Evidence
from mien.gallery.watch.results import FrameResult, Kind, TrackedFace, TrackEvent
from mien.gallery.watch.samples import Samples, detect_faces, hidden_shares, take_samples
from mien.media.video import Frame


class _Watched:
    """One track in memory."""

    def __init__(self, track_id: int, box: Float64, time_s: float, config: WatchConfig) -> None:
        self.track_id = track_id
        self.opened_s = self.seen_s = time_s
        self.frames = 1
        self.evidence = Evidence(max_samples=config.max_samples, half_life_s=config.half_life_s)
        self.decision = TrackDecision(config, time_s)
        self._planned_looks = config.looks
        self.box = box
        self._velocity = np.zeros(4)

    def see(self, box: Float64, time_s: float) -> None:
        """Note where it is now."""
        if time_s > self.seen_s:
            self._velocity = (box - self.box) / (time_s - self.seen_s)
        self.box, self.seen_s, self.frames = box, time_s, self.frames + 1

    def box_at(self, time_s: float) -> Float64:
        """Where it will be, at the speed between its last two detections."""
        return np.asarray(self.box + self._velocity * (time_s - self.seen_s), np.float64)

    def event(self, kind: Kind, time_s: float) -> TrackEvent:
        """What is known, as an event."""
        return TrackEvent(
            kind=kind,
            track_id=self.track_id,
            time_s=time_s,
            verdict=self.decision.verdict,
            opened_s=self.opened_s,
            seen_s=self.seen_s,
            frames=self.frames,
            samples=self.evidence.count,
            looks=self.decision.looks,
            planned_looks=self._planned_looks,
            decided_s=self.decision.decided_s,
            corrections=self.decision.corrections,
        )


class Watcher:
    """Follows faces through a film and says who they are, one decision a track.

    Faces are detected in every frame (or each n-th), joined to tracks, and embedded only when the
    tracker asks and they pass the quality gate. Templates grow with the track; `TrackDecision`
    says when they are compared with the gallery and what follows. Memory is bounded by the
    tracker's ``max_tracks`` and by ``max_samples``, however long the film.

    One watcher is for one film and one thread; pipeline and gallery may be shared.
    """

    def __init__(
        self, pipeline: FacePipeline, gallery: Gallery, config: WatchConfig | None = None
    ) -> None:
        """Begin a film.

        Args:
            pipeline: One made with `film_pipeline` keeps up with 720 lines.
            gallery: Who is known.
            config: Settings.

        Raises:
            ContractError: If the gallery was made by another pipeline.
            MissingError: If there is no calibration for the contract.
            ExtraMissingError: If SciPy is not installed.
        """
        self.config = config or WatchConfig()
        gallery.check_contract(pipeline.contract.id)
        self.point = gallery.operating_point(self.config.look_fpir)
        self._pipeline, self._gallery = pipeline, gallery
        self._tracker = FaceTracker(self.config.tracker)
        self._watched: dict[int, _Watched] = {}
        self._updates = 0
        self._time_s = self._detected_s = 0.0

    @property
    def held(self) -> int:
        """Number of tracks in memory."""
        return len(self._watched)

    @property
    def samples_held(self) -> int:
        """Number of templates in memory."""
        return sum(one.evidence.held for one in self._watched.values())

    def update(self, frame: Frame) -> FrameResult:
        """Take in one frame.

        Args:
            frame: Frames must come in order of time; any may be missing.

        Raises:
            RangeError: If time runs backwards.
        """
        now_s = self._time_s = frame.time_s
        is_detected = self._updates % self.config.detect_every == 0
        self._updates += 1
        if is_detected:
            found = detect_faces(self._pipeline, frame.pixels, self.config.max_side_px)
            ids, events = self._follow(frame, found)
        else:
            found, ids, events = Detections.none(), [], []
        events += self._look(self._due(now_s), now_s)
        events += self._settle_late(now_s)
        events += self._end(self._tracker.finished(), now_s)
        faces = self._tell(ids, found.boxes) if is_detected else self._predict(now_s)
        return FrameResult(now_s, frame.index, tuple(faces), tuple(events))

    def close(self) -> list[TrackEvent]:
        """End all tracks, at the end of the film: the events that follow from that.

        A second call brings no more events.
        """
        self._tracker.flush()
        return self._end(self._tracker.finished(), self._time_s)

    def _follow(self, frame: Frame, found: Detections) -> tuple[list[int], list[TrackEvent]]:
        """Join the detections to tracks and gather what they say."""
        now_s = self._detected_s = frame.time_s
        is_wanted = self._tracker.needs_embedding(found.boxes, now_s, scores=found.scores)
        samples = take_samples(self._pipeline, frame.pixels, found, is_wanted, self.config.gate)
        ids = self._tracker.update(
            found.boxes, found.scores, samples.templates, now_s, is_embedded=samples.is_embedded
        ).tolist()
        events = [
            self._see(track_id, np.asarray(found.boxes[row], np.float64), now_s)
            for row, track_id in enumerate(ids)
            if track_id != UNCONFIRMED
        ]
        self._gather(ids, found, samples, now_s)
        return ids, [event for event in events if event is not None]

    def _see(self, track_id: int, box: Float64, now_s: float) -> TrackEvent | None:
        """Note a track's new place; the event if it is new."""
        if track_id in self._watched:
            self._watched[track_id].see(box, now_s)
            return None
        self._watched[track_id] = _Watched(track_id, box, now_s, self.config)
        return self._watched[track_id].event("opened", now_s)

    def _gather(self, ids: list[int], found: Detections, samples: Samples, now_s: float) -> None:
        if not ids:
            return
        is_clear = hidden_shares(found.boxes) <= self.config.max_covered
        for row, track_id in enumerate(ids):
            if track_id == UNCONFIRMED or not is_clear[row]:
                continue
            evidence = self._watched[track_id].evidence
            if samples.is_embedded[row]:
                evidence.add(samples.templates[row], float(samples.quality[row]), now_s)
            else:
                evidence.refuse(samples.reasons[row])

    def _due(self, now_s: float) -> list[_Watched]:
        return [w for w in self._watched.values() if w.decision.is_due(w.evidence, now_s)]

    def _look(self, due: list[_Watched], now_s: float) -> list[TrackEvent]:
        """Compare the templates of some tracks with the gallery."""
        if not due:
            return []
        templates = np.stack([one.evidence.template() for one in due])
        verdicts = self._gallery.decide(
            templates, fpir=self.config.look_fpir, margin=self.config.margin
        )
        events = []
        for one, verdict in zip(due, verdicts, strict=True):
            change = one.decision.take(verdict, one.evidence, now_s)
            if change:
                events.append(one.event(change, now_s))
        return events

    def _settle_late(self, now_s: float) -> list[TrackEvent]:
        """Decide the tracks whose time is over; those with news have been looked at just before."""
        events = []
        for one in self._watched.values():
            if one.decision.is_late(now_s):
                change = one.decision.settle(one.evidence, now_s)
                if change:
                    events.append(one.event(change, now_s))
        return events

    def _tell(self, ids: list[int], boxes: Float32) -> list[TrackedFace]:
        return [
            TrackedFace(_corners(box), track_id, self._verdict(track_id))
            for track_id, box in zip(ids, boxes, strict=True)
        ]

    def _predict(self, now_s: float) -> list[TrackedFace]:
        """The faces of the last detection, carried on."""
        return [
            TrackedFace(
                _corners(w.box_at(now_s)), w.track_id, w.decision.verdict, is_predicted=True
            )
            for w in self._watched.values()
            if w.seen_s == self._detected_s
        ]

    def _verdict(self, track_id: int) -> Verdict | None:
        watched = self._watched.get(track_id)
        return watched.decision.verdict if watched else None

    def _end(self, ids: Iterable[int], now_s: float) -> list[TrackEvent]:
        """Look once more at open tracks that have ended, then let them go."""
        ended = [self._watched.pop(track_id) for track_id in ids]
        events = self._look([w for w in ended if w.decision.is_unfinished(w.evidence)], now_s)
        for one in ended:
            change = one.decision.settle(one.evidence, now_s)
            if change:
                events.append(one.event(change, now_s))
            events.append(one.event("closed", now_s))
        return events


def _corners(box: Array) -> tuple[float, float, float, float]:
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])
