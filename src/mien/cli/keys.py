"""``mien keys``: API keys of the service."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli._console import remark, write_line, write_table
from mien.cli._options import Json

if TYPE_CHECKING:
    from mien.server.api_keys import ApiKeys

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys of the service.")

KeysFile = Annotated[
    Path | None, typer.Option("--keys", help="File of API keys. Default: that of `mien serve`.")
]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What to call the key in lists.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="detect, search, enrol, delete or admin; again for more. Default: search."
        ),
    ] = ["detect", "search"],  # noqa: B006 - Typer reads it
    collection: Annotated[
        list[str], typer.Option(help="Where it holds; again for more. Default: everywhere.")
    ] = ["*"],  # noqa: B006
    days: Annotated[int | None, typer.Option(help="After how many days it ends.")] = None,
    keys: KeysFile = None,
    json: Json = False,
) -> None:
    """Make a key. Its text is shown once, and kept only as a digest."""
    expires = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    made, text = _open(keys).create(name, scopes=scope, collections=collection, expires=expires)
    if json:
        write_line({"id": made.key_id, "key": text, "scopes": list(made.scopes)})
    else:
        remark(f"key {made.key_id} for {', '.join(made.scopes)}, shown only now:")
        typer.echo(text)


@app.command("list")
def list_keys(keys: KeysFile = None, json: Json = False) -> None:
    """All keys, without their secrets."""
    found = _open(keys).list()
    if json:
        for key in found:
            write_line(
                {
                    "id": key.key_id,
                    "name": key.name,
                    "scopes": list(key.scopes),
                    "collections": list(key.collections),
                    "created": key.created,
                    "expires": key.expires,
                    "disabled": key.disabled,
                }
            )
        return
    rows = []
    for key in found:
        state = "revoked" if key.disabled else f"until {key.expires}" if key.expires else "valid"
        scopes, places = ", ".join(key.scopes), ", ".join(key.collections)
        rows.append((key.key_id, key.name, scopes, places, state))
    write_table("API keys", ("id", "name", "scopes", "collections", "state"), rows)


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The 8 digits after mien_.")],
    keys: KeysFile = None,
    json: Json = False,
) -> None:
    """Make a key invalid, for good; a running service sees it at its next request."""
    revoked = _open(keys).revoke(key_id)
    if json:
        write_line({"id": revoked.key_id, "disabled": True})
    else:
        remark(f"key {revoked.key_id} ({revoked.name}) is no longer valid")


def _open(path: Path | None) -> "ApiKeys":
    from mien.server.api_keys import ApiKeys
    from mien.server.settings import ServerSettings

    return ApiKeys(path or ServerSettings().data_folder / "keys.json")
