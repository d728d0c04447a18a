"""Pages of what a gallery holds, by id: a page stays right when others are added or deleted."""

from typing import Annotated

from fastapi import Query

from mien.core.errors import IdentityMissingError
from mien.gallery.gallery import Gallery
from mien.gallery.index import Template
from mien.gallery.people import Person
from mien.server.access import person_of

After = Annotated[
    str, Query(max_length=200, description="`next` of the page before; empty for the first.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]


def page_of_people(gallery: Gallery, after: str, limit: int) -> tuple[list[Person], str | None]:
    """People in order of their ids, and the id after which the next page begins."""
    rows = gallery.index.query(
        "SELECT person_id FROM people WHERE person_id > ? ORDER BY person_id LIMIT ?",
        (after, limit),
    )
    ids = [str(row[0]) for row in rows]
    found = []
    for person_id in ids:
        try:
            found.append(person_of(gallery, person_id))
        except IdentityMissingError:
            continue  # deleted a moment ago
    return found, _next(ids, limit)


def page_of_faces(
    gallery: Gallery, after: str, limit: int, person_id: str = ""
) -> tuple[list[Template], str | None]:
    """Faces in order of their ids, and the id after which the next page begins.

    Raises:
        IdentityMissingError: If there is nobody of the id given.
    """
    if person_id:
        person_of(gallery, person_id)
    with gallery.index.look() as rows:
        found = rows.templates(
            "WHERE face_id > ? AND (? = '' OR faces.person_id = ?) ORDER BY face_id LIMIT ?",
            (after, person_id, person_id, limit),
        )
    return found, _next([face.face_id for face in found], limit)


def _next(ids: list[str], limit: int) -> str | None:
    return ids[-1] if len(ids) == limit else None
