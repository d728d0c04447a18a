"""YuNet: a small anchor-free detector with five landmarks.

Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
2023; decoding as in OpenCV's ``FaceDetectorYN``. We differ from a single pass in two ways: we look
at several sizes of the picture (`pyramid`), and faces that stood small in the network's input are
enlarged and looked at once more: what is not found again is dropped, and landmarks become better
(`docs/decisions/0003-alignment.md`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import cv2
import numpy as np

from mien.core.errors import ConfigError
from mien.core.types import Array, Float32, UInt8
from mien.faces.detect.protocol import Detections
from mien.faces.detect.pyramid import UNBOUNDED, Canvas, draw_canvases, draw_with_margin
from mien.faces.engines.protocol import Engine
from mien.media.geometry import warp_affine

_STRIDES: Final = (8, 16, 32)
_NMS_IOU: Final = 0.3
_EDGE_PX: Final = 4.0  # a box this close to a tile's inner edge is cut off

_LOOK_BELOW_PX: Final = 96.0  # face side in the network's input under which we look again
_LOOK_PX: Final = 320  # canvas of the second look
_LOOK_FACE_PX: Final = 220.0  # face side on it
_LOOK_SCORE: Final = 0.7  # texture is seldom taken for a face twice
_SAME_IOU: Final = 0.5
_LARGE: Final = 0.4  # of the picture's long side
_CLEAR: Final = 0.85
_NOTHING: Final = np.zeros((0, 16), np.float32)

_Key = TypeVar("_Key")


class YunetDetector:
    """YuNet over a picture pyramid, with a second look at small faces."""

    name = "yunet"
    code_version = 1

    def __init__(
        self,
        engine: Engine,
        *,
        weights_sha256: str,
        score_threshold: float = 0.6,
        min_face_px: float = 20.0,
        batch_px: int = 150_000,
    ) -> None:
        """Prepare the detector.

        Args:
            engine: The network with free batch and sides.
            weights_sha256: Hash of the weight file, for the fingerprint.
            score_threshold: Faces below it are dropped; 0-1.
            min_face_px: Smallest face side to look for, in picture pixels. Smaller costs time.
            batch_px: Pixels of the canvases that share a call of the network. What is larger than
                a core's cache is slower on a CPU; an accelerator wants millions.

        Raises:
            ConfigError: If a value lies outside its range.
        """
        if not 0 < score_threshold < 1:
            raise ConfigError(
                what=f"score_threshold is {score_threshold}",
                why="the detector's scores lie between 0 and 1",
                mend="use a value such as 0.6",
            )
        if not min_face_px >= 8:
            raise ConfigError(
                what=f"min_face_px is {min_face_px}",
                why="faces under 8 pixels cannot be told from texture",
                mend="use 12 or more; 20 is the default",
            )
        self._engine = engine
        self._score_threshold = score_threshold
        self._min_face_px = min_face_px
        self._batch_px = batch_px
        self.fingerprint = f"{weights_sha256[:16]}.{self.code_version}"

    def detect(self, images: Sequence[UInt8]) -> list[Detections]:
        """See `Detector.detect`. Canvases of one shape, of any picture, share a batch."""
        seen: list[list[Array]] = [[_NOTHING] for _ in images]
        pieces = (
            (k, canvas)
            for k, pixels in enumerate(images)
            for canvas in draw_canvases(pixels, self._min_face_px)
        )
        for k, rows in self._look(pieces, self._score_threshold):
            seen[k].append(rows)
        margins = (
            (k, draw_with_margin(pixels))
            for k, pixels in enumerate(images)
            if not _has_large_face(seen[k], max(pixels.shape[:2]))
        )
        for k, rows in self._look(margins, self._score_threshold):
            seen[k].append(rows)
        found = [_suppress(np.concatenate(rows), self._score_threshold) for rows in seen]
        return [
            Detections(rows[:, :4], rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14])
            for rows in self._look_again(images, found)
        ]

    def _look(
        self, pieces: Iterable[tuple[_Key, Canvas]], threshold: float
    ) -> Iterator[tuple[_Key, Array]]:
        """Rows of 16 a face, in picture coordinates: box, landmarks, score, side in the input.

        Canvases wait until a batch of their shape is full, so that little is in memory at once.
        """
        waiting: dict[tuple[int, ...], list[tuple[_Key, Canvas]]] = {}
        for piece in pieces:
            shape = piece[1].pixels.shape
            batch = waiting.setdefault(shape, [])
            batch.append(piece)
            if (len(batch) + 1) * shape[0] * shape[1] > self._batch_px:
                yield from self._run(waiting.pop(shape), threshold)
        for batch in waiting.values():
            yield from self._run(batch, threshold)

    def _run(
        self, batch: list[tuple[_Key, Canvas]], threshold: float
    ) -> Iterator[tuple[_Key, Array]]:
        outputs = self._engine.run(_as_input([canvas.pixels for _, canvas in batch]))
        for row, (key, canvas) in enumerate(batch):
            decoded = _decode(outputs, row, canvas.pixels.shape[1], threshold)
            yield key, _to_picture(decoded, canvas)

    def _look_again(self, images: Sequence[UInt8], found: list[Array]) -> list[Array]:
        """Keep small faces only if they are found again when enlarged, and as found then."""
        pieces = (
            ((k, i), _draw_face(images[k], row))
            for k, rows in enumerate(found)
            for i, row in enumerate(rows)
            if row[15] < _LOOK_BELOW_PX
        )
        is_kept = [np.ones(len(rows), np.bool_) for rows in found]
        for (k, i), candidates in self._look(pieces, max(_LOOK_SCORE, self._score_threshold)):
            same = _same_face(found[k][i], candidates)
            is_kept[k][i] = same is not None
            if same is not None:
                found[k][i, :15] = same[:15]
        kept = [rows[mask] for rows, mask in zip(found, is_kept, strict=True)]
        return [rows[np.argsort(-rows[:, 14], kind="stable")] for rows in kept]


def _has_large_face(seen: list[Array], long_side: int) -> bool:
    """Whether a clear face was seen that leaves no room for one that fills the frame."""
    return any(
        bool(((rows[:, 14] >= _CLEAR) & (rows[:, 3] - rows[:, 1] >= _LARGE * long_side)).any())
        for rows in seen
    )


def _as_input(canvases: list[UInt8]) -> Float32:
    """Canvases of one shape as (b, 3, h, w) float32. The network was trained on BGR, 0-255."""
    batch = np.empty((len(canvases), 3, *canvases[0].shape[:2]), np.float32)
    for row, canvas in enumerate(canvases):
        for channel, plane in enumerate(cv2.split(canvas)):
            batch[row, 2 - channel] = plane
    return batch


def _decode(outputs: dict[str, Float32], row: int, width: int, threshold: float) -> Array:
    """Network outputs of one canvas to rows of box, landmarks and score, in canvas pixels."""
    parts = []
    for stride in _STRIDES:
        cls, obj = outputs[f"cls_{stride}"][row, :, 0], outputs[f"obj_{stride}"][row, :, 0]
        scores = np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1))
        keep = np.flatnonzero(scores >= threshold)
        if not keep.size:
            continue
        cell = np.stack([keep % (width // stride), keep // (width // stride)], 1)
        box, points = outputs[f"bbox_{stride}"][row, keep], outputs[f"kps_{stride}"][row, keep]
        # The network counts from pixel centres; we count from the picture's corner.
        centre = (cell + box[:, :2]) * stride + 0.5
        half = np.exp(box[:, 2:]) * stride / 2
        marks = (points.reshape(-1, 5, 2) + cell[:, None]) * stride + 0.5
        parts.append(
            np.concatenate(
                [centre - half, centre + half, marks.reshape(-1, 10), scores[keep, None]], 1
            )
        )
    return np.concatenate(parts) if parts else np.zeros((0, 15), np.float32)


def _to_picture(rows: Array, canvas: Canvas) -> Array:
    """Move rows from canvas to picture coordinates; drop faces cut by a tile's inner edge."""
    x0, y0, x1, y1 = canvas.inner
    whole = (
        (rows[:, 0] > x0 + _EDGE_PX)
        & (rows[:, 1] > y0 + _EDGE_PX)
        & (rows[:, 2] < x1 - _EDGE_PX)
        & (rows[:, 3] < y1 - _EDGE_PX)
    )
    rows = rows[whole]
    points = canvas.to_picture(rows[:, :14].reshape(-1, 7, 2)).reshape(-1, 14)
    side = np.maximum(rows[:, 2] - rows[:, 0], rows[:, 3] - rows[:, 1])
    return np.concatenate([points, rows[:, 14:15], side[:, None]], 1).astype(np.float32)


def _suppress(rows: Array, threshold: float) -> Array:
    """Keep the best-scored of overlapping boxes, best first."""
    if not len(rows):
        return rows
    corner_size = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], 1)
    keep = cv2.dnn.NMSBoxes(corner_size.tolist(), rows[:, 14].tolist(), threshold, _NMS_IOU)
    return np.asarray(rows[np.asarray(keep, np.int64).ravel()])


def _draw_face(pixels: UInt8, row: Array) -> Canvas:
    """A square canvas around one face, the face at the size where landmarks are best."""
    scale = _LOOK_FACE_PX / float(max(row[2] - row[0], row[3] - row[1]))
    shift = _LOOK_PX / 2 - (row[:2] + row[2:4]) / 2 * scale
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    drawn = warp_affine(pixels, matrix, (_LOOK_PX, _LOOK_PX))
    return Canvas(drawn, (scale, scale), (float(shift[0]), float(shift[1])), UNBOUNDED)


def _same_face(row: Array, candidates: Array) -> Array | None:
    """The best-scored candidate that overlaps the face by half, if there is one."""
    low = np.maximum(row[:2], candidates[:, :2])
    high = np.minimum(row[2:4], candidates[:, 2:4])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    areas = np.prod(candidates[:, 2:4] - candidates[:, :2], 1)
    union = areas + np.prod(row[2:4] - row[:2]) - shared
    same = candidates[shared >= _SAME_IOU * union]
    return np.asarray(same[same[:, 14].argmax()]) if len(same) else None
