"""A lock between processes, so that two of them do not write one file at a time.

The lock file stays behind, empty: to remove it would let a third process lock a file that no
longer has a name. Nothing here decides what is written.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def acquire_lock(file: IO[bytes]) -> None:
        """Wait until an open file is ours alone; closing it gives the lock back."""
        while True:
            file.seek(0)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except PermissionError:
                time.sleep(0.1)  # msvcrt has no lock that waits without end
            else:
                return
else:
    import fcntl

    def acquire_lock(file: IO[bytes]) -> None:
        """Wait until an open file is ours alone; closing it gives the lock back."""
        fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def hold_lock(target: Path) -> Iterator[None]:
    """Hold the lock that guards the writing of ``target``; wait while another holds it.

    It holds between threads as well as processes, and falls when the process dies. It is not
    re-entrant.

    Args:
        target: The file to be written; ``.<name>.lock`` beside it is locked. Missing parent
            folders are made.

    Raises:
        OSError: If the folder cannot be written; the caller knows what to say of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("ab") as file:
        acquire_lock(file)
        yield  # closing the file gives the lock back
