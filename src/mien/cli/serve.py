"""``mien serve``: the REST service and its page."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import remark

if TYPE_CHECKING:
    from mien.server.settings import ServerSettings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen at. Default: this machine only.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port. Default: 8000.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of galleries, keys and audit log.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="File of API keys. Default: keys.json in the data folder.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings; the options above win over it.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="New collections demand consent and day of deletion.")
    ] = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="REST only.")] = False,
    log_level: Annotated[str, typer.Option(help="Of the server's own log.")] = "warning",
) -> None:
    """Run the service on http://127.0.0.1:8000, with a page for people at /app.

    Every request needs an API key. If there is none yet, one that may do everything is made and
    shown once.
    """
    from mien.server.api_keys import ApiKeys
    from mien.server.principal import SCOPES
    from mien.server.run import run

    settings = _settings(config, host=host, port=port, data=data, strict=strict, no_page=no_page)
    api_keys = ApiKeys(keys or settings.data_folder / "keys.json")
    if not api_keys.list():
        _, text = api_keys.create("first", scopes=SCOPES)
        remark(f"API key, shown only now: {text}")
    at = f"http://{settings.host}:{settings.port}"
    remark(f"serving on {at}" + (f"; the page is at {at}/app" if settings.page else ""))
    run(settings, keys=api_keys, page=_page if settings.page else None, log_level=log_level)


def _page(app: Any, state: Any) -> None:
    from mien.web.page import mount_page

    mount_page(app, state)


def _settings(
    config: Path | None,
    *,
    host: str | None,
    port: int | None,
    data: Path | None,
    strict: bool,
    no_page: bool,
) -> "ServerSettings":
    from mien.core.config import load_config
    from mien.server.settings import ServerSettings

    settings = load_config(ServerSettings, config) if config else ServerSettings()
    given: dict[str, Any] = {"host": host, "port": port, "data_folder": data}
    chosen = {name: value for name, value in given.items() if value is not None}
    if strict:
        chosen["strict"] = True
    if no_page:
        chosen["page"] = False
    return replace(settings, **chosen)
