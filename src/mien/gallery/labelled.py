"""Templates of photos whose people are known: a folder for each person."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import InputError, MienError, QualityError
from mien.core.types import Array, Float32
from mien.faces.pipeline import FacePipeline, Failed, Ok, no_face
from mien.media.folders import find_images


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTemplates:
    """The main faces of many photos.

    Attributes:
        templates: (n, d) float32, rows of length 1.
        people: (n,) folder names.
        paths: n photos, relative to the root.
        quality: (n,) unified quality, 0-100.
        skipped: Photos without a usable main face, each with its error.
    """

    templates: Float32
    people: Array
    paths: tuple[str, ...]
    quality: Float32
    skipped: tuple[tuple[str, MienError], ...]


def find_people(root: Path) -> list[tuple[str, Path]]:
    """Pictures of a folder-per-person tree, each with the name of its first folder.

    Raises:
        InputError: If pictures lie in the root itself.
        MediaError: If there are no pictures.
    """
    found = [(path.relative_to(root), path) for path in find_images(root)]
    loose = [relative for relative, _ in found if len(relative.parts) == 1]
    if loose:
        raise InputError(
            what=f"{len(loose)} pictures lie in {root} itself, such as {loose[0]}",
            why="each person needs a folder that bears their name",
            mend="move them into folders, or name the person with --name",
        )
    return [(relative.parts[0], path) for relative, path in found]


def embed_labelled(
    pipeline: FacePipeline,
    root: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledTemplates:
    """Embed the main face of every photo of a folder-per-person tree.

    Args:
        pipeline: Makes the templates.
        root: The tree.
        workers: Pictures in work at once; None takes what the quota allows.
        progress: Called with photos done and all photos.

    Raises:
        InputError: If pictures lie in the root itself.
        MediaError: If there are no pictures.
    """
    people = find_people(root)
    outcomes = pipeline.analyse_many([path for _, path in people], workers=workers, which="main")
    rows: list[Float32] = []
    names: list[str] = []
    kept: list[str] = []
    quality: list[float] = []
    skipped: list[tuple[str, MienError]] = []
    for done, ((name, path), outcome) in enumerate(zip(people, outcomes, strict=True), 1):
        relative = path.relative_to(root).as_posix()
        error = _fault(outcome)
        if error is not None:
            skipped.append((relative, error))
        elif isinstance(outcome, Ok) and outcome.analysis.faces.embeddings is not None:
            rows.append(outcome.analysis.faces.embeddings[0])
            quality.append(float(outcome.analysis.faces.quality.unified[0]))
            names.append(name)
            kept.append(relative)
        if progress:
            progress(done, len(people))
    dim = pipeline.contract.dim
    return LabelledTemplates(
        templates=np.stack(rows) if rows else np.zeros((0, dim), np.float32),
        people=np.array(names, dtype=str),
        paths=tuple(kept),
        quality=np.array(quality, np.float32),
        skipped=tuple(skipped),
    )


def _fault(outcome: Ok | Failed) -> MienError | None:
    if isinstance(outcome, Failed):
        return outcome.error
    analysis = outcome.analysis
    if len(analysis.faces):
        return None
    if not len(analysis.refused):
        return no_face(analysis.source)
    codes = [str(code) for code in analysis.reasons[0]]
    return QualityError(
        what=f"{analysis.source}: the face cannot be used ({', '.join(codes)})",
        why="its landmarks or its quality do not allow a template",
        mend="use another picture",
        codes=codes,
    )
