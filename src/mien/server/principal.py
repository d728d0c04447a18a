"""Who asks, and what that allows: scopes and collections of a key that was found to be valid."""

from dataclasses import dataclass
from typing import Final

from mien.core.errors import RefusedError, UnauthorisedError

SCOPES: Final = ("detect", "search", "enrol", "delete", "admin")
"""``detect`` also compares; ``admin`` is for collections, keys, history and export."""

EVERY_COLLECTION: Final = "*"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, once the key was found to be valid.

    Attributes:
        key_id: Public part of the key.
        scopes: What it may do.
        collections: Where; ``*`` stands for everywhere.
    """

    key_id: str
    scopes: frozenset[str]
    collections: frozenset[str]

    def may(self, scope: str, collection: str | None = None) -> bool:
        """Whether the key covers an action, and the collection if there is one."""
        everywhere = EVERY_COLLECTION in self.collections
        return scope in self.scopes and (
            collection is None or everywhere or collection in self.collections
        )

    def require(self, scope: str, collection: str | None = None) -> None:
        """Let an action pass, or say which scope is wanting.

        Ask before looking whether the collection exists: the answer then tells nothing about it.

        Raises:
            RefusedError: If the key does not cover it.
        """
        if not self.may(scope, collection):
            place = "" if collection is None else " in this collection"
            raise RefusedError(
                what=f"the API key does not allow {scope!r}{place}",
                why="each key is for certain scopes and collections",
                mend="use another key, or have one made with that scope",
                scope=scope,
            )


def unauthorised(what: str) -> UnauthorisedError:
    """The error for a request without a valid key."""
    return UnauthorisedError(
        what=what,
        why="every request needs one that is in force",
        mend="send the header 'Authorization: Bearer mien_...'; make a key with: mien keys create",
    )
