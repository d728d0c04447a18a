"""Which face in this frame is which face of the frames before: stable ids over time.

Detections are joined to tracks by position and, where it is known, by appearance; all ageing goes
by seconds. Who a track *is* gets decided elsewhere, and no pixel is looked at here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.core.errors import ConfigError, RangeError
from mien.core.optional import require
from mien.core.types import Array, Bools, Float64, Ints
from mien.faces._detections import (
    checked_boxes,
    checked_embeddings,
    checked_scores,
    find_covered,
    pairwise_iou,
)
from mien.faces._motion import Motion

UNCONFIRMED = -1
"""The id of a detection that has no confirmed track."""

# Share of the old appearance when a new embedding is blended in. StrongSORT takes 0.9 with an
# embedding in every frame; ours are rarer.
_MEMORY = 0.8


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings of a `FaceTracker`.

    The two cosines are for SFace: of 1,028 same-person photo pairs of LFW's development set 0.7 %
    lie below 0.25 and 2.4 % below 0.4; of as many pairs of two people 3.2 % lie above 0.25 and
    none above 0.4. Another embedder needs its own.

    Attributes:
        high_score: Detections from here on may begin a track (0.6 in ByteTrack).
        low_score: Detections from here on may continue one (0.1 in ByteTrack).
        min_iou: Least overlap of prediction and detection (0.2 in ByteTrack).
        min_low_iou: The same for low scores (0.5 in ByteTrack).
        contradict_cos: Below this cosine two faces are different people, wherever they are.
        same_cos: From this cosine on a face is taken for one that was lost, wherever it is.
        appearance_weight: Worth of a cosine of 1 beside an overlap of 1.
        confirm_hits: Detections that a track needs to get an id.
        tentative_gap_s: How long an unconfirmed track survives without a detection.
        coast_s: How long a missed track can be continued by position alone.
        max_gap_s: How long a missed track can be continued by appearance; then it has ended.
        overlap_iou: From this overlap on two detections cover each other, so that their
            embeddings are asked for and not remembered.
        first_embeddings: How many embeddings are asked for at the beginning of a track.
        refresh_s: How often one is asked for later on.
        max_tracks: Beyond this number the tracks unseen for longest are ended.
    """

    high_score: float = 0.6
    low_score: float = 0.1
    min_iou: float = 0.2
    min_low_iou: float = 0.5
    contradict_cos: float = 0.25
    same_cos: float = 0.4
    appearance_weight: float = 2.0
    confirm_hits: int = 2
    tentative_gap_s: float = 0.3
    coast_s: float = 0.5
    max_gap_s: float = 3.0
    overlap_iou: float = 0.1
    first_embeddings: int = 3
    refresh_s: float = 1.0
    max_tracks: int = 256

    def __post_init__(self) -> None:
        """Check that the settings agree with each other."""
        rules = {
            "0 <= low_score <= high_score <= 1": 0 <= self.low_score <= self.high_score <= 1,
            "0 < min_iou <= min_low_iou <= 1": 0 < self.min_iou <= self.min_low_iou <= 1,
            "-1 <= contradict_cos <= same_cos <= 1": (
                -1 <= self.contradict_cos <= self.same_cos <= 1
            ),
            "0 <= tentative_gap_s <= coast_s <= max_gap_s": (
                0 <= self.tentative_gap_s <= self.coast_s <= self.max_gap_s < math.inf
            ),
            "appearance_weight >= 0": self.appearance_weight >= 0,
            "0 < overlap_iou <= 1": 0 < self.overlap_iou <= 1,
            "refresh_s > 0": self.refresh_s > 0,
            "first_embeddings >= 0": self.first_embeddings >= 0,
            "confirm_hits >= 1": self.confirm_hits >= 1,
            "max_tracks >= 1": self.max_tracks >= 1,
        }
        for rule, is_kept in rules.items():
            if not is_kept:
                raise ConfigError(
                    what=f"the tracker's settings break the rule {rule}",
                    why="otherwise its stages contradict each other",
                    mend="change the settings named in the rule",
                )


@dataclass(slots=True, eq=False)
class _Track:
    motion: Motion
    seen_s: float
    track_id: int = UNCONFIRMED
    hits: int = 1
    is_missed: bool = False
    is_doubted: bool = False  # a stranger was seen in its place: only appearance can continue it
    appearance: Float64 | None = None
    embeddings: int = 0
    embedded_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class _Detections:
    boxes: Float64  # n 4
    scores: Float64  # n
    embeddings: Float64  # n d, unit length; NaN rows are unknown
    is_covered: Bools  # n, by another detection


class FaceTracker:
    """Gives every face of a film an id that stays with it.

    Source:
        Zhang et al., "ByteTrack", ECCV 2022, algorithm 1: association by overlap with a Kalman
        prediction, confident detections first, then the rest. Appearance as in Wojke, Bewley,
        Paulus, "DeepSORT", ICIP 2017 (gate) and Du et al., "StrongSORT", IEEE TMM 2023 (moving
        average, weighted sum).
        We differ: ageing goes by seconds; appearance that contradicts forbids a match; a face that
        nothing explains by position is then sought among all lost tracks by appearance.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        """Begin without tracks.

        Raises:
            ExtraMissingError: If SciPy is not installed.
        """
        self._config = config or TrackerConfig()
        self._solve = require("scipy.optimize", extra="video").linear_sum_assignment
        self._tracks: list[_Track] = []
        self._finished: list[int] = []
        self._next_id = 1
        self._time_s = -math.inf
        self._width: int | None = None  # of embeddings

    @property
    def held(self) -> int:
        """Number of tracks in memory, lost and unconfirmed ones included."""
        return len(self._tracks)

    def update(
        self,
        boxes: Array,
        scores: Array,
        embeddings: Array | None,
        time_s: float,
        *,
        is_embedded: Bools | None = None,
    ) -> Ints:
        """Take in the detections of one frame.

        Args:
            boxes: (n, 4) x0 y0 x1 y1 in pixels; n may be 0.
            scores: (n,) detector scores, 0-1.
            embeddings: (n, d), any length; None if no face was embedded. A row of NaN stands for
                a face that was not embedded in this frame.
            time_s: When the frame was taken; must not run backwards.
            is_embedded: (n,) True where the row of ``embeddings`` counts; None for all.

        Returns:
            (n,) the id of each detection's track, 1 or more and unique within the frame; -1 for
            a detection without a confirmed track.

        Raises:
            ShapeError: If the arrays disagree.
            RangeError: If a box is empty or not finite, a score lies outside 0-1, an embedding is
                zero or infinite, or time runs backwards.
        """
        self._check_time(time_s)
        found = self._checked(boxes, scores, embeddings, is_embedded)
        self._time_s = time_s
        self._end_lost()
        owners = self._associate(found)
        for index, track in owners.items():
            self._continue(track, found, index)
        for index in map(int, np.flatnonzero(found.scores >= self._config.high_score)):
            if index not in owners:
                owners[index] = self._begin(found, index)
        self._forget(owners)
        ids = np.full(len(found.boxes), UNCONFIRMED, np.int64)
        for index, track in owners.items():
            ids[index] = track.track_id
        return ids

    def needs_embedding(
        self, boxes: Array, time_s: float | None = None, *, scores: Array | None = None
    ) -> Bools:
        """Which detections should be embedded before the coming `update`.

        Asked for are faces that are new or were just missed, tracks with few embeddings, faces
        that cover each other or compete for a track, and the one face whose last embedding is
        oldest, if it is older than ``refresh_s``. Where a cut puts one face exactly in the place of
        another, that is noticed at the next embedding and so within about ``refresh_s``.

        Args:
            boxes: (n, 4) x0 y0 x1 y1 in pixels.
            time_s: When the frame was taken; None for the time of the last update.
            scores: (n,) detector scores; with them nothing is asked for a weak detection that no
                track could take.

        Returns:
            (n,) True where an embedding is worth its cost. Only a hint: any may be left out.

        Raises:
            ShapeError: If an array has the wrong shape.
            RangeError: If a box is empty or not finite, or a score lies outside 0-1.
        """
        boxes = checked_boxes(boxes)
        now_s = self._time_s if time_s is None else time_s
        near = [t for t in self._tracks if self._is_near_in_time(t, now_s)]
        touches = self._overlaps(near, boxes, now_s) >= self._config.min_iou
        needed = find_covered(boxes, self._config.overlap_iou) | (touches.sum(axis=0) != 1)
        oldest: tuple[float, int] = (now_s - self._config.refresh_s, -1)
        for row, track in enumerate(near):
            mine = touches[row]
            is_young = track.embeddings < self._config.first_embeddings
            if is_young or track.is_missed or track.is_doubted or mine.sum() > 1:
                needed |= mine
            elif mine.any() and not needed[mine].any():
                oldest = min(oldest, (track.embedded_s, int(np.argmax(mine))))
        if oldest[1] >= 0:
            needed[oldest[1]] = True
        if scores is not None:
            is_high = checked_scores(scores, count=len(boxes)) >= self._config.high_score
            needed &= is_high | touches.any(axis=0)
        return np.asarray(needed, np.bool_)

    def finished(self) -> list[int]:
        """Ids of the tracks that have ended since the last call, in the order of their end.

        They are kept until asked for, so ask now and then; nothing else grows with time.
        """
        ended, self._finished = self._finished, []
        return ended

    def flush(self) -> None:
        """End all tracks, as at the end of a film; `finished` then tells their ids."""
        self._end(self._tracks)

    def _associate(self, found: _Detections) -> dict[int, _Track]:
        """Stages of association; each takes what the ones before left over."""
        config, owners = self._config, dict[int, _Track]()
        is_high = found.scores >= config.high_score
        is_low = ~is_high & (found.scores >= config.low_score)
        confirmed = [t for t in self._tracks if t.track_id != UNCONFIRMED]
        tentative = [t for t in self._tracks if t.track_id == UNCONFIRMED]
        self._join(owners, confirmed, found, is_high, min_iou=config.min_iou)
        self._join(owners, confirmed, found, is_high, min_iou=None)
        self._join(owners, confirmed, found, is_low, min_iou=config.min_low_iou)
        self._doubt(owners, confirmed, found)
        self._join(owners, tentative, found, is_high, min_iou=config.min_iou)
        return owners

    def _join(
        self,
        owners: dict[int, _Track],
        tracks: Sequence[_Track],
        found: _Detections,
        is_eligible: Bools,
        *,
        min_iou: float | None,
    ) -> None:
        """Join free tracks and free detections; without ``min_iou`` by appearance alone."""
        config = self._config
        taken = set(map(id, owners.values()))
        free = [t for t in tracks if id(t) not in taken]
        columns = np.array([i for i in np.flatnonzero(is_eligible) if i not in owners], np.int64)
        if not free or not columns.size:
            return
        cosines = _cosines(free, found.embeddings[columns])
        if min_iou is None:
            allowed, worth = cosines >= config.same_cos, cosines
        else:
            overlaps = self._overlaps(free, found.boxes[columns], self._time_s)
            near = np.array([self._is_near_in_time(t, self._time_s) for t in free])
            doubted = np.array([t.is_doubted for t in free])
            allowed = (overlaps >= min_iou) & near[:, None] & ~(cosines < config.contradict_cos)
            allowed &= ~doubted[:, None] | (cosines >= config.same_cos)
            # Where appearance is unknown it speaks neither for nor against.
            known = np.where(np.isnan(cosines), config.same_cos, cosines)
            worth = overlaps + config.appearance_weight * known
        rows, picks = self._solve(np.where(allowed, np.maximum(worth, 1e-6), 0.0), maximize=True)
        for row, pick in zip(rows, picks, strict=True):
            if allowed[row, pick]:
                owners[int(columns[pick])] = free[row]

    def _doubt(
        self, owners: dict[int, _Track], tracks: Sequence[_Track], found: _Detections
    ) -> None:
        """Mark the tracks without a detection where somebody else now is."""
        taken = set(map(id, owners.values()))
        free = [t for t in tracks if id(t) not in taken]
        if free:
            is_other = _cosines(free, found.embeddings) < self._config.contradict_cos
            is_there = self._overlaps(free, found.boxes, self._time_s) >= self._config.min_iou
            for row in np.flatnonzero((is_other & is_there).any(axis=1)):
                free[row].is_doubted = True

    def _continue(self, track: _Track, found: _Detections, index: int) -> None:
        track.motion.correct(found.boxes[index], self._time_s, horizon_s=self._config.coast_s)
        track.seen_s, track.hits = self._time_s, track.hits + 1
        self._remember(track, found, index)
        if track.track_id == UNCONFIRMED and track.hits >= self._config.confirm_hits:
            self._confirm(track)

    def _begin(self, found: _Detections, index: int) -> _Track:
        track = _Track(Motion(found.boxes[index], self._time_s), self._time_s)
        self._remember(track, found, index)
        if self._config.confirm_hits == 1:
            self._confirm(track)
        self._tracks.append(track)
        return track

    def _confirm(self, track: _Track) -> None:
        track.track_id, self._next_id = self._next_id, self._next_id + 1

    def _remember(self, track: _Track, found: _Detections, index: int) -> None:
        new = found.embeddings[index]
        if np.isnan(new).any():
            return
        track.embedded_s = self._time_s
        if track.appearance is None:
            track.appearance = new
        else:
            if track.appearance @ new >= self._config.same_cos:
                track.is_doubted = False
            if found.is_covered[index]:
                return
            blend = _MEMORY * track.appearance + (1 - _MEMORY) * new
            track.appearance = blend / np.linalg.norm(blend)
        track.embeddings += 1

    def _forget(self, owners: dict[int, _Track]) -> None:
        """Note who was missed, drop stray beginnings and keep memory bounded."""
        seen = set(map(id, owners.values()))
        for track in self._tracks:
            track.is_missed = id(track) not in seen
        oldest_s = self._time_s - self._config.tentative_gap_s
        self._tracks = [
            t
            for t in self._tracks
            if t.track_id != UNCONFIRMED or not t.is_missed or t.seen_s >= oldest_s
        ]
        surplus = len(self._tracks) - self._config.max_tracks
        if surplus > 0:
            self._end(sorted(self._tracks, key=lambda t: t.seen_s)[:surplus])

    def _end_lost(self) -> None:
        limit_s = self._time_s - self._config.max_gap_s
        self._end([t for t in self._tracks if t.seen_s < limit_s])

    def _end(self, tracks: Sequence[_Track]) -> None:
        self._finished += [t.track_id for t in tracks if t.track_id != UNCONFIRMED]
        ended = set(map(id, tracks))
        self._tracks = [t for t in self._tracks if id(t) not in ended]

    def _is_near_in_time(self, track: _Track, now_s: float) -> bool:
        """Whether position may speak: not after frames in which the face was looked for in vain."""
        return not track.is_missed or now_s - track.seen_s <= self._config.coast_s

    def _overlaps(self, tracks: Sequence[_Track], boxes: Float64, now_s: float) -> Float64:
        horizon_s = self._config.coast_s
        predicted = [t.motion.box_at(now_s, horizon_s=horizon_s) for t in tracks]
        return pairwise_iou(np.array(predicted).reshape(-1, 4), boxes)

    def _checked(
        self, boxes: Array, scores: Array, embeddings: Array | None, is_embedded: Bools | None
    ) -> _Detections:
        boxes = checked_boxes(boxes)
        count = len(boxes)
        scores = checked_scores(scores, count=count)
        rows = checked_embeddings(embeddings, is_embedded, count=count, width=self._width)
        if embeddings is not None and count:
            self._width = rows.shape[1]
        return _Detections(boxes, scores, rows, find_covered(boxes, self._config.overlap_iou))

    def _check_time(self, time_s: float) -> None:
        if not math.isfinite(time_s) or time_s < self._time_s:
            raise RangeError(
                what=f"the frame's time is {time_s} s after {self._time_s} s",
                why="time must be finite and must not run backwards",
                mend="pass frames in order; begin another film with another tracker",
            )


def _cosines(tracks: Sequence[_Track], embeddings: Float64) -> Float64:
    """Tracks × detections; NaN where either is unknown."""
    blank = np.full(embeddings.shape[1], np.nan)
    known = [blank if t.appearance is None else t.appearance for t in tracks]
    with np.errstate(invalid="ignore"):  # some BLAS libraries complain of NaN, which is meant here
        return np.asarray(np.array(known) @ embeddings.T, np.float64)
