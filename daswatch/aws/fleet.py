"""The fleet in AWS: which accounts and regions there are, and which databases each has.

Accounts are looked at through a role, regions side by side. What one of them refuses or never answers is that one's
failure: the others are looked at all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams.lifecycle import Eligibility, Status
from daswatch.alerts.findings import partition
from daswatch.aws.api_calls import AwsError, ask, ask_pages
from daswatch.aws.rds import ActivityStreams
from daswatch.deadline import Deadline
from daswatch.errors import FleetUnavailable, RdsUnavailable, StreamRefused
from daswatch.fleet.database import Facts, FleetDatabase, Place
from daswatch.fleet.inventory import Look

if TYPE_CHECKING:
    from types_boto3_organizations.client import OrganizationsClient
    from types_boto3_sts.client import STSClient

SESSION_NAME = "daswatch-inventory"

# A place that answers nothing in this time is left for the next run.
PLACE_SECONDS = 60.0
# Regions throttle by account and region, so that these do not disturb each other.
_AT_ONCE = 12

Credentials = Mapping[str, str]
ClientFactory = Callable[[str, str, Credentials | None], Any]  # service, region, credentials of another role


def organization_accounts(client: OrganizationsClient, deadline: Deadline) -> list[str]:
    """The active accounts of the organization. Raises FleetUnavailable."""
    try:
        accounts = ask_pages(client.list_accounts, "Accounts", lambda: deadline, token="NextToken")
    except AwsError as exc:
        raise FleetUnavailable(f"Organizations ListAccounts: {exc.code}: {exc.words}") from exc
    return sorted(one["Id"] for one in accounts if one.get("Status", "ACTIVE") == "ACTIVE")


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
            waiting = [
                pool.submit(look)
                for looks in pool.map(partial(self._looks_at, deadline=deadline), dict.fromkeys(accounts))
                for look in looks
            ]
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
        role_arn = f"arn:{partition(self._home_region)}:iam::{account_id}:role/{self._role_name}"
        try:
            answer = ask(lambda: self._sts().assume_role(RoleArn=role_arn, RoleSessionName=SESSION_NAME), deadline)
        except AwsError as exc:
            raise FleetUnavailable(f"STS AssumeRole of {role_arn}: {exc.code}: {exc.words}") from exc
        credentials = answer.get("Credentials")
        if not credentials:
            raise FleetUnavailable(f"STS AssumeRole of {role_arn}: an answer without credentials")
        return {name: credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}

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

        def client(service: str) -> Any:
            return self._client(service, place.region, credentials)

        streams = ActivityStreams(client("rds"), lambda: client("kms"), lambda: deadline)
        try:
            databases = streams.find_all()
        except (StreamRefused, RdsUnavailable) as exc:
            return Look(place, failure=str(exc))
        key_states = _KeyStates(lambda: client("kms"), deadline)
        facts = {one.id: _facts(one, streams, key_states) for one in databases}
        return Look(place, tuple(databases), facts)


def _facts(database: FleetDatabase, streams: ActivityStreams, key_states: _KeyStates) -> Facts:
    stream = database.rds.stream
    if stream.status is not Status.STOPPED:
        return Facts(key_state=key_states.of(stream.kms_key_id))
    try:
        return Facts(streams.eligibility(database.rds))
    except (StreamRefused, RdsUnavailable) as exc:
        return Facts(Eligibility(), unknown=str(exc))


class _KeyStates:
    """The states of keys in one region, each asked for once; empty where KMS does not say."""

    def __init__(self, kms: Callable[[], Any], deadline: Deadline) -> None:
        self._kms = kms
        self._deadline = deadline
        self._known: dict[str, str] = {}

    def of(self, key_id: str) -> str:
        if key_id and key_id not in self._known:
            try:
                answer = ask(lambda: self._kms().describe_key(KeyId=key_id), self._deadline)
                self._known[key_id] = answer.get("KeyMetadata", {}).get("KeyState", "")
            except AwsError:
                self._known[key_id] = ""
        return self._known.get(key_id, "")


def own_account(client: STSClient, deadline: Deadline) -> str:
    """The account of the caller. Raises FleetUnavailable."""
    try:
        return ask(client.get_caller_identity, deadline)["Account"]
    except AwsError as exc:
        raise FleetUnavailable(f"STS GetCallerIdentity: {exc.code}: {exc.words}") from exc
