"""The section `own-past` of a rule: what it may say, and what becomes of it."""

from __future__ import annotations

import pytest

from daswatch.detections.detection import OwnPast, dump, load
from daswatch.detections.reference_pages import page
from daswatch.detections.sigma import NO_TUNING, Tuning, compile_all, compile_rule, read_tuning
from daswatch.errors import RuleError
from tests.detections.test_tuning import CORRELATED, RULE


def of(section: str, rule: str = CORRELATED, tuning: Tuning = NO_TUNING) -> OwnPast | None:
    return compile_rule("table-drop", f"{rule.rstrip()}\n  own-past: {section}\n", tuning).own_past


def test_a_rule_compares_with_the_own_past() -> None:
    assert of("{days: 35, learn: 7, times: 3}") == OwnPast(35, 7, 3)
    assert compile_rule("table-drop", CORRELATED).own_past is None


def test_0_days_switch_it_off() -> None:
    assert of("{days: 0, learn: 7, times: 3}") is None


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("{days: 35, times: 3}", "`own-past` has `days`, `learn` and `times`"),
        ("{days: 35, learn: 7, times: 3, user: x}", "`own-past` has `days`, `learn` and `times`"),
    ],
)
def test_what_is_wrong_is_named(section: str, wrong: str) -> None:
    with pytest.raises(RuleError, match=wrong):
        of(section)


def test_single_events_have_no_amount_to_compare() -> None:
    with pytest.raises(RuleError, match="is for thresholds of events"):
        of("{days: 35, learn: 7, times: 3}", RULE)


def test_the_own_past_is_compiled_and_read() -> None:
    found = {one.name: one.own_past for one in load(dump(compile_all()))}

    assert found["gradual-read"] == found["gradual-change"] == OwnPast(35, 7, 3)
    assert found["paged-read"] is None


def test_days_and_times_are_settings() -> None:
    tuning = read_tuning("detections: {gradual-read: {settings: {past-days: 14, learn-days: 3, times: 5}}}")

    found = {one.name: one.own_past for one in compile_all(tuning)}

    assert found["gradual-read"] == OwnPast(14, 3, 5)


def test_a_page_says_what_is_compared() -> None:
    (rule,) = (one for one in compile_all() if one.name == "gradual-read")

    assert "no more than 3 times" in page(rule, ())
