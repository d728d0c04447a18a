"""Is `mien watch` fast and right? Four faces on known paths in a clip of 1280 x 720 pixels.

Run ``python -m benchmarks.video [--out FILE] [--data DIR] [--save FILM] [--threads 1]``.

The faces are cut from still photos and moved, turned, scaled, lit and made noisy over a drawn
background; two pairs cross, one face leaves the picture for a second. So positions, identities and
occlusions are known, but expressions and head turns do not occur: read the tracking figures as the
tracker's, the recognition figures as those of good frontal views.

Without ``--data`` the fourth face is a second photo of the second person, counted as a face of its
own. With ``--data`` (photos in a folder for each person) it is a person of that data, enrolled with
another photo, and further people of that data fill the gallery.
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

from mien.core.types import Box, Float32, UInt8
from mien.faces.detect.protocol import Detections, Detector
from mien.faces.embed.protocol import Embedder
from mien.faces.parts import open_detector, open_embedder
from mien.faces.pipeline import FacePipeline
from mien.faces.quality import QualityGate
from mien.gallery.gallery import Gallery
from mien.gallery.watch import FrameResult, WatchConfig, Watcher, film_pipeline
from mien.gallery.watch.results import TrackEvent
from mien.media.folders import find_images
from mien.media.geometry import warp_affine
from mien.media.image import load_image
from mien.media.video import Frame, VideoWriter

WIDTH, HEIGHT, RATE_HZ = 1280, 720, 30.0
SECONDS = 14.0
CUT = 1.7  # side of the cut-out, in face boxes
HIDDEN = 0.5  # a face covered to a larger share counts neither as missed nor as false
MIN_IOU = 0.5
GALLERY_PEOPLE = 100

Place = Callable[[float], tuple[float, float, float]]  # seconds to centre x, y and face side, px


@dataclass
class Actor:
    """One face of the clip.

    Attributes:
        photo: RGB pixels it is cut from.
        box: The face in the photo.
        truth: The person's name in the gallery; None for somebody who is not enrolled.
        place: Where it is.
    """

    photo: UInt8
    box: Box
    truth: str | None
    place: Place


def places(rng: np.random.Generator) -> list[Place]:
    """Two faces that pass each other, two that meet and turn back; the last one leaves for 1 s."""
    meet_s, gone_s = rng.uniform(4, 6), rng.uniform(9, 11)
    rise, sway = rng.uniform(-30, 30, 2), rng.uniform(0, 6, 4)
    speed = rng.uniform(80, 120)
    turn_s = rng.uniform(7, 11)

    def passing(sign: int, y: float, side: float, phase: float) -> Place:
        def place(t: float) -> tuple[float, float, float]:
            x = WIDTH / 2 + sign * speed * (t - meet_s)
            return _fold(x), y + 15 * np.sin(2 * t + phase), side * (1 + 0.1 * np.sin(t + phase))

        return place

    def meeting(sign: int, y: float, side: float, phase: float, *, leaves: bool) -> Place:
        def place(t: float) -> tuple[float, float, float]:
            away = WIDTH if leaves and gone_s <= t < gone_s + 1 else 0
            apart = 0.02 + 0.2 * (1 + np.cos(2 * np.pi * t / turn_s))
            return WIDTH * (0.5 + sign * apart) + away, y + 10 * np.sin(3 * t + phase), side

        return place

    return [
        passing(1, 210 + rise[0], 130, sway[0]),
        passing(-1, 220, 140, sway[1]),
        meeting(-1, 520 + rise[1], 110, sway[2], leaves=False),
        meeting(1, 520, 120, sway[3], leaves=True),
    ]


def _fold(x: float) -> float:
    """Turn back at the walls."""
    low, high = 100.0, WIDTH - 100.0
    around = (x - low) % (2 * (high - low))
    return low + min(around, 2 * (high - low) - around)


def draw_background(rng: np.random.Generator) -> UInt8:
    """A wall with posters and a floor; nothing face-like."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    wall = 110 + 50 * rows / HEIGHT + 20 * np.sin(columns / 90)
    picture = np.stack([wall, wall * 0.95, wall * 0.85])
    for _ in range(14):
        x, y = int(rng.integers(0, WIDTH - 200)), int(rng.integers(0, HEIGHT - 160))
        w, h = int(rng.integers(40, 200)), int(rng.integers(40, 160))
        picture[y : y + h, x : x + w] = rng.integers(40, 220)
    return picture.clip(0, 255).astype(np.uint8)


def _matte(size: int) -> UInt8:
    """An ellipse that fades at its edge, (size, size, 3)."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1) * 2 - 1
    alpha = np.clip((1 - np.hypot(x / 0.78, y / 0.98)) * 8, 0, 1) * 255
    return np.repeat(alpha[:, :, None], 3, 2).astype(np.uint8)


def paint(frame: UInt8, actor: Actor, time_s: float, phase: float) -> Box:
    """Draw one face over the frame; where its box is now."""
    x, y, side = actor.place(time_s)
    box = actor.box
    scale = side / max(box.width, box.height)
    angle = 0.12 * np.sin(1.3 * time_s + phase)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = int(side * CUT) + 2
    x0, y0 = int(x - size / 2), int(y - size / 2)
    centre = np.array([x - x0, y - y0])
    matrix = np.column_stack([turn, centre - turn @ np.array(box.centre)])
    patch = warp_affine(actor.photo, matrix, (size, size)).astype(np.float32)
    patch *= 1 + 0.12 * np.sin(0.9 * time_s + 2 * phase)
    alpha = _matte(size).astype(np.float32) / 255
    left, top = max(0, x0), max(0, y0)
    right, bottom = min(WIDTH, x0 + size), min(HEIGHT, y0 + size)
    if left < right and top < bottom:
        inner = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
        under = frame[top:bottom, left:right]
        mixed = alpha[inner] * patch[inner] + (1 - alpha[inner]) * under
        frame[top:bottom, left:right] = mixed.clip(0, 255).astype(np.uint8)
    half = np.array([box.width, box.height]) * scale / 2
    return Box(x - half[0], y - half[1], x + half[0], y + half[1])


@dataclass
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


def film(actors: Sequence[Actor], *, seconds: float, seed: int) -> Iterator[Shot]:
    """The clip, frame by frame; later actors stand in front."""
    rng = np.random.default_rng(seed)
    background = draw_background(rng)
    for index in range(round(seconds * RATE_HZ)):
        time_s = index / RATE_HZ
        pixels = background.copy()
        boxes = [paint(pixels, a, time_s, phase=k) for k, a in enumerate(actors)]
        noise = rng.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.float32)
        pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
        visible = [_visible(box, boxes[k + 1 :]) for k, box in enumerate(boxes)]
        yield Shot(Frame(pixels, time_s, index), boxes, visible)


def _visible(box: Box, over: Sequence[Box]) -> bool:
    free = box.width * box.height * (1 - HIDDEN)
    inside = _shared(box, Box(0, 0, WIDTH, HEIGHT))
    return inside - sum(_shared(box, other) for other in over) >= free


def _shared(a: Box, b: Box) -> float:
    w, h = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(w, 0.0) * max(h, 0.0)


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
    """An embedder that notes how many faces it was given, and how long each call takes."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.fingerprint, self.dim = embedder.name, embedder.fingerprint, embedder.dim
        self.crop = embedder.crop
        self.seconds: list[float] = []
        self.faces = 0

    def embed(self, crops: Sequence[UInt8]) -> Float32:
        """See `Embedder.embed`."""
        begin = time.perf_counter()
        templates = self._embedder.embed(crops)
        self.seconds.append(time.perf_counter() - begin)
        self.faces += len(crops)
        return templates


@dataclass
class Score:
    """What the tracks were worth, gathered frame by frame.

    Attributes:
        pairs: Frames in which a truth and a track lay on each other.
        truth_frames: Frames in which each actor could be seen.
        track_frames: Frames of each track, those on covered faces left out.
        switches: Changes of the track that follows an actor.
        first_seen_s: When each actor was first to be seen.
    """

    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    truth_frames: Counter[int] = field(default_factory=Counter)
    track_frames: Counter[int] = field(default_factory=Counter)
    switches: int = 0
    first_seen_s: dict[int, float] = field(default_factory=dict)
    _last: dict[int, int] = field(default_factory=dict)

    def add(self, shot: Shot, result: FrameResult) -> None:
        """Take in one frame. Boxes on a face that is covered count neither for nor against."""
        faces = [face for face in result.faces if face.track_id > 0]
        overlap = np.array([[b.iou(Box(*f.box)) for f in faces] for b in shot.boxes])
        taken = set()
        if faces:
            rows, columns = linear_sum_assignment(-overlap)
            for actor, k in zip(rows, columns, strict=True):
                if overlap[actor, k] >= MIN_IOU:
                    taken.add(k)
                    self._pair(int(actor), faces[k].track_id, is_counted=shot.is_visible[actor])
        for actor, is_visible in enumerate(shot.is_visible):
            if is_visible:
                self.truth_frames[actor] += 1
                self.first_seen_s.setdefault(actor, result.time_s)
        self.track_frames.update(f.track_id for k, f in enumerate(faces) if k not in taken)

    def _pair(self, actor: int, track_id: int, *, is_counted: bool) -> None:
        if not is_counted:
            return
        self.pairs[actor, track_id] += 1
        self.track_frames[track_id] += 1
        self.switches += self._last.get(actor, track_id) != track_id
        self._last[actor] = track_id

    def swapped_tracks(self) -> int:
        """Tracks that were on more than one actor."""
        actors = defaultdict(set)
        for actor, track_id in self.pairs:
            actors[track_id].add(actor)
        return sum(len(those) > 1 for those in actors.values())

    def idf1(self) -> float:
        """Ristani et al., ECCV workshops 2016: F1 of frames under the best one-to-one naming."""
        tracks = sorted(self.track_frames)
        actors = sorted(self.truth_frames)
        table = np.array([[self.pairs[a, t] for t in tracks] for a in actors])
        rows, columns = linear_sum_assignment(-table)
        hits = int(table[rows, columns].sum())
        return 2 * hits / (sum(self.truth_frames.values()) + sum(self.track_frames.values()))

    def actor_of(self, track_id: int) -> int | None:
        """Whom a track was on most of the time."""
        counts = {a: n for (a, t), n in self.pairs.items() if t == track_id}
        return max(counts, key=lambda a: counts[a]) if counts else None


def _cut(pipeline: FacePipeline, path: Path, truth: str | None) -> Actor:
    pixels = load_image(path).pixels
    analysis = pipeline.analyse(path, which="main")
    row = analysis.main_face()
    assert row is not None, path
    return Actor(pixels, analysis.faces.row(row).box, truth, place)


def _enrol(gallery: Gallery, pipeline: FacePipeline, person: str, path: Path) -> None:
    analysis = pipeline.analyse(path, gate=QualityGate.enrolment(), which="main")
    if analysis.main_face() is not None:
        gallery.enrol(person, analysis, pixels=load_image(path).pixels)


def cast(pipeline: FacePipeline, gallery: Gallery, data: Path | None) -> list[Actor]:
    """Enrol the known and cut out the four faces."""
    import skimage

    photos = Path(str(files("mien") / "assets" / "photos"))
    stranger = Path(skimage.__file__).parent / "data" / "astronaut.png"
    _enrol(gallery, pipeline, "Barack Obama", photos / "obama_3.jpg")
    _enrol(gallery, pipeline, "Joe Biden", photos / "biden_1.jpg")
    actors = [
        _cut(pipeline, photos / "obama_1.jpg", "Barack Obama"),
        _cut(pipeline, photos / "biden_1.jpg", "Joe Biden"),
        _cut(pipeline, stranger, None),
    ]
    if data is None:
        fourth = _cut(pipeline, photos / "obama_2.jpg", "Barack Obama")
    else:
        name, shown = _fill(pipeline, gallery, data)
        fourth = _cut(pipeline, shown, name)
    return [*actors, fourth]


def _fill(pipeline: FacePipeline, gallery: Gallery, data: Path) -> tuple[str, Path]:
    """Enrol people of the data; name and second photo of the first who has two good ones."""
    folders = sorted(p for p in data.iterdir() if p.is_dir())[:GALLERY_PEOPLE]
    fourth: tuple[str, Path] | None = None
    for folder in folders:
        pictures = sorted(find_images(folder))
        _enrol(gallery, pipeline, folder.name, pictures[0])
        if fourth is None and len(pictures) > 1:
            found = pipeline.analyse(pictures[1], gate=QualityGate.enrolment(), which="main")
            if found.main_face() is not None:
                fourth = folder.name, pictures[1]
    assert fourth is not None, "nobody in the data has two good photos"
    return fourth


@dataclass
class Played:
    """A clip that was watched.

    Attributes:
        score: Tracks against truth.
        wall_s: Seconds that each update took.
        cpu_s: Processor seconds of each update, which other programs disturb less.
        results: What each frame brought.
        events: All events.
    """

    score: Score = field(default_factory=Score)
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    results: list[FrameResult] = field(default_factory=list)
    events: list[TrackEvent] = field(default_factory=list)


def watch(actors: Sequence[Actor], watcher: Watcher, *, seconds: float, seed: int) -> Played:
    """Play the clip before the watcher."""
    played = Played()
    for shot in film(actors, seconds=seconds, seed=seed):
        begin, cpu = time.perf_counter(), time.process_time()
        result = watcher.update(shot.frame)
        played.wall_s.append(time.perf_counter() - begin)
        played.cpu_s.append(time.process_time() - cpu)
        played.score.add(shot, result)
        played.results.append(result)
        played.events += result.events
    played.events += watcher.close()
    return played


def save_film(
    path: Path, actors: Sequence[Actor], played: Played, *, seconds: float, seed: int
) -> None:
    """The clip with the answers that were held at each moment."""
    shots = film(actors, seconds=seconds, seed=seed)
    with VideoWriter(path, rate_hz=RATE_HZ, width=WIDTH, height=HEIGHT) as writer:
        for shot, result in zip(shots, played.results, strict=True):
            writer.write(result.draw(shot.frame.pixels), result.time_s)


def judge(
    actors: Sequence[Actor], score: Score, events: Sequence[TrackEvent]
) -> list[dict[str, Any]]:
    """Each track's end against the truth."""
    rows = []
    for event in events:
        actor = score.actor_of(event.track_id)
        if event.kind != "closed" or actor is None or event.verdict is None:
            continue
        truth = actors[actor].truth
        is_right = event.verdict.person == truth and event.verdict.decision == (
            "match" if truth else "unknown"
        )
        since = score.first_seen_s[actor]
        delay = None if event.decided_s is None else event.decided_s - event.opened_s
        rows.append(
            {
                "track": event.track_id,
                "face": actor,
                "is_right": is_right,
                "decision": str(event.verdict.decision),
                "score": event.verdict.score,
                "threshold": event.verdict.point.threshold if event.verdict.point else None,
                "opened_after_s": round(event.opened_s - since),
                "decided_after_s": None if delay is None else round(delay),
                "samples": event.samples,
                "looks": event.looks,
                "corrections": event.corrections,
            }
        )
    return rows


def run(options: argparse.Namespace) -> dict[str, Any]:
    config = film_pipeline(options.provider, threads=options.threads)
    detector, embedder = TimedDetector(open_detector(config)), TimedEmbedder(open_embedder(config))
    pipeline = FacePipeline(detector, embedder)
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(Path(folder) / "people.gallery", pipeline.contract)
        actors = cast(pipeline, gallery, options.data)
        for part in (detector, embedder):
            part.seconds.clear()
        embedder.faces = 0
        watcher = Watcher(pipeline, gallery, WatchConfig(detect_every=options.detect_every))
        played = watch(actors, watcher, seconds=options.seconds, seed=options.seed)
        people = gallery.count().people
        gallery.close()
    if options.save:
        save_film(options.save, actors, played, seconds=options.seconds, seed=options.seed)
    score, tracks = played.score, judge(actors, played.score, played.events)
    delays = [row["decided_after_s"] for row in tracks if row["decided_after_s"] is not None]
    slow, slow_cpu = (float(np.quantile(spent, 0.95)) for spent in (played.wall_s, played.cpu_s))
    return {
        "frames": len(played.results),
        "size": [WIDTH, HEIGHT],
        "provider": options.provider,
        "threads": options.threads,
        "seed": options.seed,
        "gallery_people": people,
        "fourth_face": "second photo of face 0" if options.data is None else "from the data",
        "fps_median": round(1 / statistics.median(played.wall_s)),
        "fps_5th_percentile": round(1 / slow),
        "update_ms_median": round(1e3 * statistics.median(played.wall_s)),
        "update_ms_95th_percentile": round(1e3 * slow),
        "update_cpu_ms_median": round(1e3 * statistics.median(played.cpu_s)),
        "update_cpu_ms_95th_percentile": round(1e3 * slow_cpu),
        "detector_ms_median": round(1e3 * statistics.median(detector.seconds)),
        "embedded_faces": embedder.faces,
        "embed_ms_per_face": round(1e3 * sum(embedder.seconds) / max(1, embedder.faces)),
        "id_switches": score.switches,
        "tracks_on_two_faces": score.swapped_tracks(),
        "tracks": len(tracks),
        "idf1": round(score.idf1(), 4),
        "identified_right": sum(row["is_right"] for row in tracks),
        "decision_delay_s_median": statistics.median(delays) if delays else None,
        "decision_delay_s_max": max(delays, default=None),
        "corrections": sum(row["corrections"] for row in tracks),
        "per_track": tracks,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="photos in a folder for each person")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--save", type=Path, help="write the annotated clip, an mp4")
    parser.add_argument("--provider", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1, help="of one call of a network")
    parser.add_argument("--detect-every", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    summary = run(options)
    if options.out:
        options.out.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for name, value in summary.items():
        if name != "per_track":
            print(f"{name:28} {value}")
    for row in summary["per_track"]:
        print("  ", json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
