"""The four official portraits that the package carries (public domain; see their README)."""

from importlib.resources import files
from pathlib import Path
from typing import Final

PORTRAITS: Final = ("obama_1", "obama_2", "obama_3", "biden_1")


def portrait_path(name: str) -> Path:
    """Where a portrait lies in the installed package."""
    return Path(str(files("mien") / "assets" / "photos" / f"{name}.jpg"))
