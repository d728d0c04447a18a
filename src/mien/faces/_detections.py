"""One frame's detections as the tracker takes them in: checked, and compared with each other.

Only `mien.faces.track` uses this. It keeps no state and knows nothing of time.
"""

import numpy as np

from mien.core.errors import RangeError, ShapeError
from mien.core.types import Array, Bools, Float64


def checked_boxes(boxes: Array) -> Float64:
    """(n, 4) finite boxes with an area."""
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ShapeError(
            what=f"boxes are {array.shape}",
            why="each box is x0 y0 x1 y1",
            mend="pass (n, 4); np.empty((0, 4)) for a frame without faces",
        )
    if not np.isfinite(array).all() or (array[:, 2:] <= array[:, :2]).any():
        raise RangeError(
            what="a box is empty or not finite",
            why="overlap needs an area",
            mend="pass x0 y0 x1 y1 with x0 < x1 and y0 < y1",
        )
    return array


def checked_scores(scores: Array, *, count: int) -> Float64:
    """(n,) scores within 0-1."""
    array = np.asarray(scores, np.float64)
    if array.shape != (count,):
        raise ShapeError(
            what=f"scores are {array.shape}",
            why=f"there are {count} boxes",
            mend="pass one score for each box",
        )
    if not ((array >= 0) & (array <= 1)).all():
        raise RangeError(
            what="a score lies outside 0-1",
            why="the thresholds are meant for that range",
            mend="pass the detector's probabilities",
        )
    return array


def checked_embeddings(
    embeddings: Array | None, is_embedded: Bools | None, *, count: int, width: int | None
) -> Float64:
    """Rows of unit length, NaN where unknown; ``width`` is that of earlier embeddings, if any."""
    if embeddings is None:
        return np.full((count, width or 1), np.nan)
    rows = np.array(embeddings, np.float64)
    mask = np.ones(count, np.bool_) if is_embedded is None else np.asarray(is_embedded)
    if rows.ndim != 2 or len(rows) != count or mask.shape != (count,) or mask.dtype != np.bool_:
        raise ShapeError(
            what=f"embeddings are {rows.shape}, is_embedded is {mask.dtype} {mask.shape}",
            why=f"{count} boxes need ({count}, d) and ({count},) booleans",
            mend="pass one row and one truth value for each box",
        )
    if width not in {None, rows.shape[1]}:
        raise ShapeError(
            what=f"embeddings have {rows.shape[1]} numbers",
            why=f"those before had {width}",
            mend="use one embedder for the whole film",
        )
    rows[~mask] = np.nan
    known = ~np.isnan(rows).any(axis=1)
    lengths = np.linalg.norm(rows[known], axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise RangeError(
            what="an embedding is zero or infinite",
            why="its direction is what is compared",
            mend="mask the faces that were not embedded, or fill their rows with NaN",
        )
    rows[known] /= lengths
    rows[~known] = np.nan
    return rows


def find_covered(boxes: Float64, least: float) -> Bools:
    """Which boxes overlap another one by at least ``least``; (n,)."""
    overlaps = pairwise_iou(boxes, boxes)
    np.fill_diagonal(overlaps, 0.0)
    return np.asarray((overlaps >= least).any(axis=1), np.bool_)


def pairwise_iou(a: Float64, b: Float64) -> Float64:
    """Intersection over union of every box of ``a`` with every box of ``b``."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    return np.asarray(shared / (area_a[:, None] + area_b[None, :] - shared), np.float64)
