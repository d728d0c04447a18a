"""Actors with known paths and faces, and a detector and embedder that see them without a network.

Faces are random directions, so the cosine of two strangers follows a known law: `exact_table` is a
calibration that is right by mathematics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from mien.faces.align import ARCFACE_112
from mien.faces.detect.protocol import Detections
from mien.faces.pipeline import FacePipeline
from mien.gallery.calibration import CalibrationTable, Provenance
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.media.video import Frame

DIM = 128
LANDMARKS = (ARCFACE_112 - np.array([38.3, 51.7])) / 35.2 * 0.4 + np.array(
    [0.3, 0.4]
)  # in units of the face box


def random_face(rng: np.random.Generator) -> NDArray[np.float64]:
    """A direction; two of them have a cosine near 0."""
    vector = rng.normal(size=DIM)
    return np.asarray(vector / np.linalg.norm(vector))


def look_at(
    face: NDArray[np.float64], rng: np.random.Generator, noise: float
) -> NDArray[np.float32]:
    """A template of one look; its cosine with the face is 1 / sqrt(1 + noise²)."""
    look = face + noise * random_face(rng)
    return np.asarray(look / np.linalg.norm(look), np.float32)


@dataclass
class Actor:
    """Somebody on the stage.

    Attributes:
        face: Their direction.
        path: Seconds to the centre of the face, pixels.
        width: Seconds to the side of its box, pixels.
        noise: Seconds to the noise of a look.
        is_seen: Seconds to whether the detector finds it.
    """

    face: NDArray[np.float64]
    path: Callable[[float], tuple[float, float]]
    width: Callable[[float], float] = lambda time_s: 100.0
    noise: Callable[[float], float] = lambda time_s: 0.5
    is_seen: Callable[[float], bool] = lambda time_s: True


class Stage:
    """Detector and embedder of one play.

    Attributes:
        now_s: The moment that is seen; set it before each update.
        step_s: Added to it after each detection, for films that are read by others.
        embedded: Faces embedded so far.
        batches: Calls of the embedder so far.
        detections: Calls of the detector so far.
    """

    name = "stage"
    fingerprint = "stage.1"
    dim = DIM

    def __init__(self, actors: Sequence[Actor], *, seed: int = 0, step_s: float = 0.0) -> None:
        self.actors = actors
        self.now_s, self.step_s = 0.0, step_s
        self.embedded = self.batches = self.detections = 0
        self._seen_s = 0.0
        self._rng = np.random.default_rng(seed)

    def pipeline(self) -> FacePipeline:
        """The stage as a pipeline."""
        return FacePipeline(self, self)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """The faces of the moment, in any order, whatever the picture shows."""
        assert len(images) == 1
        self._seen_s, self.now_s = self.now_s, self.now_s + self.step_s
        self.detections += 1
        here = [a for a in self.actors if a.is_seen(self._seen_s)]
        self._rng.shuffle(here)  # type: ignore[arg-type]
        boxes = np.array([self._box(a) for a in here], np.float32).reshape(-1, 4)
        corners, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
        marks = (corners + LANDMARKS * sides).astype(np.float32)
        return [Detections(boxes, marks, np.full(len(here), 0.9, np.float32))]

    def crop(
        self, pixels: NDArray[np.uint8], box: NDArray[np.float32], alignment: object
    ) -> NDArray[np.uint8]:
        """A pixel that holds the number of the nearest actor."""
        centre = (box[:2] + box[2:]) / 2
        gaps = [
            np.hypot(*(centre - a.path(self._seen_s))) if a.is_seen(self._seen_s) else np.inf
            for a in self.actors
        ]
        return np.full((1, 1, 3), int(np.argmin(gaps)), np.uint8)

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """A look at each actor."""
        self.batches += 1
        self.embedded += len(crops)
        chosen = [self.actors[int(crop[0, 0, 0])] for crop in crops]
        looks = [look_at(a.face, self._rng, a.noise(self._seen_s)) for a in chosen]
        return np.array(looks, np.float32).reshape(-1, DIM)

    def _box(self, actor: Actor) -> NDArray[np.float64]:
        x, y = actor.path(self._seen_s)
        half = actor.width(self._seen_s) / 2
        jitter = self._rng.normal(0, 0.01 * half, 4)
        return np.array([x - half, y - half, x + half, y + half]) + jitter


def exact_table(contract: str) -> CalibrationTable:
    """False match rates of random directions: (1 + cosine) / 2 follows a beta distribution."""
    thresholds = np.round(np.arange(-0.1, 0.9, 0.005), 4)
    half = (DIM - 1) / 2
    fmr = tuple(float(v) for v in betainc(half, half, (1 - thresholds) / 2))
    fnmr = tuple(float(v) for v in np.linspace(0, 1, len(thresholds)))
    return CalibrationTable(
        contract=contract,
        thresholds=tuple(float(v) for v in thresholds),
        fmr=fmr,
        fmr_low=fmr,
        fmr_high=fmr,
        fnmr=fnmr,
        fnmr_low=fnmr,
        fnmr_high=fnmr,
        confidence=0.95,
        edges=(-1.0, 1.0),
        genuine_counts=(1000,),
        impostor_counts=(10**9,),
        n_people=1000,
        n_photos=2000,
        n_genuine=1000,
        n_impostor=10**9,
        provenance=Provenance("random directions", "2026-11-24", "0", "all", 0, 0),
    )


def make_gallery(
    path: Path, pipeline: FacePipeline, people: dict[str, NDArray[np.float64]]
) -> Gallery:
    """A gallery that holds each person's true direction."""
    gallery = Gallery.create(path, pipeline.contract)
    gallery.index.upsert(
        [
            Template(
                face_id=f"face-{name}",
                person=name,
                vector=face.astype(np.float32),
                quality=90.0,
                source="drawn",
                digest="0" * 64,
                box=(0.0, 0.0, 100.0, 100.0),
                consent="",
                enrolled_at="2026-11-24T00:00:00+00:00",
            )
            for name, face in people.items()
        ]
    )
    gallery.use_calibration(exact_table(pipeline.contract.id))
    return gallery


def draw_noise(height: int = 360, width: int = 640) -> NDArray[np.uint8]:
    """A picture on which every measure of quality is content."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 30, (height, width, 1)) + np.array([170, 130, 110])
    return np.asarray(noise.clip(0, 255), np.uint8)


def film_frames(seconds: float, *, rate_hz: float = 30.0, begin_s: float = 0.0) -> list[Frame]:
    """Frames of one and the same picture."""
    pixels = draw_noise()
    count = round(seconds * rate_hz)
    return [Frame(pixels, begin_s + k / rate_hz, k) for k in range(count)]
