"""The backtest has the alerts of the runner: two weeks of events in which every kind of detection fires.

The runner runs at each whole minute of every outbreak, on a moved clock, and sees what has arrived by then. Between the
outbreaks there is nothing to see.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daswatch.alerts.alert import Alert, State
from daswatch.deadline import Deadline
from daswatch.detections.detection import (
    Condition,
    Detection,
    DetectionKind,
    EventSequence,
    FirstSeen,
    KnownClients,
    Level,
    OwnPast,
)
from daswatch.detections.sigma import compile_all, read_tuning
from daswatch.documents.document import Document
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.saved_queries import SavedQueries
from daswatch.queries.backtests import Backtest, Period
from daswatch.times import iso_milliseconds
from findings_lambda.name_lookup import NameLookup
from findings_lambda.notifier import Notifier
from findings_lambda.runner import DetectionRunner
from tests.builders.alerts import a_detection
from tests.fakes.clock import Clock
from tests.harness.runs import RUN_SECONDS, RunHarness

pytestmark = pytest.mark.node

BEGIN = datetime(2033, 5, 2, 8, tzinfo=UTC)  # a Monday
DAYS = (0, 1, 2, 6, 8, 12, 13)  # with an outbreak
QUIET = 1_800
DATABASES = ("cluster-SHOP", "db-HR")
HOURLY = {8, 12}  # days whose events are in the indices of their hours
_MINUTE = timedelta(minutes=1)
_TO_ARCHIVE = timedelta(minutes=14)  # between runs without events: shorter than what one looks back at

TUNING = """
detections:
  bruteforce-user: {quiet: 30m}
  off-hours-privileged: {enabled: true, quiet: 30m}
suppressions:
  - detection: bruteforce-user
    when: {dbUserName: legacy_batch}
    owner: Tom Okafor, platform
    reason: Its password is rotated in the second week.
    expires: 2033-05-11
"""


def detections() -> list[Detection]:
    """One of each kind, with windows of one part of a minute grid, of another, and longer than the quiet time."""
    shipped = {one.name: one for one in compile_all(read_tuning(TUNING))}
    event = a_detection(
        name="grants", kind=DetectionKind.EVENT, query="activity:DCL", group=("dbUserName",), window_seconds=0,
        quiet_seconds=QUIET, conditions=(Condition("count", 1),),
    )  # fmt: skip
    spray = a_detection(
        name="spray", query='activity:"AUTH FAILURE"', group=("remoteHost",), window_seconds=900, quiet_seconds=QUIET,
        conditions=(Condition("distinct", 4, "dbUserName"), Condition("distinct", 7, "dbUserName", level=Level.HIGH)),
    )  # fmt: skip
    rows = a_detection(
        name="rows", query="activity:DQL", group=("dbUserName",), window_seconds=780, quiet_seconds=QUIET,
        conditions=(Condition("sum", 1_000, "rowCount"), Condition("max", 700, "rowCount", level=Level.CRITICAL)),
    )  # fmt: skip
    sequence = a_detection(
        name="guessed", kind=DetectionKind.SEQUENCE, query='activity:"AUTH FAILURE" OR activity:CONNECT',
        group=("dbUserName", "remoteHost"), window_seconds=900, quiet_seconds=QUIET, conditions=(),
        sequence=EventSequence('activity:"AUTH FAILURE"', 4, "activity:CONNECT"),
    )  # fmt: skip
    slow = a_detection(
        name="slow", query='activity:"AUTH FAILURE"', group=("dbUserName",), window_seconds=21_600,
        quiet_seconds=QUIET, conditions=(Condition("count", 6),),
    )  # fmt: skip
    network = a_detection(
        name="network", kind=DetectionKind.FIRST_SEEN, query="activity:CONNECT", group=("dbUserName", "remoteIp"),
        window_seconds=0, quiet_seconds=QUIET, first_seen=FirstSeen(5, ipv4_prefix=24),
        conditions=(Condition("count", 1),),
    )  # fmt: skip
    dormant = a_detection(
        name="dormant", kind=DetectionKind.FIRST_SEEN, query="activity:CONNECT", group=("dbUserName",),
        window_seconds=0, quiet_seconds=QUIET, first_seen=FirstSeen(2, absent_days=4),
        conditions=(Condition("count", 1),),
    )  # fmt: skip
    returning = replace(dormant, name="returning", known_clients=KnownClients(4))
    more = a_detection(
        name="more", query="activity:DQL", group=("dbUserName",), window_seconds=3_600, quiet_seconds=QUIET,
        conditions=(Condition("sum", 800, "rowCount"),), own_past=OwnPast(days=9, learn_days=1, times=2),
    )  # fmt: skip
    own = [event, spray, rows, sequence, slow, network, dormant, returning, more]
    return [*own, shipped["bruteforce-user"], shipped["off-hours-privileged"]]


@dataclass
class Traffic:
    """Events of seeded chance, by when they arrive."""

    chance: random.Random
    prefix: str
    delay: float = 0.0  # seconds at most
    documents: list[tuple[datetime, Document]] = field(default_factory=list)

    def add(self, at: datetime, activity: str, *, arrived: datetime | None = None, **fields: Any) -> None:
        at = at.replace(microsecond=self.chance.randrange(1, 1000) * 1000)
        arrived = arrived or at + timedelta(seconds=self.chance.uniform(0, self.delay))
        day = (at - BEGIN.replace(hour=0)).days
        source = {
            "@timestamp": iso_milliseconds(at),
            "ingestedAt": iso_milliseconds(arrived),
            "activity": activity,
            "outcome": "failure" if activity == "AUTH FAILURE" else "success",
            "resourceId": "cluster-SHOP",
            "engine": "postgresql",
            "sessionId": "s1",
            **fields,
        }
        index = f"{self.prefix}-{at:%Y.%m.%d.%H}" if day in HOURLY else f"{self.prefix}-{at:%Y.%m.%d}"
        self.documents.append((arrived, Document(index, f"e{len(self.documents)}", source)))

    def outbreak(self, day: int) -> tuple[datetime, datetime]:
        """What happens in some time of a day; its begin and its end."""
        chance = self.chance
        begin = BEGIN + timedelta(days=day, minutes=chance.randrange(0, 600))
        if day % 5 == 3:
            begin = begin.replace(hour=23, minute=chance.randrange(20, 50))  # over midnight
        minutes = chance.randrange(10, 45)

        def moment(most: float = minutes) -> datetime:
            return begin + timedelta(seconds=chance.randrange(0, int(most * 60)))

        for user in chance.sample(["app", "report", "kim", "ralf", "root", "etl"], chance.randrange(2, 6)):
            network = chance.randrange(4) if chance.random() < 0.2 else 0
            ip = f"203.0.{network}.{chance.randrange(1, 200)}"
            self.add(moment(), "CONNECT", dbUserName=user, remoteHost=ip, remoteIp=ip)
        for _ in range(chance.randrange(0, 25)):
            self.add(
                moment(), "DCL", dbUserName=chance.choice(["kim", "root"]), resourceId=chance.choice(DATABASES),
                command="GRANT",
            )  # fmt: skip
        for _ in range(chance.randrange(0, 30)):
            self.add(moment(), "DQL", dbUserName=chance.choice(["report", "etl"]), rowCount=chance.randrange(0, 720))
        for burst in range(chance.randrange(1, 4)):
            user, host = chance.choice(["app", "legacy_batch", "root"]), f"198.51.100.{chance.randrange(1, 4)}"
            first = moment()
            for _ in range(chance.randrange(4, 30)):
                at = first + timedelta(seconds=chance.randrange(0, 800))
                name = chance.choice([user, user, user, f"user{chance.randrange(9)}"])
                self.add(at, "AUTH FAILURE", dbUserName=name, remoteHost=host, exitCode="28P01")
            if burst:
                at = first + timedelta(seconds=chance.randrange(300, 900))
                self.add(at, "CONNECT", dbUserName=user, remoteHost=host, remoteIp=host)
        return begin, begin + timedelta(minutes=minutes + 13)

    def storm(self, begin: datetime) -> None:
        """More groups at once than get an alert each, and further ones while these are open."""
        for number in range(130):
            at = begin + timedelta(seconds=self.chance.randrange(0, 1_200))
            self.add(at, "DCL", dbUserName=f"new{number}", command="GRANT")


@dataclass
class Runner:
    """The runner on a moved clock, with all episodes that its alerts ever had, as they were last."""

    harness: RunHarness
    episodes: dict[tuple[str, int], Alert] = field(default_factory=dict)
    active: bool = False
    runs: int = 0

    def over(self, feed: list[tuple[datetime, Document]], begin: datetime, end: datetime) -> None:
        """A run at each whole minute, then until everything is archived; before each, what has arrived by then."""
        harness = self.harness
        # The time without events since the last outbreak is not gone through.
        harness.search.indices.delete(index=harness.indices.runs, params={"ignore_unavailable": "true"})
        runner = quiet_runner(harness)
        now = begin.replace(second=0, microsecond=0)
        while now <= end or self.active:
            arrived = [document for at, document in feed if at <= now]
            del feed[: len(arrived)]
            if arrived:
                harness.write(arrived)
            report = runner.run(now, Deadline.after(RUN_SECONDS, Clock()))
            assert not report.failing
            self.runs += 1
            if report.firings or report.archived:
                alerts = harness.alerts().values()
                self.episodes |= {(one.id, one.episode): one for one in alerts}
                self.active = any(one.state is State.ACTIVE for one in alerts)
            now += _MINUTE if now < end else _TO_ARCHIVE


def quiet_runner(harness: RunHarness) -> DetectionRunner:
    """A runner that publishes nothing."""
    search, indices = harness.search, harness.indices
    return DetectionRunner(
        detections=harness.detections,
        queries=SavedQueries(search),
        alert_index=AlertIndex(search, indices),
        search=SearchGateway(search),
        notifier=Notifier(accounts=None, topic=None, region="", dashboards_url="", indices=indices, statements=None),
        indices=indices,
        names=NameLookup(search, indices, ()),
    )


def known(alerts: Iterable[Alert]) -> dict[str, list[tuple[Any, ...]]]:
    """By alert id, what the episodes are made of, oldest first."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for alert in sorted(alerts, key=lambda one: one.episode):
        found.setdefault(alert.id, []).append(_what(alert.first_seen, alert.last_seen, alert.count, alert))
    return found


def _what(first: str, last: str, count: int, one: Any) -> tuple[Any, ...]:
    return first, last, count, one.level.value, tuple(sorted(one.metrics.items()))


def replayed(answers: Sequence[Backtest]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for answer in answers:
        assert not answer.failure
        for one in answer.episodes:
            name = one.alert_id(answer.detection.name)
            found.setdefault(name, []).append(_what(one.first_seen, one.last_seen, one.count, one))
    return found


def test_the_backtest_has_the_alerts_of_the_runner(harness: RunHarness) -> None:
    # GIVEN two weeks in which every kind of detection fires
    harness.detections = detections()
    traffic = Traffic(random.Random(1811), harness.prefix)
    outbreaks = [traffic.outbreak(day) for day in DAYS]
    begin, _ = outbreaks[2]
    traffic.storm(begin)
    traffic.storm(begin + timedelta(minutes=25))
    outbreaks[2] = begin, begin + timedelta(minutes=50)
    feed = sorted(traffic.documents, key=lambda one: one[0])

    # WHEN the runner goes through them, and the backtest looks back at all of it
    runner = Runner(harness)
    for begin, end in outbreaks:
        runner.over(feed, begin, end)
    assert not feed
    span = Period(BEGIN.replace(hour=0), BEGIN.replace(hour=0) + timedelta(days=DAYS[-1] + 2))
    harness.search.indices.delete(index=harness.indices.seen)  # the backtest reads what it has noted, too
    run = BacktestRun(harness.search, span, harness.prefix)
    answers = run.run(harness.detections)

    # THEN both have the same alerts, with the same episodes
    expected = known(runner.episodes.values())
    assert replayed(answers) == expected
    counted = Counter(name.split("/")[0] for name, of_one in expected.items() for _ in of_one)
    assert counted.keys() == {one.name for one in harness.detections}
    everything = replace(next(one for one in harness.detections if one.name == "more"), own_past=None)
    (without_past,) = BacktestRun(harness.search, span, harness.prefix).run([everything])
    assert 0 < counted["more"] < len(without_past.episodes)
    assert any(alert.group == {} for alert in runner.episodes.values())
    assert any(alert.first_seen[:10] != alert.last_seen[:10] for alert in runner.episodes.values())
