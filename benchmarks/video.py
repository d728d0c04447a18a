"""Is `mien watch` fast and right? Four faces on known paths in clips of 1280 x 720 pixels.

Run ``python -m benchmarks.video [--out FILE] [--data DIR] [--save FILM] [--clips 3]``.

The faces are cut from still photos and moved, turned, scaled, lit and made noisy over a drawn
background. Two pass each other, two meet and turn back, one leaves the picture for a second; who
stands in front, when and where differ from clip to clip. So positions, identities and occlusions
are known, but expressions and head turns do not occur: read the tracking figures as the tracker's,
and the recognition figures as those of good frontal views.

Without ``--data`` the fourth face is a second photo of the first person, counted as a face of its
own. With ``--data`` (photos in a folder for each person) it is a person of that data, enrolled with
another photo, and further people of that data fill the gallery. One known person is enrolled with
the photo that is shown, since there is only one; the third face is not enrolled.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from mien.core.keys import new_key
from mien.core.types import Box, Float32, UInt8
from mien.faces.detect.protocol import Detections, Detector
from mien.faces.embed.protocol import Embedder
from mien.faces.parts import open_detector, open_embedder
from mien.faces.pipeline import FacePipeline
from mien.faces.quality import QualityGate
from mien.gallery.decide import Decision
from mien.gallery.gallery import Gallery
from mien.gallery.watch import (
    FrameResult,
    TrackEvent,
    WatchConfig,
    Watcher,
    film_pipeline,
)
from mien.media.folders import find_images
from mien.media.geometry import warp_affine
from mien.media.image import load_image
from mien.media.video import Frame, VideoWriter

WIDTH, HEIGHT, RATE_HZ = 1280, 720, 30.0
CUT = 1.7  # side of the cut-out, in face boxes
HIDDEN = 0.5  # a face covered to a larger share counts neither as missed nor as false
MIN_IOU = 0.5
GALLERY_PEOPLE = 100

Place = Callable[[float], tuple[float, float, float]]  # seconds to centre x, y and face side, px


@dataclass(frozen=True)
class Actor:
    """One face of the clips.

    Attributes:
        photo: RGB pixels it is cut from.
        box: The face in the photo.
        truth: The person's name in the gallery; None for somebody who is not enrolled.
    """

    photo: UInt8
    box: Box
    truth: str | None


@dataclass(frozen=True)
class Shot:
    """One frame and its truth.

    Attributes:
        frame: The picture.
        boxes: Where each actor's face is.
        is_visible: False where it is covered or outside for more than half.
    """

    frame: Frame
    boxes: list[Box]
    is_visible: list[bool]


def draw_paths(rng: np.random.Generator) -> list[Place]:
    """Two faces that pass each other, two that meet and turn back; the last leaves for 1 s."""
    meet_s, gone_s, turn_s = rng.uniform(4, 6), rng.uniform(9, 11), rng.uniform(7, 11)
    rise, phase, speed = rng.uniform(-30, 30, 2), rng.uniform(0, 6, 4), rng.uniform(80, 120)

    def passing(k: int, sign: int, y: float, side: float) -> Place:
        def place(t: float) -> tuple[float, float, float]:
            x = fold(WIDTH / 2 + sign * speed * (t - meet_s))
            growth = 1 + 0.1 * np.sin(t + phase[k])
            return x, y + 15 * np.sin(2 * t + phase[k]), side * growth

        return place

    def meeting(k: int, sign: int, y: float, side: float, *, leaves: bool) -> Place:
        def place(t: float) -> tuple[float, float, float]:
            away = WIDTH if leaves and gone_s <= t < gone_s + 1 else 0
            apart = 0.02 + 0.2 * (1 + np.cos(2 * np.pi * t / turn_s))
            return WIDTH * (0.5 + sign * apart) + away, y + 10 * np.sin(3 * t + phase[k]), side

        return place

    return [
        passing(0, 1, 210 + rise[0], 130),
        passing(1, -1, 220, 140),
        meeting(2, -1, 520 + rise[1], 110, leaves=False),
        meeting(3, 1, 520, 120, leaves=True),
    ]


def fold(x: float) -> float:
    """Turn back at the walls."""
    low, high = 100.0, WIDTH - 100.0
    around = (x - low) % (2 * (high - low))
    return low + min(around, 2 * (high - low) - around)


def draw_background(rng: np.random.Generator) -> UInt8:
    """A wall with posters; nothing face-like."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    wall = 110 + 50 * rows / HEIGHT + 20 * np.sin(columns / 90)
    picture = np.stack([wall, wall * 0.95, wall * 0.85], 2)
    for _ in range(14):
        x, y = int(rng.integers(0, WIDTH - 200)), int(rng.integers(0, HEIGHT - 160))
        w, h = int(rng.integers(40, 200)), int(rng.integers(40, 160))
        picture[y : y + h, x : x + w] = rng.integers(40, 220, 3)
    return picture.clip(0, 255).astype(np.uint8)


def paint(canvas: UInt8, actor: Actor, place: Place, time_s: float, phase: float) -> Box:
    """Draw one face over the picture; where its box is now."""
    x, y, side = place(time_s)
    box = actor.box
    scale = side / max(box.width, box.height)
    angle = 0.12 * np.sin(1.3 * time_s + phase)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = int(side * CUT) + 2
    x0, y0 = int(x - size / 2), int(y - size / 2)
    shift = np.array([x - x0, y - y0]) - turn @ np.array(box.centre)
    patch = warp_affine(actor.photo, np.column_stack([turn, shift]), (size, size))
    light = 1 + 0.12 * np.sin(0.9 * time_s + 2 * phase)
    left, top = max(0, x0), max(0, y0)
    right, bottom = min(WIDTH, x0 + size), min(HEIGHT, y0 + size)
    if left < right and top < bottom:
        inner = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
        alpha = matte(size)[inner]
        under = canvas[top:bottom, left:right]
        mixed = alpha * light * patch[inner] + (1 - alpha) * under
        canvas[top:bottom, left:right] = mixed.clip(0, 255).astype(np.uint8)
    half = np.array([box.width, box.height]) * scale / 2
    return Box(x - half[0], y - half[1], x + half[0], y + half[1])


def matte(size: int) -> Float32:
    """An ellipse that fades at its edge, (size, size, 1), 0-1."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1) * 2 - 1
    return np.clip((1 - np.hypot(x / 0.78, y / 0.98)) * 8, 0, 1).astype(np.float32)[:, :, None]


def film(actors: Sequence[Actor], *, seconds: float, seed: int) -> Iterator[Shot]:
    """One clip, frame by frame."""
    rng = np.random.default_rng(seed)
    background, paths = draw_background(rng), draw_paths(rng)
    order = [int(k) for k in rng.permutation(len(actors))]  # from back to front
    for index in range(round(seconds * RATE_HZ)):
        time_s = index / RATE_HZ
        pixels = background.copy()
        placed = {k: paint(pixels, actors[k], paths[k], time_s, phase=k) for k in order}
        noise = rng.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.float32)
        pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
        visible = {
            k: is_visible(placed[k], [placed[j] for j in order[n + 1 :]])
            for n, k in enumerate(order)
        }
        everyone = range(len(actors))
        yield Shot(
            Frame(pixels, time_s, index),
            [placed[k] for k in everyone],
            [visible[k] for k in everyone],
        )


def is_visible(box: Box, in_front: Sequence[Box]) -> bool:
    """Whether half of a face is inside the picture and free."""

    def shared(other: Box) -> float:
        w = min(box.x1, other.x1) - max(box.x0, other.x0)
        h = min(box.y1, other.y1) - max(box.y0, other.y0)
        return max(w, 0.0) * max(h, 0.0)

    free = shared(Box(0, 0, WIDTH, HEIGHT)) - sum(shared(other) for other in in_front)
    return free >= box.width * box.height * (1 - HIDDEN)


class TimedDetector:
    """A detector that notes how long each call takes."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.name, self.fingerprint = detector.name, detector.fingerprint
        self.seconds: list[float] = []

    def detect(self, images: Sequence[UInt8]) -> list[Detections]:
        """See `Detector.detect`."""
        begin = time.perf_counter()
        found = self._detector.detect(images)
        self.seconds.append(time.perf_counter() - begin)
        return found


class TimedEmbedder:
    """An embedder that notes how many faces it was given, and how long it took."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.fingerprint, self.dim = embedder.name, embedder.fingerprint, embedder.dim
        self.crop = embedder.crop
        self.seconds, self.faces = 0.0, 0

    def embed(self, crops: Sequence[UInt8]) -> Float32:
        """See `Embedder.embed`."""
        begin = time.perf_counter()
        templates = self._embedder.embed(crops)
        self.seconds += time.perf_counter() - begin
        self.faces += len(crops)
        return templates


@dataclass
class Score:
    """The tracks of one clip against the truth, gathered frame by frame.

    Attributes:
        pairs: Frames in which an actor and a track lay on each other, and the actor was visible.
        truth_frames: Frames in which each actor was visible.
        track_frames: Frames of each track, those on covered actors left out.
        first_seen_s: When each actor was first visible.
        switches: Changes of the track that follows an actor.
    """

    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    truth_frames: Counter[int] = field(default_factory=Counter)
    track_frames: Counter[int] = field(default_factory=Counter)
    first_seen_s: dict[int, float] = field(default_factory=dict)
    switches: int = 0
    _last: dict[int, int] = field(default_factory=dict)

    def add(self, shot: Shot, result: FrameResult) -> None:
        """Take in one frame."""
        faces = [face for face in result.faces if face.track_id > 0]
        overlap = np.array([[b.iou(Box(*f.box)) for f in faces] for b in shot.boxes])
        rows, columns = linear_sum_assignment(-overlap) if faces else ((), ())
        joined = {
            int(k): int(a) for a, k in zip(rows, columns, strict=True) if overlap[a, k] >= MIN_IOU
        }
        for k, face in enumerate(faces):
            if k not in joined:
                self.track_frames[face.track_id] += 1
            elif shot.is_visible[joined[k]]:
                self._pair(joined[k], face.track_id)
        for actor, visible in enumerate(shot.is_visible):
            if visible:
                self.truth_frames[actor] += 1
                self.first_seen_s.setdefault(actor, result.time_s)

    def _pair(self, actor: int, track_id: int) -> None:
        self.pairs[actor, track_id] += 1
        self.track_frames[track_id] += 1
        self.switches += self._last.get(actor, track_id) != track_id
        self._last[actor] = track_id

    def swapped(self) -> int:
        """Tracks that were on more than one actor."""
        actors = defaultdict(set)
        for actor, track_id in self.pairs:
            actors[track_id].add(actor)
        return sum(len(those) > 1 for those in actors.values())

    def identity_hits(self) -> int:
        """Frames that are right under the best one-to-one naming of tracks by actors."""
        tracks, actors = sorted(self.track_frames), sorted(self.truth_frames)
        table = np.array([[self.pairs[a, t] for t in tracks] for a in actors])
        rows, columns = linear_sum_assignment(-table)
        return int(table[rows, columns].sum())

    def actor_of(self, track_id: int) -> int | None:
        """Whom a track was on most of the time."""
        counts = {a: n for (a, t), n in self.pairs.items() if t == track_id}
        return max(counts, key=lambda a: counts[a]) if counts else None


@dataclass
class Played:
    """One clip that was watched.

    Attributes:
        score: Tracks against truth.
        wall_s: Seconds that each update took.
        cpu_s: Processor seconds of each update, which other programs disturb less.
        results: What each frame brought.
        closed: The end of each track.
    """

    score: Score = field(default_factory=Score)
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    results: list[FrameResult] = field(default_factory=list)
    closed: list[TrackEvent] = field(default_factory=list)


def watch(actors: Sequence[Actor], watcher: Watcher, *, seconds: float, seed: int) -> Played:
    """Play one clip before the watcher."""
    played, events = Played(), []
    for shot in film(actors, seconds=seconds, seed=seed):
        begin, cpu = time.perf_counter(), time.process_time()
        result = watcher.update(shot.frame)
        played.wall_s.append(time.perf_counter() - begin)
        played.cpu_s.append(time.process_time() - cpu)
        played.score.add(shot, result)
        played.results.append(result)
        events += result.events
    events += watcher.close()
    played.closed = [event for event in events if event.kind == "closed"]
    return played


def save_film(
    path: Path, actors: Sequence[Actor], played: Played, *, seconds: float, seed: int
) -> None:
    """The clip with the answers that were held at each moment."""
    shots = film(actors, seconds=seconds, seed=seed)
    with VideoWriter(path, rate_hz=RATE_HZ, width=WIDTH, height=HEIGHT) as writer:
        for shot, result in zip(shots, played.results, strict=True):
            writer.write(result.draw(shot.frame.pixels), result.time_s)


def judge(actors: Sequence[Actor], played: Played, clip: int) -> list[dict[str, Any]]:
    """Each track's last answer against the truth."""
    rows = []
    for event in played.closed:
        actor, verdict = played.score.actor_of(event.track_id), event.verdict
        if actor is None or verdict is None or event.decided_s is None:
            continue
        truth = actors[actor].truth
        if verdict.decision is Decision.NOT_COMPARABLE:
            outcome = "not compared"
        elif verdict.decision is (Decision.MATCH if truth else Decision.UNKNOWN):
            outcome = "right" if verdict.person == truth else "wrong name"
        else:
            outcome = "wrong name" if verdict.person else "not named"
        rows.append(
            {
                "clip": clip,
                "track": event.track_id,
                "face": actor,
                "outcome": outcome,
                "score": verdict.score and round(verdict.score, 3),
                "threshold": verdict.point and round(verdict.point.threshold, 3),
                "opened_after_s": round(event.opened_s - played.score.first_seen_s[actor], 3),
                "decided_after_s": round(event.decided_s - event.opened_s, 3),
                "frames": played.score.pairs[actor, event.track_id],
                "samples": event.samples,
                "looks": event.looks,
                "corrections": event.corrections,
            }
        )
    return rows


def cast(pipeline: FacePipeline, gallery: Gallery, data: Path | None) -> list[Actor]:
    """Enrol the known and cut out the four faces."""
    import skimage

    photos = Path(str(files("mien") / "assets" / "photos"))
    stranger = Path(skimage.__file__).parent / "data" / "astronaut.png"
    enrol(gallery, pipeline, "Barack Obama", photos / "obama_3.jpg")
    enrol(gallery, pipeline, "Joe Biden", photos / "biden_1.jpg")
    actors = [
        cut_out(pipeline, photos / "obama_1.jpg", "Barack Obama"),
        cut_out(pipeline, photos / "biden_1.jpg", "Joe Biden"),
        cut_out(pipeline, stranger, None),
    ]
    if data is None:
        return [*actors, cut_out(pipeline, photos / "obama_2.jpg", "Barack Obama")]
    name, shown = fill(pipeline, gallery, data)
    return [*actors, cut_out(pipeline, shown, name)]


def cut_out(pipeline: FacePipeline, path: Path, truth: str | None) -> Actor:
    analysis = pipeline.analyse(path, which="main")
    row = analysis.main_face()
    assert row is not None, path
    return Actor(load_image(path).pixels, analysis.faces.row(row).box, truth)


def enrol(gallery: Gallery, pipeline: FacePipeline, person: str, path: Path) -> None:
    analysis = pipeline.analyse(path, gate=QualityGate.enrolment(), which="main")
    if analysis.main_face() is not None:
        gallery.enrol(person, analysis, pixels=load_image(path).pixels)


def fill(pipeline: FacePipeline, gallery: Gallery, data: Path) -> tuple[str, Path]:
    """Enrol people of the data; name and second photo of the first who has two good ones."""
    fourth: tuple[str, Path] | None = None
    for folder in sorted(p for p in data.iterdir() if p.is_dir())[:GALLERY_PEOPLE]:
        pictures = sorted(find_images(folder))
        enrol(gallery, pipeline, folder.name, pictures[0])
        if fourth is None and len(pictures) > 1:
            found = pipeline.analyse(pictures[1], gate=QualityGate.enrolment(), which="main")
            if found.main_face() is not None:
                fourth = folder.name, pictures[1]
    assert fourth is not None, "nobody in the data has two good photos"
    return fourth


def run(options: argparse.Namespace) -> dict[str, Any]:
    config = film_pipeline(options.provider, threads=options.threads)
    detector, embedder = TimedDetector(open_detector(config)), TimedEmbedder(open_embedder(config))
    pipeline = FacePipeline(detector, embedder)
    clips, tracks = [], []
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(Path(folder) / "people.gallery", pipeline.contract, key=new_key())
        actors = cast(pipeline, gallery, options.data)
        detector.seconds.clear()
        embedder.seconds, embedder.faces = 0.0, 0
        for seed in range(options.clips):
            watcher = Watcher(pipeline, gallery, WatchConfig(detect_every=options.detect_every))
            clips.append(watch(actors, watcher, seconds=options.seconds, seed=seed))
            tracks += judge(actors, clips[-1], seed)
        people = gallery.count().people
        gallery.close()
    if options.save:
        save_film(options.save, actors, clips[0], seconds=options.seconds, seed=0)
    summary = {
        "clips": options.clips,
        "size": [WIDTH, HEIGHT],
        "provider": options.provider,
        "threads": options.threads,
        "detect_every": options.detect_every,
        "gallery_people": people,
        "fourth_face": "second photo of face 0" if options.data is None else "from the data",
    }
    summary |= measure_speed(clips, detector, embedder) | measure_truth(clips, tracks)
    return summary | {"per_track": tracks}


def measure_speed(
    clips: Sequence[Played], detector: TimedDetector, embedder: TimedEmbedder
) -> dict[str, Any]:
    wall = [s for played in clips for s in played.wall_s]
    cpu = [s for played in clips for s in played.cpu_s]
    slow_wall, slow_cpu = (float(np.quantile(spent, 0.95)) for spent in (wall, cpu))
    return {
        "frames": len(wall),
        "fps_mean": round(len(wall) / sum(wall), 1),
        "fps_median": round(1 / statistics.median(wall), 1),
        "fps_5th_percentile": round(1 / slow_wall, 1),
        "update_ms_median": round(1e3 * statistics.median(wall), 2),
        "update_ms_95th_percentile": round(1e3 * slow_wall, 2),
        "update_cpu_ms_median": round(1e3 * statistics.median(cpu), 2),
        "update_cpu_ms_95th_percentile": round(1e3 * slow_cpu, 2),
        "detector_ms_median": round(1e3 * statistics.median(detector.seconds), 2),
        "embedded_faces": embedder.faces,
        "embed_ms_per_face": round(1e3 * embedder.seconds / max(1, embedder.faces), 2),
    }


def measure_truth(clips: Sequence[Played], tracks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    scores = [played.score for played in clips]
    seen = sum(sum(s.truth_frames.values()) for s in scores)
    told = sum(sum(s.track_frames.values()) for s in scores)
    delays = [row["decided_after_s"] for row in tracks]
    return {
        "faces": sum(len(s.truth_frames) for s in scores),
        "tracks": len(tracks),
        "id_switches": sum(s.switches for s in scores),
        "tracks_on_two_faces": sum(s.swapped() for s in scores),
        "idf1": round(2 * sum(s.identity_hits() for s in scores) / (seen + told), 4),
        "outcomes": dict(Counter(row["outcome"] for row in tracks)),
        "visible_frames_named_right": round(
            sum(row["frames"] for row in tracks if row["outcome"] == "right") / seen, 4
        ),
        "decision_delay_s_median": statistics.median(delays) if delays else None,
        "decision_delay_s_max": max(delays, default=None),
        "corrections": sum(row["corrections"] for row in tracks),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="photos in a folder for each person")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--save", type=Path, help="write the first clip, annotated, as mp4")
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=14.0, help="of each clip")
    parser.add_argument("--provider", default="onnxruntime")
    parser.add_argument("--threads", type=int, help="of one call of a network; default: the quota")
    parser.add_argument("--detect-every", type=int, default=1)
    options = parser.parse_args()
    summary = run(options)
    if options.out:
        options.out.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for name, value in summary.items():
        if name != "per_track":
            print(f"{name:30} {value}")
    for row in summary["per_track"]:
        print("  ", json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
