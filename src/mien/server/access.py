"""What a caller may do, and doing it: the dependency of every route that needs a key.

A route names the scope that it needs. The scope is asked for before the collection is looked for,
and before a body is read, so that an answer tells nothing to whom it does not concern.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request

from mien.core.errors import IdentityMissingError, RefusedError
from mien.gallery.gallery import Gallery
from mien.gallery.people import Person
from mien.server.admission import principal_of
from mien.server.collections import ID_PATTERN
from mien.server.principal import SCOPES, Principal
from mien.server.problems import request_id_of
from mien.server.state import ServiceState, state_of

T = TypeVar("T")

CollectionId = Annotated[
    str, Path(description="Id of the collection.", pattern=ID_PATTERN, examples=["staff"])
]
Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, once the scope was found to be given.

    Attributes:
        state: The service.
        principal: The key.
        request_id: Of the request.
        collection: Id of the collection; empty if the route is about none.
    """

    state: ServiceState
    principal: Principal
    request_id: str
    collection: str = ""

    @property
    def actor(self) -> str:
        """For a gallery's journal."""
        return self.principal.key_id

    async def look(self, work: Callable[[Gallery], T]) -> T:
        """Do something in the collection that changes nothing."""

        def run() -> T:
            with self.state.collections.use(self.collection) as gallery:
                return work(gallery)

        return await self.state.call(run)

    async def change(self, action: str, work: Callable[[Gallery, Counts], T]) -> T:
        """Change the collection, with lines in the audit log before and after.

        Args:
            action: For the log, such as ``faces.enrol``.
            work: Does it, and fills in counts.
        """

        def run() -> T:
            with (
                self.state.collections.use(self.collection) as gallery,
                self.state.audit.change(
                    action,
                    request_id=self.request_id,
                    key_id=self.principal.key_id,
                    collection=self.collection,
                ) as counts,
            ):
                return work(gallery, counts)

        return await self.state.call(run)

    async def note(self, action: str, start: float, counts: Mapping[str, int]) -> None:
        """Write down what changed nothing.

        Args:
            action: For the log, such as ``faces.search``.
            start: When it began, of `time.perf_counter`.
            counts: How much it was.
        """
        await self.state.call(self.note_now, action, start, counts)

    def note_now(self, action: str, start: float, counts: Mapping[str, int]) -> None:
        """`note` from a thread that may wait for the disk."""
        self.state.audit.read(
            action,
            request_id=self.request_id,
            key_id=self.principal.key_id,
            collection=self.collection,
            counts=counts,
            duration_s=time.perf_counter() - start,
        )


def _anywhere(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    async def check(request: Request) -> Caller:
        principal = principal_of(request.scope)
        principal.require(scope)
        return Caller(state_of(request), principal, request_id_of(request.scope))

    return check


def _inside(scope: str) -> Callable[[Request, str], Awaitable[Caller]]:
    async def check(request: Request, collection_id: CollectionId) -> Caller:
        principal = principal_of(request.scope)
        principal.require(scope, collection_id)
        request_id = request_id_of(request.scope)
        return Caller(state_of(request), principal, request_id, collection_id)

    return check


async def _any_key(request: Request) -> Caller:
    principal = principal_of(request.scope)
    return Caller(state_of(request), principal, request_id_of(request.scope))


async def _any_scope(request: Request, collection_id: CollectionId) -> Caller:
    principal = principal_of(request.scope)
    if not any(principal.may(scope, collection_id) for scope in SCOPES):
        raise RefusedError(
            what="the API key does not hold in this collection",
            why="each key is for certain scopes and collections",
            mend="use another key, or have one made for it",
        )
    return Caller(state_of(request), principal, request_id_of(request.scope), collection_id)


AnyKey = Annotated[Caller, Depends(_any_key)]
AnyScope = Annotated[Caller, Depends(_any_scope)]
Detector = Annotated[Caller, Depends(_anywhere("detect"))]
Watcher = Annotated[Caller, Depends(_anywhere("search"))]
Overseer = Annotated[Caller, Depends(_anywhere("admin"))]
Searcher = Annotated[Caller, Depends(_inside("search"))]
Enroller = Annotated[Caller, Depends(_inside("enrol"))]
Deleter = Annotated[Caller, Depends(_inside("delete"))]
Admin = Annotated[Caller, Depends(_inside("admin"))]


def person_of(gallery: Gallery, person_id: str) -> Person:
    """The person of an id; a person whose *name* is that id is not meant.

    Raises:
        IdentityMissingError: If there is none.
    """
    found = gallery.people.find(person_id)
    if found.person_id != person_id:
        raise IdentityMissingError(
            what="nobody in the collection has this id",
            why="requests name people by their ids; names are not looked for",
            mend="list the people to see their ids",
        )
    return found
