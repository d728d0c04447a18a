"""The galleries of the service, one file each in the data folder, open as long as it runs.

A collection's id names its file. Ids have a narrow form, so that no request can name another file.
What is inside a collection is the business of `mien.gallery`.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mien.core.errors import BusyError, ConflictError, InputError, MienError, MissingError
from mien.core.files import storage_error
from mien.core.keys import Key, find_key
from mien.core.log import logger
from mien.faces.contract import Contract
from mien.gallery.gallery import Gallery

ID_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
"""Form of a collection's id."""

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUFFIX: Final = ".gallery"
_WAIT_S: Final = 10.0


@dataclass(slots=True, eq=False)
class _Room:
    """An open gallery, and how many are at work in it."""

    gallery: Gallery
    users: int = 0
    is_ending: bool = False


class Collections:
    """All galleries in a folder. Safe to use from threads; all of it blocks."""

    def __init__(self, data_folder: Path, contract: Contract, *, key: Key | None = None) -> None:
        """Open every gallery in the folder; one that cannot be opened is noted in `faults`.

        Args:
            data_folder: Where they stand; made if it is missing.
            contract: Of the pipeline in use.
            key: Opens them; None: the key that `core.keys.find_key` finds, or makes.

        Raises:
            StorageError: If the folder cannot be made.
        """
        self.folder = data_folder
        self.key = key or find_key(make=True)
        self.faults: dict[str, MienError] = {}
        """Why a collection could not be opened, by id."""
        self._contract = contract
        self._rooms: dict[str, _Room] = {}
        self._changed = threading.Condition(threading.RLock())
        try:
            data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as err:
            raise storage_error(err, data_folder) from err
        for collection_id in self.all():
            try:
                self.get(collection_id)
            except MienError as err:
                logger.error("collection %s cannot be opened: %s", collection_id, err)

    def all(self) -> list[str]:
        """Ids of all collections, sorted; those that cannot be opened too."""
        names = (path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))
        return sorted(name for name in names if _ID.fullmatch(name))

    def create(self, collection_id: str, *, strict: bool = False) -> Gallery:
        """Make an empty collection.

        Raises:
            InputError: If it is no id.
            ConflictError: If there is one of that id.
            StorageError: If it cannot be written.
        """
        path = self._path(collection_id)
        with self._changed:
            if path.exists():
                raise ConflictError(
                    what=f"there is a collection {collection_id!r} already",
                    why="making it anew would overwrite it",
                    mend="choose another id, or delete it first",
                )
            gallery = Gallery.create(path, self._contract, key=self.key, strict=strict)
            self._rooms[collection_id] = _Room(gallery)
        return gallery

    def get(self, collection_id: str) -> Gallery:
        """An open collection. To work in it, prefer `use`, which holds deletion off.

        Raises:
            InputError: If it is no id.
            MissingError: If there is none of that id.
            MienError: Why it cannot be opened.
        """
        with self._changed:
            return self._room(collection_id).gallery

    @contextmanager
    def use(self, collection_id: str) -> Iterator[Gallery]:
        """A collection to work in: it is not closed before the block ends."""
        with self._changed:
            room = self._room(collection_id)
            room.users += 1
        try:
            yield room.gallery
        finally:
            with self._changed:
                room.users -= 1
                self._changed.notify_all()

    def delete(self, collection_id: str, *, confirm: str) -> int:
        """Delete a collection with everything in it.

        Args:
            collection_id: The collection.
            confirm: The same id once more.

        Returns:
            How many faces it held; 0 if it could not be opened.

        Raises:
            InputError: If the ids differ.
            MissingError: If there is none of that id.
            BusyError: If others are at work in it for too long.
            StorageError: If a file cannot be removed.
        """
        path = self._path(collection_id)
        with self._changed:
            self.check_confirmed(collection_id, confirm)
            faces = self._end(collection_id)
            self.faults.pop(collection_id, None)
            try:
                for file in (path, *self.folder.glob(f"{path.name}[-.]*")):
                    file.unlink(missing_ok=True)
            except OSError as err:
                raise storage_error(err, path) from err
        return faces

    def check_confirmed(self, collection_id: str, confirm: str) -> None:
        """Raise if a collection is not to be deleted: see `delete`."""
        if not self._path(collection_id).exists():
            raise _missing(collection_id)
        if confirm != collection_id:
            raise InputError(
                what="the collection's id was not repeated as confirmation",
                why="everybody in it would be deleted, and that cannot be undone",
                mend="repeat it: ?confirm=<id>",
            )

    def count_faces(self) -> int:
        """Faces in all open collections."""
        with self._changed:
            return sum(room.gallery.count().faces for room in self._rooms.values())

    def close(self) -> None:
        """Close them all."""
        with self._changed:
            for room in self._rooms.values():
                room.gallery.close()
            self._rooms.clear()

    def _path(self, collection_id: str) -> Path:
        if not _ID.fullmatch(collection_id):
            raise InputError(
                what="this cannot be the id of a collection",
                why="ids have 1 to 63 of a-z, 0-9 and -, and do not begin with -",
                mend="use an id such as staff-2027",
            )
        return self.folder / f"{collection_id}{_SUFFIX}"

    def _room(self, collection_id: str) -> _Room:
        path = self._path(collection_id)
        room = self._rooms.get(collection_id)
        if room is not None and not room.is_ending:
            return room
        if room is not None or not path.exists():
            raise _missing(collection_id)
        try:
            gallery = Gallery.open(path, self._contract, key=self.key)
        except MienError as err:
            self.faults[collection_id] = err
            raise
        self.faults.pop(collection_id, None)
        return self._rooms.setdefault(collection_id, _Room(gallery))

    def _end(self, collection_id: str) -> int:
        """Wait until nobody is at work in it, then close it."""
        room = self._rooms.get(collection_id)
        if room is None:
            return 0
        if room.is_ending:
            raise _missing(collection_id)
        room.is_ending = True
        deadline = time.monotonic() + _WAIT_S
        while room.users and time.monotonic() < deadline:
            self._changed.wait(deadline - time.monotonic())
        if room.users:
            room.is_ending = False
            raise BusyError(
                what=f"others are still at work in the collection after {_WAIT_S:g} s",
                why="it cannot be deleted under their hands",
                mend="cancel its jobs, and try again",
                retry_after_s=_WAIT_S,
            )
        faces = room.gallery.count().faces
        room.gallery.close()
        del self._rooms[collection_id]
        return faces


def _missing(collection_id: str) -> MissingError:
    return MissingError(
        what=f"there is no collection {collection_id!r}",
        why="it was not made, or it was deleted",
        mend="list the collections, or make it",
    )
