"""Pictures of requests on their way through the pipeline, and what is chosen from the answer."""

from dataclasses import replace
from typing import Final

import numpy as np

from mien.core.errors import InputError, QualityError
from mien.core.types import Float32
from mien.faces.pipeline import Analysis, no_face
from mien.faces.quality import QualityGate
from mien.media.image import Image, load_image
from mien.server.state import ServiceState

SOURCE: Final = "upload"
"""How pictures of requests are called: the client's own name for one may be a person's."""


async def open_picture(state: ServiceState, data: bytes) -> Image:
    """Decode a picture whose pixels are needed besides its faces.

    Raises:
        MediaError: If it cannot be read.
    """
    image = await state.call(load_image, data, limits=state.settings.image_limits)
    return replace(image, source=SOURCE)


async def analyse(
    state: ServiceState, picture: bytes | Image, gate: QualityGate | None = None
) -> Analysis:
    """Faces of a picture with templates, among the pictures of other requests.

    Raises:
        MediaError: If it cannot be read.
        BusyError: If too many are waiting.
    """
    analysis = await state.batcher.analyse(picture, gate=gate)
    state.metrics.faces(len(analysis.faces) + len(analysis.refused))
    return replace(analysis, source=SOURCE)


def main_row(analysis: Analysis) -> int:
    """Row of the face that a portrait is of.

    Raises:
        NoFaceError: If there is no face.
        QualityError: If that face was refused.
    """
    row = analysis.main_face()
    if row is None and not len(analysis.faces) + len(analysis.refused):
        raise no_face(analysis.source)
    if row is None:
        codes = [str(code) for code in analysis.main_reasons()]
        raise QualityError(
            what=f"{analysis.source}: the main face is not fit for use ({', '.join(codes)})",
            why="nothing reliable can be said about it",
            mend="use a sharper, larger, evenly lit and more frontal picture",
            codes=codes,
        )
    return row


def template_of(analysis: Analysis, row: int) -> Float32:
    """(d,) template of one face.

    Raises:
        InputError: If there is none.
    """
    if analysis.faces.embeddings is None:
        raise InputError(
            what=f"{analysis.source}: its faces have no templates",
            why="they were only detected",
            mend="send another picture",
        )
    return np.asarray(analysis.faces.embeddings[row], np.float32)
