"""Outcomes of a pipeline as rows of plain arrays, in which nothing is lost.

A row is a face with a template, a picture without one, or a picture that failed. Rows of one
picture stand together. What is written to a file, and how, is `mien.faces.export`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from mien.core.types import Array, Ints
from mien.faces.pipeline import Ok, Outcome
from mien.faces.quality import COMPONENTS
from mien.faces.table import Faces

Rows = dict[str, Array]
"""Columns of equal length, as `rows_of` makes them."""

NO_FACE: Final = -1


def rows_of(outcomes: Sequence[Outcome], dim: int) -> Rows:
    """The outcomes as columns.

    Args:
        outcomes: What became of some pictures.
        dim: Length of a template.

    Returns:
        ``path`` (n,) str; ``face`` (n,) number within the picture, -1 if the row is of none;
        ``box`` (n, 4); ``landmarks`` (n, 5, 2); ``pose`` (n, 3); ``score``, ``quality`` (n,);
        ``measures`` (n, k) as in `COMPONENTS`; ``vector`` (n, dim); ``error`` (n,) JSON of a
        picture that failed, else empty. A row that is of no face holds zeros.
    """
    parts = [_rows_of_one(outcome, dim) for outcome in outcomes]
    return concatenate(parts) if parts else _blank("", "", 0, dim)


def _rows_of_one(outcome: Outcome, dim: int) -> Rows:
    if not isinstance(outcome, Ok):
        return _blank(outcome.source, json.dumps(outcome.error.as_record(), default=str), 1, dim)
    faces = outcome.analysis.faces
    return (
        _rows_of_faces(outcome.source, faces) if len(faces) else _blank(outcome.source, "", 1, dim)
    )


def _rows_of_faces(source: str, faces: Faces) -> Rows:
    n = len(faces)
    return {
        "path": _texts(source, n),
        "face": np.arange(n, dtype=np.int32),
        "box": faces.boxes,
        "landmarks": faces.landmarks,
        "pose": faces.poses,
        "score": faces.scores,
        "quality": faces.quality.unified,
        "measures": faces.quality.native,
        "vector": np.zeros((n, 0), np.float32) if faces.embeddings is None else faces.embeddings,
        "error": _texts("", n),
    }


def _blank(source: str, error: str, n: int, dim: int) -> Rows:
    shapes: dict[str, tuple[int, ...]] = {
        "box": (4,),
        "landmarks": (5, 2),
        "pose": (3,),
        "score": (),
        "quality": (),
        "measures": (len(COMPONENTS),),
        "vector": (dim,),
    }
    return {
        "path": _texts(source, n),
        "face": np.full(n, NO_FACE, np.int32),
        **{name: np.zeros((n, *shape), np.float32) for name, shape in shapes.items()},
        "error": _texts(error, n),
    }


def _texts(text: str, n: int) -> Array:
    texts = np.empty(n, object)
    texts[:] = text
    return texts


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Rows under one another; at least one part."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def take(rows: Rows, which: Array | slice) -> Rows:
    """Some of the rows."""
    return {name: column[which] for name, column in rows.items()}


def whole_pictures(batches: Iterable[Rows], at_least: int) -> Iterator[Rows]:
    """Rows regrouped so that no picture is cut in two, however the batches were cut.

    Args:
        batches: Rows in which those of one picture stand together.
        at_least: Pictures in every group but the last.
    """
    held: list[Rows] = []
    for batch in batches:
        held.append(batch)
        rows = concatenate(held)
        starts = picture_starts(rows)
        if len(starts) > at_least:  # the last picture may go on in the next batch
            yield take(rows, slice(0, starts[-1]))
            held = [take(rows, slice(starts[-1], None))]
    if held and len(held[0]["path"]):
        yield concatenate(held)


def picture_starts(rows: Rows) -> Ints:
    """Rows at which a picture begins."""
    paths = rows["path"]
    first = np.ones(min(len(paths), 1), bool)
    return np.flatnonzero(np.concatenate([first, paths[1:] != paths[:-1]]))
