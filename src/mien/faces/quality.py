"""How fit a face is for recognition, in the words of ISO/IEC 29794-5.

Each component has a native measure, in its own unit, and a score of 0-100 (higher is better). The
names are the standard's; the standard's own networks and mapping functions are not public, so the
measures are taken from its text where it gives a formula and are ours where it does not, and the
mappings are ours: compare scores made by mien with scores made by mien only.

Reject codes are spelled as in Amazon Rekognition's IndexFaces, with three of our own.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np

from mien.core.errors import ConfigError
from mien.core.types import Array, Float32, UInt8

COMPONENTS: Final = (
    "inter_eye_distance",
    "head_pose_yaw",
    "head_pose_pitch",
    "head_pose_roll",
    "sharpness",
    "dynamic_range",
    "luminance_mean",
    "luminance_variance",
    "under_exposure_prevention",
    "over_exposure_prevention",
    "illumination_uniformity",
    "natural_colour",
    "crop_of_the_face_image",
    "landmark_fit",
    "detection_confidence",
)
"""Columns of `QualityTable`. All but the last two are named after ISO/IEC 29794-5."""


class Reject(StrEnum):
    """Why a face is not fit for use."""

    SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
    LOW_SHARPNESS = "LOW_SHARPNESS"
    LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
    HIGH_BRIGHTNESS = "HIGH_BRIGHTNESS"
    EXTREME_POSE = "EXTREME_POSE"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    FACE_CUT_OFF = "FACE_CUT_OFF"
    LANDMARKS_UNRELIABLE = "LANDMARKS_UNRELIABLE"


@dataclass(frozen=True, slots=True)
class QualityGate:
    """Limits below or beyond which a face is refused.

    Two presets matter: `enrolment` for what enters a gallery, `probe` for what may be compared.

    Attributes:
        min_inter_eye_px: Distance between the eyes, in picture pixels.
        max_yaw_rad: Largest turn to either side, in radians.
        max_pitch_rad: Largest nod either way, in radians.
        min_sharpness: Native sharpness (see `measure_quality`).
        min_luminance: Mean luminance of the face, 0-1.
        max_luminance: Mean luminance of the face, 0-1.
        min_confidence: Detector score, 0-1.
        min_visible: Share of the face box inside the picture, 0-1.
    """

    min_inter_eye_px: float = 12.0
    max_yaw_rad: float = 1.2
    max_pitch_rad: float = 0.9
    min_sharpness: float = 0.35
    min_luminance: float = 0.06
    max_luminance: float = 0.96
    min_confidence: float = 0.6
    min_visible: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.min_luminance < self.max_luminance <= 1:
            raise ConfigError(
                what=f"luminance limits are {self.min_luminance} and {self.max_luminance}",
                why="they must satisfy 0 <= min < max <= 1",
                mend="correct the quality gate",
            )

    @staticmethod
    def probe() -> "QualityGate":
        """What may be compared at all."""
        return QualityGate()

    @staticmethod
    def enrolment() -> "QualityGate":
        """What may enter a gallery: stricter, since a bad reference harms every later search."""
        return QualityGate(
            min_inter_eye_px=20.0,
            max_yaw_rad=0.8,
            max_pitch_rad=0.6,
            min_sharpness=0.6,
            min_luminance=0.1,
            max_luminance=0.92,
            min_confidence=0.7,
            min_visible=0.8,
        )


@dataclass(frozen=True, slots=True)
class QualityTable:
    """Quality of several faces, one row each.

    Attributes:
        native: (n, k) native measures, columns as in `COMPONENTS`.
        scores: (n, k) component scores, 0-100.
    """

    native: Float32
    scores: Float32

    def __len__(self) -> int:
        return len(self.native)

    @property
    def unified(self) -> Float32:
        """(n,) unified quality score, 0-100: the geometric mean of the component scores.

        Ours; the standard's unified score comes from a network (MagFace) that is not packaged.
        """
        return np.asarray(np.exp(np.log(np.maximum(self.scores, 1.0)).mean(1)), np.float32)

    def column(self, name: str) -> Float32:
        """(n,) native measures of one component."""
        return np.asarray(self.native[:, COMPONENTS.index(name)], np.float32)

    def take(self, which: Array) -> "QualityTable":
        """The rows named by an index array or mask."""
        return QualityTable(self.native[which], self.scores[which])

    def rejects(self, gate: QualityGate) -> list[tuple[Reject, ...]]:
        """For each face, the reasons to refuse it; empty where it passes."""
        yaw, pitch = np.abs(self.column("head_pose_yaw")), np.abs(self.column("head_pose_pitch"))
        light = self.column("luminance_mean")
        passed = {  # so written that what is not a number does not pass
            Reject.SMALL_BOUNDING_BOX: self.column("inter_eye_distance") >= gate.min_inter_eye_px,
            Reject.EXTREME_POSE: (yaw <= gate.max_yaw_rad) & (pitch <= gate.max_pitch_rad),
            Reject.LOW_SHARPNESS: self.column("sharpness") >= gate.min_sharpness,
            Reject.LOW_BRIGHTNESS: light >= gate.min_luminance,
            Reject.HIGH_BRIGHTNESS: light <= gate.max_luminance,
            Reject.LOW_CONFIDENCE: self.column("detection_confidence") >= gate.min_confidence,
            Reject.FACE_CUT_OFF: self.column("crop_of_the_face_image") >= gate.min_visible,
        }
        return [
            tuple(code for code, good in passed.items() if not good[row])
            for row in range(len(self))
        ]


_MAPPING: Final[dict[str, tuple[float, float]]] = {
    # native value that earns 0, native value that earns 100; linear between
    "inter_eye_distance": (8.0, 60.0),
    "head_pose_yaw": (1.4, 0.0),
    "head_pose_pitch": (1.2, 0.0),
    "head_pose_roll": (1.57, 0.0),
    "sharpness": (0.0, 8.0),
    "dynamic_range": (0.0, 6.5),
    "luminance_variance": (0.0, 0.03),
    "under_exposure_prevention": (0.8, 0.0),
    "over_exposure_prevention": (0.8, 0.0),
    "illumination_uniformity": (0.0, 0.7),
    "natural_colour": (40.0, 0.0),
    "crop_of_the_face_image": (0.4, 1.0),
    "landmark_fit": (0.35, 0.03),
    "detection_confidence": (0.5, 0.9),
}


def measure_quality(
    crops: list[UInt8],
    *,
    boxes: Array,
    landmarks: Array,
    poses: Array,
    residuals: Array,
    confidences: Array,
    picture_size: tuple[int, int],
) -> QualityTable:
    """Measure every component for the faces of one picture.

    Native measures, named after the components of ISO/IEC 29794-5:2025:

    * inter-eye distance in pixels, divided by the cosine of the yaw;
    * head pose in radians;
    * sharpness: standard deviation of the Laplacian over the root of mean luminance; ours, the
      standard uses a random forest;
    * dynamic range: Shannon entropy of the luminance histogram, bits;
    * luminance mean and variance of the face, 0-1;
    * under- and over-exposure: share of pixels at most 25, or at least 247, of 255;
    * illumination uniformity: overlap of the luminance histograms of both cheeks, 0-1;
    * natural colour: distance of mean a*, b* from skin's range, CIELAB units;
    * crop: share of the face box inside the picture, simplified;
    * landmark fit: residual of the alignment; ours.

    Args:
        crops: n aligned crops, (112, 112, 3) uint8 RGB.
        boxes: (n, 4) pixels.
        landmarks: (n, 5, 2) pixels.
        poses: (n, 3) radians, from `pose.estimate_poses`.
        residuals: (n,) from `align.fit_alignment`.
        confidences: (n,) detector scores.
        picture_size: Width and height of the picture in pixels.

    Returns:
        One row a face.
    """
    n = len(crops)
    native = np.zeros((n, len(COMPONENTS)), np.float32)
    if n == 0:
        return QualityTable(native, native)
    column = {name: native[:, k] for k, name in enumerate(COMPONENTS)}
    poses = np.nan_to_num(poses, nan=np.pi / 2)  # a pose that nobody knows is an extreme one
    eyes = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1)
    column["inter_eye_distance"][:] = eyes / np.maximum(np.cos(poses[:, 0]), 0.2)
    for k, axis in enumerate(("yaw", "pitch", "roll")):
        column[f"head_pose_{axis}"][:] = poses[:, k]
    column["crop_of_the_face_image"][:] = _share_inside(np.asarray(boxes), picture_size)
    column["landmark_fit"][:] = residuals
    column["detection_confidence"][:] = confidences
    for row, crop in enumerate(crops):
        for name, value in _measure_light(crop).items():
            column[name][row] = value
    return QualityTable(native, _to_scores(native))


def _share_inside(boxes: Array, size: tuple[int, int]) -> Array:
    low, high = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], size)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], 1), 1e-6)
    return np.asarray(np.prod(np.clip(high - low, 0, None), 1) / area)


def _measure_light(crop: UInt8) -> dict[str, float]:
    """Measures of the inner face: the crop without the corners that show hair and background."""
    face = crop[20:108, 16:96]
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    histogram = np.bincount(grey.ravel(), minlength=256) / grey.size
    present = histogram[histogram > 0]
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(grey))
    _, edges = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return {
        "sharpness": float(edges[0, 0]) / max(np.sqrt(mean), 1.0),
        "dynamic_range": float(-(present * np.log2(present)).sum()),
        "luminance_mean": mean / 255,
        "luminance_variance": (deviation / 255) ** 2,
        "under_exposure_prevention": float(histogram[:26].sum()),
        "over_exposure_prevention": float(histogram[247:].sum()),
        "illumination_uniformity": _cheek_overlap(crop),
        "natural_colour": _colour_distance(face),
    }


def _cheek_overlap(crop: UInt8) -> float:
    """Intersection of the luminance histograms of two patches beside the nose."""
    patches = [cv2.cvtColor(crop[62:84, x : x + 22], cv2.COLOR_RGB2GRAY) for x in (28, 62)]
    one, two = (np.bincount(p.ravel() // 8, minlength=32) / p.size for p in patches)
    return float(np.minimum(one, two).sum())


def _colour_distance(face: UInt8) -> float:
    """Distance of the mean colour from a* in 5-25, b* in 5-35, where lit skin of any tone lies."""
    lab = cv2.mean(cv2.cvtColor(face, cv2.COLOR_RGB2LAB))
    a, b = lab[1] - 128, lab[2] - 128
    return float(np.hypot(max(5 - a, 0, a - 25), max(5 - b, 0, b - 35)))


def _to_scores(native: Array) -> Float32:
    values = np.abs(native) if len(native) else native
    with np.errstate(invalid="ignore"):
        shares = (values - _WORST) / (_BEST - _WORST)
        light = COMPONENTS.index("luminance_mean")
        shares[:, light] = np.sqrt(np.clip(1 - np.abs(values[:, light] - 0.5) / 0.45, 0, 1))
    shares[np.isnan(shares)] = 0
    return np.asarray(np.clip(shares, 0, 1) * 100, np.float32)


_WORST: Final = np.array([_MAPPING.get(name, (0.0, 1.0))[0] for name in COMPONENTS])
_BEST: Final = np.array([_MAPPING.get(name, (0.0, 1.0))[1] for name in COMPONENTS])
