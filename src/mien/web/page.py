"""The page as a whole: its head, its tabs, and how it is set into the service.

It calls the same functions as the API, with the same keys. Nothing of it is served to anybody who
has not logged in, and it asks for nothing from elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any, Final, TypeVar

import gradio as gr
from fastapi import FastAPI
from starlette.middleware import Middleware

from mien.reports.html import element
from mien.server.admission import PAGE_PATH
from mien.server.principal import EVERY_COLLECTION, Principal
from mien.server.state import ServiceState
from mien.web.films import Films
from mien.web.gate import Gate, key_id_of
from mien.web.look import SCRIPT, STYLE, page_theme
from mien.web.sessions import Sessions
from mien.web.tabs import (
    calibration,
    enrol,
    identify,
    people,
    review,
    settings,
    stored,
    unknown,
    video,
)
from mien.web.tabs.stored import UPLOADS_S
from mien.web.uploads import private_folder, take_uploads_only
from mien.web.wiring import AT_ONCE, Wiring
from mien.web.words import place_for_words

T = TypeVar("T")

_TABS: Final = (
    ("Enrol", enrol.build),
    ("Identify", identify.build),
    ("People", people.build),
    ("Review", review.build),
    ("Unknown people", unknown.build),
    ("Video", video.build),
    ("Calibration", calibration.build),
    ("Settings", settings.build),
    ("What is stored", stored.build),
)


def build_page(state: ServiceState) -> gr.Blocks:
    """The page, not yet served.

    Args:
        state: The running service.
    """
    return _in_a_loop(lambda: _build(state, Sessions(state.keys), Films(state)))


def mount_page(app: FastAPI, state: ServiceState, path: str = PAGE_PATH) -> FastAPI:
    """Serve the page beside the API.

    Args:
        app: The service.
        state: What it holds.
        path: Where the page stands.

    Returns:
        The same service.
    """
    sessions, films = Sessions(state.keys), Films(state)
    failures = state.settings.failures_per_minute
    gate = Middleware(Gate, sessions=sessions, failures_per_minute=failures)

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(films.close)
            await asyncio.to_thread(private_folder, state.settings.data_folder)

    def mount() -> None:
        gr.mount_gradio_app(
            app,
            _build(state, sessions, films),
            path=path,
            app_kwargs={
                "middleware": [gate],
                "lifespan": live,
                "docs_url": None,
                "redoc_url": None,
                "openapi_url": None,
            },
            auth_dependency=key_id_of,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            show_error=True,
            enable_monitoring=False,
            max_file_size=state.settings.max_video_bytes,
            theme=page_theme(),
            css=STYLE,
            head=SCRIPT,
        )

    _in_a_loop(mount)
    return app


def _in_a_loop(work: Callable[[], T]) -> T:
    """Do something while an event loop runs: without one Gradio makes some, and closes none."""

    async def run() -> T:
        return work()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with closing(asyncio.new_event_loop()) as loop:
            return loop.run_until_complete(run())
    return work()


def _build(state: ServiceState, sessions: Sessions, films: Films) -> gr.Blocks:
    folder = private_folder(state.settings.data_folder)
    with gr.Blocks(
        title="mien", analytics_enabled=False, delete_cache=(60, UPLOADS_S), fill_width=True
    ) as blocks:
        place_for_words(value=_head())
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=280):
                who = place_for_words(name="who")
            with gr.Column(scale=0, min_width=260):
                collection = gr.Dropdown(
                    [], label="Gallery", filterable=False, elem_id="collection"
                )
        wiring = Wiring(state, sessions, collection, films, folder)
        with gr.Tabs(elem_id="tabs"):
            for title, build in _TABS:
                with gr.Tab(title, id=title.lower()) as tab:
                    build(wiring, tab)
        _greet(wiring, blocks, who)
    for block in blocks.blocks.values():
        take_uploads_only(block)
    blocks.queue(default_concurrency_limit=AT_ONCE)
    return blocks


def _head() -> str:
    leave = element(
        "form", element("button", "Log out", type="submit"), method="post", action="logout"
    )
    return element(
        "header",
        element("h1", "mien"),
        element("p", "Face recognition that says how sure it is"),
        leave,
        class_="top",
    ).markup


def _greet(wiring: Wiring, blocks: gr.Blocks, who: gr.Markdown) -> None:
    """Say who is logged in, offer their galleries, and switch off what they may not do."""
    guarded = [guard.control for guard in wiring.guards] + wiring.reasons

    def open_page(request: gr.Request) -> list[Any]:
        principal = wiring.sessions.who(getattr(request, "username", None) or "")
        ids = _galleries(wiring.state, principal)
        first = ids[0] if ids else None
        choice = gr.update(choices=ids, value=first)
        return [_who(principal, ids), choice, *wiring.guard_updates(principal, first or "")]

    def change_gallery(request: gr.Request, collection: str) -> list[Any]:
        principal = wiring.sessions.who(getattr(request, "username", None) or "")
        return wiring.guard_updates(principal, collection)

    hidden: Any = {"show_progress": "hidden", "api_visibility": "private"}
    blocks.load(open_page, None, [who, wiring.collection, *guarded], **hidden)
    wiring.collection.change(change_gallery, [wiring.collection], guarded, **hidden)


def _galleries(state: ServiceState, principal: Principal | None) -> list[str]:
    if principal is None:
        return []
    everything = EVERY_COLLECTION in principal.collections
    return [one for one in state.collections.all() if everything or one in principal.collections]


def _who(principal: Principal | None, ids: list[str]) -> str:
    if principal is None:
        return element("p", "You are no longer logged in. Load the page again.").markup
    scopes = ", ".join(sorted(principal.scopes))
    none = "" if ids else " There is no gallery that it may use."
    return element(
        "p", f"Logged in with the key {principal.key_id}. It may: {scopes}.{none}", class_="quiet"
    ).markup
