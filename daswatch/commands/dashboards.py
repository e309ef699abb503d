"""`daswatch dashboards`: the shipped saved objects as a file to import, and an export as readable files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

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
from daswatch.opensearch.client import dashboards_client
from daswatch.opensearch.dashboards import DashboardsGateway
from daswatch.settings import DashboardsEndpoint, Environment, SearchEndpoint, read_index_prefix

app = typer.Typer(help="Saved objects: pack them for an import, read an export back into files.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--to", file_okay=False, help="The folder of readable files.")]
_FOLDER = Path("dashboards")


@app.command()
def pack(
    to: Annotated[Path, typer.Option("--to", dir_okay=False, help="The file for the import.")] = Path(
        "daswatch.ndjson"
    ),
    tuning: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A team's overrides of the detections.")
    ] = None,
) -> None:
    """Write all shipped saved objects, and each detection's saved search, into one file that Dashboards imports."""
    with errors_as_exit_codes():
        objects = shipped_objects(own_indices(), compiled(tuning))
        write_file(to, ndjson(objects))
        typer.echo(f"{len(objects)} saved objects in {to}")


@app.command()
def unpack(
    export: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file that Dashboards exported.")],
    to: Folder = _FOLDER,
) -> None:
    """Write an export's objects as readable files: what was edited in the browser becomes a diff."""
    with errors_as_exit_codes():
        _unpack(_read(export), to, own_indices())


@app.command("export")
def export_(
    to: Folder = _FOLDER,
    everything: Annotated[
        bool, typer.Option("--all", help="Every object of these types there, not only ours and what they use.")
    ] = False,
) -> None:
    """Fetch from DASHBOARDS_URL what is shipped, with all that it refers to by now, and write it as readable files."""
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
