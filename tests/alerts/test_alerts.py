"""The life of an alert: raised, published, updated, archived, and active again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.alerts.alert import (
    GROUPS,
    LEASE,
    Alert,
    Database,
    Due,
    Publication,
    State,
    advance,
    changes,
    due,
    leased,
    mark_published,
)
from daswatch.detections.detection import Level
from tests.builders.alerts import DATABASE, a_firing, an_alert, at, iso

QUIET = 3600


def published_at(alert: Alert, minutes: float) -> Alert:
    published = [Publication(alert, finding=True), Publication(alert, message=True)]
    for one in published:
        alert = mark_published(alert, one, at(minutes))
    return alert


def test_name_of_a_database_is_kept_and_replaced() -> None:
    named = replace(DATABASE, identifier="shop", tags=("env=prod",))
    renamed = replace(DATABASE, identifier="shop-old")
    alert = an_alert(database=named)

    unnamed = advance(alert, a_firing(last_seen=iso(1)), 3600, at(2))
    assert unnamed
    assert unnamed.database == named  # the inventory could not be read
    after = advance(unnamed, a_firing(last_seen=iso(3), database=renamed), 3600, at(4))
    assert after
    assert after.database == renamed
    assert after.id == alert.id


def test_alert_is_read_with_its_name() -> None:
    alert = an_alert(database=replace(DATABASE, identifier="shop", tags=("env=prod", "team=shop")))

    document = alert.document()

    assert document["databaseIdentifier"] == "shop"
    assert document["databaseTags"] == ["env=prod", "team=shop"]
    assert Alert.of(document) == alert
    assert {"databaseIdentifier", "databaseTags"}.isdisjoint(an_alert().document())


def test_a_firing_opens_an_alert() -> None:
    alert = advance(None, a_firing(), QUIET, at())

    assert alert
    assert (alert.state, alert.episode, alert.count) == (State.ACTIVE, 1, 10)
    assert (alert.first_seen, alert.last_seen) == (iso(-5), iso(-1))
    assert alert.created_at == alert.changed_at == alert.last_activity_at == iso()


def test_without_firing_and_alert_there_is_nothing() -> None:
    assert advance(None, None, QUIET, at()) is None


def test_the_same_firing_again_changes_nothing() -> None:
    alert = an_alert()

    assert advance(alert, a_firing(), QUIET, at(5)) is alert


def test_more_events_are_news() -> None:
    after = advance(an_alert(), a_firing(last_seen=iso(2), count=14, samples=("c",)), QUIET, at(3))

    assert after
    assert (after.count, after.last_seen, after.samples, after.episode) == (14, iso(2), ("c",), 1)
    assert after.changed_at == after.last_activity_at == iso(3)
    assert after.created_at == iso()


def test_late_events_of_the_episode_are_news_too() -> None:
    after = advance(an_alert(), a_firing(first_seen=iso(-9), count=11), QUIET, at(3))

    assert after
    assert (after.first_seen, after.last_seen, after.count) == (iso(-9), iso(-1), 11)


def test_an_episode_only_gets_more_severe() -> None:
    alert = an_alert(level=Level.HIGH)

    after = advance(alert, a_firing(level=Level.LOW, last_seen=iso(1), count=12), QUIET, at(2))

    assert after
    assert after.level is Level.HIGH


def test_it_is_archived_after_quiet_and_not_before() -> None:
    alert = an_alert()

    assert advance(alert, None, QUIET, at(59.9)) is alert
    after = advance(alert, None, QUIET, at(60))
    assert after
    assert (after.state, after.changed_at) == (State.ARCHIVED, iso(60))


def test_alert_lasts_until_its_message_is_sent() -> None:
    """A topic that is down for longer than the quiet time loses no message; after a day the alert ends all the same."""
    alert = an_alert()

    def archived(alert: Alert, minutes: float, *, messages: bool) -> bool:
        (change,) = changes({alert.id: alert}, [], {}, at(minutes), messages=messages)
        return change.after.state is State.ARCHIVED

    quiet = alert.quiet_seconds / 60
    assert not archived(alert, quiet, messages=True)
    assert archived(alert, quiet + 24 * 60, messages=True)
    assert archived(alert, quiet, messages=False)
    assert archived(published_at(alert, 0), quiet, messages=True)


def test_what_a_window_still_holds_does_not_keep_it_alive() -> None:
    after = advance(an_alert(), a_firing(), QUIET, at(61))

    assert after
    assert after.state is State.ARCHIVED


def test_an_archived_alert_stays_so_without_news() -> None:
    archived = advance(an_alert(), None, QUIET, at(60))

    assert archived
    assert advance(archived, None, QUIET, at(600)) is archived
    assert advance(archived, a_firing(count=99), QUIET, at(61)) is archived


def test_a_late_event_of_an_archived_episode_is_news() -> None:
    """It is older than the episode's last event, and it arrived after all that the episode counts."""
    archived = advance(an_alert(arrived_at=iso(0)), None, QUIET, at(60))
    late = a_firing(first_seen=iso(-6), last_seen=iso(-1), count=11, arrived_at=iso(180))

    again = advance(archived, late, QUIET, at(181))
    assert again
    assert (again.state, again.episode, again.first_seen) == (State.ACTIVE, 2, iso(-6))

    archived = advance(again, None, QUIET, at(181 + QUIET / 60))
    assert archived
    assert archived.state is State.ARCHIVED
    assert advance(archived, late, QUIET, at(300)) is archived


def test_a_summary_keeps_the_larger_number_of_groups() -> None:
    alert = an_alert(group={}, metrics={GROUPS: 10_000}, note="10000 groups")

    after = advance(alert, a_firing(group={}, last_seen=iso(1), metrics={GROUPS: 3}, note="3 groups"), QUIET, at(2))

    assert after
    assert (after.metrics, after.note, after.last_seen) == ({GROUPS: 10_000}, "10000 groups", iso(1))
    assert after.document()["groupText"] == "10000 groups"


def test_a_recurrence_opens_the_next_episode_under_the_same_id() -> None:
    archived = advance(published_at(an_alert(), 0), None, QUIET, at(60))

    again = advance(archived, a_firing(first_seen=iso(100), last_seen=iso(104), count=12), QUIET, at(105))

    assert archived
    assert again
    assert again.id == archived.id
    assert (again.state, again.episode, again.count, again.first_seen) == (State.ACTIVE, 2, 12, iso(100))
    assert again.created_at == iso()
    assert again.published == archived.published


def test_what_is_known_about_the_database_is_kept() -> None:
    unknown = a_firing(database=Database("cluster-SHOP"), last_seen=iso(1))

    after = advance(an_alert(), unknown, QUIET, at(2))

    assert after
    assert after.database == Database("cluster-SHOP", "123456789012", "eu-west-1", "postgresql")


def test_a_new_alert_is_reported_at_once() -> None:
    assert due(an_alert(), at(), messages=True) == Due(finding=True, message=True)
    assert due(an_alert(), at(), messages=False) == Due(finding=True, message=False)


def test_what_was_published_is_not_published_again() -> None:
    assert not due(published_at(an_alert(), 0), at(300), messages=True)


def test_an_update_waits_for_fifteen_minutes_and_mails_nobody() -> None:
    after = advance(published_at(an_alert(), 0), a_firing(last_seen=iso(1), count=11), QUIET, at(2))

    assert after
    assert not due(after, at(14.9), messages=True)
    assert due(after, at(15), messages=True) == Due(finding=True, message=False)


@pytest.mark.parametrize("change", [{"level": Level.CRITICAL}, {"state": State.ARCHIVED}])
def test_more_severe_and_archived_are_reported_at_once(change: dict[str, Level | State]) -> None:
    after = replace(published_at(an_alert(), 0), changed_at=iso(1), **change)  # type: ignore[arg-type]

    assert due(after, at(1), messages=True) == Due(finding=True, message=False)


def test_a_recurrence_is_reported_at_once_with_a_message() -> None:
    archived = advance(published_at(an_alert(), 0), None, QUIET, at(60))
    assert archived
    again = advance(published_at(archived, 60), a_firing(last_seen=iso(70)), QUIET, at(71))
    assert again

    assert due(again, at(71), messages=True) == Due(finding=True, message=True)


def test_only_one_runner_publishes() -> None:
    alert = leased(an_alert(), at())

    assert not due(alert, at(1), messages=True)
    assert due(alert, at() + LEASE, messages=True)


def test_each_lease_in_a_row_is_twice_as_long() -> None:
    alert, now, messages = an_alert(), at(), 0
    while now < at(20):
        if due(alert, now, messages=True).message:
            messages += 1
            alert = leased(alert, now)  # and nothing is noted
        now += LEASE / 3

    assert messages == 4
    assert mark_published(alert, Publication(alert, message=True), now).leases == 0


def test_what_was_published_is_noted_over_a_later_alert() -> None:
    sent = leased(an_alert(), at())
    later = advance(sent, a_firing(last_seen=iso(1), count=12), QUIET, at(1))
    assert later

    noted = mark_published(later, Publication(sent, message=True), at(1))
    after = mark_published(noted, Publication(sent, finding=True), at(1))

    assert (after.count, after.notified_episode, after.lease_until) == (12, 1, "")
    assert after.pending
    assert after.published
    assert after.published.changed_at == sent.changed_at


def test_a_lease_of_another_runner_is_left_alone() -> None:
    sent = leased(an_alert(), at())
    others = leased(sent, at(2))

    assert mark_published(others, Publication(sent), at(2)).lease_until == others.lease_until
    assert mark_published(sent, Publication(sent, finding=True), at(1)).lease_until == sent.lease_until
    assert not mark_published(sent, Publication(sent), at(1)).lease_until


def test_a_message_that_failed_is_still_due() -> None:
    alert = mark_published(an_alert(), Publication(an_alert(), finding=True), at())

    assert due(alert, at(1), messages=True) == Due(finding=False, message=True)


def test_no_message_for_what_is_over() -> None:
    alert = replace(an_alert(), state=State.ARCHIVED)

    assert due(alert, at(), messages=True) == Due(finding=True, message=False)


@given(
    group=st.dictionaries(st.sampled_from(["dbUserName", "remoteHost", "objects"]), st.text(max_size=30)),
    other=st.dictionaries(st.sampled_from(["dbUserName", "remoteHost", "objects"]), st.text(max_size=30)),
)
def test_alert_ids_follow_from_groups(group: dict[str, str], other: dict[str, str]) -> None:
    """Groups that differ have different ids, equal ones the same."""
    reordered = dict(reversed(group.items()))

    assert a_firing(group=group).alert_id == a_firing(group=reordered).alert_id
    assert (a_firing(group=group).alert_id == a_firing(group=other).alert_id) == (group == other)


@given(minutes=st.lists(st.integers(0, 200), min_size=1, max_size=12))
def test_running_twice_is_running_once(minutes: list[int]) -> None:
    once = twice = None
    for minute in sorted(minutes):
        firing = a_firing(first_seen=iso(minute - 3), last_seen=iso(minute), count=10 + minute)
        once = advance(once, firing, QUIET, at(minute + 1))
        twice = advance(advance(twice, firing, QUIET, at(minute + 1)), firing, QUIET, at(minute + 1))

    assert once == twice


@pytest.mark.parametrize(
    "alert", [an_alert(), published_at(an_alert(note="why"), 3), leased(an_alert(arrived_at=iso()), at())]
)
def test_a_document_reads_back_as_the_alert(alert: Alert) -> None:
    assert Alert.of(alert.document()) == alert
