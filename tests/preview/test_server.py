"""The preview's pages over HTTP: what they hold, what they refuse, and what they say where something fails."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
import urllib3

from daswatch.content.dashboards import SavedObject, shipped_objects
from daswatch.errors import SearchUnavailable, SettingsError
from daswatch.indices import Indices
from daswatch.preview.pages import CREDIT, panels_of
from daswatch.preview.panels import by_key
from daswatch.preview.server import Preview, serving
from tests.builders.panel_answers import answer_to

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(1)</script>\u202egnp\u2066"
KNOWN = by_key(shipped_objects(Indices()))
DASHBOARDS = [one for one in KNOWN.values() if one.type == "dashboard"]
# What each page may hold; anything else came from a text.
ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "a b bdi body button circle details div footer form g h1 h2 head header html input label li line link main "
        "meta nav p path pre rect script section small span strong style summary svg table tbody td text th thead "
        "title tr ul",
    )
)


class Seen(HTMLParser):
    """The elements of a page, and its attributes that could run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.risky: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.risky += [(name, value) for name, value in attrs if name.startswith("on") or name == "style"]
        self.risky += [
            (name, value)
            for name, value in attrs
            if name in ("href", "src", "action", "xlink:href") and not re.match(r"/[\w-]|/\?|/$|data:,$", value or "")
        ]


class World:
    """The answers of OpenSearch, and what was asked."""

    def __init__(self) -> None:
        self.text = "anna"
        self.failure: Exception | None = None
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def ask(self, index: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((index, body))
        if self.failure:
            raise self.failure
        return answer_to(body, self.text)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, World]]:
    world = World()
    with serving(Preview(world.ask, Indices()).app()) as url:
        yield url, world


@pytest.fixture
def world(served: tuple[str, World]) -> World:
    served[1].__init__()  # type: ignore[misc]
    return served[1]


@pytest.fixture
def url(served: tuple[str, World]) -> str:
    return served[0]


def get(url: str, method: str = "GET", **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, url, headers=headers, redirect=False, timeout=60)


def text_of(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.data.decode()


def by_id(one: SavedObject) -> str:
    return one.id


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_page_has_a_place_for_each_panel(one: SavedObject, url: str, world: World) -> None:
    answer = get(f"{url}/{one.id}")

    page = text_of(answer)
    assert answer.status == 200
    assert CREDIT in page
    for panel in panels_of(one, KNOWN):
        grid = panel.grid
        assert f'data-source="/{one.id}/panel/{panel.one.id}"' in page
        assert f"grid-column: {grid['x'] + 1} / span {grid['w']}; grid-row: {grid['y'] + 1} / span {grid['h']}" in page
    assert not world.asked


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_panels_show_answers_as_text(one: SavedObject, url: str, world: World) -> None:
    world.text = HOSTILE

    for panel in panels_of(one, KNOWN):
        answer = get(f"{url}/{one.id}/panel/{panel.one.id}?w=500&h=200")
        html = text_of(answer)
        seen = Seen(html)

        assert answer.status == 200, html
        assert seen.elements <= ELEMENTS - {"script", "style"}
        assert not seen.risky
        assert not set(html) & {"\u202e", "\u2066"}
        assert "⟨U+202E⟩" in html or panel.kind in ("markdown", "metric", "line", "histogram")


def test_document_shows_all_fields_as_text(url: str, world: World) -> None:
    world.text = HOSTILE

    answer = get(f"{url}/das-overview/document/das-events-2026.03.05/a%2Fb?f=dbUserName:x")
    html = text_of(answer)

    assert world.asked == [("das-events-2026.03.05", {"size": 1, "query": {"ids": {"values": ["a/b"]}}})]
    assert Seen(html).elements <= ELEMENTS
    assert not Seen(html).risky
    assert html.count("<script") == 1
    assert 'href="/das-overview?f=dbUserName%3Ax"' in html
    assert html.count("⟨U+202E⟩") > html.count("<tr>")


@pytest.mark.parametrize("index", ["secrets", "das-events-*", "das-events-1,secrets", ".kibana"])
def test_documents_of_other_indices_are_not_asked_for(index: str, url: str, world: World) -> None:
    assert get(f"{url}/das-overview/document/{index}/1").status == 404
    assert not world.asked


def test_the_filter_bar_is_text_and_can_be_removed(url: str, world: World) -> None:
    answer = get(f"{url}/das-overview?f=dbUserName:%3Cimg%20src%3Dx%3E&q=%22%3E%3Cscript%3E")
    html = text_of(answer)

    assert Seen(html).elements <= ELEMENTS
    assert html.count("<script") == 1
    assert "dbUserName: &lt;img src=x&gt;" in html
    assert 'href="/das-overview?q=%22%3E%3Cscript%3E" aria-label="Remove the filter' in html


def test_view_reaches_every_panel_and_link(url: str, world: World) -> None:
    page = text_of(get(f"{url}/das-overview?f=dbUserName:ben&from=now-7d"))
    links = text_of(get(f"{url}/das-overview/panel/das-navigation?f=dbUserName:ben&from=now-7d"))
    get(f"{url}/das-overview/panel/das-events-count?f=dbUserName:ben&from=now-7d")

    assert page.count("?from=now-7d&amp;f=dbUserName%3Aben") >= 18
    assert 'href="/das-logins?from=now-7d&amp;f=dbUserName%3Aben"' in links
    ((_, body),) = world.asked
    assert {"match_phrase": {"dbUserName": "ben"}} in body["query"]["bool"]["filter"]


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        ("q=activity%20:", "The search cannot be read as DQL: expected a field or a value at &#x27;the end&#x27;"),
        ("from=yesterday", "the time &#x27;yesterday&#x27; is not understood (expected: now-24h, now/w"),
        ("from=now&to=now-1h", "the time range from now to now-1h is empty"),
        ("f=dbUserName", "the filter &#x27;dbUserName&#x27; is not understood"),
    ],
)
def test_view_that_is_not_understood_is_explained(view: str, problem: str, url: str, world: World) -> None:
    for path in ("das-overview", "das-overview/panel/das-events-count"):
        answer = get(f"{url}/{path}?{view}")
        assert answer.status == 400
        assert problem in text_of(answer)
    assert not world.asked


def test_failure_is_reported_in_the_panel(url: str, world: World) -> None:
    world.failure = SearchUnavailable("OpenSearch does not answer (<b>)")

    answer = get(f"{url}/das-overview/panel/das-events-count")

    assert answer.status == 503
    assert "OpenSearch did not answer this panel: OpenSearch does not answer (&lt;b&gt;)" in text_of(answer)
    assert get(f"{url}/das-overview/document/das-alerts/1").status == 503


@pytest.mark.parametrize("path", ["nothing", "das-overview/panel/nothing", "nothing/panel/das-events-count", "a/b/c"])
def test_what_is_not_there_is_not_found(path: str, url: str, world: World) -> None:
    assert get(f"{url}/{path}").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "das-overview", "das-overview/panel/das-events-count", "page.js"])
def test_only_get_is_answered(method: str, path: str, url: str, world: World) -> None:
    assert get(f"{url}/{path}", method).status == 405
    assert not world.asked


@pytest.mark.parametrize("host", ["daswatch.example", "127.0.0.1.daswatch.example", "[::1]", "localhost."])
def test_other_hosts_are_refused(host: str, url: str, world: World) -> None:
    """A page from elsewhere could point its own name at this machine."""
    answer = get(f"{url}/das-overview/panel/das-events-count", Host=host)

    assert answer.status == 400
    assert not world.asked


def test_browser_may_run_only_what_the_package_has(url: str, world: World) -> None:
    first, second = get(f"{url}/das-overview"), get(f"{url}/das-overview")

    policy = first.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" in policy
    assert "unsafe" not in policy
    assert policy != second.headers["Content-Security-Policy"]
    assert {first.headers["X-Content-Type-Options"], first.headers["Cache-Control"]} == {"nosniff", "no-store"}
    assert get(f"{url}/nothing").headers["Content-Security-Policy"]


def test_only_the_loopback_address_listens(url: str) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)


def test_port_that_is_taken_is_reported(url: str) -> None:
    port = int(url.rpartition(":")[2])

    with pytest.raises(SettingsError, match=rf"port {port} cannot be listened on"), serving(lambda *_: None, port):  # type: ignore[arg-type]
        pass


def test_another_index_prefix_has_its_own_pages() -> None:
    world = World()
    with serving(Preview(world.ask, Indices("audit-events")).app()) as url:
        home = get(f"{url}/")
        panel = get(f"{url}/audit--overview/panel/audit--events-count")

    assert home.headers["Location"] == "/audit--overview"
    assert panel.status == 200
    assert [index for index, _ in world.asked] == ["audit-events-*"]
