"""Head pose from five landmarks, without a network of its own.

Angles are exact for the model's own face and degrade with how far a face differs from it; there is
no ground truth here to say by how much. Enough to refuse profiles and to prefer frontal frames of
a track, not enough to measure gaze or attention.
"""

from typing import Final

import numpy as np

from mien.core.errors import ShapeError
from mien.core.types import Array, Float32, HeadPose

_FACE_3D: Final = np.array(
    [
        [-31.5, -31.0, 22.0],
        [31.5, -31.0, 22.0],
        [0.0, 6.0, -12.0],
        [-25.0, 36.0, 13.0],
        [25.0, 36.0, 13.0],
    ]
)
"""A mean adult face in millimetres: x to the image's right, y down, z away from the camera.

Eye and mouth distances follow the means of Farkas, "Anthropometry of the Head and Face", 1994;
depths are ours, rounded.
"""


_FACE_INVERSE: Final = np.linalg.pinv(_FACE_3D - _FACE_3D.mean(0))


def estimate_poses(landmarks: Array) -> Float32:
    """Yaw, pitch and roll of several faces under weak perspective.

    Source:
        DeMenthon and Davis, "Model-based object pose in 25 lines of code", IJCV 1995, without the
        perspective iteration: the two rows of the best affine camera are made orthonormal.

    Args:
        landmarks: (n, 5, 2) pixels, in the order of `core.types.FIVE_POINTS`.

    Returns:
        (n, 3) radians: yaw, pitch, roll as in `core.types.HeadPose`. Landmarks on one line, or not
        finite, give nan.

    Raises:
        ShapeError: If the shape differs.
    """
    points = np.asarray(landmarks, np.float64)
    if points.ndim != 3 or points.shape[1:] != (5, 2):
        raise ShapeError(
            what=f"landmarks have shape {points.shape}",
            why="head pose needs (n, 5, 2)",
            mend="pass landmarks[None] for one face",
        )
    known = np.asarray(np.isfinite(points).all((1, 2)))
    points = np.where(known[:, None, None], points, 0.0)
    centred = points - points.mean(1, keepdims=True)
    camera = np.einsum("kp,npc->nck", _FACE_INVERSE, centred)  # n 2 3
    u, singular, vt = np.linalg.svd(camera, full_matrices=False)
    rows = u @ vt
    third = np.cross(rows[:, 0], rows[:, 1])
    yaw = np.arcsin(np.clip(third[:, 0], -1, 1))
    pitch = np.arctan2(third[:, 1], third[:, 2])
    roll = np.arctan2(rows[:, 1, 0], rows[:, 0, 0])
    angles = np.stack([yaw, pitch, roll], 1)
    angles[~known | (singular[:, 1] < 1e-6)] = np.nan
    return angles.astype(np.float32)


def head_pose(landmarks: Array) -> HeadPose:
    """`estimate_poses` of one face, (5, 2)."""
    yaw, pitch, roll = estimate_poses(np.asarray(landmarks)[None])[0]
    return HeadPose(float(yaw), float(pitch), float(roll))
