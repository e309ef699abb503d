"""docs/settings.md is made of the table of settings."""

from __future__ import annotations

import pytest

from daswatch.settings import SETTINGS
from tools.settings_page import PAGE, with_table


def test_page_shows_the_settings_of_the_code() -> None:
    page = PAGE.read_text("utf-8")

    assert with_table(page) == page, "run python -m tools.settings_page"
    assert all(f"| `{name}` |" in page for name in SETTINGS)


def test_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_table("# Settings")
