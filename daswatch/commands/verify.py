"""`daswatch verify`: whether anything in the archive was removed, changed or added since its manifests were written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from daswatch.aws.clients import s3_client
from daswatch.aws.evidence import EvidenceBucket
from daswatch.aws.manifests import read_whole
from daswatch.commands.console import Output, errors_as_exit_codes, progress, write_json
from daswatch.commands.spans import Begin, End, read_span
from daswatch.commands.stream import Format
from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import evidence_folder
from daswatch.errors import EvidenceUnavailable, SettingsError
from daswatch.evidence.manifests import (
    FOLDER,
    Difference,
    Tampered,
    Verification,
    chained,
    compared,
    hour_of_key,
    manifest_key,
    manifests_folder,
)
from daswatch.evidence.objects import Listed
from daswatch.indices import Indices
from daswatch.opensearch.client import search_client
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.opensearch.request import command_deadline
from daswatch.queries.backtests import Period
from daswatch.settings import Environment, SearchEndpoint, read_index_prefix
from daswatch.times import iso_milliseconds

app = typer.Typer(add_completion=False)

_S3_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?", re.ASCII)
_PATIENCE_SECONDS = 600.0  # for S3, at each call
_READERS = 2  # threads that read S3 ahead


@app.command()
def run(
    source: Annotated[str, typer.Argument(help="Evidence bucket: s3://bucket.")],
    begin: Begin = "7d",
    end: End = "now",
    resource_ids: Annotated[
        list[str] | None,
        typer.Option("--resource-id", help="Verify this database only: cluster-… or db-…; may be repeated."),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Compare the archive with its manifests: chain, names, sizes and SHA-256 of every object.

    With OPENSEARCH_ENDPOINT, the manifests' hashes are compared with those that were kept there. Exit code 1 if
    anything differs.
    """
    with errors_as_exit_codes(output):
        if not (bucket := _S3_URL.fullmatch(source)):
            raise SettingsError([f"{source} is not a bucket (expected: s3://bucket)"])
        span = read_span(begin, end, datetime.now(UTC))
        index = _index()
        with ThreadPoolExecutor(_READERS, "evidence") as executor, progress() as bar:
            archive = EvidenceBucket(s3_client(), bucket[1], ("",), _patience, executor)
            found = resource_ids or _databases(archive)
            results = [_verified(archive, index, one, span, bar) for one in found]
        if output is Output.JSON:
            write_json(_json(results))
        else:
            _show(results)
        if any(one.differences for one in results):
            raise typer.Exit(1)


def _index() -> CompletenessIndex | None:
    environment = Environment(os.environ)
    prefix = read_index_prefix(environment)
    endpoint = SearchEndpoint.read(environment) if environment.optional("OPENSEARCH_ENDPOINT") else None
    environment.check()
    return CompletenessIndex(search_client(endpoint), Indices(prefix), endpoint.service) if endpoint else None


def _databases(archive: EvidenceBucket) -> list[str]:
    """Those that have manifests. One listing for each: what sorts behind all of a database's is the next one's."""
    found: list[str] = []
    after = ""
    while (one := next(archive.listed(after, FOLDER, most=1), None)) is not None:
        resource_id = one.key.removeprefix(FOLDER).partition("/")[0]
        found.append(resource_id)
        after = f"{FOLDER}{resource_id}0"  # the character behind the slash
    return found


def _verified(
    archive: EvidenceBucket, index: CompletenessIndex | None, resource_id: str, span: Period, bar: Progress
) -> Verification:
    # The manifest before the first one shows whether that is the one which followed.
    after = manifest_key(resource_id, span.begin - timedelta(hours=2))
    bodies: list[tuple[str, bytes]] = []
    for one in archive.listed(after, manifests_folder(resource_id)):
        hour = hour_of_key(one.key)
        if hour is None or hour >= span.end:
            continue
        if (body := archive.content(one.key)) is not None:
            bodies.append((one.key, body))
    anchors = None
    if index:
        hashes = index.manifest_hashes(resource_id, command_deadline())
        anchors = {
            key: value for key, value in hashes.items() if (at := hour_of_key(key)) and span.begin <= at < span.end
        }
    chain = chained(resource_id, bodies, anchors)
    listed: list[Listed] = []
    if chain.manifests:
        listed = list(archive.listed(folder=evidence_folder(resource_id)))
    differences, to_read = compared(chain, listed, span.begin, span.end)
    there = {one.key: one for one in listed}
    size = 0
    task = bar.add_task(resource_id, total=len(to_read))
    for entry, manifest in to_read:
        try:
            found = read_whole(archive, there[entry.key], with_records=False).entry
        except EvidenceUnavailable as exc:
            tampered = Tampered(Difference.UNREADABLE, entry.key, iso_milliseconds(manifest.hour), str(exc))
            differences.append(tampered)
        else:
            size += found.size
            if found.sha256 != entry.sha256:
                detail = "its SHA-256 is another"
                differences.append(Tampered(Difference.CHANGED, entry.key, iso_milliseconds(manifest.hour), detail))
        bar.advance(task)
    hours = [iso_milliseconds(one.hour) for one in chain.manifests]
    return Verification(
        resource_id,
        len(chain.manifests),
        len(to_read),
        size,
        hours[0] if hours else "",
        hours[-1] if hours else "",
        anchors is not None,
        (*chain.differences, *sorted(differences, key=lambda one: (one.hour, one.key))),
    )


def _patience() -> Deadline:
    return Deadline.after(_PATIENCE_SECONDS)


def _json(results: Sequence[Verification]) -> dict[str, object]:
    return {
        "databases": [
            {
                "resourceId": one.resource_id,
                "manifests": one.manifests,
                "firstHour": one.first_hour or None,
                "lastHour": one.last_hour or None,
                "objects": one.objects,
                "bytes": one.size,
                "anchored": one.anchored,
                "differences": [
                    {
                        "difference": found.difference.value,
                        "object": found.key,
                        "hour": found.hour,
                        "detail": found.detail,
                    }
                    for found in one.differences
                ],
            }
            for one in results
        ]
    }


def _show(results: Sequence[Verification]) -> None:
    console = Console(emoji=False)
    table = Table(title="Archive and manifests", title_justify="left")
    for column in ("database", "from", "to"):
        table.add_column(column, overflow="fold")
    for column in ("manifests", "objects", "bytes", "differences"):
        table.add_column(column, justify="right")
    for one in results:
        color = "red" if one.differences else "green"
        hours = (one.first_hour[:13].replace("T", " "), one.last_hour[:13].replace("T", " "))
        counts = (f"{one.manifests:,}", f"{one.objects:,}", f"{one.size:,}", f"[{color}]{len(one.differences):,}[/]")
        table.add_row(escape(one.resource_id), *hours, *counts)
    console.print(table)
    for result in results:
        for found in result.differences:
            console.print(f"[red]{found.difference}:[/] {escape(found.key)} {escape(found.detail)}", soft_wrap=True)
    if results and not all(one.anchored for one in results):
        console.print("Without OPENSEARCH_ENDPOINT, manifests that were cut off at the end cannot be noticed.")
