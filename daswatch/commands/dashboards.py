"""`daswatch dashboards`: the shipped saved objects as a file to import, an export as readable files, and a preview."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from opensearchpy import OpenSearch

from daswatch.commands.console import errors_as_exit_codes, own_indices, write_file
from daswatch.commands.detections import compiled
from daswatch.content.dashboards import (
    SavedObject,
    SavedObjectError,
    file_of,
    ndjson,
    read_ndjson,
    renamed,
    shipped_objects,
)
from daswatch.errors import SettingsError
from daswatch.indices import Indices
from daswatch.opensearch.client import dashboards_client, search_client
from daswatch.opensearch.dashboards import DashboardsGateway
from daswatch.opensearch.panel_answers import asking
from daswatch.opensearch.version_check import check_opensearch
from daswatch.settings import DashboardsEndpoint, Environment, SearchEndpoint, read_index_prefix

app = typer.Typer(
    help="Saved objects: preview them in a browser, pack them for import, unpack an export into files.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--to", file_okay=False, help="Folder of the readable files.")]
_FOLDER = Path("dashboards")


@app.command()
def pack(
    to: Annotated[Path, typer.Option("--to", dir_okay=False, help="File to import.")] = Path("daswatch.ndjson"),
    tuning: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YAML file with overrides of the detections.")
    ] = None,
) -> None:
    """Write all shipped saved objects, and each detection's saved search, into one file that Dashboards imports."""
    with errors_as_exit_codes():
        objects = shipped_objects(own_indices(), compiled(tuning))
        write_file(to, ndjson(objects))
        typer.echo(f"{len(objects)} saved objects in {to}")


@app.command()
def unpack(
    export: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Export file from Dashboards.")],
    to: Folder = _FOLDER,
) -> None:
    """Write an export's objects as readable files: what was edited in the browser becomes a diff."""
    with errors_as_exit_codes():
        _unpack(_read(export), to, own_indices())


@app.command("export")
def export_(
    to: Folder = _FOLDER,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Export every object of these types, not only those of Daswatch and their references."
        ),
    ] = False,
) -> None:
    """Fetch the shipped objects from DASHBOARDS_URL, with everything they refer to, and write readable files."""
    with errors_as_exit_codes():
        environment = Environment(os.environ)
        endpoint = SearchEndpoint.read(environment)
        dashboards = DashboardsEndpoint.read(environment, endpoint)
        indices = Indices(read_index_prefix(environment))
        environment.check()
        gateway = DashboardsGateway(dashboards_client(endpoint, dashboards.url), dashboards.tenant)
        shipped = [(one.type, one.id) for one in shipped_objects(indices)]
        objects = gateway.export_all() if everything else gateway.export(shipped)
        _unpack(objects, to, indices)


@app.command()
def preview(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open the browser where there is a desktop.")] = True,
) -> None:
    """Show the dashboards over OPENSEARCH_ENDPOINT in a browser on this machine, until Ctrl-C. Only searches."""
    with errors_as_exit_codes():
        environment = Environment(os.environ)
        endpoint, prefix = SearchEndpoint.read(environment), read_index_prefix(environment)
        environment.check()
        client = search_client(endpoint)
        check_opensearch(client, endpoint.service)
        with previewing(client, Indices(prefix), port, browser=browser) as url, suppress(KeyboardInterrupt):
            typer.echo(f"Dashboards: {url}")
            threading.Event().wait()


@contextmanager
def previewing(client: OpenSearch, indices: Indices, port: int = 0, *, browser: bool = False) -> Iterator[str]:
    """Serve the dashboards on this machine, and open them where there is a desktop; yields the URL.

    Raises SettingsError without the extra `preview`, or where the port is taken.
    """
    try:
        from daswatch.preview.server import Preview, serving
    except ModuleNotFoundError as exc:
        raise SettingsError([f"{exc.name} is missing (expected: pip install 'daswatch[cli,preview]')"]) from exc
    with serving(Preview(asking(client), indices).app(), port) as url:
        if browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(url)
        yield url


def _unpack(objects: Sequence[SavedObject], to: Path, indices: Indices) -> None:
    made_of_rules = f"{indices.saved_object_start}detection-"
    kept = renamed((one for one in objects if not one.id.startswith(made_of_rules)), indices, Indices())
    for one in kept:
        name, content = file_of(one)
        write_file(to / name, content)
    made = len(objects) - len(kept)
    note = f"; {made} saved searches of detections are left out, they are made of the rules" if made else ""
    typer.echo(f"{len(kept)} saved objects in {to}{note}")


def _read(export: Path) -> list[SavedObject]:
    try:
        return read_ndjson(export.read_bytes())
    except OSError as exc:
        raise SettingsError([f"{export} cannot be read ({type(exc).__name__}; expected: an export)"]) from exc
    except SavedObjectError as exc:
        raise SettingsError([f"{export} is not an export of Dashboards: {exc}"]) from exc
