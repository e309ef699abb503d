"""`make pictures`: take a picture of each page of the preview over a staged week; regenerate `docs/dashboards.md`.

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
from daswatch.opensearch.panel_answers import asking
from daswatch.opensearch.templates import ContentGateway
from daswatch.preview.server import Preview, serving
from demo.aws import LocalAws
from demo.opensearch import node_or_external
from tools.pictures.browser import SCALE, Browser, open_dashboard
from tools.pictures.document import DOCUMENT, PICTURES, with_dashboards
from tools.pictures.report import REPORT, REPORT_HEIGHT, REPORT_WIDTH, report_html
from tools.pictures.week import NOW, fill


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the pictures; the exit code."""
    parser = argparse.ArgumentParser(prog="make pictures", description=__doc__.partition("\n")[0])
    parser.add_argument("--text", action="store_true", help="only the text of docs/dashboards.md, no pictures")
    parser.add_argument("--report", action="store_true", help="only the picture of the posture report")
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
            _draw_all(console, browser)
        _write_text(console)
    except DaswatchError as exc:
        console.print(f"[red]{exc}[/]", highlight=False)
        return 1
    return 0


def _draw_all(console: Console, browser: Browser) -> None:
    dashboards = [one for one in shipped_objects(Indices()) if one.type == "dashboard"]
    with console.status("Starting OpenSearch …") as status, node_or_external() as node, LocalAws() as aws:
        search = OpenSearch(node.url, timeout=60)
        ContentGateway(search).install_all(shipped_content())
        events = fill(search, aws, compile_all(), progress=lambda text: status.update(f"{text} …"))
        console.print(f"{events:,} events in OpenSearch")
        preview = Preview(asking(search), Indices(), lambda: NOW)
        with serving(preview.app()) as url, browser.page(scale=SCALE) as page:
            page.clock.set_fixed_time(NOW)
            for one in dashboards:
                status.update(f"Drawing {one.title} …")
                open_dashboard(page, f"{url}/{one.id}")
                _keep(console, one.title, PICTURES / f"{one.id}.png", page.screenshot(full_page=True))
        search.close()


def _keep(console: Console, title: str, path: Path, drawn: bytes) -> None:
    # Pages have few colors, and pictures in a repository should be small.
    Image.open(BytesIO(drawn)).convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    console.print(f"{title}, {path.stat().st_size / 1000:,.0f} kB")


def _write_text(console: Console) -> None:
    before = DOCUMENT.read_text("utf-8")
    after = with_dashboards(before, shipped_objects(Indices()))
    DOCUMENT.write_text(after, "utf-8")
    console.print(f"{DOCUMENT.name}: {'regenerated' if before != after else 'unchanged'}")


if __name__ == "__main__":
    sys.exit(main())
