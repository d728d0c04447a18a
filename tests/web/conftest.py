"""One service with a page for all tests here, and a browser; each test has its own gallery."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from playwright.sync_api import Browser, sync_playwright

from mien.gallery.gallery import Gallery
from mien.media.image import load_image
from mien.server.app import create_app
from mien.server.principal import SCOPES
from mien.server.settings import ServerSettings
from mien.server.state import ServiceState
from mien.web.page import mount_page
from toys.http_server import running_server
from toys.portraits import portrait_path
from toys.visitor import ARGUMENTS, Visitor, chromium_path


@dataclass
class Site:
    """A running service."""

    state: ServiceState
    address: str = ""
    numbers: Iterator[int] = field(default_factory=count)

    def gallery(self, **enrolled: str) -> tuple[Gallery, str]:
        """A gallery of one's own, and its id; portraits by the names they are enrolled under."""
        name = f"gallery-{next(self.numbers)}"
        gallery = self.state.collections.create(name)
        for portrait, person in enrolled.items():
            self.enrol(gallery, portrait, person)
        return gallery, name

    def enrol(self, gallery: Gallery, portrait: str, person: str, **more: object) -> None:
        """Enrol a portrait with its crop."""
        image = load_image(portrait_path(portrait))
        analysis = self.state.pipeline.analyse(image)
        terms = {"consent": "public portrait", "retain_until": "2099-01-31"} | more
        gallery.enrol(person, analysis, pixels=image.pixels, keep_crop=True, **terms)

    def key(self, collection: str, scopes: tuple[str, ...] = SCOPES) -> str:
        """The text of a new key for one gallery."""
        return self.state.keys.create("test", scopes=scopes, collections=(collection,))[1]


@pytest.fixture(scope="session")
def site(pipeline, tmp_path_factory) -> Iterator[Site]:
    """The service, on this machine only."""
    settings = ServerSettings(
        data_folder=tmp_path_factory.mktemp("site"),
        port=0,
        keep_sightings_days=30,
        failures_per_minute=1000,
        requests_per_minute=10_000,
        burst=1000,
    )
    state = ServiceState.open(settings, pipeline=pipeline)
    app = mount_page(create_app(settings, state=state), state)
    with running_server(app, settings) as (_, port):
        yield Site(state, f"http://127.0.0.1:{port}/app")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; nothing is downloaded.

    For one module, since other tests cannot run event loops of their own beside Playwright's.
    """
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS])
        yield browser
        browser.close()


@pytest.fixture
def visit(site, browser) -> Iterator[Callable[..., Visitor]]:
    """Opens windows on the page, logged in where a key is given."""
    opened: list[Visitor] = []

    def open_window(key: str = "") -> Visitor:
        visitor = Visitor(browser, site.address)
        opened.append(visitor)
        if key:
            visitor.log_in(key)
        return visitor

    yield open_window
    for visitor in opened:
        visitor.close()
