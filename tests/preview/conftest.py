"""A browser for the pages: one for all tests of a module. Without Chromium they fail, with what to install."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tools.pictures.browser import LONGEST_MS, Browser


@pytest.fixture(scope="module")
def browsing() -> Iterator[Page]:
    """The first page of a browser."""
    with Browser.found().page() as page:
        yield page


@pytest.fixture
def page(browsing: Page, url: str) -> Iterator[Page]:
    """A page of a profile of its own, which the test may not leave with an error in its console.

    `url` is the preview's, which ends after it.
    """
    browser = browsing.context.browser
    assert browser
    context = browser.new_context(viewport={"width": 1320, "height": 900})
    page = context.new_page()
    page.set_default_timeout(LONGEST_MS)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    yield page
    context.close()
    # What a test makes fail is no error of the page: the panel shows it.
    assert [problem for problem in problems if not re.search("status of (400|503)", problem)] == []
