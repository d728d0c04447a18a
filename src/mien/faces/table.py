"""`Faces`: everything known about the faces of one picture, in columns."""

from collections.abc import Iterator, Sized
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np

from mien.core.errors import ContractError, ShapeError
from mien.core.optional import require
from mien.core.types import Array, Box, Float32, HeadPose, Ints
from mien.faces.quality import COMPONENTS, QualityTable


@dataclass(frozen=True, slots=True)
class Face:
    """One row of `Faces`.

    Attributes:
        box: Where the face is.
        landmarks: (5, 2) pixels, in the order of `core.types.FIVE_POINTS`.
        score: Detector's confidence, 0-1.
        quality: Unified quality score, 0-100.
        pose: Head rotation.
        embedding: (d,) template of length 1, or None if faces were only detected.
        track_id: Track in a video, or None.
    """

    box: Box
    landmarks: Float32
    score: float
    quality: float
    pose: HeadPose
    embedding: Float32 | None
    track_id: int | None


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces in columns, n rows.

    Indexing with a slice, mask or index array gives `Faces`; with an integer, a `Face`.

    Attributes:
        boxes: (n, 4) x0 y0 x1 y1 pixels, half-open.
        landmarks: (n, 5, 2) pixels.
        scores: (n,) detector's confidence, 0-1.
        poses: (n, 3) yaw, pitch, roll, radians.
        quality: Quality components, n rows.
        embeddings: (n, d) templates of length 1, or None if faces were only detected.
        contract: Id of the pipeline that made the embeddings; empty without embeddings.
        track_ids: (n,) tracks in a video, -1 for none; or None.
        notes: What was done to the picture while reading it.
    """

    boxes: Float32
    landmarks: Float32
    scores: Float32
    poses: Float32
    quality: QualityTable
    embeddings: Float32 | None = None
    contract: str = ""
    track_ids: Ints | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.scores)
        columns: list[Sized] = [self.boxes, self.landmarks, self.poses, self.quality]
        columns += [c for c in (self.embeddings, self.track_ids) if c is not None]
        if any(len(column) != n for column in columns):
            raise ShapeError(
                what=f"columns have {[len(c) for c in columns]} rows, scores {n}",
                why="every column describes the same faces",
                mend="build Faces from one detection result",
            )

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Face]:
        return (self.row(k) for k in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Face: ...

    @overload
    def __getitem__(self, which: slice | Array | list[int]) -> "Faces": ...

    def __getitem__(self, which: int | slice | Array | list[int]) -> "Face | Faces":
        if isinstance(which, (int, np.integer)):
            return self.row(int(which))
        index = np.arange(len(self))[which]
        return replace(
            self,
            boxes=self.boxes[index],
            landmarks=self.landmarks[index],
            scores=self.scores[index],
            poses=self.poses[index],
            quality=self.quality.take(index),
            embeddings=None if self.embeddings is None else self.embeddings[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
        )

    def row(self, k: int) -> Face:
        """One face."""
        yaw, pitch, roll = (float(v) for v in self.poses[k])
        return Face(
            box=Box(*(float(v) for v in self.boxes[k])),
            landmarks=self.landmarks[k],
            score=float(self.scores[k]),
            quality=float(self.quality.unified[k]),
            pose=HeadPose(yaw, pitch, roll),
            embedding=None if self.embeddings is None else self.embeddings[k],
            track_id=None if self.track_ids is None else int(self.track_ids[k]),
        )

    @property
    def sides(self) -> Float32:
        """(n,) longer side of each box, pixels."""
        size = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(size.max(1) if len(self) else np.zeros(0), np.float32)

    def with_tracks(self, track_ids: Ints) -> "Faces":
        """The same faces with their tracks."""
        return replace(self, track_ids=track_ids)

    def with_contract(self, contract: str) -> "Faces":
        """The same faces, said to be of a pipeline."""
        return replace(self, contract=contract)

    def with_embeddings(self, embeddings: Float32, contract: str) -> "Faces":
        """The same faces with their templates."""
        return replace(self, embeddings=embeddings, contract=contract)

    @staticmethod
    def concatenate(parts: list["Faces"]) -> "Faces":
        """Rows of several tables under one another.

        Raises:
            ContractError: If their templates were made by different pipelines.
        """
        contracts = {p.contract for p in parts if len(p)}
        if len(contracts) > 1:
            raise ContractError(
                what=f"the faces come from {len(contracts)} pipelines: {sorted(contracts)}",
                why="their templates cannot be compared",
                mend="embed all pictures with one pipeline",
            )
        whole = [p for p in parts if len(p)]
        if not whole:
            return parts[0] if parts else Faces.none()
        embeddings = [p.embeddings for p in whole if p.embeddings is not None]
        tracks = [p.track_ids for p in whole if p.track_ids is not None]
        return Faces(
            boxes=np.concatenate([p.boxes for p in whole]),
            landmarks=np.concatenate([p.landmarks for p in whole]),
            scores=np.concatenate([p.scores for p in whole]),
            poses=np.concatenate([p.poses for p in whole]),
            quality=QualityTable(
                np.concatenate([p.quality.native for p in whole]),
                np.concatenate([p.quality.scores for p in whole]),
            ),
            embeddings=np.concatenate(embeddings) if len(embeddings) == len(whole) else None,
            contract=whole[0].contract,
            track_ids=np.concatenate(tracks) if len(tracks) == len(whole) else None,
        )

    @staticmethod
    def none() -> "Faces":
        """A picture without faces."""
        table = np.zeros((0, len(COMPONENTS)), np.float32)
        return Faces(
            boxes=np.zeros((0, 4), np.float32),
            landmarks=np.zeros((0, 5, 2), np.float32),
            scores=np.zeros(0, np.float32),
            poses=np.zeros((0, 3), np.float32),
            quality=QualityTable(table, table),
        )

    def to_columns(self) -> dict[str, Array]:
        """Flat named columns, (n,) each: box corners, score, pose, quality and, if known, track."""
        columns: dict[str, Array] = {}
        for k, name in enumerate(("x0", "y0", "x1", "y1")):
            columns[name] = self.boxes[:, k]
        columns["score"] = self.scores
        for k, name in enumerate(("yaw", "pitch", "roll")):
            columns[name] = self.poses[:, k]
        columns["quality"] = self.quality.unified
        for k, name in enumerate(COMPONENTS):
            columns[f"quality_{name}"] = self.quality.native[:, k]
        if self.track_ids is not None:
            columns["track_id"] = self.track_ids
        return columns

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`; landmarks and embeddings as fixed-size lists."""
        import pyarrow as pa

        columns = {k: pa.array(np.ascontiguousarray(v)) for k, v in self.to_columns().items()}
        columns["landmarks"] = _fixed_lists(self.landmarks.reshape(len(self), 10))
        if self.embeddings is not None:
            columns["embedding"] = _fixed_lists(self.embeddings)
        return pa.table(columns).replace_schema_metadata({"mien.contract": self.contract})

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one row a face (extra ``interop``)."""
        pandas = require("pandas", extra="interop")
        frame = pandas.DataFrame(self.to_columns())
        frame["landmarks"] = list(self.landmarks)
        if self.embeddings is not None:
            frame["embedding"] = list(self.embeddings)
        return frame

    def to_supervision(self) -> Any:
        """A `supervision.Detections` (extra ``interop``); quality and landmarks in ``data``."""
        supervision = require("supervision", extra="interop")
        data: dict[str, Array] = {"quality": self.quality.unified, "landmarks": self.landmarks}
        if self.embeddings is not None:
            data["embedding"] = self.embeddings
        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=np.zeros(len(self), int),
            tracker_id=self.track_ids,
            data=data,
        )


def _fixed_lists(rows: Array) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(rows, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def choose_main_face(boxes: Array, size: tuple[int, int]) -> int:
    """The face that a portrait is of: large and near the middle.

    Args:
        boxes: (n, 4) pixels, at least one.
        size: Width and height of the picture.

    Returns:
        Its row. The face minimises its centre's distance from the picture's centre minus half its
        longer side, so that of two faces equally far from the middle the larger wins.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1)
    distance = np.linalg.norm(centres - np.array(size) / 2, axis=1)
    return int(np.argmin(distance - sides / 2))
