"""The ledger's comparison finds each kind of difference, and nothing where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.ledger import Comparison, LedgerEntry, compare, document_identity
from demo.traffic import produce

START = datetime(2031, 3, 4, 11, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def entries() -> list[LedgerEntry]:
    return [entry for record in produce(21, START, 3_000) for entry in record.entries]


@pytest.fixture
def documents(entries: list[LedgerEntry]) -> list[dict[str, Any]]:
    """What a faultless index would hold."""
    return [as_document(entry) for entry in entries if entry.fate == "indexed"]


def as_document(entry: LedgerEntry) -> dict[str, Any]:
    """A document's `_source`: AWS's names, absent fields left out, substatementId a number."""
    fields = {
        "resourceId": entry.resource_id,
        "instanceId": entry.instance_id,
        "engine": entry.engine,
        "logTime": entry.log_time,
        "sessionId": entry.session_id,
        "statementId": entry.statement_id,
        "substatementId": int(entry.substatement_id) if entry.substatement_id else None,
        "command": entry.command,
        "class": entry.event_class,
        "activity": entry.activity,
        "outcome": entry.outcome,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def an_entry(entries: list[LedgerEntry], fate: str) -> LedgerEntry:
    """One with a time of its own, so that a document differs from others."""
    return next(entry for entry in entries if entry.fate == fate and entry.log_time)


def test_an_index_equal_to_the_ledger_is_ok(entries: list[LedgerEntry], documents: list[dict[str, Any]]) -> None:
    comparison = compare(entries, documents)

    assert comparison.ok
    assert comparison == Comparison(counts=comparison.counts)
    assert comparison.found == len(documents)
    assert set(comparison.counts) >= {"CONNECT", "AUTH FAILURE", "DQL", "DML", "DDL", "DCL"}


def test_the_order_of_documents_does_not_matter(entries: list[LedgerEntry], documents: list[dict[str, Any]]) -> None:
    assert compare(reversed(entries), reversed(documents)).ok


def test_a_missing_document_is_a_lost_event(entries: list[LedgerEntry], documents: list[dict[str, Any]]) -> None:
    lost = documents.pop(17)

    comparison = compare(entries, documents)

    assert [entry.identity for entry in comparison.lost] == [document_identity(lost)]
    assert not comparison.ok
    assert comparison.found == len(documents)


def test_a_second_document_is_a_doubled_event(entries: list[LedgerEntry], documents: list[dict[str, Any]]) -> None:
    documents += [dict(documents[5]), dict(documents[5])]

    comparison = compare(entries, documents)

    assert [entry.identity for entry in comparison.doubled] == [document_identity(documents[5])] * 2
    assert not comparison.ok
    assert not comparison.unknown


@pytest.mark.parametrize("fate", ["heartbeat", "aws-user"])
def test_noise_in_the_index_is_wrongly_filtered(
    entries: list[LedgerEntry], documents: list[dict[str, Any]], fate: str
) -> None:
    noise = an_entry(entries, fate)

    comparison = compare(entries, [*documents, as_document(noise)])

    assert comparison.filtered_wrongly == (noise,)
    assert not comparison.ok
    assert not comparison.unknown


def test_a_heartbeat_without_any_field_is_recognised_too(
    entries: list[LedgerEntry], documents: list[dict[str, Any]]
) -> None:
    bare = next(entry for entry in entries if entry.fate == "heartbeat" and entry.log_time is None)

    comparison = compare(entries, [*documents, as_document(bare)])

    assert [entry.identity for entry in comparison.filtered_wrongly] == [bare.identity]


def test_a_document_that_no_event_explains_is_unknown(
    entries: list[LedgerEntry], documents: list[dict[str, Any]]
) -> None:
    stray = {**documents[3], "statementId": "no such statement"}

    comparison = compare(entries, [*documents, stray])

    assert comparison.unknown == (stray,)
    assert not comparison.ok


@pytest.mark.parametrize(
    ("name", "value"),
    [("activity", "OTHER"), ("outcome", "unknown"), ("engine", "mariadb"), ("activity", None)],
)
def test_wrong_class_names_the_expected_one(
    entries: list[LedgerEntry], documents: list[dict[str, Any]], name: str, value: str | None
) -> None:
    number = next(n for n, document in enumerate(documents) if document["activity"] == "AUTH FAILURE")
    documents[number] = {**documents[number], name: value}

    comparison = compare(entries, documents)

    (wrong,) = comparison.misclassified
    assert wrong.entry.identity == document_identity(documents[number])
    assert getattr(wrong, name) == value
    assert "AUTH FAILURE failure" in str(wrong)
    assert not comparison.ok
    assert not comparison.lost


def test_empty_strings_and_nulls_and_numbers_are_alike() -> None:
    entry = LedgerEntry(
        "db-A", "db-A", "oracle", "2031-03-04 11:22:33.444555", "3120045566", "", None, "LOGON", "Standard",
        "FIN_APP", "indexed", "CONNECT", "success",
    )  # fmt: skip
    document = {
        "resourceId": "db-A",
        "instanceId": "db-A",
        "engine": "oracle",
        "logTime": "2031-03-04 11:22:33.444555",
        "sessionId": 3120045566,
        "substatementId": "",
        "command": "LOGON",
        "class": "Standard",
        "activity": "CONNECT",
        "outcome": "success",
    }

    assert compare([entry], [document]).ok


def test_a_record_replayed_into_the_ledger_expects_as_many_documents(entries: list[LedgerEntry]) -> None:
    entry = an_entry(entries, "indexed")
    document = as_document(entry)

    assert compare([entry, replace(entry)], [document, document]).ok
    assert compare([entry, replace(entry)], [document]).lost == (entry,)
