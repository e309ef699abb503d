"""`daswatch`: the command line. Each command reads the same settings from the environment as the functions do.

Exit codes: 0 done, 1 the endpoint or AWS refused, 2 wrong usage or settings.
"""

from __future__ import annotations

import logging

import typer

from daswatch.commands import dashboards, detections, doctor, stream
from daswatch.commands.setup import setup

app = typer.Typer(
    help="Watch AWS databases: install, inspect and operate Daswatch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(setup)
app.command("doctor")(doctor.run)
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(detections.app, name="detections")
app.add_typer(stream.app, name="stream")


def main() -> None:
    """The console script."""
    # opensearch-py warns of each answer that is no success; which of them matter, the commands tell.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    app()
