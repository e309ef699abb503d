"""The pages in Chromium, over made answers: refreshed, slow, failing, hostile, narrow, and by keyboard."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from daswatch.errors import SearchUnavailable
from daswatch.indices import Indices
from daswatch.preview.server import Preview, serving
from tests.builders.panel_answers import answer_to
from tools.pictures.browser import LONGEST_MS, open_dashboard

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(1)</script>\u202egnp\u2066"
VISIBLE = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\u2066", "⟨U+2066⟩")
expect.set_options(timeout=LONGEST_MS)


class Answers:
    """What OpenSearch answers: `text` in each field, or a failure, once it may."""

    def __init__(self) -> None:
        self.text = "anna"
        self.failure: Exception | None = None
        self.may = threading.Event()
        self.may.set()

    def ask(self, _: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.may.wait(LONGEST_MS / 1000)
        if self.failure:
            raise self.failure
        return answer_to(body, self.text)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def url(answers: Answers) -> Iterator[str]:
    with serving(Preview(answers.ask, Indices()).app()) as url:
        yield url
        answers.may.set()


def test_panels_are_refreshed(page: Page, url: str, answers: Answers) -> None:
    page.clock.install()
    open_dashboard(page, f"{url}/das-enrolment")
    expect(page.locator("#p-das-enrolment-states td").first).to_have_text("anna")
    expect(page.locator("#state")).to_contain_text("Refreshed")

    answers.text = "ben"
    page.clock.run_for(10_000)

    expect(page.locator("#p-das-enrolment-states td").first).to_have_text("ben")


def test_paused_panels_stay(page: Page, url: str, answers: Answers) -> None:
    page.clock.install()
    open_dashboard(page, f"{url}/das-enrolment")
    page.get_by_role("button", name="Pause").click()

    answers.text = "ben"
    page.clock.run_for(60_000)
    expect(page.locator("#p-das-enrolment-states td").first).to_have_text("anna")

    page.get_by_role("button", name="Refresh every 10 s").click()
    expect(page.locator("#p-das-enrolment-states td").first).to_have_text("ben")


def test_slow_panel_says_so_in_its_place(page: Page, url: str, answers: Answers) -> None:
    page.clock.install()
    answers.may.clear()
    page.goto(f"{url}/das-enrolment")
    panel = page.locator("#p-das-enrolment-states")
    expect(panel).to_contain_text("Waiting for OpenSearch")

    page.clock.run_for(4_000)
    expect(panel).to_have_attribute("data-waiting", re.compile("[2-4]"))

    answers.may.set()
    expect(panel.locator("td").first).to_have_text("anna")
    expect(panel).not_to_have_attribute("data-waiting", re.compile(".*"))


def test_failed_panel_says_so_and_recovers(page: Page, url: str, answers: Answers) -> None:
    page.clock.install()
    answers.failure = SearchUnavailable("OpenSearch answered 500")
    open_dashboard(page, f"{url}/das-enrolment")
    panel = page.locator("#p-das-enrolment-states")
    expect(panel.get_by_role("alert")).to_have_text("OpenSearch did not answer this panel: OpenSearch answered 500")

    answers.failure = None
    page.clock.run_for(10_000)

    expect(panel.locator("td").first).to_have_text("anna")


def test_text_of_events_is_inert(page: Page, url: str, answers: Answers) -> None:
    """A dialog or an error in the console would fail this test too."""
    answers.text = HOSTILE
    open_dashboard(page, f"{url}/das-logins")

    expect(page.locator("#p-das-failed-logins-by-user td").first).to_have_text(VISIBLE)
    assert "⟨U+202E⟩" in str(
        page.locator("#p-das-failed-logins-by-source svg a path").first.get_attribute("aria-label")
    )
    assert page.locator("img, main script, iframe").count() == 0
    page.locator("#p-das-failed-logins-by-user td a").first.click()
    page.wait_for_selector(".waiting", state="detached")
    expect(page.locator("ul.filters li bdi")).to_have_text(f"dbUserName: {VISIBLE}")
    page.locator("#p-das-failed-logins a.open").first.click()
    expect(page.get_by_role("row", name=re.compile("^errorMessage "))).to_contain_text(VISIBLE)
    assert page.locator("img, main script, iframe").count() == 0


def test_time_range_and_search_are_in_the_url(page: Page, url: str) -> None:
    open_dashboard(page, f"{url}/das-enrolment")

    page.locator(".time summary").click()
    page.get_by_role("link", name="Last 15 minutes").click()
    page.wait_for_url("**/das-enrolment?from=now-15m&to=now")
    page.get_by_label("Search, in DQL").fill("dbUserName : anna and (")
    page.get_by_role("button", name="Search").click()

    expect(page.locator("body > .failed")).to_contain_text("The search cannot be read as DQL: expected a field")
    assert "from=now-15m" in page.url


def test_control_filters_by_one_value(page: Page, url: str) -> None:
    open_dashboard(page, f"{url}/das-enrolment")
    control = page.locator("#p-das-enrolment-controls details").first

    control.locator("summary").click()
    control.get_by_role("link", name="anna").click()

    expect(page.locator("ul.filters li bdi")).to_have_text("databaseIdentifier: anna")
    expect(control.locator(".choice")).to_have_text("anna")
    page.get_by_role("link", name="Remove the filter databaseIdentifier: anna").click()
    expect(page.locator("ul.filters li")).to_have_count(0)


def test_keyboard_reaches_values_and_closes_lists(page: Page, url: str) -> None:
    open_dashboard(page, f"{url}/das-overview")
    summary = page.locator(".time summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".time")).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(page.locator(".time")).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()

    page.locator("#p-das-activity-by-outcome svg a").first.focus()
    page.keyboard.press("Enter")

    page.wait_for_url("**/das-overview?f=activity%3Aanna&f=outcome%3Aanna")


def test_narrow_window_has_one_column(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    open_dashboard(page, f"{url}/das-overview")

    boxes = [section.bounding_box() for section in page.locator("section").all()]

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    tops = [box["y"] for box in boxes if box]
    assert tops == sorted(tops)
    assert len(set(tops)) == len(tops)


def luminance(color: str) -> float:
    digits = color.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_contrast() -> None:
    """4.5 to 1, as WCAG's level AA asks."""
    style = files("daswatch.preview").joinpath("page.css").read_text("utf-8")
    checked = 0
    for rule in re.findall(r"\{([^{}]*)\}", style):
        color = re.search(r"(?<![\w-])color: (#\w+)", rule)
        background = re.search(r"background: (#\w+)", rule)
        if color:
            for behind in [background[1]] if background else ["#ffffff", "#f5f7fa"]:
                assert contrast(color[1], behind) >= 4.5, rule
                checked += 1
    assert checked > 20
