"""The look at AWS, on moto's RDS in many accounts and regions behind real HTTP, and behind a proxy that misbehaves."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daswatch.activity_streams.lifecycle import Mode
from daswatch.aws import clients, fleet
from daswatch.aws.fleet import FleetLookup, organization_accounts
from daswatch.aws.identity import caller
from daswatch.deadline import Deadline
from daswatch.errors import FleetUnavailable
from daswatch.fleet.database import Place
from daswatch.fleet.inventory import Look
from demo.aws import REGION, LocalAws
from tests.fakes.clock import RealClock, ends_within
from tests.fakes.proxy import Exchange, Proxy, Request, Response, answer, forward, hang, sequence
from tests.fakes.rds import ACCOUNT, Rds

ROLE = "daswatch-inventory"
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-2")
DENIED = b"""<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: x is not authorized to perform: rds:DescribeDBClusters</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""
THROTTLED = DENIED.replace(b"AccessDenied", b"Throttling").replace(b"User: x is not authorized", b"Rate exceeded")
CLUSTER_GONE = DENIED.replace(b"AccessDenied", b"DBClusterNotFoundFault")
denied = answer(403, DENIED, "text/xml")
throttled = answer(400, THROTTLED, "text/xml")


def new_account() -> str:
    return str(secrets.randbelow(9 * 10**11) + 10**11)


@pytest.fixture
def account() -> str:
    """Another account than ours, which no other test uses."""
    return new_account()


@pytest.fixture
def proxy(aws: LocalAws, rds: Rds, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between us and RDS, KMS, STS and EC2."""
    with Proxy(aws.url) as running:
        for service in ("RDS", "KMS", "STS", "EC2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", running.url)
        clients.session.cache_clear()
        yield running


def lookup(*regions: str, role: str = ROLE) -> FleetLookup:
    return FleetLookup(ACCOUNT, REGION, clients.regional_client, clients.sts_client, role, regions)


def look(*accounts: str, regions: tuple[str, ...] = REGIONS, seconds: float = 60.0) -> dict[Place, Look]:
    return {one.place: one for one in lookup(*regions).look(accounts, Deadline.after(seconds))}


def names(seen: Look) -> set[str]:
    return {str(one.rds.name) for one in seen.databases}


def to(region: str, call: str = "", service: str = "rds") -> Callable[[Request], bool]:
    """Calls to a region, by the scope of their signature."""

    def chosen(request: Request) -> bool:
        scope = f"/{region}/{service}/aws4_request"
        called = request.headers.get("X-Amz-Target", "").encode() + request.body
        return scope in request.headers.get("Authorization", "") and call.encode() in called

    return chosen


def test_databases_of_all_places_are_found(rds: Rds, account: str) -> None:
    places = [Place(account, region) for region in REGIONS[:2]]
    made = {place: rds.at(place.account_id, place.region).cluster() for place in places}
    rds.at(account, REGIONS[0]).run_stream(made[places[0]], "started", "sync", rds.key_arn)

    seen = look(account)

    assert {place: names(one) for place, one in seen.items()} == {
        places[0]: {made[places[0]]},
        places[1]: {made[places[1]]},
        Place(account, REGIONS[2]): set(),
    }
    assert not any(one.failure for one in seen.values())
    (database,) = seen[places[0]].databases
    assert database.place == places[0]
    assert (database.rds.stream.status, database.rds.stream.mode) == ("started", "sync")
    (off,) = seen[places[1]].facts.values()
    assert off.eligibility.modes == frozenset(Mode)


def test_without_regions_all_enabled_ones(rds: Rds, account: str) -> None:
    enabled = {one["RegionName"] for one in rds.any_client("ec2").describe_regions()["Regions"]}

    seen = look(account, regions=())

    assert {place.region for place in seen} == enabled
    assert len(enabled) > 10


def test_own_account_needs_no_role(rds: Rds) -> None:
    name = rds.at(region="us-west-2").cluster()

    (seen,) = lookup("us-west-2", role="").look([ACCOUNT, ACCOUNT], Deadline.after(60))

    assert name in names(seen)
    assert caller(clients.sts_client(), Deadline.after(10)).account_id == ACCOUNT


def test_account_without_role_setting_fails_alone(rds: Rds, account: str) -> None:
    seen = lookup("us-west-2", role="").look([account, ACCOUNT], Deadline.after(60))

    assert [one.place for one in seen if one.failure] == [Place(account, "")]
    assert "FLEET_ROLE names no role" in next(one.failure for one in seen if one.failure)
    assert [one.place for one in seen if not one.failure] == [Place(ACCOUNT, "us-west-2")]


def test_role_that_cannot_be_assumed_fails_alone(rds: Rds, proxy: Proxy, account: str) -> None:
    other = new_account()
    asked = proxy.on(lambda request: f"{account}%3Arole".encode() in request.body, denied)

    seen = look(account, other)

    assert asked.hits == 1
    assert [place for place, one in seen.items() if one.failure] == [Place(account, "")]
    assert f"STS AssumeRole of arn:aws:iam::{account}:role/{ROLE}: AccessDenied" in seen[Place(account, "")].failure
    assert {place for place, one in seen.items() if not one.failure} == {Place(other, region) for region in REGIONS}


def test_account_that_hangs_does_not_hold_others(rds: Rds, proxy: Proxy, account: str) -> None:
    other = new_account()
    order: list[str] = []
    all_others_seen = threading.Event()

    def answer_after_the_others(exchange: Exchange) -> Response:
        all_others_seen.wait(60)
        return denied(exchange)

    def seen(look: Look) -> None:
        order.append(look.place.account_id)
        if order == [other] * 3:
            all_others_seen.set()

    proxy.on(lambda request: f"{account}%3Arole".encode() in request.body, answer_after_the_others)

    lookup(*REGIONS).look([account, other], Deadline.after(60), seen)

    assert order == [other] * 3 + [account]


def test_denied_region_is_asked_once(rds: Rds, proxy: Proxy, account: str) -> None:
    asked = proxy.on(to(REGIONS[1]), denied)

    seen = look(account)

    assert asked.hits == 1
    assert [place.region for place, one in seen.items() if one.failure] == [REGIONS[1]]
    assert "describe_db_clusters: AccessDenied: User: x is not authorized" in seen[Place(account, REGIONS[1])].failure


def test_throttled_region_is_asked_again(rds: Rds, proxy: Proxy, account: str) -> None:
    name = rds.at(account, REGIONS[1]).cluster()
    asked = proxy.on(to(REGIONS[1], "DescribeDBInstances"), sequence(throttled, throttled, throttled))

    seen = look(account)

    assert asked.hits == 4
    assert names(seen[Place(account, REGIONS[1])]) == {name}


def test_hanging_region_ends_at_its_deadline(
    rds: Rds, proxy: Proxy, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "PLACE_SECONDS", 3.0)
    proxy.on(to(REGIONS[1]), hang)

    with ends_within(60):
        seen = look(account, regions=REGIONS[1:2])

    assert "out of time" in seen[Place(account, REGIONS[1])].failure


def test_nothing_is_asked_after_the_deadline(rds: Rds, proxy: Proxy, account: str) -> None:
    asked = proxy.on(lambda _: True, forward)

    seen = look(account, seconds=-1.0)

    assert asked.hits == 0
    assert "out of time" in seen[Place(account, "")].failure


def many_instances(rds: Rds, count: int) -> set[str]:
    name = rds.instance("mysql", "8.0")
    return {name} | rds.copies(name, count - 1)


def test_throttled_page_does_not_begin_again(rds: Rds, proxy: Proxy, account: str) -> None:
    made = many_instances(rds.at(account, REGIONS[0]), 205)
    markers: list[str] = []

    def page(exchange: Exchange) -> Response:
        marker = re.search(rb"Marker=([^&]*)", exchange.request.body)
        markers.append(marker[1].decode() if marker else "")
        return (throttled if len(markers) in (2, 3) else forward)(exchange)

    proxy.on(to(REGIONS[0], "DescribeDBInstances"), page)

    seen = look(account, regions=REGIONS[:1])

    assert names(seen[Place(account, REGIONS[0])]) == made
    second = markers[1]
    assert second
    assert markers[:4] == ["", second, second, second]
    assert len(markers) == 5


def test_clusters_come_from_all_pages(rds: Rds, account: str) -> None:
    there = rds.at(account, REGIONS[0])
    name = there.cluster(instances=0)
    made = {name} | there.copies(name, 100)

    seen = look(account, regions=REGIONS[:1])

    assert names(seen[Place(account, REGIONS[0])]) == made


def deleting(there: Rds, name: Callable[[], str], page: int) -> Callable[[Exchange], Response]:
    """Forward, and delete an instance after so many pages."""
    pages: list[None] = []

    def behave(exchange: Exchange) -> Response:
        whole = exchange.forward()
        pages.append(None)
        if len(pages) == page:
            there.forget(name())
        return whole

    return behave


def test_database_deleted_between_pages(rds: Rds, proxy: Proxy, account: str) -> None:
    """It may be seen or not; all the others are seen."""
    there = rds.at(account, REGIONS[0])
    made = many_instances(there, 150)
    victim = sorted(made)[0]
    proxy.on(to(REGIONS[0], "DescribeDBInstances"), deleting(there, lambda: victim, 1))

    seen = look(account, regions=REGIONS[:1])[Place(account, REGIONS[0])]

    assert seen.failure or made - {victim} <= names(seen) <= made


def test_page_that_is_gone_is_not_the_end(rds: Rds, proxy: Proxy, account: str) -> None:
    """Otherwise every database of the region would be taken for deleted."""
    rds.at(account, REGIONS[0]).cluster()
    proxy.on(to(REGIONS[0], "DescribeDBClusters"), answer(404, CLUSTER_GONE, "text/xml"))

    assert "DBClusterNotFoundFault" in look(account, regions=REGIONS[:1])[Place(account, REGIONS[0])].failure


def test_cluster_deleted_before_its_instances(rds: Rds, proxy: Proxy, account: str) -> None:
    there = rds.at(account, REGIONS[0])
    cluster, kept = there.cluster(), there.cluster()
    pages = sequence(deleting(there, lambda: cluster, 1))
    proxy.on(to(REGIONS[0], "DescribeDBClusters"), pages)

    seen = look(account, regions=REGIONS[:1])[Place(account, REGIONS[0])]

    assert names(seen) == {cluster, kept}
    gone = next(one for one in seen.databases if str(one.rds.name) == cluster)
    assert gone.members == ()


def test_unreadable_database_fails_its_region_only(rds: Rds, proxy: Proxy, account: str) -> None:
    for region in REGIONS[:2]:
        rds.at(account, region).cluster()

    def unknown_status(exchange: Exchange) -> Response:
        whole = exchange.forward()
        status = rb"(<ActivityStreamStatus>)stopped"
        return Response(whole.status, whole.headers, re.sub(status, rb"\1paused", whole.body))

    proxy.on(to(REGIONS[0], "DescribeDBClusters"), unknown_status)

    seen = look(account, regions=REGIONS[:2])

    assert "cannot be read: ValueError: 'paused'" in seen[Place(account, REGIONS[0])].failure
    assert not seen[Place(account, REGIONS[1])].failure


@pytest.mark.parametrize("behaviour", [pytest.param(forward, id="answered"), pytest.param(denied, id="denied")])
def test_options_are_asked_once_for_each_class(rds: Rds, proxy: Proxy, account: str, behaviour: Any) -> None:
    there = rds.at(account, REGIONS[0])
    for _ in range(3):
        there.cluster()
        there.cluster(instance_class="db.t3.medium")
        there.instance()
    asked = proxy.on(to(REGIONS[0], "DescribeOrderableDBInstanceOptions"), behaviour)

    seen = look(account, regions=REGIONS[:1])[Place(account, REGIONS[0])]

    assert len(seen.databases) == 9
    assert asked.hits == 3
    unknown = {one.unknown for one in seen.facts.values()}
    assert unknown == {""} if behaviour is forward else all("AccessDenied" in one for one in unknown)


def test_states_of_keys_are_asked_once(rds: Rds, proxy: Proxy, account: str) -> None:
    there = rds.at(account, REGIONS[0])
    keys = {"Enabled": there.new_key(), "Disabled": there.new_key(), "PendingDeletion": there.new_key()}
    there.any_client("kms").disable_key(KeyId=keys["Disabled"].rpartition("/")[2])
    there.any_client("kms").schedule_key_deletion(KeyId=keys["PendingDeletion"].rpartition("/")[2])
    keys["NotFound"] = keys["Enabled"][:-1] + ("0" if keys["Enabled"][-1] != "0" else "1")
    expected = {}
    for state, key in keys.items():
        for _ in range(2):
            name = there.cluster()
            there.run_stream(name, key=key)
            expected[there.resource_id(name)] = state
    asked = proxy.on(to(REGIONS[0], "DescribeKey", "kms"), forward)

    seen = look(account, regions=REGIONS[:1])[Place(account, REGIONS[0])]

    assert {one.rds.resource_id: seen.facts[one.id].key_state for one in seen.databases} == expected
    assert asked.hits == 4


def test_kms_that_hangs_leaves_states_unknown(
    rds: Rds, proxy: Proxy, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "_CALL_SECONDS", 10.0)
    there = rds.at(account, REGIONS[0])
    on, off = there.cluster(), there.cluster()
    there.run_stream(on)
    proxy.on(to(REGIONS[0], service="kms"), hang)

    with ends_within(60):
        seen = look(account, regions=REGIONS[:1])[Place(account, REGIONS[0])]

    facts = {str(one.rds.name): seen.facts[one.id] for one in seen.databases}
    assert facts[on].key_state == ""
    assert facts[off].eligibility.modes


def test_organization_has_accounts_of_all_pages(aws: LocalAws, rds: Rds, proxy: Proxy) -> None:
    client = aws.client("organizations")
    client.create_organization(FeatureSet="ALL")
    made = [
        client.create_account(Email=f"a{number}@example.com", AccountName=f"a{number}")["CreateAccountStatus"]
        for number in range(45)
    ]
    closed = made[7]["AccountId"]
    client.close_account(AccountId=closed)
    through = clients.organizations_client()
    pages: list[object] = []

    def small(params: dict[str, Any], **_: object) -> None:
        params["MaxResults"] = 20
        pages.append(params.get("NextToken"))

    through.meta.events.register("provide-client-params.organizations.ListAccounts", small)

    found = organization_accounts(through, Deadline.after(30, RealClock()))

    assert closed not in found
    assert {one["AccountId"] for one in made} - {closed} <= set(found)
    assert ACCOUNT in found
    assert len(pages) == 3


def test_organization_that_is_denied(aws: LocalAws, rds: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(aws.url) as before:
        before.on(lambda _: True, answer(400, b'{"__type":"AccessDeniedException","Message":"no"}'))
        monkeypatch.setenv("AWS_ENDPOINT_URL_ORGANIZATIONS", before.url)
        clients.session.cache_clear()

        with pytest.raises(FleetUnavailable, match="ListAccounts: AccessDeniedException: no"):
            organization_accounts(clients.organizations_client(), Deadline.after(30))
