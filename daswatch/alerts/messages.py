"""Alerts -> notification messages for e-mail or chat: plain text, short, no SQL.

A message is about one alert. Many new alerts share messages, so that a run sends at most MAX_MESSAGES.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from daswatch.alerts.alert import GROUPS, Alert, Database
from daswatch.alerts.essentials import essentials, headline, others
from daswatch.alerts.text import plain, shortened, shown_group
from daswatch.detections.detection import Detection

MAX_SUBJECT = 99  # characters; SNS: less than 100, ASCII, no control characters
MAX_STEPS = 3  # of the runbook: the finding has more
MAX_LINES = 10  # of group, metrics or actors
MAX_LISTED = 50  # alerts of a shared message

MAX_MESSAGES = 20  # of one run
MAX_ALIKE = 5  # alerts of one detection and database with a message of their own

# Characters of one line, and of one reason or step.
_MAX_LINE = 200
_MAX_PARAGRAPH = 600


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the alert topic."""

    subject: str
    body: str


def shared(alerts: Sequence[Alert], most: int = MAX_MESSAGES) -> list[list[Alert]]:
    """Group alerts into messages, most severe first. Most messages are about one alert.

    More than MAX_ALIKE of one detection and database share one; what exceeds `most` messages shares the last.
    """
    most = max(1, most)
    by_pair: dict[tuple[str, str], list[Alert]] = {}
    for alert in sorted(alerts, key=_severity):
        by_pair.setdefault((alert.detection, alert.database.resource_id), []).append(alert)
    messages: list[list[Alert]] = []
    for alike in by_pair.values():
        messages += [alike] if len(alike) > MAX_ALIKE else [[alert] for alert in alike]
    messages.sort(key=lambda group: _severity(group[0]))
    if len(messages) <= most:
        return messages
    rest = [alert for group in messages[most - 1 :] for alert in group]
    return [*messages[: most - 1], sorted(rest, key=_severity)]


def summary(alerts: Sequence[Alert], url: str) -> Message:
    """Return the message about several alerts, most severe first. `url` is the link to the alerts."""
    listed = [_line(_in_one_line(alert)) for alert in alerts[:MAX_LISTED]]
    if more := len(alerts) - len(listed):
        listed.append(f"and {more} more")
    start = f"[{alerts[0].level.name}] {len(alerts)} new alerts: "
    titles = _ascii(", ".join(dict.fromkeys(alert.title or alert.detection for alert in alerts)))
    sections = [[f"{len(alerts)} new alerts, most severe first:"], listed, ["View the alerts:", url] if url else []]
    body = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return Message(start + shortened(titles, MAX_SUBJECT - len(start), "..."), body + "\n")


def message(alert: Alert, detection: Detection | None, url: str, session: tuple[str, str] = ("", "")) -> Message:
    """Return the message about an alert.

    `url` is the link to its events, `session` those to what the session did before and after; empty without OpenSearch
    Dashboards.
    """
    before, after = session
    links = [
        _link("What the session did before:", before),
        _link("What the session did after:", after),
        _link("View the events:", url),
    ]
    sections = (list(section) for section in (_headline(alert), _facts(alert), _advice(alert, detection), *links))
    body = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return Message(_subject(alert), body + "\n")


def _subject(alert: Alert) -> str:
    """Return the subject. SNS requires it to start with a letter, number or punctuation: the bracket."""
    # A resource id has about 30 characters; a longer name must not displace the title.
    own = alert.database
    database = shortened(_ascii(own.identifier or own.resource_id or own.aws_account_id), 40, "...")
    start, end = f"[{alert.level.name}] ", f" ({database})" if database else ""
    title = _ascii(alert.title) or _ascii(alert.detection)
    return start + shortened(title, MAX_SUBJECT - len(start) - len(end), "...") + end


def _severity(alert: Alert) -> tuple[int, bool, str, str]:
    """Sort key: most severe first, and among these, summaries of many groups first."""
    return -alert.level.rank, GROUPS not in alert.metrics, alert.created_at, alert.id


def _in_one_line(alert: Alert) -> str:
    group = "; ".join(f"{name} {value}" for name, value in shown_group(alert.group).items())
    place = plain(alert.database.identifier or alert.database.resource_id)
    what = f"{alert.level.name}: {plain(alert.title) or plain(alert.detection)}"
    return ", ".join(filter(None, (what, place, group, plain(alert.note) if GROUPS in alert.metrics else "")))


def _headline(alert: Alert) -> Iterator[str]:
    yield _line(f"{alert.level.name}: {headline(alert)}")
    if alert.note:
        yield _line(alert.note)


def _facts(alert: Alert) -> Iterator[str]:
    yield from (_line(f"{name}: {value}") for name, value in essentials(alert).items())
    yield from [_line(f"{name}: {value}") for name, value in others(alert).items()][:MAX_LINES]
    yield _line(_place(alert.database))
    if alert.database.tags:
        yield _line(f"Tags: {', '.join(alert.database.tags)}")


def _advice(alert: Alert, detection: Detection | None) -> Iterator[str]:
    if detection is None:
        yield _line(f"Raised by monitor {plain(alert.detection)}.")
        return
    if why := plain(detection.why):
        yield f"Why it matters: {shortened(why, _MAX_PARAGRAPH)}"
    steps = list(filter(None, map(plain, detection.runbook)))[:MAX_STEPS]
    if steps:
        yield ""
        yield "First steps:"
        yield from (f"{number}. {shortened(step, _MAX_PARAGRAPH)}" for number, step in enumerate(steps, start=1))


def _link(words: str, url: str) -> Iterator[str]:
    if url:
        yield words
        yield url  # on its own line, so that mail clients do not include punctuation in the link


def _place(database: Database) -> str:
    account = f"account {database.aws_account_id}" if database.aws_account_id else ""
    if not database.resource_id:
        return ", ".join(filter(None, (account or "account unknown", database.aws_region))).capitalize()
    name = f"{database.identifier} ({database.resource_id})" if database.identifier else database.resource_id
    named = " ".join(filter(None, (database.engine, name)))
    return "Database: " + ", ".join(filter(None, (named, account, database.aws_region)))


def _line(text: str) -> str:
    return shortened(plain(text), _MAX_LINE)


def _ascii(text: str) -> str:
    """Return text in ASCII: letters without diacritics, and `?` for all other characters."""
    marks_apart = normalize("NFKD", plain(text))
    kept = "".join(character for character in marks_apart if not 0x300 <= ord(character) <= 0x36F)
    return plain(kept.encode("ascii", "replace").decode("ascii"))
