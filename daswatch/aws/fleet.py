"""The fleet in AWS: which accounts and regions there are, and which databases each has.

Accounts are looked at through a role, regions side by side. What one of them refuses or never answers is that one's
failure: the others are looked at all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams.lifecycle import Eligibility, Status, obstacle
from daswatch.aws.api_calls import AwsError, ask, ask_pages
from daswatch.aws.rds import ActivityStreams
from daswatch.aws.roles import Credentials, assume, role_arn
from daswatch.deadline import Deadline
from daswatch.errors import FleetUnavailable, RdsUnavailable, StreamRefused
from daswatch.fleet.database import Facts, FleetDatabase, KeyState, Place
from daswatch.fleet.inventory import Look
from daswatch.settings import FleetScope

if TYPE_CHECKING:
    from types_boto3_organizations.client import OrganizationsClient
    from types_boto3_sts.client import STSClient

SESSION_NAME = "daswatch-inventory"

# A place that is not looked at in this time is left for the next run.
PLACE_SECONDS = 60.0
# One call with its retries: where one API of a place hangs, there is time left for the others.
_CALL_SECONDS = 25.0
# Regions throttle by account and region, so that these do not disturb each other.
_AT_ONCE = 12

ClientFactory = Callable[[str, str, Credentials | None], Any]  # service, region, credentials of another role


def organization_accounts(client: OrganizationsClient, deadline: Deadline) -> list[str]:
    """The active accounts of the organization. Raises FleetUnavailable."""
    try:
        accounts = ask_pages(client.list_accounts, "Accounts", lambda: deadline, token="NextToken")
    except AwsError as exc:
        raise FleetUnavailable(f"Organizations ListAccounts: {exc.code}: {exc.words}") from exc
    # State replaces Status, which AWS ceases to send.
    return sorted(one["Id"] for one in accounts if (one.get("State") or one.get("Status")) == "ACTIVE")


def accounts_of(
    scope: FleetScope, own: str, organizations: Callable[[], OrganizationsClient], deadline: Deadline
) -> list[str]:
    """The accounts of a scope: those of the organization, those that it lists, or our own. Raises FleetUnavailable."""
    if scope.organization:
        return organization_accounts(organizations(), deadline)
    return list(scope.accounts) or [own]


class FleetLookup:
    """RDS in all regions of any number of accounts."""

    def __init__(
        self,
        own_account: str,
        home_region: str,
        client: ClientFactory,
        sts: Callable[[], STSClient],
        role_name: str = "",
        regions: Iterable[str] = (),
    ) -> None:
        """`role_name` is that of a role in the other accounts; `regions` are all enabled ones where none is named."""
        self._own_account = own_account
        self._home_region = home_region
        self._client = client
        self._sts = sts
        self._role_name = role_name
        self._regions = tuple(regions)

    def look(
        self, accounts: Iterable[str], deadline: Deadline, progress: Callable[[Look], None] = lambda _: None
    ) -> list[Look]:
        """Look at all regions of these accounts, each once. Never raises for what AWS answers."""
        with ThreadPoolExecutor(_AT_ONCE, "fleet") as pool:
            opened = [pool.submit(self._looks_at, account_id, deadline) for account_id in dict.fromkeys(accounts)]
            waiting = [pool.submit(look) for account in as_completed(opened) for look in account.result()]
            done = []
            for one in as_completed(waiting):
                done.append(one.result())
                progress(done[-1])
        return sorted(done, key=lambda one: str(one.place))

    def _looks_at(self, account_id: str, deadline: Deadline) -> list[Callable[[], Look]]:
        """A look at each region of an account; one that says why where the account cannot be looked at."""
        try:
            credentials = self._credentials(account_id, deadline.at_most(PLACE_SECONDS))
            places = self._places(account_id, credentials, deadline.at_most(PLACE_SECONDS))
        except FleetUnavailable as exc:
            failed = Look(Place(account_id, ""), failure=str(exc))
            return [lambda: failed]
        return [partial(self._look_at, place, credentials, deadline) for place in places]

    def _credentials(self, account_id: str, deadline: Deadline) -> Credentials | None:
        """Those of the role in another account, None in our own."""
        if account_id == self._own_account:
            return None
        if not self._role_name:
            raise FleetUnavailable(f"account {account_id} is not ours, and FLEET_ROLE names no role to look at it with")
        arn = role_arn(account_id, self._role_name, self._home_region)
        try:
            return assume(self._sts, arn, SESSION_NAME, deadline).credentials
        except AwsError as exc:
            raise FleetUnavailable(f"STS AssumeRole of {arn}: {exc.code}: {exc.words}") from exc

    def _places(self, account_id: str, credentials: Credentials | None, deadline: Deadline) -> list[Place]:
        if self._regions:
            return [Place(account_id, region) for region in self._regions]
        ec2 = self._client("ec2", self._home_region, credentials)
        try:
            answer = ask(ec2.describe_regions, deadline)  # without more, those that are enabled
        except AwsError as exc:
            raise FleetUnavailable(f"EC2 DescribeRegions of account {account_id}: {exc.code}: {exc.words}") from exc
        return sorted((Place(account_id, one["RegionName"]) for one in answer.get("Regions", ())), key=str)

    def _look_at(self, place: Place, credentials: Credentials | None, deadline: Deadline) -> Look:
        deadline = deadline.at_most(PLACE_SECONDS)

        def until() -> Deadline:
            return deadline.at_most(_CALL_SECONDS)

        def kms() -> Any:
            return self._client("kms", place.region, credentials)

        streams = ActivityStreams(self._client("rds", place.region, credentials), kms, until)
        try:
            databases = streams.find_all()
        except (StreamRefused, RdsUnavailable) as exc:
            return Look(place, failure=str(exc))
        except (KeyError, TypeError, ValueError) as exc:
            return Look(place, failure=f"RDS describes a database that cannot be read: {type(exc).__name__}: {exc}")
        facts = _FactsOfPlace(streams, cache(kms), until)
        return Look(place, tuple(databases), {one.id: facts.of(one) for one in databases})


class _FactsOfPlace:
    """What RDS and KMS say of the databases of one place; each question is asked once, refused ones too."""

    def __init__(self, streams: ActivityStreams, kms: Callable[[], Any], until: Callable[[], Deadline]) -> None:
        self._streams = streams
        self._kms = kms
        self._until = until
        self._key_states: dict[str, str] = {}
        self._refused: dict[tuple[str, str, frozenset[str]], str] = {}

    def of(self, database: FleetDatabase) -> Facts:
        rds = database.rds
        if rds.stream.status is not Status.STOPPED:
            return Facts(key_state=self._key_state(rds.stream.kms_key_id))
        question = (rds.engine, rds.engine_version, rds.instance_classes)
        if question not in self._refused or obstacle(rds):
            try:
                return Facts(self._streams.eligibility(rds))
            except (StreamRefused, RdsUnavailable) as exc:
                self._refused[question] = str(exc)
        return Facts(Eligibility(), unknown=self._refused[question])

    def _key_state(self, key_id: str) -> str:
        """KMS's state of a key, NOT_FOUND after its deletion; empty where KMS does not say."""
        if not key_id:
            return ""
        if key_id not in self._key_states:
            try:
                answer = ask(lambda: self._kms().describe_key(KeyId=key_id), self._until())
                self._key_states[key_id] = answer.get("KeyMetadata", {}).get("KeyState", "")
            except AwsError as exc:
                self._key_states[key_id] = KeyState.NOT_FOUND if exc.code.startswith("NotFound") else ""
        return self._key_states[key_id]
