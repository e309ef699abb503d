"""`docs/dashboards.md` and its pictures: complete and current; the staged week that they show."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

import orjson
import pytest
from PIL import Image

from daswatch.content.dashboards import SavedObject, shipped_objects
from daswatch.documents.noise import Noise
from daswatch.indices import Indices
from daswatch.preview.pages import Panel, panels_of
from daswatch.preview.panels import by_key
from demo.traffic import produce
from tools.pictures.browser import SCALE, WIDTH, Browser, BrowserError
from tools.pictures.document import DOCUMENT, PICTURES, PictureError, with_dashboards
from tools.pictures.report import REPORT, REPORT_HEIGHT, REPORT_WIDTH
from tools.pictures.week import NOW, Watched, control_plane_calls, run_times, spells

OBJECTS = shipped_objects(Indices())
KNOWN = by_key(OBJECTS)
DASHBOARDS = [one for one in OBJECTS if one.type == "dashboard"]
TEXT = DOCUMENT.read_text("utf-8")
LARGEST_PICTURE = 300_000  # bytes


def by_id(one: SavedObject) -> str:
    return one.id


def panels() -> list[Panel]:
    found = {panel.one.id: panel for dashboard in DASHBOARDS for panel in panels_of(dashboard, KNOWN)}
    return list(found.values())


def test_the_text_is_that_of_the_definitions() -> None:
    assert with_dashboards(TEXT, OBJECTS) == TEXT, "run `make pictures`, or `make pictures ARGS=--text` for the text"


def test_the_document_says_what_the_pictures_are() -> None:
    assert "of the preview, not of OpenSearch Dashboards" in TEXT


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(PictureError, match="has no"):
        with_dashboards("# Dashboards\n", OBJECTS)


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_dashboard_has_description_and_picture(one: SavedObject) -> None:
    path = PICTURES / f"{one.id}.png"

    assert one.attributes["description"] in TEXT
    assert f"](pictures/{one.id}.png)" in TEXT
    with Image.open(path) as picture:
        width, height = picture.size
    rows = max(panel.grid["y"] + panel.grid["h"] for panel in panels_of(one, KNOWN))
    assert width == round(WIDTH * SCALE)
    assert rows * 22 < height / SCALE < rows * 22 + 200
    assert 20_000 < path.stat().st_size < LARGEST_PICTURE


def test_no_picture_is_of_a_dashboard_that_is_gone() -> None:
    assert {path.stem for path in PICTURES.iterdir()} == {REPORT, *(one.id for one in DASHBOARDS)}


def test_picture_of_the_report_is_small_and_as_large_as_the_page() -> None:
    path = PICTURES / f"{REPORT}.png"

    with Image.open(path) as picture:
        width, height = picture.size
    assert abs(width - REPORT_WIDTH * SCALE) <= 1
    assert abs(height - REPORT_HEIGHT * SCALE) <= 1
    assert 20_000 < path.stat().st_size < LARGEST_PICTURE


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.one.id)
def test_panel_is_listed_with_description(panel: Panel) -> None:
    assert f"| {panel.one.title} | {panel.one.attributes['description']} |" in TEXT


def test_what_is_absent_is_reported_with_what_to_install() -> None:
    with pytest.raises(BrowserError, match=r"install it, for example with `apt-get install chromium`"):
        Browser.found(path="/nowhere")


def test_drops_are_counted_as_by_the_ingest_function() -> None:
    watched = Watched.nothing()
    for record in islice(produce(1, NOW, 400), 600):
        watched.take(record)

    shown = [orjson.loads(action.lines.splitlines()[1]) for action in watched.drop_actions()]

    assert shown
    assert {one["reason"] for one in shown} == {Noise.AWS_USER}
    assert sum(one["count"] for one in shown) == sum(
        entry.fate == "aws-user" for record in islice(produce(1, NOW, 400), 600) for entry in record.entries
    )


def test_the_saved_queries_run_soon_after_a_user_is_refused_at_a_stream() -> None:
    refused = [one.source for one in control_plane_calls() if one.source["outcome"] == "failure"]

    assert len(refused) == 2
    for one in refused:
        at = datetime.fromisoformat(one["@timestamp"])
        assert any(timedelta() < run - at <= timedelta(minutes=15) for run in run_times())


def test_every_attack_of_the_week_is_looked_at() -> None:
    times = run_times()
    attacks = [spell for spell in spells() if spell.scenarios]

    assert sum(len(spell.scenarios) for spell in attacks) == len(
        {(one.engine, one.name) for spell in attacks for one in spell.scenarios}
    )
    assert times[-1] == NOW
    for spell in attacks:
        later = [at for at in times if at > spell.begin]
        assert later[0] - spell.begin <= timedelta(minutes=15)
