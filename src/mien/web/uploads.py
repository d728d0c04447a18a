"""Where uploads stand for a while, and that nothing is fetched in place of one.

Gradio keeps uploads in the system's temporary folder, and where a request names an address instead
of an upload, it fetches it. Here they stand in a folder of the service that others cannot read, and
addresses are refused.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Final

from mien.core.errors import RefusedError
from mien.core.files import storage_error

FOLDER: Final = "page"


def private_folder(data_folder: Path) -> Path:
    """An empty folder for uploads, readable by the service only; Gradio is told to use it.

    Raises:
        StorageError: If it cannot be made.
    """
    folder = data_folder.absolute() / FOLDER
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, mode=0o700)
    except OSError as err:
        raise storage_error(err, folder) from err
    os.environ["GRADIO_TEMP_DIR"] = str(folder)  # Gradio asks nothing but this variable
    return folder


def take_uploads_only(block: Any) -> None:
    """Make a control of Gradio's refuse addresses where files are meant."""
    ordinary = getattr(block, "async_move_resource_to_block_cache", None)
    if ordinary is None:
        return

    async def move(path: Any) -> Any:
        if "://" in str(path):
            raise RefusedError(
                what="an address was sent in place of a file",
                why="the page fetches nothing",
                mend="upload the file itself",
            )
        return await ordinary(path)

    vars(block)["async_move_resource_to_block_cache"] = move
