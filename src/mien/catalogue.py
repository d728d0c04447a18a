"""The table of systems: the one file that knows them all, and it knows them as text."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from mien.core.errors import MissingError


@dataclass(frozen=True, slots=True)
class Entry:
    """One system.

    Attributes:
        name: Folder under ``systems``.
        module: Where it is imported from.
        extra: The extra of mien that it needs, or None.
        summary: One line.
    """

    name: str
    module: str
    extra: str | None
    summary: str


CATALOGUE: Final = (
    Entry(
        "recognition",
        "mien.systems.recognition",
        None,
        "Verification and open-set identification protocols for face templates.",
    ),
)


def load(name: str, room: str | None = None) -> ModuleType:
    """Import a system, or one of its rooms, by catalogue name.

    Raises:
        MissingError: If there is no system of that name.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            return importlib.import_module(f"{entry.module}.{room}" if room else entry.module)
    raise MissingError(
        what=f"there is no system {name!r}",
        why=f"mien has {', '.join(entry.name for entry in CATALOGUE)}",
        mend="choose one of them",
    )
