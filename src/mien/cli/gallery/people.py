"""``mien gallery rename|merge|split|separate|amend|undo``: change who is who."""

from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli._console import remark, write_line
from mien.cli._options import ACTOR, GalleryPath, Json, open_gallery

if TYPE_CHECKING:
    from mien.gallery.people import Person

Who = Annotated[str, typer.Argument(help="Name, as enrolled, or id.")]


def rename(
    person: Who,
    name: Annotated[str, typer.Argument(help="The new name.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Give a person another name."""
    with open_gallery(gallery, None, int8=False) as people:
        _answer(people.people.rename(person, name, actor=ACTOR), json=json)


def merge(
    into: Who,
    other: Annotated[str, typer.Argument(help="Who is the same person, and goes into the first.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Make two people one. It can be taken back with ``mien gallery undo``."""
    with open_gallery(gallery, None, int8=False) as people:
        _answer(people.people.merge(into, other, actor=ACTOR), json=json)


def split(
    faces: Annotated[list[str], typer.Argument(help="Face ids, from `mien gallery show`.")],
    name: Annotated[str, typer.Option(help="Name of the person whom they show.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Take faces away from one person and make another of them."""
    with open_gallery(gallery, None, int8=False) as people:
        _answer(people.people.split(faces, name, actor=ACTOR), json=json)


def separate(
    one: Who,
    other: Annotated[str, typer.Argument(help="Who is somebody else, however alike.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Note that two people are not one: they cannot be merged from then on."""
    with open_gallery(gallery, None, int8=False) as people:
        people.people.separate(one, other, actor=ACTOR)
    if json:
        write_line({"separated": True})
    else:
        remark("noted: these are two people")


def amend(
    face: Annotated[str, typer.Argument(help="Face id, from `mien gallery show`.")],
    consent: Annotated[
        str | None, typer.Option(help="What the person agreed to, in place of what is stored.")
    ] = None,
    retain_until: Annotated[
        str | None, typer.Option(help="Day after which it is deleted, such as 2027-01-31; '' none.")
    ] = None,
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Change consent or day of deletion of one template."""
    with open_gallery(gallery, None, int8=False) as people:
        stored = people.people.amend(face, consent=consent, retain_until=retain_until, actor=ACTOR)
    if json:
        write_line(
            {
                "face_id": stored.face_id,
                "consent": stored.consent,
                "retain_until": stored.retain_until,
            }
        )
    else:
        remark(f"consent: {stored.consent or 'none'}; deleted after: {stored.retain_until or '-'}")


def undo(
    number: Annotated[
        int | None, typer.Argument(help="Entry of `mien gallery history`. Default: the newest.")
    ] = None,
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Take a change back. A deletion cannot be taken back."""
    with open_gallery(gallery, None, int8=False) as people:
        entry = people.journal.undo(number, actor=ACTOR)
    if json:
        write_line({"undone": entry.number, "op": entry.op})
    else:
        remark(f"taken back: {entry.op} (entry {entry.number})")


def _answer(person: "Person", *, json: bool) -> None:
    if json:
        write_line(
            {"person": person.name, "person_id": person.person_id, "templates": person.faces}
        )
    else:
        remark(f"{person.name}: {person.faces} templates (id {person.person_id})")
