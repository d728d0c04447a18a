"""Somebody at the page with Chromium: logs in, goes from tab to tab, and sees what is said."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page
from playwright.sync_api import TimeoutError as LateError

from toys.portraits import portrait_path

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE: Final = {"width": 1280, "height": 900}
NARROW: Final = {"width": 390, "height": 844}
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    """Where Chromium is. Where it could be installed, a machine without it fails the test."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if os.geteuid() == 0 and shutil.which("apt-get"):
            pytest.fail("Chromium is not installed: run `make browser`")
        pytest.skip("there is no Chromium, and it cannot be installed without root and apt-get")
    return found


class Visitor:
    """A browser window on the page.

    Attributes:
        page: Playwright's.
        asked: Every address that the browser asked for.
        faults: Errors of scripts.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self.context = browser.new_context(viewport=WIDE, locale="en-GB")
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.address = address
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def log_in(self, key: str) -> None:
        """Fill in a key, and wait for the page or the refusal."""
        self.page.goto(f"{self.address}/")
        self.page.get_by_label("API key").fill(key)
        self.page.keyboard.press("Enter")
        self.page.locator("#who >> text=Logged in").or_(self.page.get_by_role("alert")).wait_for()

    def tab(self, title: str) -> Locator:
        """Go to a tab; what is on it comes back."""
        tab = self.page.get_by_role("tab", name=title, exact=True)
        if tab.is_visible():
            tab.click()
        else:
            self.page.locator("#tabs .overflow-menu > button").click()
            self.page.locator("#tabs .overflow-dropdown button", has_text=title).click()
        return self.page.locator("[role=tabpanel]:visible")

    def upload(self, panel: Locator, portrait: str) -> None:
        """Choose a portrait in place of the one before."""
        clear = panel.get_by_label("Remove Image").or_(panel.get_by_label("Clear"))
        if clear.count():
            clear.first.click()
        panel.locator("input[type=file]").first.set_input_files(portrait_path(portrait))
        panel.locator(".image-container img").first.wait_for()

    def press(self, panel: Locator, label: str) -> None:
        """Press a button."""
        panel.get_by_role("button", name=label, exact=True).click()

    def open(self, panel: Locator, title: str) -> None:
        """Open a folded part."""
        panel.locator("button.label-wrap", has_text=title).click()

    def sees(self, text: str) -> Locator:
        """Wait for a message whose title is this."""
        found = self.page.locator(".message strong:visible", has_text=text).first
        try:
            found.wait_for()
        except LateError:
            said = self.page.locator(".message:visible").all_inner_texts()
            pytest.fail(f"the page does not say {text!r} but {said}")
        return found

    def until(self, expression: str) -> None:
        """Wait until a script says true; the page forbids Playwright's own way to wait for it."""
        for _ in range(150):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"never true: {expression}")

    def shoot(self, name: str) -> None:
        """Take pictures of the page, wide and narrow, if they are wanted."""
        folder = os.environ.get("MIEN_SHOTS")
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        for size in (NARROW, WIDE):
            self.page.set_viewport_size(size)
            self.page.wait_for_timeout(400)
            path = Path(folder) / f"{name}_{size['width']}.png"
            self.page.screenshot(path=path, full_page=True)

    def close(self) -> None:
        """Close the window."""
        self.context.close()
