"""`daswatch doctor`: checks a deployment, from the stack to the newest event, and names what to fix first.

It changes nothing. Each look-up stands alone: one that fails does not stop the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.activity_streams.lifecycle import RdsDatabase
from daswatch.aws.clients import cloudformation_client
from daswatch.aws.deployment_lookup import Deployment
from daswatch.aws.error_causes import no_answer
from daswatch.aws.session import unknown_region
from daswatch.commands.console import Output, errors_as_exit_codes, progress, write_json
from daswatch.commands.detections import compiled
from daswatch.commands.error_messages import Exit
from daswatch.content.model import WantedContent
from daswatch.doctor import aws_checks, deployment, endpoint_checks
from daswatch.doctor.aws_checks import Check, CheckStatus, Subject
from daswatch.doctor.deployment import Lookup, LookupFailed, Stack, WatchedDatabase
from daswatch.doctor.endpoint_checks import EndpointRefusal
from daswatch.enrolment.consumers import DeliveryFound, Kind, MappingFound
from daswatch.enrolment.plan import Present, plan
from daswatch.enrolment.record import foreign_names
from daswatch.enrolment.wanted import read_wanted
from daswatch.errors import DashboardsUnavailable, NotOpenSearch, SearchUnavailable, SettingsError, TooOld
from daswatch.fleet.database import Place
from daswatch.indices import Indices
from daswatch.opensearch.arrivals import ArrivalsGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from daswatch.opensearch.installation import Installation
from daswatch.opensearch.request import command_deadline
from daswatch.opensearch.version_check import check_opensearch
from daswatch.settings import SETTINGS, DashboardsEndpoint, Environment, Reader, SearchEndpoint, read_index_prefix
from daswatch.times import iso_milliseconds

# What the setup function knows of the endpoint, and the environment may set otherwise. Not what only an installation
# needs; which days are hourly is read at the endpoint.
_OF_AN_INSTALLATION = {"BACKUP_BUCKET", "DETECTIONS", "INDEX_HOURLY"}
_ENDPOINT_SETTINGS = [
    name for name, setting in SETTINGS.items() if Reader.SETUP in setting.read_by and name not in _OF_AN_INSTALLATION
]
_SETUP_FUNCTION = "SetupFunction"
# Of so many databases, Kinesis streams and delivery streams are described one by one: Firehose answers five a second.
_LOOKED_AT_CLOSELY = 50
_COLORS = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.UNKNOWN: "magenta",
    CheckStatus.BROKEN: "bold red",
}
Step = tuple[str, Callable[[], list[Check]]]


app = typer.Typer(add_completion=False)


@app.command()
def run(
    stack: Annotated[str, typer.Option("--stack", help="The stack's name.")] = "daswatch",
    output: Annotated[Output, typer.Option(help="Output format.")] = Output.TABLE,
    tuning: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The YAML file that the deployment was packaged with."),
    ] = None,
    endpoint_only: Annotated[
        bool, typer.Option("--endpoint-only", help="Check only OPENSEARCH_ENDPOINT, without a stack.")
    ] = False,
) -> None:
    """Check a deployment and suggest fixes. Changes nothing.

    Endpoint and settings are those of the deployed functions; environment variables override them. Exit code 1 if
    something is broken.
    """
    with errors_as_exit_codes(output):
        now = datetime.now(UTC)
        checks = _endpoint_alone(tuning, now) if endpoint_only else _examined(stack, tuning, now)
        if output is Output.JSON:
            first = next(iter(aws_checks.worst_first(checks)), None)
            write_json(
                {
                    "stack": stack,
                    "at": now,
                    "broken": _count(checks, CheckStatus.BROKEN),
                    "checks": [asdict(check) for check in checks],
                    "first": asdict(first) if first else None,
                }
            )
        else:
            _show(stack, checks)
        # If nothing at all could be checked, nothing is known to be in order.
        if _count(checks, CheckStatus.BROKEN) or _count(checks, CheckStatus.UNKNOWN) == len(checks):
            raise typer.Exit(Exit.FAILED)


def _endpoint_alone(tuning: Path | None, now: datetime) -> list[Check]:
    """Check OPENSEARCH_ENDPOINT: without a stack nothing else of a deployment is known. Raises SettingsError."""
    if not os.environ.get("OPENSEARCH_ENDPOINT"):
        raise SettingsError(["OPENSEARCH_ENDPOINT is missing (expected: https://…, with --endpoint-only)"])
    no_stack: Lookup[Stack] = LookupFailed("", "not asked for", absent=True)
    with progress() as bar:
        steps = bar.track(_endpoint_steps({}, no_stack, tuning, now), description="OpenSearch")
        return [check for _, look in steps for check in look()]


def _examined(name: str, tuning: Path | None, now: datetime) -> list[Check]:
    """Run all checks, each look-up as a step of the bar. Raises SettingsError."""
    with progress() as bar:
        task = bar.add_task("the stack", total=None)
        region = cloudformation_client().meta.region_name
        aws = Deployment()
        stack = aws.stack(name)
        if isinstance(stack, LookupFailed) and stack.next_step and (wrong := unknown_region(region)):
            raise SettingsError([f"AWS_REGION: {wrong}"])
        checks = aws_checks.stack_checks(name, region, stack)
        environment: Mapping[str, str] = {}
        watched: list[_Watched] = []
        steps: list[Step] = []
        if isinstance(stack, Stack):
            functions = {one.name: aws.function(one.physical_id) for one in stack.of_type(deployment.FUNCTION)}
            architecture = stack.parameters.get("Architecture", "")
            checks += [
                aws_checks.function_check(one, functions[one.name], architecture)
                for one in stack.of_type(deployment.FUNCTION)
            ]
            environment = _variables(functions.get(_SETUP_FUNCTION))
            bar.update(task, description="databases")
            found, watched = _enrolled(aws, stack, region, _variables(functions.get(aws_checks.ENROL_FUNCTION)), now)
            checks += found
            steps += _aws_steps(aws, stack, watched, now)
        steps += _endpoint_steps(environment, stack, tuning, now, tuple(one.watched for one in watched))
        bar.update(task, total=len(steps))
        for title, look in steps:
            bar.update(task, description=title)
            checks += look()
            bar.advance(task)
    order = list(Subject)
    return sorted(checks, key=lambda check: order.index(check.subject))


def _variables(function: Lookup[object] | None) -> Mapping[str, str]:
    """Return a function's environment; empty if its look-up failed."""
    if not isinstance(function, Mapping):
        return {}
    return dict(function.get("Environment", {}).get("Variables", {}))


# What is in AWS.


@dataclass(frozen=True, slots=True)
class _Watched:
    """A database with a stream that the stack is to watch, as its region and Lambda describe it."""

    watched: WatchedDatabase
    database: RdsDatabase
    mapping: Lookup[Any]


def _enrolled(
    aws: Deployment, stack: Stack, region: str, variables: Mapping[str, str], now: datetime
) -> tuple[list[Check], list[_Watched]]:
    """What is enrolled, as the enrolment function would see it now."""
    if not variables:
        return [], []  # the function itself has a check
    environment = Environment(variables)
    wanted = read_wanted(environment, region)
    try:
        environment.check()
    except SettingsError as exc:
        return [aws_checks.settings_check(str(exc))], []
    look = aws.databases(Place(stack.account_id, region))
    if isinstance(look, LookupFailed):
        return [aws_checks.unknown(Subject.STREAMS, "databases", look)], []
    consumers = wanted.consumers
    mappings, names = aws.mappings(consumers.function.rpartition(":")[2]), aws.delivery_names()
    found = {} if isinstance(mappings, LookupFailed) else {one["EventSourceArn"]: one for one in mappings}
    # Only their descriptions say what those with foreign names read.
    foreign = frozenset() if isinstance(names, LookupFailed) else foreign_names(names, consumers)
    looked = [aws.delivery_stream(name) for name in sorted(foreign)]
    described = [DeliveryFound.of(one) for one in looked if not isinstance(one, LookupFailed)]
    present = Present(
        mappings={arn: MappingFound.of(one) for arn, one in found.items()},
        deliveries={(one.stream_arn, one.kind): one for one in described},
        delivery_names=None if isinstance(names, LookupFailed) else names,
        unread=foreign - {one.name for one in described},
    )
    enrolments = plan(look, present, wanted, {}, iso_milliseconds(now))
    databases = {one.rds.resource_id: one.rds for one in look.databases}
    watched = []
    for one in enrolments:
        if one.selected_by and one.stream_arn and one.resource_id in databases:
            absent = LookupFailed("lambda:ListEventSourceMappings", "no function reads it", absent=True)
            mapping = mappings if isinstance(mappings, LookupFailed) else found.get(one.stream_arn, absent)
            uuid = "" if isinstance(mapping, LookupFailed) else mapping["UUID"]
            evidence = present.delivery(consumers, one.stream_arn, Kind.EVIDENCE) if consumers.evidence else ""
            names_it = WatchedDatabase(one.name, one.resource_id, uuid, evidence)
            watched.append(_Watched(names_it, databases[one.resource_id], mapping))
    return aws_checks.enrolment_checks(enrolments, {one.watched.resource_id for one in watched}), watched


def _aws_steps(aws: Deployment, stack: Stack, watched: Sequence[_Watched], now: datetime) -> Iterator[Step]:
    wanted = {**stack.parameters, **stack.outputs}
    keys: dict[str, Lookup[Any]] = {}
    for number, one in enumerate(watched):
        yield one.watched.name, _later(_streams, aws, one, keys, wanted, number < _LOOKED_AT_CLOSELY)
        if one.watched.evidence and number < _LOOKED_AT_CLOSELY:
            yield f"{one.watched.name}, evidence", _later(_evidence, aws, one.watched)
    more = len(watched) - _LOOKED_AT_CLOSELY
    if more > 0:
        yield "more databases", lambda: [aws_checks.not_closely(more)]
    for output, name in (("AlertTopicArn", "alert topic"), ("MonitorTopicArn", "monitor topic")):
        if arn := stack.outputs.get(output):
            yield name, _later(_topic, aws, name, arn)
    if stack.of_type(deployment.ALARM):
        yield "alarms", _later(_alarms, aws, stack, now)
    if stack.parameters.get("SecurityHub", "true") == "true":
        yield "Security Hub", lambda: [aws_checks.hub_check(aws.security_hub())]


def _later(look: Callable[..., list[Check]], *arguments: object) -> Callable[[], list[Check]]:
    return lambda: look(*arguments)


def _streams(
    aws: Deployment, one: _Watched, keys: dict[str, Lookup[Any]], wanted: Mapping[str, str], closely: bool
) -> list[Check]:
    """`keys` are those that were looked at already: one serves many databases."""
    stream = one.database.stream
    kinesis = aws.kinesis_stream(stream.kinesis_stream_name) if stream.kinesis_stream_name and closely else None
    if stream.kms_key_id and stream.kms_key_id not in keys:
        keys[stream.kms_key_id] = aws.key(stream.kms_key_id)
    checks = aws_checks.stream_checks(one.watched, one.database, kinesis, keys.get(stream.kms_key_id), wanted)
    return [*checks, aws_checks.mapping_check(one.watched, one.mapping)]


def _evidence(aws: Deployment, watched: WatchedDatabase) -> list[Check]:
    return [aws_checks.evidence_check(watched, aws.delivery_stream(watched.evidence))]


def _topic(aws: Deployment, name: str, arn: str) -> list[Check]:
    return [aws_checks.topic_check(name, aws.subscriptions(arn))]


def _alarms(aws: Deployment, stack: Stack, now: datetime) -> list[Check]:
    wanted = stack.of_type(deployment.ALARM)
    return aws_checks.alarm_checks(wanted, aws.alarms(one.physical_id for one in wanted), now)


# What is at the endpoint.


def _endpoint_steps(
    variables: Mapping[str, str],
    stack: Lookup[Stack],
    tuning: Path | None,
    now: datetime,
    watched: Sequence[WatchedDatabase] = (),
) -> list[Step]:
    """Raises SettingsError, RuleError."""
    own = {name: os.environ[name] for name in _ENDPOINT_SETTINGS if os.environ.get(name)}
    settings = {**{name: variables[name] for name in _ENDPOINT_SETTINGS if name in variables}, **own}
    if not settings.get("OPENSEARCH_ENDPOINT"):
        return [("OpenSearch", lambda: [_no_endpoint()])]
    environment = Environment(settings)
    endpoint = SearchEndpoint.read(environment)
    dashboards = DashboardsEndpoint.read(environment, endpoint)
    prefix = read_index_prefix(environment)
    wanted = WantedContent.read(environment, index_prefix=prefix, service=endpoint.service, detections=())
    environment.check()
    wanted = replace(wanted, detections=compiled(tuning))
    in_vpc = isinstance(stack, Stack) and bool(stack.parameters.get("SubnetIds"))
    return [("OpenSearch", lambda: _endpoint(endpoint, dashboards, wanted, watched, now, in_vpc=in_vpc))]


def _no_endpoint() -> Check:
    fix = "allow lambda:GetFunctionConfiguration, or set OPENSEARCH_ENDPOINT"
    return Check(Subject.SEARCH, "endpoint", CheckStatus.UNKNOWN, "no function could be read for its URL", fix)


def _endpoint(
    endpoint: SearchEndpoint,
    dashboards: DashboardsEndpoint,
    wanted: WantedContent,
    watched: Sequence[WatchedDatabase],
    now: datetime,
    *,
    in_vpc: bool,
) -> list[Check]:
    """Check one endpoint; if it does not answer, no further request is made. Raises SettingsError."""
    try:
        client = search_client(endpoint)
        check_opensearch(client, endpoint.service)
        arrivals = ArrivalsGateway(client, wanted.index_prefix)
        count = arrivals.reach()
    except TooOld as exc:
        return [aws_checks.broken(Subject.SEARCH, endpoint.url, str(exc), exc.next_step)]
    except SearchUnavailable as exc:
        return [endpoint_checks.refused(Subject.SEARCH, endpoint.url, _refusal(exc), in_vpc=in_vpc)]
    installation = Installation.at(endpoint, dashboards)
    indices = Indices(wanted.index_prefix)
    databases = DatabaseIndex(client, indices, endpoint.service)
    enrolments = EnrolmentIndex(client, indices, endpoint.service)
    letters = indices.dead_letters
    is_domain = endpoint.service == "es"
    looks: list[tuple[Subject, str, Callable[[], list[Check]]]] = [
        (Subject.CONTENT, "content", lambda: endpoint_checks.content_checks(installation.plan(wanted))),
        (Subject.SEARCH, "shards", lambda: endpoint_checks.shard_checks(arrivals.shards(now)) if is_domain else []),
        (
            Subject.STREAMS,
            "names",
            lambda: aws_checks.moved_checks(databases.read(command_deadline()).values()),
        ),
        (
            Subject.STREAMS,
            "enrolments",
            lambda: aws_checks.remembered_checks(enrolments.read(None, command_deadline()).values()),
        ),
        (Subject.DATA, "pulse", lambda: endpoint_checks.pulse_checks(watched, arrivals.pulses(), now)),
        (Subject.DATA, "events", lambda: endpoint_checks.arrival_checks(arrivals.arrivals(), now)),
        (Subject.DATA, "dead letters", lambda: [endpoint_checks.dead_letter_check(arrivals.dead_letters(), letters)]),
        (Subject.FINDINGS, "saved queries", lambda: endpoint_checks.runner_checks(arrivals.runner(), now)),
    ]
    checks = [aws_checks.ok(Subject.SEARCH, endpoint.url, f"it answers, and has {count:,} events")]
    for subject, name, look in looks:
        try:
            checks += look()
        except (SearchUnavailable, DashboardsUnavailable) as exc:
            checks.append(endpoint_checks.refused(subject, name, _refusal(exc)))
    return checks


def _refusal(exc: SearchUnavailable | DashboardsUnavailable) -> EndpointRefusal:
    kind = "security_exception" if "security_exception" in str(exc) else ""
    if isinstance(exc, NotOpenSearch):
        return EndpointRefusal(exc.status or 404, str(exc))  # it did answer
    found = no_answer(exc)
    return EndpointRefusal(exc.status, found.words if found else str(exc), kind)


# The table.


def _show(stack: str, checks: Sequence[Check]) -> None:
    console = Console(emoji=False)
    counts = ", ".join(f"[{_COLORS[status]}]{_count(checks, status)} {status}[/]" for status in CheckStatus)
    table = Table(title=f"{escape(stack)}: {counts}", title_justify="left")
    for column in ("", "check", "status", "reason and fix"):
        table.add_column(column, overflow="fold")
    for subject, group in groupby(checks, key=lambda check: check.subject):
        for number, check in enumerate(group):
            why = escape(check.reason) + (f"\n[bold]→[/] {escape(check.fix)}" if check.fix else "")
            status = f"[{_COLORS[check.status]}]{check.status}[/]"
            table.add_row("" if number else f"[bold]{subject}[/]", escape(check.name), status, why)
        table.add_section()
    console.print(table)
    console.print(_first(checks))


def _first(checks: Iterable[Check]) -> str:
    """Return the last line: what to fix first."""
    first = next(iter(aws_checks.worst_first(checks)), None)
    if first is None:
        return "[green]No problems found.[/]"
    return f"[bold]First:[/] {escape(first.name)}: {escape(first.fix)}"


def _count(checks: Iterable[Check], status: CheckStatus) -> int:
    return sum(check.status is status for check in checks)
