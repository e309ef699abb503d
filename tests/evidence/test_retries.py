"""Which dead letters are tried again, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.errors import Reason
from daswatch.evidence.objects import Listed
from daswatch.evidence.retries import NOT_RETRIED, REASONS, STAYS_AFTER, Window, due_objects, is_late

AT = datetime(2031, 3, 4, 11, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALARM_PERIOD = timedelta(days=1)  # of DeadLettersLeft in template.yaml


def letter(hours: float = 0, name: str = "a") -> Listed:
    return Listed(f"dead-letters/cluster-A/{name}.json", 1, AT + hours * HOUR)


def tries(listed: Listed, until: timedelta, every: timedelta = HOUR) -> list[timedelta]:
    """The ages at which an object is tried by a schedule, each run of which comes to its end."""
    ages = []
    text, now = "", listed.modified
    while now <= listed.modified + until:
        window = Window.following(text, now)
        if window.place_of(listed):
            ages.append(now - listed.modified)
        text, now = str(window.ended), now + every
    return ages


def test_every_reason_is_decided() -> None:
    assert set(REASONS) == set(Reason)
    assert Reason.DOCUMENT_REFUSED not in NOT_RETRIED
    assert Reason.NOT_JSON in NOT_RETRIED


def test_objects_are_tried_less_often_with_age() -> None:
    hours = [age / HOUR for age in tries(letter(), timedelta(days=4))]

    assert hours == [0, 1, 2, 4, 8, 16, 23, 46, 69, 92]


@given(st.integers(0, 3_599), st.integers(50, 70))
def test_what_stays_is_tried_in_each_period_of_the_alarm(seconds: int, minutes: int) -> None:
    """Whenever it was written, and however punctual the schedule is."""
    listed = Listed("k", 1, AT + timedelta(seconds=seconds))
    ages = tries(listed, timedelta(days=9), timedelta(minutes=minutes))
    reported = [age for age in ages if age >= STAYS_AFTER]

    gaps = [later - earlier for earlier, later in pairwise(reported)]
    assert max(gaps) <= ALARM_PERIOD + timedelta(minutes=minutes - 60)


def test_due_objects_come_oldest_first_and_once() -> None:
    listed = [letter(3, "c"), letter(0, "b"), letter(0, "a"), letter(9, "later")]
    now = AT + 8 * HOUR

    due = due_objects(listed, Window.following("", now), now, 10)

    assert [one.key[-6] for _, one in due.objects] == ["a", "b", "c"]
    assert [at for (at, _), _ in due.objects] == [AT, AT, AT + 3 * HOUR]
    assert (due.count, due.late) == (3, 2)


def test_failed_notifications_are_no_batches() -> None:
    listed = [Listed("aws/lambda/async/daswatch-notified/x", 1, AT), Listed("aws/lambda/uuid/x", 1, AT)]

    due = due_objects(listed, Window.following("", AT), AT, 10)

    assert [one.key for _, one in due.objects] == ["aws/lambda/uuid/x"]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 7))
def test_short_runs_go_through_a_backlog_once(hours: list[int], most: int) -> None:
    """Objects of the same time included, and those that are due more than once meanwhile."""
    listed = [letter(hour, f"{number:02}") for number, hour in enumerate(hours)]
    first = now = AT + 50 * HOUR
    window = Window.following("", first)
    whole = due_objects(listed, window, now, 100)
    tried: list[str] = []
    while (due := due_objects(listed, window, now, most)).count:
        assert due.count == len(hours) - len(tried)
        tried += [one.key for _, one in due.objects]
        now += HOUR
        window = Window.following(str(window.after(due.objects[-1][0])), now)

    assert window.until == first
    assert tried == [one.key for _, one in whole.objects]
    assert Window.following(str(window.ended), now) == Window(first, now)


def test_window_is_a_text_and_back() -> None:
    window = Window(AT, AT + HOUR, (AT, "dead-letters/a b.json"))

    assert Window.following(str(window), AT + 9 * HOUR) == window


@pytest.mark.parametrize(("hours", "late"), [(7.9, False), (8, True)])
def test_what_waits_for_hours_is_late(hours: float, late: bool) -> None:
    assert is_late((AT, "k"), AT + hours * HOUR) is late
