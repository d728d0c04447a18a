"""The one place where functions are compiled to machine code (extra ``studio``)."""

from collections.abc import Callable
from typing import TypeVar, cast

from mien.core.optional import require

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile with numba at the first call; the machine code is kept between runs.

    Without ``fastmath``: the same scene shall give the same bytes.
    """
    numba = require("numba", extra="studio")
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
