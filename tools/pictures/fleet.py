"""A company's databases for the pictures, and how they change over a week: what RDS says, and when each was heard.

The demo's seven databases are covered; those of the other regions and of a second account have one verdict each. The
verdicts are those of the posture function's own code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import repeat
from typing import Any

from daswatch.activity_streams.lifecycle import Eligibility
from daswatch.enrolment.plan import State
from daswatch.fleet.audit import Audit, Heard, audited
from daswatch.fleet.database import Document, Facts, FleetDatabase, Place, databases_of
from daswatch.fleet.inventory import Look
from daswatch.records.envelope import stream_name
from daswatch.times import iso_milliseconds
from demo.aws import REGION
from demo.rds import ACCOUNT_ID
from demo.traffic import DATABASES

SHOP_ACCOUNT = "210987654321"
RUN_EVERY = timedelta(minutes=15)
NO_STREAM = Eligibility(frozenset(), "cannot have an activity stream: RDS offers none for aurora-mysql 5.7")
_ALWAYS = timedelta(days=400)
_NEVER = timedelta(days=-1)
_POSTGRESQL, _MYSQL = ("aurora-postgresql", "16.2"), ("aurora-mysql", "8.0.mysql_aurora.3.08.0")
_SQLSERVER = ("sqlserver-ee", "15.00.4430.1.v1")
_ENGINES = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "oracle": ("oracle-ee", "19.0.0.0"), "sqlserver": _SQLSERVER}


@dataclass(frozen=True, slots=True)
class Story:
    """What becomes of one database. Times are how long ago: between `on` and `off` its stream is on and heard.

    `exists` is from when until when it is there, `key_lost` since when its key is pending deletion. `renamed` is the
    name that it has since then.
    """

    place: Place
    name: str
    engine: tuple[str, str] = _POSTGRESQL
    on: timedelta = _ALWAYS
    off: timedelta = _NEVER
    silent: timedelta = _NEVER
    exists: tuple[timedelta, timedelta] = (_ALWAYS, _NEVER)
    key_lost: timedelta = _NEVER
    unlocked: timedelta = _NEVER
    renamed: tuple[timedelta, str] = (_NEVER, "")
    exception: str = ""
    consumed: bool = True
    eligible: bool = True
    key_is_seen: bool = True
    resource_id: str = ""

    def name_at(self, ago: timedelta) -> str:
        """Its name then."""
        since, name = self.renamed
        return name if ago <= since else self.name

    def is_on(self, ago: timedelta) -> bool:
        """Whether its stream is on."""
        return self.off < ago <= self.on

    def key_state(self, ago: timedelta) -> str:
        """What KMS says of its stream's key; empty without a stream, and for a key that KMS does not show."""
        if not self.is_on(ago) or not self.key_is_seen:
            return ""
        return "PendingDeletion" if ago <= self.key_lost else "Enabled"

    def heard(self, ago: timedelta) -> timedelta | None:
        """How long ago it was last heard then; None for never."""
        if not self.consumed or ago > self.on:
            return None
        return max(ago, self.silent, self.off)


def _stories() -> Iterator[Story]:
    ours, frankfurt = Place(ACCOUNT_ID, REGION), Place(ACCOUNT_ID, "eu-central-1")
    shop, virginia = Place(SHOP_ACCOUNT, REGION), Place(SHOP_ACCOUNT, "us-east-1")
    day, hour = timedelta(days=1), timedelta(hours=1)
    for one in DATABASES:
        yield Story(ours, one.name, _ENGINES[one.engine], resource_id=one.resource_id)
    yield Story(frankfurt, "billing", silent=30 * hour)
    yield Story(frankfurt, "reports", on=_NEVER, exception="read-only copy of billing")
    yield Story(frankfurt, "invoices", _MYSQL, on=5.2 * day)
    yield Story(frankfurt, "documents", key_lost=20 * hour)
    yield Story(frankfurt, "checkout", on=_NEVER, exists=(2.6 * day, _NEVER))
    yield Story(shop, "customers", _MYSQL, on=4.1 * day)
    yield Story(shop, "sessions", ("aurora-mysql", "5.7.mysql_aurora.2.11.4"), on=_NEVER, eligible=False)
    yield Story(shop, "loyalty", off=3.3 * day)
    yield Story(shop, "warehouse", _SQLSERVER, unlocked=1.4 * day)
    # A blue/green switchover: the new database takes over the name, and its stream is started half a day later.
    yield Story(shop, "pricing", _MYSQL, renamed=(2 * day, "pricing-old1"), off=1.5 * day)
    yield Story(shop, "pricing", _MYSQL, exists=(2 * day, _NEVER), on=1.5 * day, resource_id="cluster-PRICINGGREEN02")
    yield Story(virginia, "inventory", consumed=False)
    yield Story(virginia, "scratch", on=_NEVER, exists=(_ALWAYS, 3 * day))
    yield Story(virginia, "coupons", key_is_seen=False)


STORIES = tuple(_stories())


def audits(
    now: datetime,
    ages: Iterable[timedelta],
    unseen: Iterable[Look] = (),
    enrolled: Iterable[Mapping[str, Document]] = repeat({}),
) -> Iterator[Audit]:
    """The posture function's runs at these ages, the oldest first; `unseen` are looks that fail each time.

    `enrolled` are the documents of enrolment at each age.
    """
    known: Mapping[str, Document] = {}
    for ago, enrolments in zip(ages, enrolled, strict=False):
        failures = {id_: one["reason"] for id_, one in enrolments.items() if one["state"] == State.FAILED}
        looks = [*looks_at(ago), *unseen]
        run = audited(known, looks, _heard(now, ago), iso_milliseconds(now - ago), failures=failures)
        known = run.documents
        yield run


def ages_of(days: int) -> Iterator[timedelta]:
    """When the runs of some days are, the last one now."""
    for number in range(int(timedelta(days=days) / RUN_EVERY), -1, -1):
        yield number * RUN_EVERY


def looks_at(ago: timedelta) -> list[Look]:
    """What each place of the fleet describes then."""
    looks: dict[Place, Look] = {story.place: Look(story.place) for story in STORIES}
    for story in _present(ago):
        database = described(story, ago)
        before = looks[story.place]
        facts = Facts(Eligibility() if story.eligible else NO_STREAM, key_state=story.key_state(ago))
        looks[story.place] = Look(story.place, (*before.databases, database), {**before.facts, database.id: facts})
    return list(looks.values())


def _present(ago: timedelta) -> list[Story]:
    return [story for story in STORIES if story.exists[1] < ago <= story.exists[0]]


def _heard(now: datetime, ago: timedelta) -> dict[str, Heard]:
    heard: dict[str, Heard] = {}
    for story in _present(ago):
        if (last := story.heard(ago)) is not None:
            at = iso_milliseconds(now - last)
            heard[described(story, ago).rds.resource_id] = Heard(at, at)
    return heard


def described(story: Story, ago: timedelta) -> FleetDatabase:
    """The database of a story as its region describes it."""
    place, name = story.place, story.name_at(ago)
    engine, version = story.engine
    tags = {"env": "prod"}
    if story.exception:
        tags |= {"daswatch:exception": story.exception, "daswatch:exception-until": "2031-12-31"}
    start = f"arn:aws:rds:{place.region}:{place.account_id}"
    is_cluster = engine.startswith("aurora")
    own = sha256(story.name.encode()).hexdigest()[:26].upper()
    resource_id = story.resource_id or f"{'cluster' if is_cluster else 'db'}-{own}"
    raw: dict[str, Any] = {
        "Engine": engine,
        "EngineVersion": version,
        "TagList": [{"Key": key, "Value": value} for key, value in tags.items()],
        "ActivityStreamStatus": "stopped",
    }
    if story.is_on(ago):
        raw |= {
            "ActivityStreamStatus": "started",
            "ActivityStreamMode": "async",
            "ActivityStreamKmsKeyId": f"arn:aws:kms:{place.region}:{place.account_id}:key/daswatch",
            "ActivityStreamKinesisStreamName": stream_name(resource_id),
        }
    if is_cluster:
        raw |= {
            "DBClusterIdentifier": name,
            "DBClusterArn": f"{start}:cluster:{name}",
            "DbClusterResourceId": resource_id,
            "Status": "available",
        }
        (database,) = databases_of([raw], [])  # type: ignore[list-item]
        return database
    raw |= {
        "DBInstanceIdentifier": name,
        "DBInstanceArn": f"{start}:db:{name}",
        "DbiResourceId": resource_id,
        "DBInstanceClass": "db.r6i.large",
        "DBInstanceStatus": "available",
        "ActivityStreamPolicyStatus": "unlocked" if ago <= story.unlocked else "locked",
    }
    (database,) = databases_of([], [raw])  # type: ignore[list-item]
    return database
