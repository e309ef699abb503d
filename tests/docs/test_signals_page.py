"""docs/signals.md is made of the table of signals."""

from __future__ import annotations

import pytest

from daswatch.sql.signal_table import SIGNALS
from tools.signals_page import PAGE, with_content


def test_page_shows_the_signals_of_the_code() -> None:
    page = PAGE.read_text("utf-8")

    assert with_content(page) == page, "run python -m tools.signals_page"
    assert all(f"## `{signal.name}`" in page for signal in SIGNALS)


def test_page_without_a_place_for_the_signals_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_content("# Signals")
