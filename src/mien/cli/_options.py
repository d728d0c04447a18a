"""Options that several commands share, and the objects that they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mien.faces.pipeline import FacePipeline
    from mien.gallery.gallery import Gallery

GalleryPath = Annotated[
    Path | None,
    typer.Option("--gallery", "-g", help="Gallery file. Default: one in your data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Fpir = Annotated[
    float,
    typer.Option(help="Tolerated share of unknown faces that are named, 0-1."),
]
Provider = Annotated[
    str, typer.Option(help="Engine of the embedder: onnxruntime, or openvino (extra 'fast').")
]
EmbedderName = Annotated[
    str, typer.Option("--embedder", help="sface, dlib (extra 'dlib'), or a plug-in's name.")
]
Workers = Annotated[
    int | None, typer.Option(help="Pictures in work at once. Default: what the quota allows.")
]
MinFace = Annotated[
    float, typer.Option("--min-face", help="Smallest face side to look for, in pixels.")
]
ACTOR = "cli"
"""Who changes a gallery, for its journal."""

Licence = Annotated[
    str | None,
    typer.Option(
        "--require", help="'commercial' refuses weights not known to allow commercial use."
    ),
]
Int8 = Annotated[
    bool,
    typer.Option("--int8", help="Search 8-bit codes, then compare the best exactly."),
]


def default_gallery() -> Path:
    """Where the gallery lies if no path is given."""
    from platformdirs import user_data_path

    return user_data_path("mien", appauthor=False) / "people.gallery"


def open_pipeline(
    *,
    provider: str = "onnxruntime",
    embedder: str = "sface",
    min_face: float = 20.0,
    require: str | None = None,
) -> "FacePipeline":
    """Build the pipeline that the options describe."""
    from mien.core.errors import ConfigError
    from mien.faces.parts import PipelineConfig
    from mien.faces.pipeline import FacePipeline

    if require not in {None, "commercial"}:
        raise ConfigError(
            what=f"--require is {require!r}",
            why="the one demand on a licence that mien knows is 'commercial'",
            mend="pass --require commercial, or leave it out",
        )
    config = PipelineConfig(
        embedder=embedder,
        provider=provider,
        min_face_px=min_face,
        require="commercial" if require else None,
    )
    return FacePipeline.open(config)


def open_gallery(path: Path | None, pipeline: "FacePipeline | None", *, int8: bool) -> "Gallery":
    """Open the gallery that the options describe; it must exist."""
    from mien.gallery.gallery import Gallery

    return Gallery.open(
        path or default_gallery(),
        pipeline.contract if pipeline else None,
        precision="int8" if int8 else "float32",
    )
