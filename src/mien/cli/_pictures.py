"""From arguments to picture paths."""

from collections.abc import Sequence
from pathlib import Path


def expand(arguments: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the pictures in them.

    Raises:
        MediaError: If a folder holds no picture. A file that does not exist is no error yet: it
            becomes one when it is read, and the others are still read.
    """
    from mien.media.folders import find_images

    paths: list[Path] = []
    for argument in arguments:
        paths.extend(find_images(argument) if argument.is_dir() else [argument])
    return paths
