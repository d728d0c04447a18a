"""Five-point alignment: a similarity that brings a face to its place in the embedder's crop.

Faces that cannot be aligned honestly are refused with a reason: landmarks in one spot or on one
line, in mirrored order, or so far from a face's shape that the crop would show something else.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mien.core.errors import ShapeError
from mien.core.types import Array, Float64, UInt8
from mien.media.geometry import warp_affine

CODE_VERSION: Final = 1
"""Changes when crops change; part of every contract."""

ARCFACE_112: Final = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where the five points belong in a 112 x 112 crop, counted from pixel centres.

Source: the reference points published with ArcFace (Deng et al., CVPR 2019), used by SFace.
"""

_MIN_SPREAD_PX: Final = 2.0
_MIN_BREADTH: Final = 0.1  # of the landmarks' length; the narrowest of 2,678 faces of LFW has 0.18
_MAX_RESIDUAL: Final = 0.5  # inter-eye distances; a true profile of LFW reaches 0.37


@dataclass(frozen=True, slots=True)
class Alignment:
    """How one face maps into a crop.

    Attributes:
        matrix: (2, 3) similarity from picture to crop, continuous coordinates.
        residual: Root mean square distance of the mapped landmarks from the template, in units of
            the template's inter-eye distance: about 0.08 for frontal faces, 0.35 for profiles.
        fault: Why the face must not be used: ``"degenerate"``, ``"mirrored"``, ``"misfit"``;
            None if nothing is wrong.
    """

    matrix: Float64
    residual: float
    fault: str | None


def fit_alignment(landmarks: Array, template: Array = ARCFACE_112) -> Alignment:
    """Least-squares similarity from five landmarks to a template.

    Source:
        Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
        PAMI 1991, eq. 39-42. Reflections are never used: mirrored landmarks are a fault.

    Args:
        landmarks: (5, 2) in picture pixels, in the order of `core.types.FIVE_POINTS`.
        template: (5, 2) goal positions, counted from pixel centres.

    Returns:
        The alignment; look at ``fault`` before using it.

    Raises:
        ShapeError: If either has not five points.
    """
    source = np.asarray(landmarks, np.float64)
    goal = np.asarray(template, np.float64) + 0.5
    if source.shape != (5, 2) or goal.shape != (5, 2):
        raise ShapeError(
            what=f"landmarks have shape {source.shape}, the template {goal.shape}",
            why="alignment needs five points of x and y",
            mend="pass landmarks in the order right eye, left eye, nose, mouth corners",
        )
    if not np.isfinite(source).all():
        return Alignment(np.eye(2, 3), float("inf"), "degenerate")
    length, breadth = np.linalg.svd(source - source.mean(0), compute_uv=False)
    if length < _MIN_SPREAD_PX or breadth < _MIN_BREADTH * length:
        return Alignment(np.eye(2, 3), float("inf"), "degenerate")
    matrix = _similarity(source, goal, variance=float(length**2 + breadth**2) / 5)
    moved = source @ matrix[:, :2].T + matrix[:, 2]
    eye_distance = float(np.linalg.norm(goal[1] - goal[0]))
    residual = float(np.sqrt(((moved - goal) ** 2).sum(1).mean()) / eye_distance)
    if _is_mirrored(source):
        return Alignment(matrix, residual, "mirrored")
    return Alignment(matrix, residual, "misfit" if residual > _MAX_RESIDUAL else None)


def crop_face(pixels: UInt8, alignment: Alignment, size_px: int = 112) -> UInt8:
    """The aligned crop of one face, (size, size, 3) uint8 RGB, black outside the picture."""
    return warp_affine(pixels, alignment.matrix, (size_px, size_px))


def _similarity(source: Float64, goal: Float64, variance: float) -> Float64:
    """Without reflections, in the plane, the least squares are a division of complex numbers."""
    centre, target = source.mean(0), goal.mean(0)
    x, y = (source - centre).T
    u, v = (goal - target).T
    spread = variance * len(source)
    real, imaginary = float(x @ u + y @ v) / spread, float(x @ v - y @ u) / spread
    turn = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([turn, target - turn @ centre])


def _is_mirrored(points: Float64) -> bool:
    """Whether the subject's right eye lies where the left belongs, seen with the mouth below."""
    across = points[1] - points[0]
    down = (points[3] + points[4] - points[0] - points[1]) / 2
    return bool(across[0] * down[1] - across[1] * down[0] < 0)
