"""The dashboards in Chromium over a node: every panel shows what is reckoned from the documents, and leads further."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import pytest
from opensearchpy import OpenSearch
from playwright.sync_api import Locator, Page, expect

from daswatch.content.dashboards import SavedObject
from daswatch.indices import Indices
from daswatch.preview.formats import formatted
from daswatch.preview.pages import Panel, panels_of, pattern_of
from daswatch.preview.panels import Column, requests_of
from daswatch.preview.server import Preview, serving
from daswatch.preview.tables import SHOWN
from daswatch.times import iso_milliseconds
from tests.builders.reckoning import Source, figure, figures, grouped, values_of
from tests.harness.panel_world import (
    BAR_MS,
    KNOWN,
    OBJECTS,
    SPAN,
    World,
    counted_once,
    matching,
    panel_world,
    the_request,
)
from tools.pictures.browser import LONGEST_MS, open_dashboard

pytestmark = pytest.mark.node

DASHBOARDS = [one for one in OBJECTS if one.type == "dashboard"]
TIME = f"from={iso_milliseconds(SPAN.begin)}&to={iso_milliseconds(SPAN.end)}"
CHARTED = ("heatmap", "histogram", "horizontal_bar", "line", "pie")
expect.set_options(timeout=LONGEST_MS)


@pytest.fixture(scope="module")
def world(search: OpenSearch) -> Iterator[World]:
    with panel_world(search) as world:
        yield world


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    """The preview, for which each index pattern stands for the index of this test."""

    events = world.indices["das-events-*"].removesuffix("*")

    def ask(index: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        own = world.indices.get(index) or index.replace("das-events-", events)
        found: dict[str, Any] = world.search.search(index=own, body=dict(body))
        for hit in found["hits"]["hits"]:
            hit["_index"] = hit["_index"].replace(events, "das-events-")
        return found

    with serving(Preview(ask, Indices()).app()) as url:
        yield url


def by_id(one: SavedObject) -> str:
    return one.id


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_dashboard_shows_what_the_documents_say(one: SavedObject, page: Page, url: str, world: World) -> None:
    open_dashboard(page, f"{url}/{one.id}?{TIME}")

    for panel in panels_of(one, KNOWN):
        shown = page.locator(f"#p-{panel.one.id}")
        assert shown.locator("p.failed, p.empty").count() == 0, panel.one.id
        if panel.kind == "markdown":
            assert shown.get_by_role("link").count() == len(DASHBOARDS)
        elif panel.kind == "input_control_vis":
            assert_control(shown, panel, world)
        elif panel.kind == "search":
            assert_search(shown, panel.one, world)
        else:
            assert_figures(shown, panel, world)


def texts(found: Locator) -> list[str]:
    return [text.strip() for text in found.all_text_contents()]


def cells_of(rows: Locator) -> list[list[str]]:
    """The texts of each row's cells. In one question: a locator for each row would look for all rows again."""
    cells: list[list[str]] = rows.evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent.trim()))"
    )
    return cells


def assert_control(shown: Locator, panel: Panel, world: World) -> None:
    for number, request in enumerate(requests_of(panel.one, KNOWN, SPAN)):
        name = request.columns[0].field
        expected = {str(value) for source in world.sources[request.index] for value in values_of(source, name)}
        listed = shown.locator("details").nth(number).locator("li a bdi")
        assert set(texts(listed)) == {value.lower() if value in ("True", "False") else value for value in expected}


def assert_search(shown: Locator, one: SavedObject, world: World) -> None:
    """Each row is a document, and no document has more rows than it has copies."""
    request = the_request(one)
    pattern = pattern_of(request, KNOWN)
    found = matching(world, one, request)
    expected = Counter(
        tuple(formatted(_value(source, column.field), column, pattern) for column in request.columns)
        for source in found
    )
    rows = [tuple(cells[1:]) for cells in cells_of(shown.locator("tbody tr"))]
    assert len(rows) == min(len(found), SHOWN)
    assert not Counter(rows) - Counter({tuple(text.strip() for text in key): count for key, count in expected.items()})
    foot = f"{SHOWN} of {len(found):,}: filter, or choose a shorter time" if len(found) > SHOWN else ""
    assert shown.locator(".foot").text_content() == foot


def _value(source: Source, field: str) -> Any:
    value: Any = source
    for name in [field] if field in source else field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def assert_figures(shown: Locator, panel: Panel, world: World) -> None:
    """Each row, bar, point or slice is one of the documents' groups, and shows its figure."""
    request = the_request(panel.one)
    buckets = [found for found in request.aggregations if found["schema"] != "metric"]
    metrics = [found for found in request.aggregations if found["schema"] == "metric"]
    columns = request.columns[len(buckets) :]
    groups = grouped(buckets, matching(world, panel.one, request), BAR_MS)
    expected = {}
    for key, sources in groups.items():
        checks = [check for metric in metrics for check in text_checks(metric, sources)]
        for column, check in zip(columns, checks, strict=True):
            expected[name_of(buckets, key, column.title, panel.kind)] = (column, check)
    figures_shown = list(shown_by(shown, panel, columns, len(buckets)))

    assert figures_shown, panel.one.id
    for name, text in figures_shown:
        if name not in expected:  # a bucket of a filter without documents
            assert text in ("0", "–"), f"{panel.one.id}, {name}: {text}"
            continue
        column, check = expected[name]
        assert check(text, column, pattern_of(request, KNOWN)), f"{panel.one.id}, {name}: {text}"
    assert len({name for name, _ in figures_shown}) == len(figures_shown)


def name_of(buckets: Sequence[Mapping[str, Any]], key: Sequence[Any], title: str, kind: str) -> tuple[str, ...]:
    """What a figure is called: in a table by its row and column, in a chart by the label of its mark."""
    parts = {bucket["id"]: key_text(bucket, value) for bucket, value in zip(buckets, key, strict=True)}
    if kind not in CHARTED:
        return (*parts.values(), title)
    place = next(parts[bucket["id"]] for bucket in buckets if bucket["schema"] == "segment")
    return (f"{place}, {next((parts[bucket['id']] for bucket in buckets if bucket['schema'] != 'segment'), title)}",)


def key_text(bucket: Mapping[str, Any], value: Any) -> str:
    if bucket["type"] != "date_histogram":
        return formatted(value, Column("", "bucket", ""))
    at = datetime.fromtimestamp(value / 1000, UTC)
    return f"{at:%b} {at.day}, {at:%H:%M:%S}"


def shown_by(
    shown: Locator, panel: Panel, columns: Sequence[Column], width: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each figure that a panel shows, with what it is called."""
    if panel.kind in CHARTED:
        labels = "marks => marks.map(mark => mark.getAttribute('aria-label'))"
        for label in shown.locator("svg a [aria-label]").evaluate_all(labels):
            name, text = label.rsplit(": ", 1)
            yield (name,), text
        return
    rows = [texts(shown.locator(".figure .value"))]
    if panel.kind == "table":
        rows = cells_of(shown.locator("tbody tr"))
    for row in rows:
        for column, text in zip(columns, row[width:], strict=True):
            yield (*row[:width], column.title), text


Check: TypeAlias = Callable[[str, Column, SavedObject], bool]


def text_checks(metric: Mapping[str, Any], sources: Sequence[Source]) -> list[Check]:
    """For each column of a metric, whether a text is right."""
    if metric["type"] == "top_hits":
        (is_last,) = figures(metric, sources)
        # A page has the line breaks of its own.
        return [
            lambda text, *_: is_last(text) or is_last(text.replace("\n", "\r\n")) or (text == "–" and is_last(None))
        ]
    if metric["type"] == "percentiles":
        return [_about(check) for check in figures(metric, sources)]
    value = figure(metric, sources)
    of_time = any(
        isinstance(one, str) for source in sources for one in values_of(source, metric["params"].get("field", ""))
    )
    if of_time and metric["type"] in ("max", "min"):
        shown: Any = iso_milliseconds(datetime.fromtimestamp((value or 0) / 1000, UTC))
    else:
        shown = value
    return [lambda text, column, pattern: text == formatted(shown, column, pattern)]


def _about(check: Callable[[Any], bool]) -> Check:
    """A percentile is shown with one digit."""

    def is_right(text: str, *_: object) -> bool:
        value = float(text.removesuffix(" ms").replace(",", ""))
        return any(check(value + rounding) for rounding in (-0.05, 0, 0.05))

    return is_right


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_walk_from_failed_logins_to_one_event_and_back(page: Page, url: str, world: World) -> None:
    open_dashboard(page, f"{url}/das-overview?{TIME}")
    failed = [one for one in counted_once(world.sources["das-events-*"]) if one["activity"] == "AUTH FAILURE"]
    expect(page.locator("#p-das-failed-logins-count .value").first).to_have_text(str(len(failed)))

    page.locator('#p-das-activity-by-outcome svg a:has([aria-label^="AUTH FAILURE, failure"])').click()
    page.wait_for_url("**f=outcome*")
    assert parameters(page)["f"] == ["activity:AUTH FAILURE", "outcome:failure"]
    expect(page.locator("#p-das-events-count .value").first).to_have_text(str(len(failed)))

    page.get_by_role("link", name="Logins and failures").click()
    page.wait_for_url("**/das-logins?*")
    expect(page.locator("ul.filters bdi")).to_have_text(["activity: AUTH FAILURE", "outcome: failure"])
    row = page.locator("#p-das-failed-logins tbody tr").first
    remote_host, user = row.locator("td").nth(2).text_content(), row.locator("td").nth(3).text_content()
    dashboard = page.url
    row.locator("td").first.click()

    page.wait_for_url("**/document/**")
    fields = {
        texts(line.locator("th"))[0]: texts(line.locator("td").first)[0] for line in page.locator("tbody tr").all()
    }
    assert (fields.get("remoteHost", "–"), fields.get("dbUserName", "–")) == (remote_host, user)
    events = [one for one in failed if formatted(one["@timestamp"], Column("", "field", "")) == fields["@timestamp"]]
    assert any(fields.keys() >= one.keys() - {"engineNativeAuditFields", "unknownFields"} for one in events)

    page.get_by_role("link", name="Daswatch: logins and failures").click()
    page.wait_for_url(dashboard)
    page.get_by_role("link", name="Remove the filter outcome: failure").click()
    page.wait_for_url(re.compile("^(?!.*outcome)"))
    assert parameters(page)["f"] == ["activity:AUTH FAILURE"]


def test_search_box_narrows_all_panels(page: Page, url: str, world: World) -> None:
    open_dashboard(page, f"{url}/das-data-access?{TIME}")
    reads = [one for one in counted_once(world.sources["das-events-*"]) if one["activity"] == "DQL"]
    table = Counter(table for one in reads for table in one.get("objects", [])).most_common(1)[0][0]

    page.get_by_label("Search, in DQL").fill(f'objects : "{table}" and activity : DQL')
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=objects*")

    expected = sum(table in one.get("objects", []) for one in reads)
    expect(page.locator("#p-das-reads-count .value").first).to_have_text(f"{expected:,}")
    expect(page.locator("#p-das-writes-count .value").first).to_have_text("0")


def test_bar_of_time_selects_its_time(page: Page, url: str) -> None:
    open_dashboard(page, f"{url}/das-overview?{TIME}")

    page.locator("#p-das-activity-over-time svg a").first.click()
    page.wait_for_url("**f=activity*")

    begin, end = (datetime.fromisoformat(parameters(page)[name][0]) for name in ("from", "to"))
    assert (end - begin).total_seconds() * 1000 == BAR_MS
