"""`make demo`: the whole path on this machine, from encrypted activity streams to an analyst's first questions.

A real OpenSearch, real cryptography and real HTTP; moto stands in for AWS's own services. With OPENSEARCH_SERVICE=aoss
the functions reach OpenSearch by the tests' stand-in for a Serverless collection. Exits with 1 when an event
was lost, doubled, filtered or classified wrongly, when a folder of rows holds others than the index, or when the
findings are not exactly those of the attacks.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from opensearchpy import OpenSearch
from opensearchpy.helpers import scan
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from daswatch.commands.dashboards import previewing
from daswatch.content.templates import for_collection, shipped_content
from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import Detection, by_name, dump
from daswatch.detections.sigma import compile_all
from daswatch.documents import actors
from daswatch.fleet import compliance
from daswatch.indices import Indices
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.request import command_deadline
from daswatch.opensearch.templates import ContentGateway
from demo.aws import REGION, LocalAws
from demo.delivery import create_delivery_stream, delivered_rows, sort_into_folders
from demo.findings import all_findings, check_findings, expected_findings
from demo.fleet import describe_fleet
from demo.ledger import LedgerEntry, compare
from demo.opensearch import AnyNode, LocalOpenSearchError, node_or_external
from demo.parts import Parts
from demo.rds import ACCOUNT_ID, Database, KmsDataKeys, seal
from demo.show import (
    DASHBOARDS_URL,
    show_activities,
    show_check,
    show_failed_logins,
    show_findings,
    show_folders,
    show_latest_ddl,
    show_posture,
    show_where,
)
from demo.stream import InvocationContext, deliver, publish
from demo.traffic import DATABASES, EVENTS_PER_SECOND, ProducedRecord, produce
from tests.fakes.serverless import Collection, CollectionNode, is_chosen

INDEX = "das-events-*"
ROWS_STREAM, ROWS_BUCKET = "das-rows", "daswatch-rows"
_RECORDS_PER_DATA_KEY = 100  # few, so that keys rotate during the run
_REPLAYED_RECORDS = 25  # put into the stream twice, as a producer's retry does


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="exit when everything is shown, instead of staying up")
    parser.add_argument("--events", type=int, default=10_000, help="how many activity events to make")
    parser.add_argument("--seed", type=int, default=7, help="another seed, other traffic")
    parser.add_argument("--port", type=int, default=None, help="of OpenSearch; a free one where it is left out")
    options = parser.parse_args(arguments)
    # The file is named because the handler's lines are caught from sys.stdout meanwhile.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)
    try:
        with console.status("Starting OpenSearch …"):
            node: AnyNode = node_or_external(port=options.port)
            own_url = node.url  # of what the demo itself asks
            if is_chosen():
                node = CollectionNode(node)
    except LocalOpenSearchError as exc:
        console.print(f"[red]{exc}[/]", highlight=False)
        return 1
    with node, LocalAws() as aws, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        detections = compile_all()
        _point_settings_at(node.url, aws, _compiled(detections, Path(folder)))
        client = OpenSearch(own_url, timeout=60)
        if isinstance(node, CollectionNode):
            ContentGateway(OpenSearch(node.url, timeout=60)).install_all(for_collection(shipped_content()))
        else:
            ContentGateway(client).install_all(shipped_content())
        dashboards = "" if options.once else stack.enter_context(previewing(client, Indices(), browser=True))
        if dashboards:
            console.print(f"Dashboards: {dashboards}")
        parts = Parts(console)
        records = _make(console, options.seed, options.events)
        entries = [entry for record in records for entry in record.entries]
        key_id = aws.create_key()
        arns = _publish(console, aws, key_id, records)
        with parts.part("inventory"):
            describe_fleet(aws, DATABASES, f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{key_id}")
            _audit(console)
            client.indices.refresh(index="das-*")
        log: list[dict[str, Any]] = []
        right = []
        with parts.part("ingest"):
            log = _ingest(console, aws, arns, _count_with_replays(records))
        with parts.part("posture"):
            client.indices.refresh(index="das-*")
            _audit(console)  # events that came before the names were known get theirs
            client.indices.refresh(index="das-*")
            # Those of a collection stay without.
            right.append(_show_posture(console, aws, client, named=not isinstance(node, CollectionNode)))
        with parts.part("searches"):
            client.indices.refresh(index="das-*")
            show_activities(console, client, INDEX)
            show_failed_logins(console, client, INDEX)
            show_latest_ddl(console, client, INDEX)
        with parts.part("ledger"):
            comparison = compare(entries, _documents(client))
            show_check(console, comparison, _dropped(log), sum(entry.fate == "indexed" for entry in entries))
            right += [comparison.ok, _drops_right(console, records, log)]
        with parts.part("rows"):
            right.append(_sort_rows(console, aws, client, records))
        with parts.part("findings"):
            right.append(_watch(console, aws, detections, entries))
        if isinstance(node, CollectionNode):
            with parts.part("calls"):
                right.append(_show_calls(console, node.collection))
        show_where(console, own_url, INDEX, dashboards)
        all_ran = parts.show()
        if not options.once:
            _stay(console)
        return 0 if all_ran and all(right) else 1


def _point_settings_at(url: str, aws: LocalAws, detections: Path) -> None:
    """The functions read their settings from the environment, here as on Lambda."""
    os.environ.update(
        aws.environment,
        OPENSEARCH_ENDPOINT=url,
        OPENSEARCH_AUTH="none",
        DEAD_LETTER_BUCKET=aws.create_dead_letter_bucket(),
        ROWS_DELIVERY_STREAM=create_delivery_stream(aws.firehose(), ROWS_STREAM, aws.create_bucket(ROWS_BUCKET)),
        ROWS_PER_RECORD="500",
        FLEET_REGIONS=f"{REGION},us-east-1",
        DETECTIONS=str(detections),
        ACTORS=str(detections.with_name("actors.json")),
        ALERT_TOPIC_ARN=aws.create_topic(),
        DASHBOARDS_URL=DASHBOARDS_URL,
    )


def _compiled(detections: Sequence[Detection], folder: Path) -> Path:
    """The detections, and next to them the table of actors, as the functions carry them."""
    file = folder / "detections.json"
    file.write_bytes(dump(detections))
    file.with_name("actors.json").write_bytes(actors.dump(shipped_actors()))
    return file


def _make(console: Console, seed: int, events: int) -> list[ProducedRecord]:
    start = datetime.now(UTC) - timedelta(seconds=events / EVENTS_PER_SECOND + 60)
    with _progress(console) as progress:
        task = progress.add_task("Making activity of four engines", total=events)
        records = []
        for record in produce(seed, start, events):
            records.append(record)
            progress.advance(task, sum(entry.fate != "heartbeat" for entry in record.entries))
    return records


def _publish(console: Console, aws: LocalAws, key_id: str, records: Sequence[ProducedRecord]) -> list[str]:
    """Seal the records as RDS does and put them into Kinesis; the streams' ARNs."""
    data_keys = KmsDataKeys(aws.kms(), key_id, _RECORDS_PER_DATA_KEY)
    kinesis = aws.kinesis()
    arns = []
    with _progress(console) as progress:
        task = progress.add_task("Encrypting as RDS does, into Kinesis", total=_count_with_replays(records))

        def sealed(batch: Sequence[ProducedRecord]) -> Iterator[tuple[str, bytes]]:
            for record in batch:
                database = record.database
                yield (
                    database.resource_id,
                    seal(record.monitoring_record, database, data_keys.for_record(database)),
                )
                progress.advance(task)

        for database, batch in _by_database(records).items():
            arns.append(aws.create_stream(database))
            publish(kinesis, database.stream_name, sealed(batch))
            publish(kinesis, database.stream_name, sealed(_replayed(batch)))
    return arns


def _replayed(batch: Sequence[ProducedRecord]) -> Sequence[ProducedRecord]:
    return batch[:: max(1, len(batch) // _REPLAYED_RECORDS)][:_REPLAYED_RECORDS] if batch else batch


def _ingest(console: Console, aws: LocalAws, arns: Sequence[str], records: int) -> list[dict[str, Any]]:
    """Hand everything to the ingest function; the log lines that it printed."""
    from ingest_lambda.handler import handler  # reads its settings at the first call, as on Lambda

    printed = io.StringIO()
    with _progress(console) as progress, contextlib.redirect_stdout(printed):
        task = progress.add_task("Decrypting, filtering, indexing", total=records)
        for arn in arns:
            for done in deliver(aws.kinesis(), arn, handler):
                progress.advance(task, done)
    lines = [orjson.loads(line) for line in printed.getvalue().splitlines()]
    return [line for line in lines if "records" in line]


def _audit(console: Console) -> None:
    """Run the posture function as its schedule does."""
    from posture_lambda.handler import handler  # reads its settings at the first call, as on Lambda

    with console.status("Auditing the fleet …"), contextlib.redirect_stdout(io.StringIO()):
        handler({}, InvocationContext())


def _show_posture(console: Console, aws: LocalAws, client: OpenSearch, *, named: bool) -> bool:
    index = DatabaseIndex(client, Indices())
    nameless = {"query": {"bool": {"must_not": {"exists": {"field": "databaseIdentifier"}}}}}
    documents = [one for one in index.read(command_deadline()).values() if "goneSince" not in one]
    events = client.count(index=INDEX, body=nameless)["count"] if named else 0
    found = [one for one in all_findings(aws.security_hub()) if one["GeneratorId"] == compliance.GENERATOR]
    statuses = [one["Compliance"]["Status"] for one in found]
    return show_posture(console, documents, statuses, events, len(DATABASES))


def _sort_rows(console: Console, aws: LocalAws, client: OpenSearch, records: Sequence[ProducedRecord]) -> bool:
    """Let Firehose deliver the rows; whether each folder holds the ledger's events of its activity, as the index does.

    Rows of the records that were put into the stream twice are there twice, under one `eventId`, and no others.
    """
    with console.status("Firehose sorts the rows into folders …"):
        sort_into_folders(aws.firehose(), aws.s3(), ROWS_STREAM)
        rows: Counter[str] = Counter()
        ids: dict[str, set[str]] = {}
        for folders, row in delivered_rows(aws.s3(), ROWS_BUCKET):
            rows[folders["activity"]] += 1
            ids.setdefault(folders["activity"], set()).add(row["eventId"])
    answer = client.search(
        index=INDEX, body={"size": 0, "aggs": {"activity": {"terms": {"field": "activity", "size": 20}}}}
    )
    return show_folders(
        console,
        ROWS_BUCKET,
        rows=rows,
        distinct={activity: len(found) for activity, found in ids.items()},
        index={bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["activity"]["buckets"]},
        ledger=Counter(entry.activity for record in records for entry in record.entries if entry.fate == "indexed"),
        delivered=Counter(entry.activity for entry in _entries_delivered(records) if entry.fate == "indexed"),
    )


def _watch(console: Console, aws: LocalAws, detections: Sequence[Detection], entries: Sequence[LedgerEntry]) -> bool:
    """Run the saved queries as their schedule does, twice; whether exactly the ledger's findings came of it, once."""
    from findings_lambda.handler import scheduled  # reads its settings at the first call, as on Lambda

    printed = io.StringIO()
    with console.status("Running the saved queries …"), contextlib.redirect_stdout(printed):
        first, second = scheduled({}, InvocationContext()), scheduled({}, InvocationContext())
    findings = [one for one in all_findings(aws.security_hub()) if "Compliance" not in one]
    check = check_findings(expected_findings(entries, by_name(detections)), findings)
    show_findings(console, findings, check)
    again = second["raised"]
    if first["failing"] or again:
        console.print(f"[red]failing: {first['failing']}, raised once more by the second run: {again}[/]")
    return check.ok and not first["failing"] and not again


def _show_calls(console: Console, collection: Collection) -> bool:
    """The calls that the functions made, and whether a collection has all of them."""
    used = ", ".join(sorted(f"{call.method} {call.path}" for call in collection.used))
    console.print(f"Calls of the collection: {used}", highlight=False)
    for call in collection.unknown:
        console.print(f"[red]a collection has no {call}[/]", highlight=False)
    return not collection.unknown


def _documents(client: OpenSearch) -> Iterator[dict[str, Any]]:
    for hit in scan(client, index=INDEX, size=2000):
        yield hit["_source"]


def _dropped(log: Sequence[dict[str, Any]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for line in log:
        for reason, count in line["dropped"].items():
            totals[reason] = totals.get(reason, 0) + count
    return totals


def _drops_right(console: Console, records: Sequence[ProducedRecord], log: Sequence[dict[str, Any]]) -> bool:
    """Whether the function's counts of drops are the ledger's, those of the replayed records included."""
    expected: dict[str, int] = {}
    for entry in _entries_delivered(records):
        if entry.fate != "indexed":
            expected[entry.fate] = expected.get(entry.fate, 0) + 1
    if _dropped(log) == expected:
        return True
    console.print(f"[red]dropped {_dropped(log)}, the ledger says {expected}[/]")
    return False


def _entries_delivered(records: Sequence[ProducedRecord]) -> Iterator[LedgerEntry]:
    for batch in _by_database(records).values():
        for record in (*batch, *_replayed(batch)):
            yield from record.entries


def _by_database(records: Sequence[ProducedRecord]) -> dict[Database, list[ProducedRecord]]:
    by_database: dict[Database, list[ProducedRecord]] = {database: [] for database in DATABASES}
    for record in records:
        by_database[record.database].append(record)
    return by_database


def _count_with_replays(records: Sequence[ProducedRecord]) -> int:
    return sum(len(batch) + len(_replayed(batch)) for batch in _by_database(records).values())


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", justify="left"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _stay(console: Console) -> None:
    console.print("[dim]OpenSearch stays up. Ctrl-C ends it.[/]")
    with contextlib.suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
