"""`daswatch replay`: opens evidence, dead letters and batches that Lambda gave up, and writes what is missing."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from opensearchpy import OpenSearch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from daswatch.aws.clients import kms_client, s3_client, session, sts_client
from daswatch.aws.evidence import EvidenceBucket
from daswatch.aws.identity import caller
from daswatch.aws.kms import DataKeys
from daswatch.aws.row_objects import ReadingObjects, RowObjects
from daswatch.commands.console import Output, errors_as_exit_codes, moment, write_json
from daswatch.commands.detections import Tuning, actor_table, compiled
from daswatch.commands.replay_detections import MOST_SPANS, Looked, look, raise_alerts
from daswatch.commands.replay_output import as_json, show, show_looked
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.documents import actors
from daswatch.documents.activity import Activity
from daswatch.documents.actors import ActorTable
from daswatch.documents.decoder import RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.errors import SettingsError
from daswatch.evidence.objects import Listed
from daswatch.evidence.readings import Caller, FileReadings, Purpose, Readings
from daswatch.evidence.replay import Nowhere, Replayer, Selection, Target
from daswatch.evidence.row_files import RowFile
from daswatch.evidence.run import ReplayRun, RunReport
from daswatch.evidence.spans import spans_of
from daswatch.fleet.names import Names
from daswatch.hourly_indices import HourlyIndices
from daswatch.indices import Indices, problem_of
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.database_documents import read_documents
from daswatch.opensearch.event_indices import EventIndices
from daswatch.opensearch.reading_index import ReadingIndex
from daswatch.opensearch.replayed_events import ReplayedEvents
from daswatch.opensearch.request import command_deadline
from daswatch.opensearch.version_check import check_opensearch
from daswatch.records.decryption import Decryptor
from daswatch.records.envelope import stream_name
from daswatch.settings import (
    Environment,
    SearchEndpoint,
    StreamSettings,
    read_event_tags,
    read_hourly_indices,
    read_index_prefix,
)
from daswatch.times import iso_milliseconds

app = typer.Typer(add_completion=False)

_PATIENCE_SECONDS = 600.0  # for a service that throttles or does not answer, at each call
_READERS = 8  # threads that read S3
_S3_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?", re.ASCII)
_INTERRUPTED = 130  # as shells report it


class Detections(StrEnum):
    """What detections do about the replayed time."""

    RAISE = "raise"
    REPORT = "report"
    OFF = "off"


@app.command()
def run(
    source: Annotated[str, typer.Argument(help="Evidence: s3://bucket, or a folder or object of it.")],
    begin: Annotated[
        str | None, typer.Option("--from", help="Records that arrived since: ISO 8601, or relative such as 7d, 12h.")
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", help="Records that arrived until; or where rows go instead: s3://bucket/folder, or file.ndjson."
        ),
    ] = None,
    resource_ids: Annotated[
        list[str] | None, typer.Option("--resource-id", help="This database only: cluster-… or db-…; repeatable.")
    ] = None,
    databases: Annotated[
        list[str] | None, typer.Option("--database", help="This database only, by its identifier; repeatable.")
    ] = None,
    activities: Annotated[
        list[str] | None, typer.Option("--activity", help="These events only, such as DDL; repeatable.")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option("--into", help="Another index prefix, ending in -events, prepared by `daswatch setup`."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Open everything; write nothing.")] = False,
    account: Annotated[
        str | None, typer.Option(help="Account of databases that are not in the inventory (default: your own).")
    ] = None,
    detections: Annotated[
        Detections, typer.Option(help="Report what the detections find in what was missing, or raise it as of then.")
    ] = Detections.REPORT,
    restart: Annotated[bool, typer.Option("--restart", help="Do not go on where an earlier run ended.")] = False,
    tuning: Tuning = None,
    output: Annotated[Output, typer.Option(help="Output format.")] = Output.TABLE,
) -> None:
    """Open evidence, and write what is missing at OPENSEARCH_ENDPOINT, under the ids that it would have had.

    What is there stays as it is. The settings are those of the ingest function. An interrupted run goes on where it was
    when the same command is called again. Exit code 1 if something cannot be opened or written.
    """
    with errors_as_exit_codes(output), ExitStack() as stack:
        asked = _asked(begin, to or (), activities or (), into, dry_run=dry_run)
        looks = detections is not Detections.OFF and not asked.rows_to and not dry_run
        # Compiled before anything is read: what cannot be is said at once.
        rules = compiled(tuning) if looks else ()
        replay = _Replay(source, asked, resource_ids or (), databases or (), account, tuning, rules, stack)
        report = replay.run(restart=restart)
        looked = replay.look(report, raises=detections is Detections.RAISE and not into)
        if output is Output.JSON:
            write_json(as_json(report, replay.purpose) | ({"detections": looked.as_json()} if looked else {}))
        else:
            show(report, replay.purpose, replay.names)
            if looked:
                show_looked(looked, replay.names)
    if report.cause == "interrupted":
        raise typer.Exit(_INTERRUPTED)
    if not report.is_whole:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options say."""

    begin: datetime | None
    end: datetime | None
    rows_to: str  # empty: into the indices
    activities: frozenset[Activity]
    into: str
    dry_run: bool


def _asked(
    begin: str | None, to: Sequence[str], activities: Sequence[str], into: str | None, *, dry_run: bool
) -> _Asked:
    now = datetime.now(UTC)
    rows_to = [one for one in to if one.startswith("s3://") or one.endswith(".ndjson")]
    times = [one for one in to if one not in rows_to]
    problems = []
    if len(rows_to) > 1 or len(times) > 1:
        problems.append("--to is given twice (expected: one time, and one place for rows)")
    if into and (rows_to or dry_run):
        problems.append("--into is for indices (expected: no --dry-run, and no place for rows)")
    if into and any(problem_of(into)):
        problems.append("--into {} (expected: {})".format(*problem_of(into)))
    if problems:
        raise SettingsError(problems)
    wanted = {one.strip().upper().replace("_", " ") for one in activities}
    if not wanted <= set(Activity):
        raise SettingsError([f"--activity names an unknown activity (expected: {', '.join(Activity)})"])
    chosen = frozenset(Activity(one) for one in wanted)
    first = moment("--from", begin, now) if begin else None
    last = moment("--to", times[0], now) if times else None
    if first and last and first >= last:
        raise SettingsError(["--from is not before --to (expected: --from 7d --to 6d)"])
    return _Asked(first, last, rows_to[0] if rows_to else "", chosen, into or "", dry_run)


def _patience() -> Deadline:
    return Deadline.after(_PATIENCE_SECONDS)


class _Replay:
    """One call of the command, wired."""

    def __init__(
        self,
        source: str,
        asked: _Asked,
        resource_ids: Sequence[str],
        databases: Sequence[str],
        account: str | None,
        tuning: Path | None,
        detections: Sequence[Detection],
        stack: ExitStack,
    ) -> None:
        self._asked = asked
        self._account = account
        self._tuning = tuning
        self._detections = detections
        self._stack = stack
        environment = Environment(os.environ)
        self._stream = StreamSettings.read(environment)
        self._hourly: HourlyIndices = read_hourly_indices(environment)
        prefix = asked.into or read_index_prefix(environment)
        needs_endpoint = not asked.rows_to and not asked.dry_run
        has_endpoint = needs_endpoint or bool(environment.optional("OPENSEARCH_ENDPOINT"))
        self._endpoint = SearchEndpoint.read(environment) if has_endpoint else None
        own = Indices(read_index_prefix(environment))
        tags = read_event_tags(environment)
        environment.check()
        self._bucket, self._prefix = _s3_place("SOURCE", source)
        self._region = session().region_name
        if not self._region:
            raise SettingsError(["AWS_REGION is missing (expected: the region of the evidence, like eu-west-1)"])
        self._indices, self._own = Indices(prefix), own
        self._client: OpenSearch | None = None
        if self._endpoint:
            self._client = search_client(self._endpoint)
            check_opensearch(self._client, self._endpoint.service)
        self._documents = self._inventory()
        self.names = Names.of(self._documents, tags)
        self.caller: Caller = caller(sts_client(), _patience())
        selection = Selection(asked.begin, asked.end, self._databases(resource_ids, databases), asked.activities)
        self.purpose = Purpose(source.rstrip("/"), self._target_name(), selection)

    def run(self, *, restart: bool) -> RunReport:
        """Replay, and note who did."""
        readings = self._readings()
        unfinished = None if restart else readings.unfinished(self.purpose.job)
        target, mark = self._target(unfinished.mark if unfinished else {})
        data_keys = DataKeys(kms_client(), self._stream.max_data_keys, self._stream.max_data_key_age_seconds)
        decryptor = Decryptor(self._stream.max_plaintext_bytes)
        replayer = Replayer(
            data_keys=data_keys,
            decoder=lambda keys: RecordDecoder(keys, decryptor),
            target=target,
            selection=self.purpose.selection,
            flattening=self._flattening(),
            stream_arn=self._stream_arn,
        )
        executor = self._stack.enter_context(ThreadPoolExecutor(_READERS, "evidence"))
        bucket = EvidenceBucket(s3_client(), self._bucket, (self._prefix,), _patience, executor)
        with _progress() as bar:
            task = bar.add_task("listing", total=None)
            total = self._total(bucket, unfinished.position if unfinished else "")
            bar.update(task, total=total)

            def notify(report: RunReport, listed: Listed) -> None:
                events = f"{report.totals.events:,} events, {report.totals.written:,} written"
                bar.update(task, advance=listed.size, description=events)

            replay = ReplayRun(
                source=bucket,
                replayer=replayer,
                readings=readings,
                purpose=self.purpose,
                caller=self.caller,
                via="daswatch replay",
                region=self._region,
                clock=time,
                mark=mark,
                marks_done=self._into_indices and self._indices == self._own,
                notify=notify,
            )
            return replay.run(secrets.token_hex(16), datetime.now(UTC), _patience, unfinished)

    def look(self, report: RunReport, *, raises: bool) -> Looked | None:
        """What the detections find in the hours whose events were missing; None where they are not asked."""
        if not self._detections or self._client is None or self._endpoint is None:
            return None
        spans = spans_of(report.hours_written, MOST_SPANS)
        looked = look(self._client, self._indices.prefix, spans, self._detections, details=raises)
        if raises:
            index = AlertIndex(self._client, self._own, service=self._endpoint.service)
            raise_alerts(looked, index, self._detections, self.names, datetime.now(UTC))
        return looked

    @property
    def _into_indices(self) -> bool:
        return not self._asked.rows_to and not self._asked.dry_run

    def _total(self, bucket: EvidenceBucket, after: str) -> int:
        return sum(one.size for one in bucket.listed(after) if self.purpose.selection.wants_object(one))

    def _inventory(self) -> list[Mapping[str, Any]]:
        if self._client is None:
            return []
        return list(read_documents(self._client, self._own.databases, command_deadline()).values())

    def _databases(self, resource_ids: Sequence[str], identifiers: Sequence[str]) -> frozenset[str]:
        """The resource ids of what is named. One identifier may have been that of several, one after the other."""
        found = set(resource_ids)
        for identifier in identifiers:
            called = {one["resourceId"] for one in self._documents if one.get("databaseIdentifier") == identifier}
            if not called:
                expected = "a name of `daswatch inventory`, or --resource-id"
                if not self._client:
                    expected += "; the inventory is at OPENSEARCH_ENDPOINT"
                raise SettingsError([f"there is no database {identifier!r} in the inventory (expected: {expected})"])
            found |= called
        return frozenset(found)

    def _stream_arn(self, resource_id: str) -> str:
        """The stream of a database by the inventory; one that is unknown there is in the caller's account."""
        places = {
            (one["awsAccountId"], one["awsRegion"]) for one in self._documents if one["resourceId"] == resource_id
        }
        place = places.pop() if len(places) == 1 else (self._account or self.caller.account_id, self._region)
        partition = self.caller.arn.split(":")[1]
        return f"arn:{partition}:kinesis:{place[1]}:{place[0]}:stream/{stream_name(resource_id)}"

    def _flattening(self) -> Flattening:
        return Flattening(
            ingested_at="",
            replayed_at=iso_milliseconds(datetime.now(UTC)),
            index_prefix=self._indices.prefix,
            excluded_users=self._stream.excluded_users,
            redaction=self._stream.redaction,
            actors=self._actor_table(),
            hourly=self._hourly,
            names=self.names,
        )

    def _actor_table(self) -> ActorTable:
        if self._stream.actors:
            return actors.load_file(self._stream.actors)
        return ActorTable(actor_table(self._tuning))

    def _target_name(self) -> str:
        if self._asked.rows_to:
            return self._asked.rows_to
        if self._asked.dry_run:
            return "dry-run"
        return self._indices.prefix

    def _target(self, mark: Mapping[str, Any]) -> tuple[Target, Callable[[], Mapping[str, Any]]]:
        """Where documents go, and what is noted of it."""
        if self._asked.dry_run:
            return Nowhere(), dict
        if not self._asked.rows_to:
            if self._client is None or self._endpoint is None:
                raise SettingsError(["OPENSEARCH_ENDPOINT is missing (expected: https://…)"])
            executor = self._stack.enter_context(ThreadPoolExecutor(1, "bulk"))
            gateway = SearchGateway(self._client, service=self._endpoint.service)
            return ReplayedEvents(self._client, EventIndices(gateway, executor), self._indices), dict
        if self._asked.rows_to.startswith("s3://"):
            return RowObjects(s3_client(), *_s3_place("--to", self._asked.rows_to)), dict
        file = RowFile(Path(self._asked.rows_to), mark)
        self._stack.callback(file.close)
        return file, file.mark

    def _readings(self) -> Readings:
        if self._client and self._endpoint:
            return ReadingIndex(self._client, SearchGateway(self._client, service=self._endpoint.service), self._own)
        if self._asked.rows_to.startswith("s3://"):
            return ReadingObjects(s3_client(), *_s3_place("--to", self._asked.rows_to), _patience)
        name = self._asked.rows_to or "daswatch"
        return FileReadings(Path(f"{name}.replays"))


def _s3_place(what: str, url: str) -> tuple[str, str]:
    """Bucket and folder. Raises SettingsError."""
    found = _S3_URL.fullmatch(url)
    if found is None:
        raise SettingsError([f"{what} is not a place in S3 (expected: s3://bucket/folder)"])
    prefix = found["prefix"] or ""
    is_folder = what != "SOURCE" and prefix and not prefix.endswith("/")
    return found["bucket"], f"{prefix}/" if is_folder else prefix


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]left"),
        console=Console(stderr=True),
        transient=True,
    )
