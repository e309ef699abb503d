"""What an analyst would want to see first, asked of OpenSearch and drawn on the terminal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opensearchpy import OpenSearch
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from daswatch.commands.posture import verdict_table
from daswatch.fleet.posture import coverage
from demo.findings import FindingsCheck
from demo.ledger import Comparison
from demo.opensearch_home import wanted_release

DASHBOARDS_URL = "http://localhost:5601"
DASHBOARDS_IMAGE = "opensearchproject/opensearch-dashboards"
_COLOURS = {
    "AUTH FAILURE": "red",
    "ERROR": "red",
    "DCL": "magenta",
    "DDL": "yellow",
    "EXEC": "yellow",
    "DML": "green",
    "DQL": "cyan",
}
_SEVERITY_COLOURS = {
    "CRITICAL": "bold white on red",
    "HIGH": "red",
    "MEDIUM": "yellow",
    "LOW": "cyan",
    "INFORMATIONAL": "dim",
}
_BAR_WIDTH = 40
# Aurora MySQL's AUX rows name the objects of a statement that its MAIN row counts already.
_NO_AUX = {"bool": {"must_not": {"term": {"class": "AUX"}}}}


def show_activities(console: Console, client: OpenSearch, index: str) -> None:
    """Events per activity, with how many of them failed."""
    answer = client.search(
        index=index,
        body={
            "size": 0,
            "query": _NO_AUX,
            "aggs": {
                "activity": {
                    "terms": {"field": "activity", "size": 20},
                    "aggs": {"failed": {"filter": {"term": {"outcome": "failure"}}}},
                }
            },
        },
    )
    buckets = answer["aggregations"]["activity"]["buckets"]
    largest = max((bucket["doc_count"] for bucket in buckets), default=1)
    table = _table("Events per activity", "activity", "events", "failed", "")
    for bucket in buckets:
        colour = _COLOURS.get(bucket["key"], "white")
        bar = "█" * max(1, round(_BAR_WIDTH * bucket["doc_count"] / largest))
        failed = bucket["failed"]["doc_count"]
        table.add_row(
            f"[{colour}]{bucket['key']}[/]",
            f"{bucket['doc_count']:,}",
            f"{failed:,}" if failed else "",
            f"[{colour}]{bar}[/]",
        )
    console.print(table)


def show_failed_logins(console: Console, client: OpenSearch, index: str) -> None:
    """Who failed to log in, from where, how often."""
    answer = client.search(
        index=index,
        body={
            "size": 0,
            "query": {"term": {"activity": "AUTH FAILURE"}},
            "aggs": {
                "who": {
                    "multi_terms": {
                        "terms": [
                            {"field": "dbUserName", "missing": "-"},
                            {"field": "remoteHost", "missing": "-"},
                            {"field": "engine"},
                            {"field": "databaseIdentifier", "missing": "-"},
                        ],
                        "size": 10,
                    },
                    "aggs": {
                        "first": {"min": {"field": "@timestamp"}},
                        "last": {"max": {"field": "@timestamp"}},
                    },
                }
            },
        },
    )
    table = _table("Who failed to log in", "user", "from", "engine", "database", "times", "first", "last")
    for bucket in answer["aggregations"]["who"]["buckets"]:
        user, host, engine, database = bucket["key"]
        table.add_row(
            f"[red]{escape(user)}[/]",
            escape(host),
            engine,
            escape(database),
            str(bucket["doc_count"]),
            _clock(bucket["first"]["value_as_string"]),
            _clock(bucket["last"]["value_as_string"]),
        )
    console.print(table)


def show_latest_ddl(console: Console, client: OpenSearch, index: str) -> None:
    """The latest changes of schema objects."""
    answer = client.search(
        index=index,
        body={
            "size": 8,
            "query": {"bool": {"filter": {"term": {"activity": "DDL"}}, **_NO_AUX["bool"]}},
            "sort": [{"@timestamp": "desc"}],
        },
    )
    table = _table("Latest DDL", "time", "user", "engine", "database", "outcome", "statement")
    for hit in answer["hits"]["hits"]:
        document: Mapping[str, Any] = hit["_source"]
        statement = " ".join(document.get("commandText", document.get("command", "")).split())
        colour = "red" if document["outcome"] == "failure" else "green"
        table.add_row(
            _clock(document["@timestamp"]),
            escape(document.get("dbUserName", "-")),
            document["engine"],
            escape(document.get("databaseIdentifier", "-")),
            f"[{colour}]{document['outcome']}[/]",
            escape(statement if len(statement) <= 70 else statement[:69] + "…"),
        )
    console.print(table)


def show_check(console: Console, comparison: Comparison, dropped: Mapping[str, int], expected: int) -> None:
    """The index against the producer's ledger."""
    table = _table("Against the producer's ledger", "what", "events", "")
    rows: Sequence[tuple[str, int, bool]] = (
        ("to be found", expected, True),
        ("found", comparison.found, comparison.found == expected),
        ("lost", len(comparison.lost), not comparison.lost),
        ("doubled", len(comparison.doubled), not comparison.doubled),
        ("filtered wrongly", len(comparison.filtered_wrongly), not comparison.filtered_wrongly),
        ("in the index, not in the ledger", len(comparison.unknown), not comparison.unknown),
        ("wrong activity, outcome or engine", len(comparison.misclassified), not comparison.misclassified),
        *((f"dropped as {reason}", count, True) for reason, count in dropped.items()),
    )
    for what, count, fine in rows:
        table.add_row(what, f"{count:,}", "[green]✔[/]" if fine else "[red]✘[/]")
    console.print(table)
    for wrong in comparison.misclassified[:5]:
        console.print(f"[red]{wrong}[/]", markup=True)


def show_folders(
    console: Console,
    bucket: str,
    *,
    rows: Mapping[str, int],
    distinct: Mapping[str, int],
    index: Mapping[str, int],
    ledger: Mapping[str, int],
    delivered: Mapping[str, int],
) -> bool:
    """Show the S3 folders of rows by activity, next to the index and the ledger; return whether they agree.

    `rows` counts those of the records that were delivered twice too, as `delivered` does; `distinct` does not.
    """
    table = _table(
        f"Rows by activity in s3://{bucket}", "folder", "rows", "events", "in the index", "in the ledger", ""
    )
    right = True
    for activity in sorted({*rows, *index, *ledger}, key=lambda name: (-ledger.get(name, 0), name)):
        counts = [counted.get(activity, 0) for counted in (rows, distinct, index, ledger)]
        fine = counts[0] == delivered.get(activity, 0) and len(set(counts[1:])) == 1
        right = right and fine
        colour = _COLOURS.get(activity, "white")
        table.add_row(
            f"rows/[{colour}]activity={activity}[/]/",
            *(f"{count:,}" for count in counts),
            "[green]✔[/]" if fine else "[red]✘[/]",
        )
    console.print(table)
    return right


def show_findings(console: Console, findings: Sequence[Mapping[str, Any]], check: FindingsCheck) -> None:
    """Show the findings in Security Hub, the most severe first; return whether they are those of the ledger."""
    table = _table(
        *("Findings in Security Hub", "severity", "finding", "engine", "database", "who", "times", "first", "last", "")
    )
    for one in sorted(findings, key=_most_severe_first):
        label = one["FindingProviderFields"]["Severity"]["Label"]
        fields = one["ProductFields"]
        table.add_row(
            f"[{_SEVERITY_COLOURS[label]}]{label}[/]",
            escape(one["Title"]),
            fields.get("daswatch/Engine", ""),
            escape(fields.get("daswatch/Database", "-")),
            escape(_who(fields)),
            fields["daswatch/Count"],
            _clock(one["FirstObservedAt"]),
            _clock(one["LastObservedAt"]),
            f"[link={one['SourceUrl']}]events[/link]",
        )
    console.print(table)
    rows = (
        ("that the ledger names", len(check.expected), True),
        ("raised", len(check.found), check.found == check.expected),
        ("missing", len(check.missing), not check.missing),
        ("that no attack explains", len(check.unexpected), not check.unexpected),
        ("doubled", len(check.doubled), not check.doubled),
    )
    checks = _table("Against the producer's ledger", "what", "findings", "")
    for what, count, fine in rows:
        checks.add_row(what, f"{count:,}", "[green]✔[/]" if fine else "[red]✘[/]")
    console.print(checks)
    for kind, wrong in (("missing", check.missing), ("unexpected", check.unexpected), ("doubled", check.doubled)):
        for resource_id, detection, user in sorted(wrong):
            console.print(f"[red]{kind}: {detection} {user} on {resource_id}[/]", highlight=False)


def _most_severe_first(finding: Mapping[str, Any]) -> tuple[int, str, str]:
    label = finding["FindingProviderFields"]["Severity"]["Label"]
    return list(_SEVERITY_COLOURS).index(label), finding["Title"], finding["FirstObservedAt"]


def _who(fields: Mapping[str, str]) -> str:
    group = [value for name, value in fields.items() if name.startswith("daswatch/Group/")]
    return " from ".join(group) if len(group) == 2 else ", ".join(group)


def show_posture(
    console: Console,
    documents: Sequence[Mapping[str, Any]],
    compliance: Sequence[str],
    nameless: int,
    expected: int,
) -> bool:
    """The verdict on each database of the fleet; whether as many as expected are covered, each has its finding with a
    `compliance` status, and all events have a name."""
    found = coverage(documents)
    console.print(verdict_table(documents, found))
    if found.covered != expected:
        console.print(f"[red]{found.covered} databases are covered, {expected} streams are read[/]")
    if nameless:
        console.print(f"[red]{nameless:,} events have no name of their database[/]")
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(Counter(compliance).items()))
    console.print(f"Security Hub has {len(compliance)} compliance findings: {statuses}")
    return found.covered == expected and not nameless and len(compliance) == len(documents)


def show_where(console: Console, url: str, index: str, dashboards: str) -> None:
    """Where to search further."""
    port = urlsplit(url).port
    console.print(
        Panel(
            (f"Dashboards: [bold]{dashboards}[/]\n\n" if dashboards else "")
            + f"[bold]{url}[/]   index [bold]{index}[/]\n\n"
            "Search, for example for a table with or without its schema:\n"
            f"  [cyan]curl '{url}/{index}/_search?pretty&size=3&q=commandText:payments'[/]\n\n"
            f"OpenSearch Dashboards next to it, where a container engine runs (Linux; then {DASHBOARDS_URL}):\n"
            "  [cyan]docker run --rm --network host "
            f"-e OPENSEARCH_HOSTS='[\"http://127.0.0.1:{port}\"]' "
            f"-e DISABLE_SECURITY_DASHBOARDS_PLUGIN=true {DASHBOARDS_IMAGE}:{wanted_release(os.environ).version}[/]\n"
            "and, once it answers, the dashboards:\n"
            f"  [cyan]OPENSEARCH_ENDPOINT={url} OPENSEARCH_AUTH=none DASHBOARDS_URL={DASHBOARDS_URL} "
            ".venv/bin/daswatch setup[/]",
            title="Search further",
            title_align="left",
        ),
        soft_wrap=True,
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        right = column in ("events", "failed", "times", "findings", "rows", "in the index", "in the ledger")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _clock(timestamp: str) -> str:
    return timestamp[11:19]
