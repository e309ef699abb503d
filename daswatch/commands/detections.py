"""`daswatch detections`: list, show, test, backtest and compile the shipped detections, with a team's tuning.

The rules are compiled for each command, by pySigma, which comes with the extra `daswatch[compile]`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import orjson
import typer
from opensearchpy import OpenSearch
from rich.console import Console, Group
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from daswatch.commands.console import (
    Output,
    errors_as_exit_codes,
    own_indices,
    progress,
    write_file,
    write_json,
)
from daswatch.commands.spans import Begin, End, read_span
from daswatch.detections import reference_pages, saved_searches
from daswatch.detections.detection import EVERY_ENGINE, Detection, DetectionKind, Level, by_name, dump
from daswatch.detections.samples import samples_of
from daswatch.documents import actors
from daswatch.documents.actors import ActorEntry, ActorTable
from daswatch.errors import SettingsError
from daswatch.opensearch.backtest_runs import BacktestRun, Estimate
from daswatch.opensearch.client import search_client
from daswatch.opensearch.sample_runs import SampleResult, SampleRun
from daswatch.opensearch.version_check import check_opensearch
from daswatch.queries import backtests
from daswatch.queries.backtests import Backtest, Period
from daswatch.queries.monitors import has_monitor, monitor
from daswatch.queries.saved_query import Window, overlap, saved_query
from daswatch.settings import Environment, SearchEndpoint, read_index_prefix
from daswatch.times import iso_milliseconds

app = typer.Typer(help="Saved queries: list, show, test, backtest and compile them.", no_args_is_help=True)

_LEVEL_COLORS = {
    Level.CRITICAL: "bold red",
    Level.HIGH: "red",
    Level.MEDIUM: "yellow",
    Level.LOW: "cyan",
    Level.INFORMATIONAL: "dim",
}
_BAR_WIDTH = 24  # characters
_NOISIEST = 3  # groups of each detection, for people
_VALUES = 2  # of each field of these, for people
_MOST_GROUPS = 100  # for machines
_ACTORS = "actors.json"
_INTERRUPTED = 130  # as shells report it
_COMPILER = {"sigma": "pySigma", "yaml": "PyYAML"}

Tuning = Annotated[
    Path | None,
    typer.Option("--tuning", help="YAML file with overrides and suppressions.", exists=True, dir_okay=False),
]
Names = Annotated[list[str] | None, typer.Argument(help="Detection names (default: all).", show_default=False)]
Format = Annotated[Output, typer.Option("--output", help="Output format.")]


class View(StrEnum):
    """A form in which `show` prints a detection."""

    PAGE = "page"
    QUERY = "query"
    MONITOR = "monitor"
    SEARCH = "search"
    JSON = "json"


@app.command("list")
def list_(tuning: Tuning = None, output: Format = Output.TABLE) -> None:
    """List detections: when they fire, for which engines, and whether they are enabled."""
    with errors_as_exit_codes(output):
        detections = compiled(tuning)
        today = _today()
        if output is Output.JSON:
            write_json([_row(detection, today) for detection in detections])
        else:
            Console(emoji=False).print(_listing(detections, today))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Detection name.")],
    tuning: Tuning = None,
    view: Annotated[View, typer.Option("--as", help="Its page, or one of its compiled forms.")] = View.PAGE,
    channel: Annotated[str, typer.Option(help="Notification channel of the monitor.")] = "daswatch",
) -> None:
    """Show one detection."""
    with errors_as_exit_codes():
        (detection,) = _chosen(compiled(tuning), [name])
        match view:
            case View.PAGE:
                Console(emoji=False).print(Markdown(reference_pages.page(detection, samples_of(name))))
            case View.QUERY:
                _write_or_explain(
                    _query(detection), f"{name} has no saved query: {reference_pages.fires_in_words(detection)}"
                )
            case View.MONITOR:
                body = monitor(detection, channel, own_indices()) if has_monitor(detection) else None
                _write_or_explain(
                    body, f"{name} has no monitor: only the scheduled runner can evaluate its kind, {detection.kind}"
                )
            case View.SEARCH:
                search = saved_searches.saved_search(detection, own_indices())
                _write_or_explain(search, f"{name} has no saved search: it looks at no events")
            case View.JSON:
                write_json(asdict(detection))


@app.command("test")
def run_samples(names: Names = None, tuning: Tuning = None, output: Format = Output.TABLE) -> None:
    """Index the samples at OPENSEARCH_ENDPOINT, in temporary indices, and run the saved queries on them.

    Exit code 1 if a detection misses one of its samples, or fires on a near miss.
    """
    with errors_as_exit_codes(output):
        detections = _chosen(compiled(tuning), names)
        client, endpoint, _ = _endpoint()
        results: dict[str, list[SampleResult]] = {}
        prefix = f"das-samples-{secrets.token_hex(4)}-events"
        table = ActorTable(actor_table(tuning))
        with SampleRun(client, prefix, endpoint.service, actors=table) as run, progress() as bar:
            task = bar.add_task("samples", total=len(detections))
            for detection in detections:
                bar.update(task, description=detection.name)
                results[detection.name] = run.run(detection, samples_of(detection.name))
                bar.advance(task)
    if output is Output.JSON:
        write_json({name: [_result(one) for one in own] for name, own in results.items()})
    else:
        _show_results(results)
    if not all(one.right for own in results.values() for one in own):
        raise typer.Exit(1)


@app.command()
def backtest(
    names: Names = None,
    begin: Begin = "7d",
    end: End = "now",
    tuning: Tuning = None,
    include_disabled: Annotated[
        bool, typer.Option("--include-disabled", help="Include detections that are not enabled.")
    ] = False,
    entries: Annotated[
        Path | None,
        typer.Option("--actors", help="YAML file with entries of `actors` to try.", exists=True, dir_okay=False),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Show what each detection would have raised from the events at OPENSEARCH_ENDPOINT. Only searches.

    Named detections are run whether they are enabled or not. With --actors, detections that ask for actors are run a
    second time, as if the entries had been there when the events were indexed. Exit code 1 if one cannot be run. Ctrl-C
    ends the run early, with what it found until then and exit code 130.
    """
    with errors_as_exit_codes(output):
        span = read_span(begin, end, datetime.now(UTC))
        chosen = _chosen(compiled(tuning), names)
        detections = [one for one in chosen if one.enabled or include_disabled or names]
        tried = _tried(detections, tuning, entries)
        client, _, prefix = _endpoint()
        with progress() as bar:
            task = bar.add_task("measuring", total=None)
            run = BacktestRun(client, span, prefix, lambda: bar.advance(task))
            estimate = run.estimate(detections)
            if estimate:
                bar.console.print(f"estimate: {_estimate(estimate)}", soft_wrap=True, highlight=False)
            bar.update(task, description="days", total=run.steps(detections) + run.steps(tried))
            answers = run.run(detections)
            interrupted = run.until < span.end
            again = {} if interrupted else {one.detection.name: one for one in run.run(tried)}
    looked_at = replace(span, end=max(run.until, span.begin + timedelta(seconds=1))) if interrupted else span
    if output is Output.JSON:
        content = {
            "from": iso_milliseconds(span.begin),
            "to": iso_milliseconds(span.end),
            "until": iso_milliseconds(run.until),
            "interrupted": interrupted,
            "searches": run.searches,
            "assumptions": backtests.ASSUMPTIONS,
        }
        write_json(content | {"detections": [_answer(one) | _with_entries(one, again, entries) for one in answers]})
    else:
        _show_backtests(
            answers, looked_at, len(chosen) - len(detections), again if entries else None, interrupted=interrupted
        )
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if any(one.failure for one in (*answers, *again.values())):
        raise typer.Exit(1)


@app.command("compile")
def compile_(
    tuning: Tuning = None,
    to: Annotated[Path, typer.Option("--to", help="File that the findings function reads.")] = Path("detections.json"),
    docs: Annotated[Path | None, typer.Option(help="Folder for a page of each detection and an index.")] = None,
    monitors: Annotated[Path | None, typer.Option(help="File for the bodies of all monitors, JSON.")] = None,
    searches: Annotated[Path | None, typer.Option(help="File for the saved searches, to import in Dashboards.")] = None,
    channel: Annotated[str, typer.Option(help="Notification channel of the monitors.")] = "daswatch",
) -> None:
    """Compile the rules and a team's tuning for the functions; optionally write pages, monitors and saved searches.

    The table of actors, which the ingest function reads, is written as actors.json to the same folder.
    """
    with errors_as_exit_codes():
        detections = compiled(tuning)
        indices = own_indices()
        files = {to: dump(detections), to.with_name(_ACTORS): actors.dump(actor_table(tuning))}
        if docs:
            files |= {
                docs / f"{one.name}.md": reference_pages.page(one, samples_of(one.name)).encode() for one in detections
            }
            files[docs / "index.md"] = reference_pages.index(detections).encode()
        if monitors:
            bodies = [monitor(one, channel, indices) for one in detections if has_monitor(one)]
            files[monitors] = orjson.dumps(bodies, option=orjson.OPT_INDENT_2)
        if searches:
            files[searches] = saved_searches.ndjson(detections, indices)
        for path, content in files.items():
            write_file(path, content)
        enabled = sum(one.enabled for one in detections)
        typer.echo(f"{len(detections)} detections, {enabled} of them enabled, in {to}")


def compiled(tuning: Path | None, assumed: Sequence[ActorEntry] = ()) -> tuple[Detection, ...]:
    """Return all detections; warn of each expired suppression. `assumed` are entries of actors for a backtest.

    Raises RuleError; SettingsError where pySigma is missing or the file cannot be read.
    """
    detections: tuple[Detection, ...] = _compiler().compile_all(replace(_tuning(tuning), assumed=tuple(assumed)))
    if tuning is not None:
        _warn_of_expired(detections, _today())
    return detections


def actor_table(tuning: Path | None) -> tuple[ActorEntry, ...]:
    """Return a team's entries of the table of actors, and the shipped ones. Raises as `compiled` does."""
    _compiler()
    from daswatch.detections.actors import actor_entries

    return actor_entries(_tuning(tuning).actors)


def _compiler() -> ModuleType:
    """The module that compiles rules, imported here and not at the top: all other commands work without it."""
    try:
        from daswatch.detections import sigma
    except ModuleNotFoundError as exc:
        missing = _COMPILER.get(str(exc.name).partition(".")[0])
        if missing is None:
            raise
        raise SettingsError([f"{missing} is missing (expected: pip install 'daswatch[compile]')"]) from exc
    return sigma


def _tuning(path: Path | None) -> Any:
    sigma = _compiler()
    if path is None:
        return sigma.NO_TUNING
    try:
        return sigma.read_tuning(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError([f"{path} cannot be read ({type(exc).__name__}; expected: a YAML file)"]) from exc


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _chosen(detections: Sequence[Detection], names: Sequence[str] | None) -> list[Detection]:
    if not names:
        return list(detections)
    known = by_name(detections)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError([f"there is no detection {name!r} (expected: a name of `list`)" for name in unknown])
    return [known[name] for name in names]


def _endpoint() -> tuple[OpenSearch, SearchEndpoint, str]:
    """Return a client, its endpoint, and the indices. Raises NotOpenSearch if another server answers."""
    environment = Environment(os.environ)
    endpoint, prefix = SearchEndpoint.read(environment), read_index_prefix(environment)
    environment.check()
    client = search_client(endpoint)
    check_opensearch(client, endpoint.service)
    return client, endpoint, prefix


def _query(detection: Detection) -> dict[str, Any] | None:
    """Return the saved query over its latest window, or the last day if the detection has no window."""
    if detection.kind is DetectionKind.FAILING:
        return None
    if detection.kind is DetectionKind.SILENCE:
        window = Window("lastSeen", f"now-{detection.forget_seconds}s", f"now-{detection.silent_seconds}s")
    elif detection.window_seconds:
        length = detection.window_seconds + int(overlap(detection).total_seconds())
        window = Window("@timestamp", f"now-{length}s", "now")
    else:
        window = Window("@timestamp", "now-1d", "now")
    return saved_query(detection, window)


def _write_or_explain(content: Mapping[str, Any] | None, otherwise: str) -> None:
    if content is None:
        typer.echo(otherwise)
    else:
        write_json(content)


def _warn_of_expired(detections: Iterable[Detection], today: str) -> None:
    console = Console(stderr=True, emoji=False)
    for detection in detections:
        for one in detection.expired_suppressions(today):
            console.print(
                f"[yellow]warning:[/] {detection.name}: a suppression of {escape(one.owner)} expired on {one.expires}; "
                "its events raise alerts again",
                soft_wrap=True,
            )


def _row(detection: Detection, today: str) -> dict[str, Any]:
    return {
        "name": detection.name,
        "title": detection.title,
        "level": detection.level,
        "kind": detection.kind,
        "engines": detection.engines,
        "fires": reference_pages.fires_in_words(detection),
        "enabled": detection.enabled,
        "disabledBecause": "" if detection.enabled else detection.disabled_because,
        "suppressions": [
            {**asdict(one), "expired": one in detection.expired_suppressions(today)} for one in detection.suppressions
        ],
    }


def _listing(detections: Sequence[Detection], today: str) -> Group:
    """The most severe first; why some are off is listed below, where there is room for it."""
    table = Table(title=f"{len(detections)} detections", title_justify="left")
    suppressed = any(one.suppressions for one in detections)
    for column in ("name", "level", "on", "what", "engines", *(["suppressions"] if suppressed else [])):
        table.add_column(column, overflow="fold", no_wrap=column in ("name", "level", "on"))
    for one in sorted(detections, key=lambda one: (not one.enabled, -one.level.rank, one.name)):
        table.add_row(
            one.name,
            _colored(one.level),
            "[green]yes[/]" if one.enabled else "[dim]no[/]",
            escape(one.title),
            ", ".join(f"not {engine}" for engine in EVERY_ENGINE if engine not in one.engines) or "all",
            *(["\n".join(_suppressions(one, today))] if suppressed else []),
        )
    reasons = Table(title="Why some are off", title_justify="left", box=None, show_header=False)
    reasons.add_column(no_wrap=True)
    reasons.add_column(overflow="fold")
    for one in detections:
        if not one.enabled:
            reasons.add_row(one.name, f"[dim]{escape(one.disabled_because) or 'by the tuning file'}[/]")
    return Group(table, reasons) if reasons.rows else Group(table)


def _suppressions(detection: Detection, today: str) -> list[str]:
    expired = detection.expired_suppressions(today)
    return [
        f"[red]expired {one.expires}, {escape(one.owner)}[/]"
        if one in expired
        else f"until {one.expires}, {escape(one.owner)}"
        for one in detection.suppressions
    ]


def _colored(level: Level) -> str:
    return f"[{_LEVEL_COLORS[level]}]{level}[/]"


def _result(result: SampleResult) -> dict[str, Any]:
    sample = result.sample
    return {
        "sample": sample.words,
        "engine": sample.engine,
        "expected": sample.expected,
        "fired": result.fired,
        "right": result.right,
    }


def _show_results(results: Mapping[str, Sequence[SampleResult]]) -> None:
    table = Table(title="Samples", title_justify="left")
    for column in ("detection", "right", "wrong"):
        table.add_column(column, overflow="fold")
    for name, own in results.items():
        wrong = [_wrong(one) for one in own if not one.right]
        right = (
            f"[{'red' if wrong else 'green'}]{len(own) - len(wrong)} of {len(own)}[/]" if own else "[dim]no samples[/]"
        )
        table.add_row(name, right, "\n".join(wrong))
    Console(emoji=False).print(table)


def _wrong(result: SampleResult) -> str:
    what = "fired on" if result.fired else "missed"
    return f"[red]{what}:[/] {result.sample.engine}: {escape(result.sample.words)}"


def _answer(answer: Backtest) -> dict[str, Any]:
    return {
        "detection": answer.detection.name,
        "level": answer.detection.level,
        "enabled": answer.detection.enabled,
        "alerts": len(answer.episodes),
        "groups": answer.groups,
        "perDay": answer.per_day(),
        "first": answer.episodes[0].first_seen if answer.episodes else None,
        "last": max((one.last_seen for one in answer.episodes), default=None),
        "noisiest": [
            {
                "resourceId": one.resource_id,
                "group": one.group,
                "alerts": one.alerts,
                "events": one.events,
                "first": one.first_seen,
                "last": one.last_seen,
                "actors": one.actors,
                "samples": one.samples,
            }
            for one in answer.noisiest(_MOST_GROUPS)
        ],
        "note": answer.note,
        "failure": answer.failure,
    }


def _tried(detections: Sequence[Detection], tuning: Path | None, entries: Path | None) -> list[Detection]:
    """The detections that ask for actors, as they are with these entries."""
    if entries is None:
        return []
    assumed = [entry for entry in _tuning(entries).actors.values() if entry]
    if not assumed:
        raise SettingsError([f"{entries} has no entries (expected: a section `actors`, as `daswatch actors suggest`)"])
    changed = by_name(compiled(tuning, assumed))
    return [changed[one.name] for one in detections if changed[one.name] != one]


def _with_entries(answer: Backtest, again: Mapping[str, Backtest], entries: Path | None) -> dict[str, Any]:
    if entries is None:
        return {}
    other = again.get(answer.detection.name, answer)
    return {"alertsWithActors": len(other.episodes), "groupsWithActors": other.groups}


def _show_backtests(
    answers: Sequence[Backtest],
    span: Period,
    disabled: int,
    again: Mapping[str, Backtest] | None,
    *,
    interrupted: bool,
) -> None:
    console = Console(emoji=False)
    days = len(span.days())
    if interrupted:
        console.print(f"[yellow]Interrupted:[/] only what happened until {span.end:%Y-%m-%d %H:%M} UTC was looked at.")
    table = Table(title=f"{span.begin:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC", title_justify="left")
    for column in ("detection", "level"):
        table.add_column(column, overflow="fold")
    for column in ("alerts", "a day", "groups", *(["with actors"] if again is not None else [])):
        table.add_column(column, justify="right")
    for column in ("when", "first", "last"):
        table.add_column(column, no_wrap=column == "when")
    for answer in sorted(answers, key=lambda one: -len(one.episodes)):
        figures = _figures(answer, span, days)
        if again is not None:
            figures.insert(3, str(len(again.get(answer.detection.name, answer).episodes)) if figures[0] else "")
        table.add_row(answer.detection.name, _colored(answer.detection.level), *figures)
    console.print(table)
    groups = _noisiest(answers)
    if groups.row_count:
        console.print(groups)
    for answer in answers:
        if answer.failure:
            console.print(f"[red]{answer.detection.name} could not be run:[/] {escape(answer.failure)}", soft_wrap=True)
        elif answer.note:
            console.print(f"[dim]{answer.detection.name}: {escape(answer.note)}[/]", soft_wrap=True)
    for assumption in backtests.ASSUMPTIONS:
        console.print(f"[dim]{assumption}[/]", soft_wrap=True)
    if disabled:
        console.print(f"[dim]{disabled} that are not enabled were left out; --include-disabled runs them, too.[/]")


def _estimate(estimate: Estimate) -> str:
    """What a run will take, in words."""
    seconds = estimate.seconds
    time = f"{seconds / 60:,.0f} minutes" if seconds >= 90 else "a minute" if seconds >= 40 else f"{seconds:.0f} s"
    return f"about {estimate.searches:,} searches, about {time} ({estimate.days} days of the span were measured)"


def _figures(answer: Backtest, span: Period, days: int) -> list[str]:
    count = len(answer.episodes)
    if answer.failure:
        return ["[red]failed[/]", "", "", "", "", ""]
    if not count:
        return ["", "", "", "", "", ""] if backtests.not_applicable(answer.detection) else ["0", "", "", "", "", ""]
    first = min(one.first_seen for one in answer.episodes)
    last = max(one.last_seen for one in answer.episodes)
    when = backtests.bar((one.first_seen for one in answer.episodes), span, _BAR_WIDTH)
    return [str(count), f"{count / days:.1f}", str(answer.groups), when, _minute(first), _minute(last)]


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _noisiest(answers: Iterable[Backtest]) -> Table:
    table = Table(title="The noisiest groups", title_justify="left")
    for column in ("detection", "database", "group", "also"):
        table.add_column(column, overflow="fold")
    for column in ("alerts", "events"):
        table.add_column(column, justify="right")
    for answer in answers:
        for one in answer.noisiest(_NOISIEST):
            group = ", ".join(f"{name} {value or '(none)'}" for name, value in one.group.items()) or "many groups"
            others = {name: values for name, values in one.actors.items() if name not in one.group}
            also = ", ".join(f"{name} {_some(values)}" for name, values in others.items())
            events = f"{one.events:,}"
            table.add_row(answer.detection.name, one.resource_id, escape(group), escape(also), str(one.alerts), events)
    return table


def _some(values: Sequence[str]) -> str:
    return " ".join(values[:_VALUES]) + (" …" if len(values) > _VALUES else "")
