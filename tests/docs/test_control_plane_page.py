"""docs/control-plane.md is made of the signals of calls and the rules that report them."""

from __future__ import annotations

import pytest

from daswatch.documents.call_signals import CALL_SIGNALS
from tools.control_plane_page import PAGE, table, with_table


def test_page_shows_the_signals_of_the_code() -> None:
    page = PAGE.read_text("utf-8")

    assert with_table(page) == page, "run python -m tools.control_plane_page"
    assert all(f"| `{one.name}` | {one.meaning} |" in page for one in CALL_SIGNALS)


def test_every_signal_has_a_detection_and_its_level() -> None:
    rows = {line.split("`")[1]: line for line in table().splitlines()[2:]}

    assert all("-control-plane, " in line for line in rows.values())
    assert rows["snapshot-public"].endswith("| data-out-control-plane, critical |")
    assert rows["snapshot-deleted"].endswith("| change-control-plane, low |")


def test_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_table("# Calls")
