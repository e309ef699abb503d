"""The report: complete, escaped, without anything from elsewhere, and drawn by a real browser."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from daswatch.fleet.audit import Audit, Heard, audited
from daswatch.fleet.database import Place
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import BY_URGENCY, Coverage, Verdict, coverage_by
from daswatch.fleet.report import MEANINGS, by_urgency, csv_of, html_of
from tests.builders.fleet import PLACE, cluster, instance
from tools.pictures.browser import Browser

NOW = "2031-03-04T12:00:00.000Z"
HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(1)</script>"
DARK = Place("210987654321", "")
TREND = {
    "2031-03-02T09:00:00.000Z": Coverage({"covered": 1, "off": 3}),
    "2031-03-03T09:00:00.000Z": Coverage({"covered": 2, "off": 2}),
}
EMPTY = {"area", "base", "br", "col", "hr", "input", "link", "meta", "wbr", "circle", "line", "polyline"}


def an_audit(words: str = "moves in May", unseen: str = "STS AssumeRole: AccessDenied") -> Audit:
    covered = cluster("orders", DbClusterResourceId="cluster-A")
    tags = [
        {"Key": "daswatch:exception", "Value": words},
        {"Key": "daswatch:exception-until", "Value": "2031-05-31"},
        {"Key": "team", "Value": words},
    ]
    databases = (
        covered,
        cluster("stock", ActivityStreamStatus="stopped"),
        cluster("legacy", ActivityStreamStatus="stopped", TagList=tags),
        instance("ledger"),
    )
    heard = {"cluster-A": Heard(NOW, NOW)}
    return audited({}, [Look(PLACE, databases), Look(DARK, failure=unseen)], heard, NOW)


def page(audit: Audit, trend: dict[str, Coverage] | None = None) -> str:
    fields = {"account": "awsAccountId", "region": "awsRegion", "engine": "engine", "tag team": "tags.team"}
    return html_of(audit, {name: coverage_by(audit.present, one) for name, one in fields.items()}, trend)


class Page(HTMLParser):
    """Elements, attributes and text of a page; each element that opens has to close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_page_has_date_scope_and_what_was_not_looked_at() -> None:
    text = Page(page(an_audit())).text

    assert "As of 2031-03-04 12:00 UTC. Looked at: 1 account (123456789012) and 1 region (eu-west-1)." in text
    assert "210987654321 all STS AssumeRole: AccessDenied" in text
    assert "33 % covered 1 of 3 databases that can be audited" in text


def test_page_has_every_verdict_with_reason_and_time() -> None:
    audit = an_audit()
    text = Page(page(audit)).text

    for one in audit.present:
        assert f"{one['databaseKind']}:{one['databaseIdentifier']}" in text
        assert one["resourceId"] in text
        assert one["verdictReason"] in text
    assert "off 2031-03-04 12:00 cluster:stock" in text
    assert "Start the activity stream" in text


def test_page_has_the_coverage_of_each_group() -> None:
    text = Page(page(an_audit())).text

    assert "By engine engine covered of % oracle 0 1 0 postgresql 1 2 50" in text
    assert "By tag team tag team covered of % (none) 1 3 33 moves in May 0 0 –" in text


def test_trend_is_a_line_through_all_runs() -> None:
    html = page(an_audit(), TREND)

    assert html.count("<circle") == 3
    assert "2031-03-03 09:00: 2 of 4" in html
    assert "Covered: 25 % on 2031-03-02, 33 % on 2031-03-04" in html
    assert "This is the first run." in page(an_audit())


def test_what_people_write_is_text() -> None:
    found = Page(page(an_audit(HOSTILE, HOSTILE), TREND))

    assert {"script", "img", "link", "iframe", "object", "form", "base"} & set(found.tags) == set()
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert HOSTILE in found.text


def test_page_asks_nothing_from_elsewhere() -> None:
    html = page(an_audit(), TREND)

    assert not [one for one in Page(html).attributes if one[0] in ("src", "href", "srcset", "action", "data")]
    assert "default-src 'none'" in html
    assert not [word for word in ("url(", "@import", "http:", "https:") if word in html]


def test_page_of_an_empty_fleet_has_its_parts() -> None:
    text = Page(page(audited({}, [Look(PLACE)], {}, NOW))).text

    assert "There is no database." in text
    assert "Nothing: every account and region of the scope was looked at." in text


def test_nothing_looked_at_is_said() -> None:
    assert "Nothing was looked at." in page(audited({}, [Look(DARK, failure="denied")], {}, NOW))


def test_percentage_is_never_rounded_up_to_all() -> None:
    trend = {"2031-03-02T09:00:00.000Z": Coverage({"covered": 999, "off": 1})}

    assert "Covered: 99 % on 2031-03-02" in page(an_audit(), trend)


def test_every_verdict_is_explained_and_ordered() -> None:
    assert set(MEANINGS) == set(BY_URGENCY) == set(Verdict)
    assert [one["verdict"] for one in by_urgency(an_audit().present)] == ["not-consumed", "off", "excepted", "covered"]


def test_csv_has_every_database_and_every_gap() -> None:
    audit = an_audit()
    rows = list(csv.DictReader(io.StringIO(csv_of(audit))))

    assert [row["database"] for row in rows] == ["ledger", "stock", "legacy", "orders", ""]
    assert rows[1] | {"at": NOW, "verdict": "off", "status": "FAILED", "since": NOW, "kind": "cluster"} == rows[1]
    assert rows[-1]["account"] == "210987654321"
    assert rows[-1]["region"] == "(all)"
    assert rows[-1]["reason"] == "not looked at: STS AssumeRole: AccessDenied"


@pytest.mark.parametrize("words", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", " =1", "\t=1", 'a","b', "a\r\n=1", HOSTILE])
def test_csv_cells_are_neither_formulas_nor_lines(words: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_of(an_audit(words, words)))))

    assert {len(row) for row in rows} == {18}
    assert len(rows) == 6
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_browser_draws_the_page() -> None:
    drawn = Browser.found().picture(page(an_audit(HOSTILE), TREND), 1180, 1500)

    with Image.open(BytesIO(drawn)) as picture:
        colors: Any = picture.convert("RGB").getcolors(1 << 24)
    counts = {color: count for count, color in colors}
    line, failed, passed = (0x00, 0x6B, 0xB4), (0xFD, 0xEC, 0xEA), (0xE8, 0xF5, 0xEE)
    assert counts.get(line, 0) > 300, "the trend"
    assert counts.get(failed, 0) > 300, "what fails"
    assert counts.get(passed, 0) > 300, "what passes"
