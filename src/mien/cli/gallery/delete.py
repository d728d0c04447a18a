"""``mien gallery delete|expire|receipt``: delete, with a signed receipt."""

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli._console import remark, write_line
from mien.cli._options import ACTOR, GalleryPath, Json, open_gallery
from mien.core.errors import ConfigError, MissingError

if TYPE_CHECKING:
    from mien.gallery.gallery import Gallery
    from mien.gallery.receipts import Receipt

ReceiptFile = Annotated[
    Path | None, typer.Option("--receipt", help="Write the signed receipt to this file.")
]


def delete(
    person: Annotated[str | None, typer.Argument(help="Name, as enrolled, or id.")] = None,
    face_id: Annotated[
        str | None, typer.Option("--face", help="One template, in place of a whole person.")
    ] = None,
    gallery: GalleryPath = None,
    receipt_file: ReceiptFile = None,
    json: Json = False,
) -> None:
    """Delete a person, or one template, with all that hangs on it. It cannot be had back.

    The store, the search matrix, crops, journal and faces kept for review are searched afterwards;
    the receipt says what was found. Exit code 6 if something is left.
    """
    if (person is None) == (face_id is None):
        raise ConfigError(
            what="neither or both of a person and --face are given",
            why="one of them says what to delete",
            mend="pass a person's name, or --face with a face id",
        )
    with open_gallery(gallery, None, int8=False) as people:
        if face_id is not None:
            done = people.deletion.faces([face_id], actor=ACTOR)
        else:
            done = people.deletion.person(person or "", actor=ACTOR)
        _report(people, done, receipt_file, json=json)


def expire(
    gallery: GalleryPath = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The clock is right although it has leapt.")
    ] = False,
    receipt_file: ReceiptFile = None,
    json: Json = False,
) -> None:
    """Delete every template whose day of deletion has passed."""
    with open_gallery(gallery, None, int8=False) as people:
        done = people.deletion.expire(confirm=confirm)
        if done is None:
            if json:
                write_line({"deleted": 0})
            else:
                remark("nothing was due")
            return
        _report(people, done, receipt_file, json=json)


def receipt(
    file: Annotated[Path, typer.Argument(help="A receipt that `mien gallery delete` wrote.")],
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", "-g", help="Gallery to compare it with. Default: none."),
    ] = None,
    json: Json = False,
) -> None:
    """Check a receipt: its signature, and with a gallery that nothing it names is left there."""
    from mien.gallery.receipts import parse_receipt, verify_receipt

    try:
        text = file.read_bytes()
    except OSError as err:
        raise MissingError(
            what=f"{file} cannot be read ({type(err).__name__})",
            why="a receipt is to be checked",
            mend="check the path",
        ) from err
    given = parse_receipt(text, str(file))
    faults: list[str] = []
    if gallery is None:
        verify_receipt(given)
    else:
        with open_gallery(gallery, None, int8=False) as people:
            verify_receipt(given, signer=people.deletion.signer())
            faults = people.deletion.faults(given)
    if json:
        write_line({"genuine": True, "signer": given.signer, "faults": faults})
    else:
        whose = "signed by the key it names" if gallery is None else "signed by this gallery"
        remark(f"genuine: {whose}; {'; '.join(faults) or 'nothing is left'}")
    if faults:
        raise typer.Exit(6)


def _report(people: "Gallery", done: "Receipt", file: Path | None, *, json: bool) -> None:
    if file is not None:
        from mien.core.files import write_atomically

        with write_atomically(file) as target:
            target.write(done.to_json().encode() + b"\n")
    left = people.count()
    if json:
        row = {"deleted": len(done.faces), "templates": left.faces, "people": left.people}
        write_line(row | {"complete": done.is_complete, "receipt": jsonlib.loads(done.to_json())})
    else:
        remark(
            f"deleted {len(done.faces)} templates; {left.people} people with {left.faces} remain"
        )
        found = "; ".join(f"{place}: {what}" for place, what in done.checks.items())
        remark(f"receipt {done.number}, signed; looked for afterwards: {found}")
    if not done.is_complete:
        raise typer.Exit(6)
