"""``mien gallery export|import|reembed``: take people from one gallery to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli._console import progress, remark, write_line
from mien.cli._options import (
    ACTOR,
    EmbedderName,
    GalleryPath,
    Json,
    Provider,
    default_gallery,
    open_gallery,
    open_pipeline,
)
from mien.core.errors import ConfigError, MissingError

if TYPE_CHECKING:
    from mien.core.sealed import Passphrase, SealKey

Passfile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Its first line opens the bundle.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="A key opens the bundle; see `gallery key new`.")
]


def export(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    person: Annotated[
        list[str] | None, typer.Option("--person", help="Name or id; again for more. Default: all.")
    ] = None,
    subject: Annotated[
        bool,
        typer.Option("--subject", help="One person's data as a plain zip, to hand over to them."),
    ] = False,
    passphrase_file: Passfile = None,
    key_file: KeyFile = None,
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Write a gallery, or some people of it, to a signed and encrypted bundle."""
    with open_gallery(gallery, None, int8=False) as people:
        if subject:
            from mien.gallery.subject import export_subject

            if person is None or len(person) != 1:
                raise ConfigError(
                    what=f"--subject is given with {len(person or ())} people",
                    why="the file is handed over to one person",
                    mend="name one: --person 'Ada Lovelace'",
                )
            faces = export_subject(people, person[0], out, actor=ACTOR)
            row = {"out": str(out), "people": 1, "templates": faces, "encrypted": False}
        else:
            from mien.gallery.bundle import export_bundle

            secret = _secret(passphrase_file, key_file)
            done = export_bundle(people, out, secret, people=person, actor=ACTOR)
            row = {"out": str(out), "people": done.people, "templates": done.faces}
            row |= {"encrypted": True, "signer": done.signer}
    if json:
        write_line(row)
    else:
        how = "encrypted and signed" if row["encrypted"] else "plain: guard it like photographs"
        remark(f"{row['people']} people with {row['templates']} templates written to {out}, {how}")
        if row["encrypted"]:
            remark(f"signer {row['signer']}: tell it to the receiver by another way")


def import_(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `mien gallery export` wrote.")],
    signer: Annotated[
        str | None, typer.Option(help="Fingerprint of the gallery that must have signed it.")
    ] = None,
    join: Annotated[
        bool, typer.Option("--join", help="People of the same name become one person.")
    ] = False,
    passphrase_file: Passfile = None,
    key_file: KeyFile = None,
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Take all people of a bundle into a gallery, or none of them; a missing gallery is made.

    For other programs' collections see `mien enrol --layout`.
    """
    from mien.core.sealed import read_header
    from mien.gallery.bundle import import_bundle
    from mien.gallery.gallery import Gallery
    from mien.gallery.sqlite import SqliteIndex

    path = gallery or default_gallery()
    secret = _secret(passphrase_file, key_file)
    if not path.exists():
        public = read_header(bundle).public
        index = SqliteIndex(path)
        index.create(str(public.get("contract")), int(str(public.get("dim"))))
        index.close()
    with Gallery.open(path) as people:
        done = import_bundle(
            people, bundle, secret, signer=signer, taken="join" if join else "refuse", actor=ACTOR
        )
    row = {"people": done.people, "templates": done.faces, "known": done.known}
    if json:
        write_line(row | {"signer": done.signer})
    else:
        remark(
            f"{done.people} people: {done.faces} templates taken in, {done.known} were there "
            f"already; signed by {done.signer}"
        )


def reembed(
    out: Annotated[Path, typer.Argument(help="New gallery file; the old one stays as it is.")],
    photos: Annotated[
        Path | None, typer.Option(help="Folder that the stored source names start from.")
    ] = None,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    gallery: GalleryPath = None,
    json: Json = False,
) -> None:
    """Make a gallery for another pipeline from the pictures that the old templates were made of.

    Pictures that are missing, or changed, are listed; their templates are not carried over.
    """
    from mien.gallery.reembed import reembed_gallery

    pipeline = open_pipeline(provider=provider, embedder=embedder)
    with (
        open_gallery(gallery, None, int8=False) as people,
        progress("embedding", quiet=json) as advance,
    ):
        done = reembed_gallery(people, out, pipeline, root=photos, progress=advance)
    for face_id, error in done.failed:
        remark(f"{face_id}: {error.what}")
    if json:
        write_line({"out": str(out), "templates": done.faces, "failed": len(done.failed)})
    else:
        remark(f"{done.faces} templates written to {out}; {len(done.failed)} could not be made")
    if done.failed and not done.faces:
        raise typer.Exit(done.failed[0][1].exit_code)


def _secret(passphrase_file: Path | None, key_file: Path | None) -> "Passphrase | SealKey":
    from mien.core.keys import load_key
    from mien.core.sealed import Passphrase, SealKey

    if (passphrase_file is None) == (key_file is None):
        raise ConfigError(
            what="neither or both of --passphrase-file and --key-file are given",
            why="one of them opens the bundle",
            mend="make a key with `mien gallery key new FILE`, and pass --key-file FILE",
        )
    if key_file is not None:
        return SealKey(load_key(key_file).secret)
    try:
        lines = (passphrase_file or Path()).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise MissingError(
            what=f"{passphrase_file} cannot be read ({type(err).__name__})",
            why="its first line is the passphrase",
            mend="check the path",
        ) from err
    return Passphrase(lines[0] if lines else "")
