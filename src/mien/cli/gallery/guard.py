"""``mien gallery key|rotate-key|strict|attach|detach``: who can open it, and what it asks."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli._console import remark, write_line
from mien.cli._options import GalleryPath, Json, open_gallery

key_app = typer.Typer(no_args_is_help=True, help="Make a key, or see which one is in use.")


@key_app.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    json: Json = False,
) -> None:
    """Write a new key to a file that only you can read.

    Keep a copy elsewhere: without its key a gallery is lost.
    """
    from mien.core.keys import new_key, write_key_file

    key = new_key()
    write_key_file(file, key)
    if json:
        write_line({"file": str(file), "key": key.id})
    else:
        remark(f"key {key.id} written to {file}; use it with MIEN_GALLERY_KEY_FILE={file}")


@key_app.command("show")
def show(json: Json = False) -> None:
    """Say which key is in use, and where it comes from. The key itself is not shown."""
    from mien.core.keys import find_key

    key = find_key()
    if json:
        write_line({"key": key.id, "origin": key.origin})
    else:
        remark(f"key {key.id}, from {key.origin}")


def rotate_key(
    new_key_file: Annotated[Path, typer.Argument(help="File of the new key: see `key new`.")],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Seal everything anew with a fresh data key; from then on the new key opens the gallery."""
    from mien.core.keys import load_key

    key = load_key(new_key_file)
    with open_gallery(gallery, None, int8=False) as people:
        count = people.rotate_key(key)
    if json:
        write_line({"key": key.id, "templates": count})
    else:
        remark(f"{count} templates sealed again; the gallery now opens with the key {key.id} only")


def strict(
    on: Annotated[bool, typer.Argument(help="true or false.")] = True,
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Demand a consent and a day of deletion with every new template, or no longer."""
    with open_gallery(gallery, None, int8=False) as people:
        people.make_strict(strict=on)
        lacking = [one for one in people.people.all() if not (one.has_consent and one.retain_until)]
    if json:
        write_line({"strict": on, "people_lacking": len(lacking)})
    else:
        remark(f"strict: {'yes' if on else 'no'}; {len(lacking)} people lack one of the two")


def attach(
    url: Annotated[
        str,
        typer.Argument(
            help="milvus+file:///faces.db#name, milvus+http://host:19530/#name or "
            "postgresql://user@host/db#table."
        ),
    ],
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Let a server search (extras 'scale', 'postgres'). It gets opaque ids and turned templates."""
    with open_gallery(gallery, None, int8=False) as people:
        people.attach(url)
        count = people.count().faces
    if json:
        write_line({"attached": True, "templates": count})
    else:
        remark(f"{count} templates sent; searches go to the server from now on")


def detach(gallery: GalleryPath = None, json: Json = False) -> None:
    """Remove everything from the search server, and search here again."""
    with open_gallery(gallery, None, int8=False) as people:
        had = people.mirror is not None
        people.detach()
    if json:
        write_line({"detached": had})
    else:
        remark("searches happen here again" if had else "there was no search server")
