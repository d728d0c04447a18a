"""A gallery made anew for another pipeline, from the pictures behind its templates.

Templates of two pipelines cannot be compared, and none can be turned into the other: only the
pictures help. A picture counts only if it is the one that was enrolled, to the pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.errors import IntegrityError, MienError
from mien.core.types import Box
from mien.faces.pipeline import FacePipeline, no_face
from mien.gallery.gallery import Gallery, digest_of
from mien.gallery.index import Template
from mien.media.image import load_image

_SAME_BOX: Final = 0.5  # intersection over union; detectors differ a little


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What became of the templates.

    Attributes:
        faces: Templates made anew.
        failed: Ids of the others, each with its error.
    """

    faces: int
    failed: tuple[tuple[str, MienError], ...]


def reembed_gallery(
    old: Gallery,
    path: Path,
    pipeline: FacePipeline,
    *,
    root: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reembedded:
    """Write a new gallery; the old one stays as it is.

    Args:
        old: Where the people come from.
        path: The new file.
        pipeline: Makes the new templates.
        root: Folder that relative names of pictures start from; None: the present one.
        progress: Called with templates done and all templates.

    Returns:
        How many were made, and which were not.

    Raises:
        ConflictError: If the new file exists.
        StorageError: If it cannot be written.
    """
    total, failed, made = old.count().faces, [], 0
    with Gallery.create(path, pipeline.contract, strict=old.is_strict) as new:
        for done, template in enumerate(old.index.iterate(), 1):
            try:
                again = _embed(template, pipeline, root or Path())
                crop = old.people.crop(template.face_id)
                new.add(again, crop=crop, force=True, actor="reembed")
                made += 1
            except MienError as err:
                failed.append((template.face_id, err))
            if progress:
                progress(done, total)
    return Reembedded(made, tuple(failed))


def _embed(template: Template, pipeline: FacePipeline, root: Path) -> Template:
    image = load_image(root / template.source)
    if digest_of(image.pixels) != template.digest:
        raise IntegrityError(
            what=f"the picture of face {template.face_id} is not the one that was enrolled",
            why="its pixels differ",
            mend="put the original picture back, or enrol the new one",
        )
    faces = pipeline.analyse(image).faces
    if not len(faces) or faces.embeddings is None:
        raise no_face(image.source)
    enrolled = Box(*template.box)
    overlaps = [enrolled.iou(Box(*(float(v) for v in box))) for box in faces.boxes]
    row = int(np.argmax(overlaps))
    if overlaps[row] < _SAME_BOX:
        raise no_face(image.source)
    x0, y0, x1, y1 = (float(v) for v in faces.boxes[row])
    vector = np.asarray(faces.embeddings[row], np.float32)
    return replace(template, vector=vector, box=(x0, y0, x1, y1), person_id="")
