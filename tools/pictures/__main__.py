"""`make pictures`: render each dashboard from its definition and a node's responses; regenerate `docs/dashboards.md`.

Exits with 1, and one line that says what to do, where Chromium or what OpenSearch needs is absent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from opensearchpy import OpenSearch
from PIL import Image
from rich.console import Console

from daswatch.content.dashboards import shipped_objects
from daswatch.content.templates import shipped_content
from daswatch.detections.sigma import compile_all
from daswatch.errors import DaswatchError
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway
from demo.aws import LocalAws
from demo.opensearch import node_or_external
from tools.pictures.browser import Browser
from tools.pictures.document import DOCUMENT, PICTURES, with_dashboards
from tools.pictures.layout import WIDTH, Panel, panels_of, span_of
from tools.pictures.pages import Answered, page_height, page_html, requests_by_panel
from tools.pictures.panels import Objects, TimeSpan, by_key, rows_of
from tools.pictures.report import REPORT, REPORT_HEIGHT, REPORT_WIDTH, report_html
from tools.pictures.week import NOW, fill


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the pictures; the exit code."""
    parser = argparse.ArgumentParser(prog="make pictures", description=__doc__.partition("\n")[0])
    parser.add_argument("--text", action="store_true", help="only the text of docs/dashboards.md, no pictures")
    parser.add_argument("--report", action="store_true", help="only the picture of the posture report")
    parser.add_argument("--pages", type=Path, help="a folder in which the pages are kept as HTML")
    options = parser.parse_args(arguments)
    console = Console(file=sys.stdout)
    try:
        if not options.text:
            browser = Browser.found()
            _keep(
                console,
                "Posture report",
                PICTURES / f"{REPORT}.png",
                browser.picture(report_html(), REPORT_WIDTH, REPORT_HEIGHT),
            )
            if options.report:
                return 0
            _draw_all(console, browser, options.pages)
        _write_text(console)
    except DaswatchError as exc:
        console.print(f"[red]{exc}[/]", highlight=False)
        return 1
    return 0


def _draw_all(console: Console, browser: Browser, pages: Path | None) -> None:
    objects = by_key(shipped_objects(Indices()))
    with console.status("Starting OpenSearch …") as status, node_or_external() as node, LocalAws() as aws:
        search = OpenSearch(node.url, timeout=60)
        ContentGateway(search).install_all(shipped_content())
        events = fill(search, aws, compile_all(), progress=lambda text: status.update(f"{text} …"))
        console.print(f"{events:,} events in OpenSearch")
        for dashboard in (one for one in objects.values() if one.type == "dashboard"):
            status.update(f"Drawing {dashboard.title} …")
            panels, span = panels_of(dashboard, objects), span_of(dashboard, NOW)
            html = page_html(dashboard, panels, _answers(search, panels, objects, span), span, objects)
            if pages:
                pages.mkdir(parents=True, exist_ok=True)
                (pages / f"{dashboard.id}.html").write_text(html, "utf-8")
            drawn = browser.picture(html, WIDTH, page_height(panels))
            _keep(console, f"{dashboard.title}: {len(panels)} panels", PICTURES / f"{dashboard.id}.png", drawn)
        search.close()


def _keep(console: Console, title: str, path: Path, drawn: bytes) -> None:
    # Pages have few colors, and pictures in a repository should be small.
    Image.open(BytesIO(drawn)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    console.print(f"{title}, {path.stat().st_size / 1000:,.0f} kB")


def _answers(
    search: OpenSearch, panels: Sequence[Panel], objects: Objects, span: TimeSpan
) -> dict[str, list[Answered]]:
    found: dict[str, list[Answered]] = {}
    for identity, requests in requests_by_panel(panels, objects, span).items():
        found[identity] = []
        for request in requests:
            answer = search.search(index=request.index, body=dict(request.body))
            found[identity].append(Answered(request, rows_of(request, answer), answer["hits"]["total"]["value"]))
    return found


def _write_text(console: Console) -> None:
    before = DOCUMENT.read_text("utf-8")
    after = with_dashboards(before, shipped_objects(Indices()))
    DOCUMENT.write_text(after, "utf-8")
    console.print(f"{DOCUMENT.name}: {'regenerated' if before != after else 'unchanged'}")


if __name__ == "__main__":
    sys.exit(main())
