"""Drawn scenes as a folder: pictures, a line of labels for each, and a sheet to look at."""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.files import write_atomically
from mien.core.records import to_json_line
from mien.core.types import UInt8
from mien.studio.draw import Drawing, draw
from mien.studio.scene import Scene

LABELS: Final = "labels.jsonl"
SHEET: Final = "sheet.png"
_ON_SHEET: Final = 256


def write_folder(
    folder: Path,
    scenes: Sequence[tuple[int, Scene]],
    *,
    advance: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Draw scenes into a folder.

    The labels are written last and in one step: a folder with labels is complete.

    Args:
        folder: Made if missing; files of the same names are replaced.
        scenes: Seed and scene of each picture; the seed names the file.
        advance: Told how many are done, and of how many.

    Raises:
        StorageError: If the disk is full or the place not writable.
    """
    lines: list[str] = []
    shown: list[UInt8] = []
    for done, (seed, scene) in enumerate(scenes, 1):
        drawing = draw(scene)
        name = f"{seed:08d}.png"
        write_png(folder / name, drawing.image)
        lines.append(to_json_line(_record(name, seed, scene, drawing)))
        if len(shown) < _ON_SHEET:
            shown.append(drawing.image)
        advance(done, len(scenes))
    write_png(folder / SHEET, contact_sheet(shown))
    with write_atomically(folder / LABELS) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def contact_sheet(pictures: Sequence[UInt8]) -> UInt8:
    """Pictures of one size side by side, as near to a square as they fill."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    size = pictures[0].shape[0]
    sheet = np.zeros((rows * size, columns * size, 3), np.uint8)
    for at, picture in enumerate(pictures):
        row, column = divmod(at, columns)
        sheet[row * size : (row + 1) * size, column * size : (column + 1) * size] = picture
    return sheet


def write_png(path: Path, picture: UInt8) -> None:
    """Write an RGB picture as PNG.

    Raises:
        StorageError: If the disk is full or the place not writable.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    with write_atomically(path) as file:
        file.write(buffer.getvalue())


def _record(name: str, seed: int, scene: Scene, drawing: Drawing) -> dict[str, Any]:
    labels = drawing.labels.as_record()
    return {"file": name, "seed": seed, **labels, "scene": scene.as_record()}
