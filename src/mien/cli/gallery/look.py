"""``mien gallery list|show|history|verify``: what is in a gallery, and whether it is sound."""

from typing import Annotated

import typer

from mien.cli._console import remark, write_line, write_table
from mien.cli._options import GalleryPath, Json, default_gallery, open_gallery


def list_people(gallery: GalleryPath = None, json: Json = False) -> None:
    """Everybody in the gallery, with the number of their templates."""
    with open_gallery(gallery, None, int8=False) as people:
        everybody = people.people.all()
        contract = people.index.contract
    if json:
        for one in everybody:
            write_line(
                {
                    "person": one.name,
                    "person_id": one.person_id,
                    "templates": one.faces,
                    "consent": one.has_consent,
                    "retain_until": one.retain_until,
                }
            )
        return
    rows = [
        (
            one.name,
            one.faces,
            "yes" if one.has_consent else "missing",
            one.retain_until,
            one.person_id,
        )
        for one in everybody
    ]
    columns = ("person", ">templates", "consent", "delete after", "id")
    write_table(str(gallery or default_gallery()), columns, rows)
    remark(f"contract {contract}; sealed: guard the key, and keep a copy of it elsewhere")


def show(
    person: Annotated[str, typer.Argument(help="Name, as enrolled, or id.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """What is stored about one person: all but the templates themselves."""
    with open_gallery(gallery, None, int8=False) as people:
        templates = people.people.faces(person)
    records = [
        {
            "person": t.person,
            "person_id": t.person_id,
            "face_id": t.face_id,
            "enrolled_at": t.enrolled_at,
            "quality": round(t.quality, 1),
            "source": t.source,
            "consent": t.consent,
            "retain_until": t.retain_until,
            "box": [round(v, 1) for v in t.box],
        }
        for t in templates
    ]
    if json:
        for record in records:
            write_line(record)
        return
    columns = ("face id", "enrolled", ">quality", "source", "consent", "delete after")
    rows = [
        (t.face_id, t.enrolled_at, f"{t.quality:.0f}", t.source, t.consent, t.retain_until)
        for t in templates
    ]
    write_table(f"{templates[0].person}  ({templates[0].person_id})", columns, rows)


def history(
    gallery: GalleryPath = None,
    limit: Annotated[int, typer.Option(help="Newest entries to show.")] = 30,
    json: Json = False,
) -> None:
    """What was changed, by whom, and what can be taken back with ``mien gallery undo NUMBER``."""
    with open_gallery(gallery, None, int8=False) as people:
        entries = people.journal.entries(limit)
    if json:
        for entry in entries:
            write_line(
                {
                    "number": entry.number,
                    "at": entry.at,
                    "op": entry.op,
                    "actor": entry.actor,
                    "facts": entry.facts,
                    "can_undo": entry.can_undo and not entry.is_undone,
                    "undone": entry.is_undone,
                }
            )
        return
    rows = []
    for entry in entries:
        state = "taken back" if entry.is_undone else "can be undone" if entry.can_undo else ""
        rows.append((entry.number, entry.at, entry.op, entry.actor, state))
    write_table("History, newest first", (">number", "at", "change", "by", "state"), rows)


def verify(
    gallery: GalleryPath = None,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Go on although acknowledged changes are missing from the file."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Prove a gallery sound.

    Every row opens and stands in its place, the search matrix (or the search server) equals the
    store, the receipts form an unbroken chain.
    """
    if accept_loss:
        from mien.gallery.sqlite import SqliteIndex

        index = SqliteIndex(gallery or default_gallery())
        index.open(accept_loss=True)
        index.close()
    with open_gallery(gallery, None, int8=False) as people:
        faults = people.verify()
        size = people.count()
    if json:
        write_line({"sound": not faults, "faults": faults, "templates": size.faces})
    else:
        remark("\n".join(faults) or f"sound: {size.faces} templates, store and matrix agree")
    if faults:
        raise typer.Exit(6)
