"""An unexpected error as one of ours, with its place and without its words."""

from types import TracebackType
from typing import Final

from mien.core.errors import InternalError

_FRAMES: Final = 12


def as_internal(err: BaseException) -> InternalError:
    """Say what kind of error it was and where it was raised.

    Its message may hold a name or a value of somebody's request; its place does not.
    """
    return InternalError(
        what=f"unexpected {type(err).__name__}",
        why=f"this is a bug of mien, raised at {' < '.join(_places(err.__traceback__))}",
        mend="please report it",
    )


def _places(traceback: TracebackType | None) -> list[str]:
    """Files, lines and functions, the innermost first.

    Not by the standard library's formatter: it parses source lines, and in some releases of
    Python two threads that do so at once bring each other down.
    """
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places[: -_FRAMES - 1 : -1]
