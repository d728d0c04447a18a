"""Which pictures a folder holds, in an order that is the same on every machine.

Files are picked by their names alone; nothing is opened. Reading them is `mien.media.image`.
"""

import os
import re
from pathlib import Path

from mien.core.errors import MediaError
from mien.media.formats import SUFFIXES


def find_images(root: str | os.PathLike[str]) -> list[Path]:
    """All pictures in a folder and its subfolders, by suffix.

    Hidden files and folders are skipped. Links to folders are followed, each folder once, so that
    a circle of links ends.

    Args:
        root: The folder.

    Returns:
        Paths that begin with ``root``, in natural order: ``2.jpg`` before ``10.jpg``.

    Raises:
        MediaError: If it is no folder, cannot be listed, or holds no picture.
    """
    top = Path(root)
    pending, seen, found = [top], set[tuple[int, int]](), list[Path]()
    try:
        while pending:
            folder = pending.pop()
            stat = folder.stat()
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            files, folders = _list_folder(folder)
            found.extend(files)
            pending.extend(reversed(folders))
    except (OSError, ValueError) as err:
        raise _listing_error(err, root) from err
    if not found:
        raise MediaError(
            what=f"{os.fspath(root)!r} holds no pictures",
            why=f"none of its files ends in {', '.join(SUFFIXES)}",
            mend="check the folder; hidden files and folders are skipped",
        )
    return sorted(found, key=lambda path: _natural_key(path.relative_to(top)))


def _list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures and subfolders that are not hidden, each in natural order."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(folder / entry.name)
            elif entry.is_file() and Path(entry.name).suffix.lower() in SUFFIXES:
                files.append(folder / entry.name)
    return files, sorted(folders, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[list[tuple[str, int]]], str]:
    """Digits compare as numbers, letters without case; the text itself breaks ties."""
    parts = [re.findall(r"([^0-9]*)([0-9]*)", part.casefold()) for part in path.parts]
    return [[(text, int(digits or -1)) for text, digits in part] for part in parts], str(path)


def _listing_error(err: OSError | ValueError, root: str | os.PathLike[str]) -> MediaError:
    given = os.fspath(root)
    if isinstance(err, FileNotFoundError | NotADirectoryError | ValueError):
        why = "it is a file" if isinstance(err, NotADirectoryError) else "there is no such folder"
        return MediaError(
            what=f"{given!r} is no folder", why=why, mend="pass the folder that holds the pictures"
        )
    return MediaError(
        what=f"{given!r} cannot be listed completely",
        why=err.strerror or str(err),
        mend="change the permissions of the folder and its subfolders",
    )
