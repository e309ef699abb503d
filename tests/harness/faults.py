"""An ingest function in a process of its own, while OpenSearch fails."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
from opensearchpy import OpenSearch
from opensearchpy.helpers import scan

from daswatch.content.templates import shipped_content
from daswatch.opensearch.templates import ContentGateway
from demo.aws import LocalAws
from demo.ledger import LedgerEntry, compare
from demo.rds import Database, KmsDataKeys, seal
from demo.stream import done_records
from demo.traffic import ProducedRecord
from tests.harness.ingest import IngestFunction

SEED = 20_310_304


@dataclass(frozen=True, slots=True)
class Batch:
    """Stream records of one database in Lambda's form, and what the ledger says about them."""

    database: Database
    records: list[dict[str, Any]]
    entries: list[LedgerEntry]


def left_after(identifiers: Sequence[str], records: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """What Lambda delivers again after an answer that names these sequence numbers."""
    failures = [{"itemIdentifier": identifier} for identifier in identifiers]
    return records[done_records({"batchItemFailures": failures}, records) :]


def assert_ledger_equals_index(entries: Sequence[LedgerEntry], function: IngestFunction, note: str) -> None:
    """Nothing lost, nothing doubled, nothing that should not be there."""
    index = f"{function.prefix}-*"
    function.search.indices.refresh(index=index)
    documents = [hit["_source"] for hit in scan(function.search, index=index, size=2000)]
    comparison = compare(entries, documents)
    wanted = sum(entry.fate == "indexed" for entry in entries)
    assert comparison.ok, (
        f"seed {SEED}, {note}: of {wanted} events {len(comparison.lost)} lost, {len(comparison.doubled)} doubled, "
        f"{len(comparison.filtered_wrongly)} filtered wrongly, {len(comparison.unknown)} unknown, "
        f"{len(comparison.misclassified)} misclassified; "
        f"the first: {[*comparison.lost, *comparison.doubled, *comparison.misclassified, *comparison.unknown][:1]}"
    )
    assert comparison.found == wanted


@contextmanager
def function_on(
    url: str,
    aws: LocalAws,
    kms_key_id: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[IngestFunction]:
    """The ingest function on a node, or nodes, of the test's own."""
    client = OpenSearch(url, timeout=60)
    try:
        ContentGateway(client).install_all(shipped_content())
        function = IngestFunction(url, aws, kms_key_id, client, secrets.token_hex(6), monkeypatch, capsys)
        function.install()
        yield function
        function.cold_start()
    finally:
        client.close()


RECORDS_PER_DATA_KEY = 100


def sealed_batches(function: IngestFunction, produced: Iterable[ProducedRecord], size: int) -> Iterator[Batch]:
    """The producer's stream as Lambda delivers it: of each `size` records a batch for each database."""
    keys = KmsDataKeys(function.aws.kms(), function.kms_key_id, RECORDS_PER_DATA_KEY)
    waiting = iter(produced)
    while chunk := list(islice(waiting, size)):
        for database in dict.fromkeys(record.database for record in chunk):
            mine = [record for record in chunk if record.database == database]
            yield Batch(
                database,
                [
                    function.delivered(seal(record.monitoring_record, database, keys.for_record(database)), database)
                    for record in mine
                ],
                [entry for record in mine for entry in record.entries],
            )
