"""Chromium of this machine, without a window, driven by Playwright: for pictures and for tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Error, Page, sync_playwright

from daswatch.errors import DaswatchError

SCALE = 1.15  # pixels of the picture for one of the page
WIDTH, HEIGHT = 1320, 900  # px of a window
# Until a page's condition holds: far more than any machine takes, so that a failure ends.
LONGEST_MS = 120_000
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class BrowserError(DaswatchError):
    """Stop: there is no Chromium, or it made no picture; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Browser:
    """A Chromium on this machine."""

    program: str

    @classmethod
    def found(cls, path: str | None = None) -> Browser:
        """The Chromium on the path. Raises BrowserError."""
        for name in _NAMES:
            program = shutil.which(name, path=path)
            if program:
                return cls(program)
        raise BrowserError("there is no Chromium: install it, for example with `apt-get install chromium`")

    @contextmanager
    def page(self, width: int = WIDTH, height: int = HEIGHT, scale: float = 1) -> Iterator[Page]:
        """A window with one page. Raises BrowserError where Chromium does not do what is asked."""
        try:
            with sync_playwright() as playwright:
                arguments = ["--disable-lcd-text", "--hide-scrollbars"]
                with playwright.chromium.launch(executable_path=self.program, args=arguments) as running:
                    page = running.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
                    page.set_default_timeout(LONGEST_MS)
                    yield page
        except Error as exc:
            raise BrowserError(f"{self.program}: {exc.message}") from exc

    def picture(self, html: str, width: int, height: int) -> bytes:
        """A page of HTML as PNG. Raises BrowserError."""
        with self.page(width, height, SCALE) as page:
            page.set_content(html)
            return page.screenshot()


def open_dashboard(page: Page, url: str) -> None:
    """Open a dashboard, and wait until each of its panels shows something."""
    page.goto(url)
    page.wait_for_selector("section")
    page.wait_for_selector(".waiting", state="detached")
