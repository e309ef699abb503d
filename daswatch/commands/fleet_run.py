"""A run over the fleet, shared by `daswatch inventory` and `daswatch posture`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from daswatch.aws.clients import organizations_client, regional_client, session, sts_client
from daswatch.aws.fleet import FleetLookup, accounts_of
from daswatch.aws.identity import caller
from daswatch.commands.console import progress
from daswatch.deadline import Deadline
from daswatch.errors import FleetUnavailable, SettingsError
from daswatch.fleet.audit import Audit, audited
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import Coverage
from daswatch.indices import Indices
from daswatch.opensearch.client import search_client
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.request import command_deadline
from daswatch.settings import Environment, FleetScope, SearchEndpoint, read_index_prefix
from daswatch.times import iso_milliseconds

_SECONDS = 900.0  # for all accounts and regions

Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Look at this region only; may be repeated.", show_default=False),
]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", help="Look at this account only; may be repeated.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing to OpenSearch.")]


def run_audit(accounts: Sequence[str] | None, regions: Sequence[str] | None, *, dry_run: bool) -> Audit:
    """Look at the fleet, judge it and write it. Raises SettingsError, FleetUnavailable, SearchUnavailable.

    Without OPENSEARCH_ENDPOINT nothing is known before, nothing is written, and what arrives is unknown.
    """
    environment = Environment({**os.environ, **_asked("FLEET_ACCOUNTS", accounts), **_asked("FLEET_REGIONS", regions)})
    scope = FleetScope.read(environment)
    index = _index(environment)
    known = index.read(command_deadline()) if index else {}
    heard = index.heard(command_deadline()) if index else None
    looks = _look(scope)
    failures = index.enrolment_failures(command_deadline()) if index else {}
    now = iso_milliseconds(datetime.now(UTC))
    audit = audited(known, looks, heard, now, demands_sync=scope.demands_sync, failures=failures)
    if index and not dry_run:
        # What was asked for in part is no point of the trend.
        index.write(audit, Deadline.after(_SECONDS), with_history=not accounts and not regions)
    return audit


def read_trend(accounts: Sequence[str] | None, regions: Sequence[str] | None) -> dict[str, Coverage]:
    """The coverage of earlier runs by their time; nothing without OPENSEARCH_ENDPOINT. Raises SearchUnavailable."""
    index = _index(Environment(os.environ))
    filters = {"awsAccountId": accounts or (), "awsRegion": regions or ()}
    return index.trend(command_deadline(), filters) if index else {}


def _index(environment: Environment) -> DatabaseIndex | None:
    """The inventory at OPENSEARCH_ENDPOINT. Raises SettingsError with all that is wrong in the environment."""
    prefix = read_index_prefix(environment)
    endpoint = SearchEndpoint.read(environment) if environment.optional("OPENSEARCH_ENDPOINT") else None
    environment.check()
    return DatabaseIndex(search_client(endpoint), Indices(prefix), endpoint.service) if endpoint else None


def _asked(name: str, values: Sequence[str] | None) -> dict[str, str]:
    return {name: ",".join(values)} if values else {}


def _look(scope: FleetScope) -> list[Look]:
    if not session().region_name:
        raise SettingsError(["AWS_REGION is missing (expected: a region to begin with, like eu-west-1)"])
    own = caller(sts_client(), command_deadline(), FleetUnavailable).account_id
    accounts = accounts_of(scope, own, organizations_client, command_deadline())
    lookup = FleetLookup(own, session().region_name, regional_client, sts_client, scope.role, scope.regions)
    with progress() as bar:
        task = bar.add_task("regions", total=None)

        def note(look: Look) -> None:
            bar.update(task, advance=1, description=str(look.place))

        return lookup.look(accounts, Deadline.after(_SECONDS), note)


def print_unseen(audit: Audit) -> None:
    """Say on the error stream what could not be looked at, and which names moved."""
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    for place, why in audit.unseen.items():
        where = str(place) if place.region else f"{place.account_id}, all regions"
        console.print(f"[yellow]not looked at:[/] {where}: {escape(why)}")
    for one in audit.moved:
        before, after = (id_.rpartition("/")[2] for id_ in (one.before, one.after))
        console.print(f"[cyan]name moved:[/] {escape(one.identifier)} was {before} and is {after} now ({one.place})")
