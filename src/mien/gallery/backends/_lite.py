"""Milvus Lite, which runs inside this process: one server a folder, shared by all that use it.

It lets one change happen at a time only, and while it writes a segment a search can miss the rows
that are on their way; so everything that is asked of one folder takes turns.
"""

import threading
from pathlib import Path
from typing import Final

from mien.core.errors import StorageError
from mien.core.files import storage_error
from mien.core.optional import require

SUFFIX: Final = ".db"
"""pymilvus takes an address that ends so for a path."""


class LiteFolder:
    """One folder of Milvus Lite in use.

    Attributes:
        turn: Held while anything is asked of it.
        changes: How many changes were made through this process; no other one can make any.
    """

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self.changes = 0
        self.users = 0


_LOCK: Final = threading.Lock()
_OPEN: Final[dict[str, LiteFolder]] = {}


def join(path: Path) -> LiteFolder:
    """Use a folder; `leave` gives it back."""
    with _LOCK:
        folder = _OPEN.setdefault(str(path), LiteFolder())
        folder.users += 1
        return folder


def leave(path: Path) -> None:
    """Stop the server if this was the last user, so that other programs can open the folder."""
    manager = require("milvus_lite.server_manager", extra="scale").server_manager_instance
    with _LOCK:
        folder = _OPEN[str(path)]
        folder.users -= 1
        if not folder.users:
            del _OPEN[str(path)]
            manager.release_server(str(path))


def make_folder(path: Path) -> None:
    """Make the folder, readable by its owner only, before Milvus Lite would make it for all.

    Raises:
        StorageError: If it cannot be made.
    """
    if path.is_file():
        raise StorageError(
            what=f"{path} is a file",
            why="this version of Milvus Lite keeps a folder under that name",
            mend="choose another path; files of older versions must be filled anew",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as err:
        raise storage_error(err, path) from err
