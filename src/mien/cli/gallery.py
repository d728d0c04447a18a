"""``mien gallery``: look at a gallery, check it, delete from it."""

from typing import Annotated

import typer

from mien.cli._console import remark, write_line, write_table
from mien.cli._options import GalleryPath, Json, default_gallery, open_gallery

app = typer.Typer(no_args_is_help=True, help="Look at a gallery, check it, delete from it.")


@app.command("list")
def list_people(gallery: GalleryPath = None, json: Json = False) -> None:
    """Everybody in the gallery, with the number of their templates."""
    with open_gallery(gallery, None, int8=False) as people:
        rows = people.index.people()
        contract = people.index.contract
    if json:
        for person, count in rows:
            write_line({"person": person, "templates": count})
        return
    write_table(str(gallery or default_gallery()), ("person", ">templates"), rows)
    remark(f"contract {contract}; templates are not encrypted: guard the file like photographs")


@app.command("show")
def show(
    person: Annotated[str, typer.Argument(help="Name, as enrolled.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """What is stored about one person: all but the templates themselves."""
    from mien.gallery.gallery import missing_person

    with open_gallery(gallery, None, int8=False) as people:
        templates = list(people.index.iterate(person))
    if not templates:
        raise missing_person()
    records = [
        {
            "face_id": t.face_id,
            "enrolled_at": t.enrolled_at,
            "quality": round(t.quality, 1),
            "source": t.source,
            "consent": t.consent,
            "box": [round(v, 1) for v in t.box],
        }
        for t in templates
    ]
    if json:
        for record in records:
            write_line({"person": person} | record)
        return
    columns = ("face id", "enrolled", ">quality", "source", "consent")
    rows = [(t.face_id, t.enrolled_at, f"{t.quality:.0f}", t.source, t.consent) for t in templates]
    write_table(person, columns, rows)


@app.command("delete")
def delete(
    person: Annotated[str | None, typer.Argument(help="Name, as enrolled.")] = None,
    face_id: Annotated[
        str | None, typer.Option("--face", help="One template, in place of a whole person.")
    ] = None,
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Delete a person, or one template. What is deleted is overwritten, and cannot be had back."""
    from mien.core.errors import ConfigError

    if (person is None) == (face_id is None):
        raise ConfigError(
            what="neither or both of a person and --face are given",
            why="one of them says what to delete",
            mend="pass a person's name, or --face with a face id",
        )
    with open_gallery(gallery, None, int8=False) as people:
        if face_id is not None:
            people.index.get([face_id])
            removed = people.index.delete([face_id])
        else:
            removed = people.delete_person(person or "")
        left = people.count()
    if json:
        write_line({"deleted": removed, "templates": left.faces, "people": left.people})
    else:
        remark(f"deleted {removed} templates; {left.people} people with {left.faces} remain")


@app.command("verify")
def verify(gallery: GalleryPath = None, json: Json = False) -> None:
    """Check that every template is sound and that the search matrix equals the store."""
    with open_gallery(gallery, None, int8=False) as people:
        faults = people.index.verify()
        size = people.count()
    if json:
        write_line({"sound": not faults, "faults": faults, "templates": size.faces})
    else:
        remark("\n".join(faults) or f"sound: {size.faces} templates, store and matrix agree")
    if faults:
        raise typer.Exit(6)
