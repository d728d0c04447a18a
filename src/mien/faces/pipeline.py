"""From pictures to templates: detect, align, measure, embed.

Nothing is lost on the way: a face that cannot be used comes back among the refused with its
reasons, a picture that cannot be read comes back as a `Failed`.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

import numpy as np

from mien.core.errors import MienError, NoFaceError
from mien.core.threads import resolve_threads
from mien.core.types import UInt8
from mien.faces.align import Alignment, crop_face, fit_alignment
from mien.faces.contract import Contract, contract_of
from mien.faces.detect.protocol import Detections, Detector
from mien.faces.embed.protocol import Embedder
from mien.faces.parts import PipelineConfig, open_detector, open_embedder
from mien.faces.pose import estimate_poses
from mien.faces.quality import QualityGate, Reject, measure_quality
from mien.faces.table import Faces, choose_main_face
from mien.media.image import Image, ImageLimits, ImageSource, load_image

_BATCH: Final = 8
_LIMITS: Final = ImageLimits()

Which = Literal["all", "main"]


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What is known about one picture.

    Attributes:
        faces: Faces with templates, in order of the detector's score.
        refused: Faces that must not be compared, without templates.
        reasons: For each refused face, why.
        source: The picture as it was named.
        size: Width and height in pixels.
        notes: What was done to the picture while reading it.
    """

    faces: Faces
    refused: Faces
    reasons: tuple[tuple[Reject, ...], ...]
    source: str
    size: tuple[int, int]
    notes: tuple[str, ...]

    def main_face(self) -> int | None:
        """Row, in `faces`, of the face that a portrait is of; None if that face was refused.

        The choice is made among all faces, so that a refused main face is not replaced by a
        bystander.
        """
        row = self._main_row()
        return row if row is not None and row < len(self.faces) else None

    def main_reasons(self) -> tuple[Reject, ...]:
        """Why the main face was refused; empty if it was not, or if there is none."""
        row = self._main_row()
        refused = row is not None and row >= len(self.faces)
        return self.reasons[row - len(self.faces)] if row is not None and refused else ()

    def _main_row(self) -> int | None:
        boxes = np.concatenate([self.faces.boxes, self.refused.boxes])
        return choose_main_face(boxes, self.size) if len(boxes) else None


@dataclass(frozen=True, slots=True, eq=False)
class Ok:
    """A picture that was analysed."""

    source: str
    analysis: Analysis


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """A picture that could not be read; the error says why."""

    source: str
    error: MienError


Outcome = Ok | Failed


class FacePipeline:
    """Detector, aligner and embedder with one contract. Safe to call from several threads."""

    def __init__(self, detector: Detector, embedder: Embedder) -> None:
        self.detector = detector
        self.embedder = embedder
        self.contract: Contract = contract_of(detector, embedder)

    @classmethod
    def open(cls, config: PipelineConfig | None = None) -> "FacePipeline":
        """Load the networks that a configuration names.

        Args:
            config: By default YuNet and SFace on ONNX Runtime.

        Raises:
            ConfigError: If a part is unknown.
            ExtraMissingError: If a part needs a package that is not installed.
            WeightsMissingError: If weights are not at hand.
            RefusedError: If the licence demanded is not given.
        """
        chosen = config or PipelineConfig()
        return cls(open_detector(chosen), open_embedder(chosen))

    def detect(self, source: ImageSource | Image, *, limits: ImageLimits = _LIMITS) -> Faces:
        """Faces of a picture, without templates.

        Args:
            source: Anything that `media.load_image` takes, or an `Image`.
            limits: Bounds checked before decoding.

        Returns:
            All faces, best score first.

        Raises:
            MediaError: If the picture cannot be read.
        """
        image = _load(source, limits)
        (found,) = self.detector.detect([image.pixels])
        alignments = [fit_alignment(points) for points in found.landmarks]
        crops = [crop_face(image.pixels, alignment) for alignment in alignments]
        return _measure(image, found, alignments, crops)

    def analyse(
        self,
        source: ImageSource | Image,
        *,
        gate: QualityGate | None = None,
        which: Which = "all",
        limits: ImageLimits = _LIMITS,
    ) -> Analysis:
        """Faces of a picture, with templates.

        Args:
            source: Anything that `media.load_image` takes, or an `Image`.
            gate: Quality that a face must have to be embedded; None refuses only faces that
                cannot be aligned.
            which: ``"main"`` keeps the face that a portrait is of and forgets the others.
            limits: Bounds checked before decoding.

        Raises:
            MediaError: If the picture cannot be read.
        """
        return self.analyse_batch([_load(source, limits)], gate=gate, which=which)[0]

    def analyse_batch(
        self, images: Sequence[Image], *, gate: QualityGate | None = None, which: Which = "all"
    ) -> list[Analysis]:
        """Several pictures at once: one pass of the detector, one of the embedder.

        Templates do not depend on what else is in the batch (cosine above 0.9999).
        """
        detections = self.detector.detect([image.pixels for image in images])
        prepared = [
            self._prepare(image, _only_main(image, found) if which == "main" else found, gate)
            for image, found in zip(images, detections, strict=True)
        ]
        crops = [crop for one in prepared for crop in one.crops]
        embeddings = self.embedder.embed(crops)
        results, start = [], 0
        for image, one in zip(images, prepared, strict=True):
            end = start + len(one.crops)
            faces = one.faces.with_embeddings(embeddings[start:end], self.contract.id)
            start = end
            results.append(
                Analysis(
                    faces=faces,
                    refused=one.refused,
                    reasons=one.reasons,
                    source=image.source,
                    size=(image.width, image.height),
                    notes=image.notes,
                )
            )
        return results

    def analyse_many(
        self,
        sources: Iterable[ImageSource],
        *,
        workers: int | None = None,
        gate: QualityGate | None = None,
        which: Which = "all",
        limits: ImageLimits = _LIMITS,
    ) -> Iterator[Outcome]:
        """Many pictures, in order, on several workers, with bounded memory.

        Args:
            sources: Anything that `media.load_image` takes, one after another; read lazily.
            workers: Pictures in work at once; None takes what the quota allows.
            gate: As in `analyse`.
            which: As in `analyse`.
            limits: As in `analyse`.

        Yields:
            An `Ok` or a `Failed` for every source, in the order of the sources.
        """
        count = resolve_threads(workers)
        chunks = _chunked(sources, _BATCH)

        def work(chunk: list[ImageSource]) -> list[Outcome]:
            return self._analyse_chunk(chunk, gate, which, limits)

        with ThreadPoolExecutor(count, thread_name_prefix="mien") as pool:
            waiting: list[Future[list[Outcome]]] = []
            for chunk in chunks:
                waiting.append(pool.submit(work, chunk))
                if len(waiting) > 2 * count:
                    yield from waiting.pop(0).result()
            for future in waiting:
                yield from future.result()

    def _analyse_chunk(
        self,
        chunk: list[ImageSource],
        gate: QualityGate | None,
        which: Which,
        limits: ImageLimits,
    ) -> list[Outcome]:
        loaded: list[Image | Failed] = []
        for source in chunk:
            try:
                loaded.append(load_image(source, limits=limits))
            except MienError as err:
                loaded.append(Failed(_name(source), err))
        images = [one for one in loaded if isinstance(one, Image)]
        done = iter(self.analyse_batch(images, gate=gate, which=which))
        return [one if isinstance(one, Failed) else Ok(one.source, next(done)) for one in loaded]

    def _prepare(self, image: Image, found: Detections, gate: QualityGate | None) -> "_Prepared":
        alignments = [fit_alignment(points) for points in found.landmarks]
        crops = [crop_face(image.pixels, alignment) for alignment in alignments]
        faces = _measure(image, found, alignments, crops)
        reasons = _reasons(faces, alignments, gate)
        good = [row for row, why in enumerate(reasons) if not why]
        bad = [row for row, why in enumerate(reasons) if why]
        return _Prepared(
            faces=faces[good],
            refused=faces[bad],
            reasons=tuple(reasons[row] for row in bad),
            crops=[
                self.embedder.crop(image.pixels, found.boxes[row], alignments[row]) for row in good
            ],
        )


def no_face(source: str) -> NoFaceError:
    """The error for a picture without a face where a template is to be made."""
    return NoFaceError(
        what=f"{source}: no face was found",
        why="a template is made from a face",
        mend="use a picture in which the face is at least 20 pixels wide, and upright",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """One picture before embedding."""

    faces: Faces
    refused: Faces
    reasons: tuple[tuple[Reject, ...], ...]
    crops: list[UInt8]


def _load(source: ImageSource | Image, limits: ImageLimits) -> Image:
    return source if isinstance(source, Image) else load_image(source, limits=limits)


def _name(source: ImageSource) -> str:
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else "<memory>"


def _chunked(sources: Iterable[ImageSource], size: int) -> Iterator[list[ImageSource]]:
    iterator = iter(sources)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _only_main(image: Image, found: Detections) -> Detections:
    if len(found) < 2:
        return found
    row = choose_main_face(found.boxes, (image.width, image.height))
    return found.take(np.array([row]))


def _measure(
    image: Image, found: Detections, alignments: list[Alignment], crops: list[UInt8]
) -> Faces:
    poses = estimate_poses(found.landmarks)
    quality = measure_quality(
        crops,
        boxes=found.boxes,
        landmarks=found.landmarks,
        poses=poses,
        residuals=np.array([alignment.residual for alignment in alignments]),
        confidences=found.scores,
        picture_size=(image.width, image.height),
    )
    return Faces(found.boxes, found.landmarks, found.scores, poses, quality, notes=image.notes)


def _reasons(
    faces: Faces, alignments: list[Alignment], gate: QualityGate | None
) -> list[tuple[Reject, ...]]:
    by_gate = faces.quality.rejects(gate) if gate else [()] * len(faces)
    return [
        ((Reject.LANDMARKS_UNRELIABLE,) if alignment.fault else ()) + rejects
        for alignment, rejects in zip(alignments, by_gate, strict=True)
    ]
