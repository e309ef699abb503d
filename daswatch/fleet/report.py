"""The posture as a report that an auditor can keep: one page of HTML without anything from elsewhere, or CSV.

In: an audit, the coverage of groups, and that of earlier days. Out: text. Every value is escaped: names, tags and
reasons are what people wrote.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape

from daswatch.alerts.text import plain
from daswatch.fleet.audit import Audit
from daswatch.fleet.compliance import STATUSES
from daswatch.fleet.database import Document, Place
from daswatch.fleet.posture import BY_URGENCY, EXEMPT, Coverage, Verdict
from daswatch.fleet.remedy import advice
from daswatch.times import moment_of

MEANINGS = {
    Verdict.COVERED: "The activity stream is on, and its records arrive.",
    Verdict.STARTING: "The activity stream is on or starting, and its first heartbeat is to come.",
    Verdict.OFF: "The database can have an activity stream, and has none.",
    Verdict.NOT_ELIGIBLE: "RDS offers no activity stream for it. Not counted.",
    Verdict.NOT_CONSUMED: "The activity stream is on, and nothing of it has ever arrived.",
    Verdict.LAGGING: "Records arrive more than ten minutes late.",
    Verdict.SILENT: "Nothing arrives any more.",
    Verdict.KEY_UNUSABLE: "The key of the activity stream cannot be used: nothing can be decrypted.",
    Verdict.POLICY_UNLOCKED: "The audit policy of SQL Server is unlocked: what is audited can be changed.",
    Verdict.ASYNCHRONOUS: "The activity stream is asynchronous, and synchronous is demanded.",
    Verdict.EXCEPTED: "Excepted by its owner until a date. Not counted.",
    Verdict.UNKNOWN: "It could not be looked at, or not wholly.",
}
_CLASSES = {"PASSED": "pass", "FAILED": "fail", "WARNING": "warn", "NOT_AVAILABLE": "none"}
_COLUMNS = {
    "database": "databaseIdentifier",
    "kind": "databaseKind",
    "account": "awsAccountId",
    "region": "awsRegion",
    "engine": "engineName",
    "version": "engineVersion",
    "stream": "streamStatus",
    "mode": "streamMode",
    "last_event": "lastEvent",
    "last_pulse": "lastPulse",
    "resource_id": "resourceId",
    "arn": "databaseArn",
}
# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@")

_AT_THE_RIGHT = ' class="n"'

# Of the trend, in pixels.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 190, 44, 14, 12, 26

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, "Helvetica Neue", Arial, sans-serif; color: #1b2733; background: #fff;
  max-width: 1180px; margin: 0 auto; padding: 28px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 30px 0 8px; }
p { margin: 4px 0; max-width: 90ch; } .note { color: #56646f; }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0; }
.figure { border: 1px solid #d5dce2; border-radius: 6px; padding: 10px 16px; min-width: 150px; }
.figure b { display: block; font-size: 26px; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; font-weight: 600; padding: 8px 0 4px; }
th, td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-bottom: 1px solid #e3e8ec;
  overflow-wrap: break-word; }
td:last-child { overflow-wrap: anywhere; }
th { font-weight: 600; color: #56646f; border-bottom-color: #aab4bd; } td.n, th.n { text-align: right; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 4px 32px; }
.day { white-space: nowrap; }
.v { white-space: nowrap; border-radius: 3px; padding: 1px 7px; font-weight: 600; border: 1px solid; }
.pass { color: #0b6b3a; background: #e8f5ee; } .fail { color: #a3201a; background: #fdecea; }
.warn { color: #7a5200; background: #fff5dd; } .none { color: #4a5763; background: #eef1f4; }
small { color: #56646f; } footer { margin-top: 34px; border-top: 1px solid #d5dce2; padding-top: 8px; color: #56646f; }
@page { margin: 14mm; size: A4 landscape; }
@media print {
  body { padding: 0; max-width: none; font-size: 10px; } h2 { break-after: avoid; } tr, svg { break-inside: avoid; }
  thead { display: table-header-group; } .v, .figure { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def by_urgency(documents: Iterable[Document]) -> list[Document]:
    """Databases, those first that need an action."""
    return sorted(documents, key=lambda one: BY_URGENCY.index(Verdict(one["verdict"])))


def csv_of(audit: Audit) -> str:
    """A line for each database, and one for each place that could not be looked at."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")  # RFC 4180
    writer.writerow(("at", "verdict", "status", "reason", "since", *_COLUMNS, "tags"))
    for one in by_urgency(audit.present):
        verdict = Verdict(one["verdict"])
        values = (str(one.get(name, "")) for name in _COLUMNS.values())
        tags = "; ".join(f"{name}={value}" for name, value in sorted(one.get("tags", {}).items()))
        row = (audit.at, verdict, STATUSES[verdict], one["verdictReason"], one.get("verdictSince", ""), *values, tags)
        writer.writerow(map(_cell, row))
    for place, why in audit.unseen.items():
        places = {"account": place.account_id, "region": place.region or "(all)"}
        row = (audit.at, Verdict.UNKNOWN, STATUSES[Verdict.UNKNOWN], f"not looked at: {why}", "")
        writer.writerow(map(_cell, (*row, *(places.get(name, "") for name in _COLUMNS), "")))
    return target.getvalue()


def _cell(text: str) -> str:
    """A value that no spreadsheet calculates."""
    value = plain(text)
    return f"'{value}" if value.startswith(_FORMULA) else value


def html_of(
    audit: Audit, by_group: Mapping[str, Mapping[str, Coverage]], trend: Mapping[str, Coverage] | None = None
) -> str:
    """The page. `by_group` has the coverage by a group's name and value, `trend` that of earlier runs by their time."""
    return "".join(_page(audit, by_group, {**(trend or {}), audit.at: audit.coverage}))


def _page(audit: Audit, by_group: Mapping[str, Mapping[str, Coverage]], trend: Mapping[str, Coverage]) -> Iterator[str]:
    found = audit.coverage
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Database audit coverage, {_time(audit.at)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>Database audit coverage</h1>\n<p>As of {_time(audit.at)} UTC. {_scope(audit)}</p>\n"
    )
    yield from _figures(audit, found)
    yield from _not_looked_at(audit)
    yield f"<h2>Trend</h2>\n{_trend(trend)}\n"
    yield '<h2>Coverage</h2>\n<div class="groups">\n'
    for name, group in by_group.items():
        yield from _group(name, group)
    yield "</div>\n<h2>Databases</h2>\n"
    yield from _databases(audit.present)
    yield from _verdicts(found)
    yield (
        "<footer>Made by Daswatch from the descriptions of Amazon RDS, the state of keys in AWS KMS, and the arrival "
        "of records of each activity stream. Times are in UTC.</footer>\n</body>\n</html>\n"
    )


def _scope(audit: Audit) -> str:
    accounts = sorted({place.account_id for place in audit.seen})
    regions = sorted({place.region for place in audit.seen})
    if not audit.seen:
        return "Nothing was looked at."
    return (
        f"Looked at: {_count(len(accounts), 'account')} ({escape(', '.join(accounts))}) and "
        f"{_count(len(regions), 'region')} ({escape(', '.join(regions))})."
    )


def _figures(audit: Audit, found: Coverage) -> Iterator[str]:
    exempt = sum(found.counts.get(verdict, 0) for verdict in EXEMPT)
    yield '<div class="figures">\n'
    for value, words in (
        (f"{_percent(found)} %", "covered"),
        (f"{found.covered:,} of {found.expected:,}", "databases that can be audited"),
        (f"{found.expected - found.covered:,}", "not covered"),
        (f"{exempt:,}", "not eligible or excepted"),
        (f"{len(audit.unseen):,}", "places not looked at"),
    ):
        yield f'<div class="figure"><b>{value}</b>{words}</div>\n'
    yield "</div>\n"


def _not_looked_at(audit: Audit) -> Iterator[str]:
    yield "<h2>What could not be looked at</h2>\n"
    if not audit.unseen:
        yield "<p>Nothing: every account and region of the scope was looked at.</p>\n"
        return
    yield from _table(
        ("account", "region", "why"),
        ((_text(place.account_id), _text(place.region) or "all", _text(why)) for place, why in _sorted(audit.unseen)),
    )


def _sorted(unseen: Mapping[Place, str]) -> list[tuple[Place, str]]:
    return sorted(unseen.items(), key=lambda item: str(item[0]))


def _group(name: str, group: Mapping[str, Coverage]) -> Iterator[str]:
    rows = (
        (_text(value) or "(none)", f"{one.covered:,}", f"{one.expected:,}", _percent(one) if one.expected else "–")
        for value, one in group.items()
    )
    yield "<div>"
    yield from _table((_text(name), "covered", "of", "%"), rows, numbers=3, caption=f"By {_text(name)}")
    yield "</div>\n"


def _databases(documents: Sequence[Document]) -> Iterator[str]:
    if not documents:
        yield "<p>There is no database.</p>\n"
        return
    yield from _table(
        ("verdict", "since", "database", "account, region", "engine", "reason and remedy"),
        (
            (
                _badge(Verdict(one["verdict"])),
                _since(one),
                f"{_text(one['databaseKind'])}:{_text(one['databaseIdentifier'])}<br>"
                f"<small>{_text(one['resourceId'])}</small>",
                f"{_text(one['awsAccountId'])}<br>{_text(one['awsRegion'])}",
                f"{_text(one['engineName'])}<br><small>{_text(one.get('engineVersion', ''))}</small>",
                f"{_text(one['verdictReason'])}{_remedy(one)}",
            )
            for one in by_urgency(documents)
        ),
    )


def _since(document: Document) -> str:
    day, _, time = _time(document["verdictSince"]).partition(" ") if "verdictSince" in document else ("", "", "")
    return f'<span class="day">{day}</span> {time}'


def _remedy(document: Document) -> str:
    if document["verdict"] in (Verdict.COVERED, Verdict.NOT_ELIGIBLE):
        return ""
    return f"<br><small>{_text(advice(document))}</small>"


def _verdicts(found: Coverage) -> Iterator[str]:
    yield "<h2>Verdicts</h2>\n"
    yield from _table(
        ("verdict", "databases", "meaning"),
        ((_badge(verdict), f"{found.counts.get(verdict, 0):,}", MEANINGS[verdict]) for verdict in BY_URGENCY),
    )


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0, caption: str = ""
) -> Iterator[str]:
    """A table of escaped cells, the last `numbers` columns at the right."""
    first = len(columns) - numbers

    def cells(kind: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{_AT_THE_RIGHT if number >= first else ''}>{value}</{kind}>" for number, value in enumerate(values)
        )

    title = f"<caption>{caption}</caption>" if caption else ""
    yield f"<table>{title}<thead><tr>{cells('th', columns)}</tr></thead><tbody>\n"
    for row in rows:
        yield f"<tr>{cells('td', row)}</tr>\n"
    yield "</tbody></table>\n"


def _badge(verdict: Verdict) -> str:
    return f'<span class="v {_CLASSES[STATUSES[verdict]]}">{verdict}</span>'


def _trend(trend: Mapping[str, Coverage]) -> str:
    """A line of the percentage over time, as SVG."""
    points = sorted((moment_of(at), one) for at, one in trend.items())
    if len(points) < 2:
        return "<p>This is the first run.</p>"
    begin, end = points[0][0], points[-1][0]
    places = [(_x(at, begin, end), _y(one.percent)) for at, one in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    grid = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(percent):.1f}" y2="{_y(percent):.1f}" stroke="#e3e8ec"/>'
        f'<text x="{_LEFT - 8}" y="{_y(percent) + 4:.1f}" text-anchor="end">{percent} %</text>'
        for percent in (0, 50, 100)
    )
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#006bb4"><title>{at:%Y-%m-%d %H:%M}: '
        f"{one.covered:,} of {one.expected:,}</title></circle>"
        for (x, y), (at, one) in zip(places, points, strict=True)
    )
    first, last = points[0][1], points[-1][1]
    said = (
        f"Covered: {_percent(first)} % on {begin:%Y-%m-%d}, {_percent(last)} % on {end:%Y-%m-%d}, "
        f"{len(points):,} points; of several runs of a day, the last one."
    )
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" font-size="11" '
        f'fill="#56646f"><title>{said}</title>{grid}'
        f'<polyline points="{line}" fill="none" stroke="#006bb4" stroke-width="2"/>{dots}'
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{begin:%Y-%m-%d}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{end:%Y-%m-%d}</text></svg>'
        f'\n<p class="note">{said}</p>'
    )


def _x(at: datetime, begin: datetime, end: datetime) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ((at - begin) / (end - begin))


def _y(percent: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - percent / 100)


def _percent(found: Coverage) -> str:
    """Rounded down: 100 only where all are covered."""
    return f"{int(found.percent)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _time(text: str) -> str:
    return f"{moment_of(text):%Y-%m-%d %H:%M}"


def _text(value: object) -> str:
    return escape(plain(str(value)))
