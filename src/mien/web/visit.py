"""One action of somebody on the page: who they are, in which gallery, and what they may do."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from mien.core.errors import InputError
from mien.gallery.gallery import Gallery
from mien.server.principal import Principal
from mien.server.state import ServiceState
from mien.web.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Visit:
    """What an action works with.

    Attributes:
        state: The service.
        principal: Who acts.
        collection: Id of the gallery.
        gallery: Open as long as the action runs.
    """

    state: ServiceState
    principal: Principal
    collection: str
    gallery: Gallery

    @property
    def actor(self) -> str:
        """Who acts, for the gallery's journal."""
        return self.principal.key_id

    def may(self, scope: str) -> bool:
        """Whether the key covers an action here."""
        return self.principal.may(scope, self.collection)

    @contextmanager
    def change(self, action: str) -> Iterator[dict[str, int]]:
        """A change, written down in the audit log before it is made; see `AuditLog.change`."""
        with self.state.audit.change(
            action, key_id=self.actor, collection=self.collection
        ) as counts:
            yield counts


@asynccontextmanager
async def visiting(
    state: ServiceState, sessions: Sessions, key_id: str | None, collection: str, scope: str
) -> AsyncIterator[Visit]:
    """Let an action in, and hold its gallery open meanwhile.

    Args:
        state: The service.
        sessions: Who is logged in.
        key_id: Whose key.
        collection: Id of the gallery.
        scope: What the action needs.

    Raises:
        UnauthorisedError: If the key is no longer valid.
        ThrottledError: If it asks too often.
        RefusedError: If it does not cover the action.
        InputError: If no gallery is chosen.
        MissingError: If the gallery is gone.
    """
    principal = sessions.require(key_id)
    state.throttle.take(principal.key_id)
    principal.require(scope, collection or None)
    if not collection:
        raise InputError(
            what="no gallery is chosen",
            why="there is none yet, or none that this key may use",
            mend="make one with POST /v1/collections, or ask for a key that covers one",
        )
    with ExitStack() as stack:
        use = state.collections.use(collection)
        gallery = await state.call(stack.enter_context, use)
        yield Visit(state, principal, collection, gallery)
