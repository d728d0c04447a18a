"""What growing clusters keep between calls, and how it becomes arrays and comes back."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zipfile import BadZipFile

import numpy as np

from mien.core.errors import IntegrityError, MienError
from mien.core.types import Array, Ints
from mien.gallery.cluster._inputs import Rows, check_rows
from mien.gallery.cluster.config import ClusterConfig
from mien.gallery.cluster.links import Links

SCHEMA: Final = "mien.clusters/1"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything about n faces.

    Attributes:
        faces: What was added, in order.
        labels: (n,) each face's cluster.
        parts: (n,) smallest row of each face's part.
        candidates: (m, 2) rows alike enough to be put together.
        links: All corrections.
        next_label: The first label that was never given.
    """

    faces: Rows
    labels: Ints
    parts: Ints
    candidates: Ints
    links: Links
    next_label: int

    @staticmethod
    def empty() -> "State":
        """No face yet."""
        none = np.zeros(0, np.int64)
        return State(Rows.none(), none, none, np.zeros((0, 2), np.int64), Links.of(), 0)


def pack(state: State, config: ClusterConfig, contract: str) -> dict[str, Array]:
    """State, settings and contract as arrays without objects."""
    settings = [config.threshold, config.same_photo_penalty, config.clear_quality]
    return {
        "schema": np.array(SCHEMA),
        "contract": np.array(contract),
        "settings": np.array([*settings, config.neighbours], np.float64),
        "vectors": state.faces.vectors,
        "photos": state.faces.photos,
        "quality": state.faces.quality,
        "labels": state.labels,
        "parts": state.parts,
        "candidates": state.candidates,
        "must": state.links.must,
        "cannot": state.links.cannot,
        "next_label": np.array(state.next_label),
    }


def unpack(arrays: Mapping[str, Array]) -> tuple[State, ClusterConfig, str]:
    """What `pack` was given.

    Raises:
        IntegrityError: If arrays are missing, unreadable or do not fit together.
    """
    try:
        return _state_of(arrays), _config_of(arrays), str(arrays["contract"])
    except IntegrityError:
        raise
    except (LookupError, ValueError, TypeError, MienError, OSError, BadZipFile, zlib.error) as err:
        raise _damaged(str(err)) from err


def _config_of(arrays: Mapping[str, Array]) -> ClusterConfig:
    threshold, penalty, clear_quality, neighbours = arrays["settings"].tolist()
    return ClusterConfig(threshold, penalty, clear_quality, int(neighbours))


def _state_of(arrays: Mapping[str, Array]) -> State:
    if str(arrays["schema"]) != SCHEMA:
        raise _damaged(f"the schema is {str(arrays['schema'])!r}, not {SCHEMA!r}")
    vectors = arrays["vectors"]
    faces = check_rows(vectors, arrays["photos"], arrays["quality"]) if len(vectors) else None
    state = State(
        faces=faces or Rows.none(),
        labels=_whole(arrays["labels"]),
        parts=_whole(arrays["parts"]),
        candidates=_whole(arrays["candidates"]),
        links=Links.of(arrays["must"], arrays["cannot"]),
        next_label=int(arrays["next_label"]),
    )
    _check(state)
    return state


def _whole(values: Array) -> Ints:
    if values.dtype.kind not in "iu":
        raise _damaged(f"whole numbers are of type {values.dtype}")
    return values.astype(np.int64)


def _check(state: State) -> None:
    n = len(state.faces)
    state.links.groups(n)
    if state.labels.shape != (n,) or state.parts.shape != (n,):
        raise _damaged(f"{n} faces have {state.labels.size} labels and {state.parts.size} parts")
    if state.candidates.ndim != 2 or state.candidates.shape[1] != 2:
        raise _damaged(f"the candidates have shape {state.candidates.shape}")
    if not ((state.labels >= 0) & (state.labels < state.next_label)).all():
        raise _damaged("a label was never given")
    if not all(((rows >= 0) & (rows < n)).all() for rows in (state.parts, state.candidates)):
        raise _damaged(f"a row is named that none of the {n} faces has")
    if not (state.labels[state.parts] == state.labels).all():
        raise _damaged("a part lies in two clusters")


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(
        what=f"the stored clusters cannot be used: {what}",
        why="they were changed by something else, or written by another version of mien",
        mend="restore a copy, or begin anew with all photos",
    )
