"""What this system is, in strings; imports nothing heavy."""

from typing import Final

NAME: Final = "recognition"
SUMMARY: Final = "Verification and open-set identification protocols for face templates."
EXTRA: Final[str | None] = None
OFFERS: Final = ("evaluate",)
