"""Clusters of a folder's faces that can be kept in a file and grown when photos are added."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import IntegrityError, RangeError
from mien.core.files import write_atomically
from mien.core.records import read_csv
from mien.core.types import Array
from mien.faces.pipeline import Ok, Outcome
from mien.gallery.cluster.config import ClusterConfig
from mien.gallery.cluster.incremental import Change, IncrementalClusters
from mien.gallery.cluster.links import Links

_NAMES: Final = "folder"


@dataclass(frozen=True, slots=True)
class FaceRef:
    """Where a face is.

    Attributes:
        path: The picture, as it was named.
        face: Its number in the picture, from 0, best detection first.
        box: x0 y0 x1 y1 pixels.
    """

    path: str
    face: int
    box: tuple[float, float, float, float]

    @property
    def name(self) -> str:
        """How links call it, such as ``party.jpg#2``."""
        return f"{self.path}#{self.face}"


class ClusteredFolder:
    """Pictures, the faces on them, and who is one person.

    Attributes:
        clusters: The clusters; its rows are those of `faces`.
    """

    def __init__(self, contract: str, config: ClusterConfig | None = None) -> None:
        self.clusters = IncrementalClusters(config, contract=contract)
        self._pictures: list[str] = []
        self._faces: list[FaceRef] = []

    @property
    def pictures(self) -> tuple[str, ...]:
        """Pictures read so far, those without a face too."""
        return tuple(self._pictures)

    @property
    def faces(self) -> tuple[FaceRef, ...]:
        """All faces, in the order in which they were added."""
        return tuple(self._faces)

    def add(self, outcomes: Sequence[Outcome]) -> Change:
        """Add the faces of analysed pictures; pictures that failed are left for the next time."""
        rows, photos, quality, refs = [], [], [], []
        pictures = list(self._pictures)
        for outcome in outcomes:
            if not isinstance(outcome, Ok):
                continue
            faces = outcome.analysis.faces
            if faces.embeddings is not None and len(faces):
                rows.append(faces.embeddings)
                quality.append(faces.quality.unified)
                photos += [len(pictures)] * len(faces)
                refs += [_ref(outcome.source, k, box) for k, box in enumerate(faces.boxes)]
            pictures.append(outcome.source)
        if not rows:
            self._pictures = pictures
            return Change(np.zeros(0, np.int64), (), (), ())
        change = self.clusters.add(
            np.concatenate(rows), np.array(photos), quality=np.concatenate(quality)
        )
        self._pictures = pictures
        self._faces += refs
        return change

    def link(self, must: Sequence[tuple[str, str]], cannot: Sequence[tuple[str, str]]) -> Change:
        """Take corrections.

        Args:
            must: Pairs of face names that show one person.
            cannot: Pairs of face names that show two people. A name is ``PATH#NUMBER``, or
                ``PATH`` for the only face of a picture.

        Raises:
            RangeError: If a name stands for no face, or for several.
            ConflictError: If corrections contradict each other.
        """
        rows = self._rows_by_name()
        pairs = [[(_find(a, rows), _find(b, rows)) for a, b in names] for names in (must, cannot)]
        return self.clusters.link(Links.of(*pairs))

    def save(self, path: Path) -> None:
        """Keep everything in a file that only its owner may read: it holds templates.

        Raises:
            StorageError: If it cannot be written.
        """
        names = {
            "pictures": self._pictures,
            "faces": [[ref.path, ref.face, *ref.box] for ref in self._faces],
        }
        arrays: dict[str, Any] = dict(self.clusters.to_arrays())
        arrays[_NAMES] = np.frombuffer(json.dumps(names).encode(), np.uint8)
        with write_atomically(path, private=True) as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path, *, contract: str) -> "ClusteredFolder":
        """Read what `save` wrote.

        Raises:
            IntegrityError: If it is something else, or damaged.
            ContractError: If the templates were made by another pipeline.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays: Mapping[str, Array] = {name: file[name] for name in file.files}
            names = json.loads(arrays[_NAMES].tobytes())
            refs = [FaceRef(p, int(k), (a, b, c, d)) for p, k, a, b, c, d in names["faces"]]
            pictures = [str(picture) for picture in names["pictures"]]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as err:
            raise IntegrityError(
                what=f"{path} does not hold clusters of a folder ({type(err).__name__})",
                why="it was written by something else, or is damaged",
                mend="delete it and cluster all pictures anew",
            ) from err
        folder = cls(contract)
        state = {name: values for name, values in arrays.items() if name != _NAMES}
        folder.clusters = IncrementalClusters.from_arrays(state, contract=contract)
        folder._pictures, folder._faces = pictures, refs
        if len(refs) != len(folder.clusters):
            raise IntegrityError(
                what=f"{path} names {len(refs)} faces and holds {len(folder.clusters)}",
                why="it was changed by something other than mien",
                mend="delete it and cluster all pictures anew",
            )
        return folder

    def _rows_by_name(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, ref in enumerate(self._faces):
            rows.setdefault(ref.path, []).append(row)
            rows[ref.name] = [row]
        return rows


def read_links(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Read a CSV file with the columns link, left, right.

    Returns:
        Pairs that must, and pairs that must not, be one person.

    Raises:
        MissingError: If it cannot be read.
        RangeError: If a row is neither ``must`` nor ``cannot``, or a name is missing.
    """
    rows = read_csv(path, why="it is to hold corrections", columns="link,left,right")
    pairs: dict[str, list[tuple[str, str]]] = {"must": [], "cannot": []}
    for number, row in enumerate(rows, 2):
        kind, left, right = row.get("link"), row.get("left"), row.get("right")
        if kind not in pairs or not left or not right:
            raise RangeError(
                what=f"line {number} of {path} is {row}",
                why="a correction has a link, must or cannot, and two faces",
                mend="write the columns link,left,right, such as: must,a.jpg#0,b.jpg#1",
            )
        pairs[kind].append((left, right))
    return pairs["must"], pairs["cannot"]


def _ref(path: str, face: int, box: Array) -> FaceRef:
    x0, y0, x1, y1 = (round(float(v), 1) for v in box)
    return FaceRef(path, face, (x0, y0, x1, y1))


def _find(name: str, rows: dict[str, list[int]]) -> int:
    found = rows.get(name, [])
    if len(found) == 1:
        return found[0]
    raise RangeError(
        what=f"{name!r} stands for {len(found)} faces",
        why="a correction is about two faces",
        mend="name a face as PATH#NUMBER, with the path as `mien cluster --json` prints it",
    )
