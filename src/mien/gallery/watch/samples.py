"""From one frame's detections to templates, for those faces only that are worth their cost."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mien.core.types import Array, Bools, Float32, Float64, UInt8
from mien.faces.align import Alignment, crop_face, fit_alignment
from mien.faces.detect.protocol import Detections
from mien.faces.pipeline import FacePipeline
from mien.faces.pose import estimate_poses
from mien.faces.quality import QualityGate, QualityTable, Reject, measure_quality
from mien.media.geometry import resize

_HEAD: Final = 1.2  # sides of a head, in sides of its face box


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What was measured on the n faces of one frame.

    Attributes:
        templates: (n, d) rows of length 1; NaN where a face was not embedded.
        quality: (n,) unified quality, 0-100; 0 where a face was not measured.
        is_embedded: (n,) True where there is a template.
        reasons: For each face why it was refused; empty where it was not, or was not looked at.
    """

    templates: Float32
    quality: Float32
    is_embedded: Bools
    reasons: tuple[tuple[Reject, ...], ...]


def detect_faces(pipeline: FacePipeline, pixels: UInt8, max_side_px: int) -> Detections:
    """Faces of a frame; a frame larger than ``max_side_px`` is shrunk for the detector."""
    height, width = pixels.shape[:2]
    small = resize(pixels, min(1.0, max_side_px / max(height, width)))
    (found,) = pipeline.detector.detect([small])
    if small is pixels:
        return found
    grow = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    return Detections(found.boxes * np.tile(grow, 2), found.landmarks * grow, found.scores)


def take_samples(
    pipeline: FacePipeline,
    pixels: UInt8,
    found: Detections,
    is_wanted: Bools,
    gate: QualityGate,
) -> Samples:
    """Measure the faces that are wanted, and embed those that pass the gate in one batch.

    Args:
        pipeline: Its aligner and embedder are used.
        pixels: (h, w, 3) uint8 RGB, the whole frame.
        found: Its n faces.
        is_wanted: (n,) which of them.
        gate: Quality that a face must have to be embedded.
    """
    templates = np.full((len(found), pipeline.embedder.dim), np.nan, np.float32)
    quality = np.zeros(len(found), np.float32)
    is_embedded = np.zeros(len(found), np.bool_)
    reasons: list[tuple[Reject, ...]] = [()] * len(found)
    wanted = np.flatnonzero(is_wanted)
    if wanted.size:
        part = found.take(wanted)
        alignments = [fit_alignment(points) for points in part.landmarks]
        table = _measure(pixels, part, alignments)
        quality[wanted] = table.unified
        for row, alignment, rejects in zip(wanted, alignments, table.rejects(gate), strict=True):
            fault = (Reject.LANDMARKS_UNRELIABLE,) if alignment.fault else ()
            reasons[row] = fault + rejects
        good = [k for k, row in enumerate(wanted) if not reasons[row]]
        crops = [pipeline.embedder.crop(pixels, part.boxes[k], alignments[k]) for k in good]
        if crops:
            templates[wanted[good]] = pipeline.embedder.embed(crops)
            is_embedded[wanted[good]] = True
    return Samples(templates, quality, is_embedded, tuple(reasons))


def _measure(pixels: UInt8, found: Detections, alignments: list[Alignment]) -> QualityTable:
    return measure_quality(
        [crop_face(pixels, alignment) for alignment in alignments],
        boxes=found.boxes,
        landmarks=found.landmarks,
        poses=estimate_poses(found.landmarks),
        residuals=np.array([alignment.residual for alignment in alignments]),
        confidences=found.scores,
        picture_size=(pixels.shape[1], pixels.shape[0]),
    )


def hidden_shares(boxes: Array) -> Float64:
    """(n,) the largest share of each of (n, 4) boxes that one other head lies over, 0-1; n >= 1.

    Who stands in front is not known, so both of two overlapping faces count as hidden. Heads are
    taken 1.2 times larger than face boxes, since hair hides faces too.
    """
    grow = (boxes[:, 2:] - boxes[:, :2]) * (_HEAD - 1) / 2
    low = np.maximum(boxes[:, None, :2], (boxes[:, :2] - grow)[None])
    high = np.minimum(boxes[:, None, 2:], (boxes[:, 2:] + grow)[None])
    shared = np.prod(np.clip(high - low, 0, None), 2)
    np.fill_diagonal(shared, 0)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return np.asarray(shared.max(1) / areas, np.float64)
