"""``mien studio``: drawn people with exact labels."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli._console import progress, remark, write_line
from mien.cli._options import Json

app = typer.Typer(help="Draw people that do not exist, with exact labels.", no_args_is_help=True)


@app.callback()
def studio() -> None:
    """Draw people that do not exist, with exact labels."""


@app.command()
def draw(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first; the next follow.")] = 1,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 128,
    frontal: Annotated[
        bool, typer.Option("--frontal", help="Faces that look at the camera, nearly at rest.")
    ] = False,
    json: Json = False,
) -> None:
    """Draw people, one a seed, as PNG files with a line of labels each and a contact sheet."""
    from mien.studio.folder import LABELS, SHEET, write_folder
    from mien.studio.sampling import draw_scene

    seeds = range(seed, seed + count)
    scenes = [(one, draw_scene(one, size=size, frontal=frontal)) for one in seeds]
    with progress("drawing", quiet=json) as advance:
        write_folder(out, scenes, advance=advance)
    if json:
        write_line(
            {
                "out": str(out),
                "pictures": count,
                "first_seed": seed,
                "labels": LABELS,
                "sheet": SHEET,
            }
        )
    else:
        remark(f"{count} pictures, {LABELS} and {SHEET} written to {out}")
