"""mien: face recognition that says how sure it is.

Public names are loaded when they are first asked for, so that ``import mien`` is quick:

    >>> import mien
    >>> pipeline = mien.FacePipeline.open()  # doctest: +SKIP
    >>> pipeline.analyse("photo.jpg").faces  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.core.errors import MienError as MienError
    from mien.faces.parts import PipelineConfig as PipelineConfig
    from mien.faces.pipeline import Analysis as Analysis
    from mien.faces.pipeline import FacePipeline as FacePipeline
    from mien.faces.quality import QualityGate as QualityGate
    from mien.faces.table import Faces as Faces
    from mien.gallery.decide import Decision as Decision
    from mien.gallery.gallery import Gallery as Gallery
    from mien.media.image import Image as Image
    from mien.media.image import ImageLimits as ImageLimits
    from mien.media.image import load_image as load_image

_HOMES = {
    "Analysis": "mien.faces.pipeline",
    "Decision": "mien.gallery.decide",
    "FacePipeline": "mien.faces.pipeline",
    "Faces": "mien.faces.table",
    "Gallery": "mien.gallery.gallery",
    "Image": "mien.media.image",
    "ImageLimits": "mien.media.image",
    "MienError": "mien.core.errors",
    "PipelineConfig": "mien.faces.parts",
    "QualityGate": "mien.faces.quality",
    "load_image": "mien.media.image",
}

__all__ = [  # noqa: PLE0604  names come from the table, and a test compares them
    *sorted(_HOMES),
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mien")
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
