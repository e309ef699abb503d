"""`python -m artifacts package | deploy`: what `make package` and `make deploy` run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.config import Config
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from artifacts.build import DEFAULT_PYTHON_VERSION, ROOT, build, steps
from artifacts.errors import ArtifactError, DeployError
from artifacts.manifest import NAME, Manifest
from artifacts.show import Events, changes_table, listing, outputs_table
from artifacts.stack import Stack, parse_parameters
from artifacts.upload import Uploaded, check_bucket, sizes, upload, uploads
from artifacts.wheels import Architecture

app = typer.Typer(help="Deployable artifacts: build them, deploy them.", no_args_is_help=True, add_completion=False)

_BAR_WIDTH = 24  # characters

Dist = Annotated[Path, typer.Option("--dist", help="The folder to write to.", file_okay=False)]
PythonVersion = Annotated[str, typer.Option("--python-version", help="Of Lambda's runtime.", metavar="3.N")]
Tuning = Annotated[Path | None, typer.Option("--tuning", help="A team's tuning of the detections, YAML.")]


@app.command()
def package(
    dist: Dist = Path("dist"),
    architecture: Annotated[
        list[Architecture] | None, typer.Option("--architecture", help="One of them; both without any.")
    ] = None,
    python_version: PythonVersion = DEFAULT_PYTHON_VERSION,
    tuning: Tuning = None,
) -> None:
    """Build every function's zip with the wheels of its target, and dist/manifest.json."""
    with told():
        manifest = _built(dist, architecture or list(Architecture), python_version, tuning)
    typer.echo(f"{len(manifest.artifacts)} artifacts, digest {manifest.digest}, in {dist / NAME}")


@app.command()
def deploy(
    bucket: Annotated[str, typer.Option("--bucket", help="The bucket for the artifacts, in the stack's region.")] = "",
    stack: Annotated[str, typer.Option("--stack", help="The stack's name.")] = "daswatch",
    parameters: Annotated[
        str, typer.Option("--parameters", help='Of the template: "Databases=cluster:orders,db:ledger ..."')
    ] = "",
    template: Annotated[Path, typer.Option("--template", help="The template.", dir_okay=False)] = ROOT
    / "template.yaml",
    dist: Dist = Path("dist"),
    tuning: Tuning = None,
) -> None:
    """Package, upload what the bucket has not, and create or update the stack. Exit code 1 where it fails.

    For the template's runtime, and no other version of Python.
    """
    with told():
        given = parse_parameters(parameters)
        s3, cloudformation = _clients(bucket, template)
        check_bucket(s3, bucket)
        manifest = _built(dist, list(Architecture), DEFAULT_PYTHON_VERSION, tuning)
        sent = _uploaded(s3, bucket, dist, manifest, template)
        wanted = {"ArtifactBucket": bucket, "ArtifactPrefix": sent.prefix, **given}
        one = Stack(cloudformation, stack)
        _change(one, sent.template_url, wanted)


def _clients(bucket: str, template: Path) -> tuple[Any, Any]:
    if not bucket:
        raise DeployError("no bucket is named", "make deploy BUCKET=..., a bucket in the stack's region")
    if not template.is_file():
        raise DeployError(f"there is no template {template}", "run it in a checkout, or name one with --template")
    session = boto3.Session()
    if session.region_name is None:
        raise DeployError("no region is set", "set AWS_REGION to the region of the databases")
    # Signed for the region, as the bucket's address tells it: us-east-1 has an address without any otherwise.
    s3 = session.client("s3", config=Config(s3={"us_east_1_regional_endpoint": "regional"}))
    cloudformation: Any = session.client("cloudformation", config=Config(retries={"mode": "standard"}))
    return s3, cloudformation


def _uploaded(s3: Any, bucket: str, dist: Path, manifest: Manifest, template: Path) -> Uploaded:
    with progress(DownloadColumn()) as bar:
        task = bar.add_task("upload", total=sizes(uploads(dist, manifest, template)))
        sent = upload(
            s3, bucket, dist, manifest, template, lambda key, size: bar.update(task, description=key, advance=size)
        )
    typer.echo(f"s3://{bucket}/{sent.prefix}: {len(sent.sent)} sent, {len(sent.skipped)} there already")
    return sent


def _change(stack: Stack, template_url: str, given: Mapping[str, str]) -> None:
    change_set = f"daswatch-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with Console(stderr=True).status("CloudFormation compares the template with the stack"):
        changes = stack.prepare(template_url, given, change_set)
    if not changes:
        typer.echo(f"the stack {stack.name} is as it should be")
        return
    console = Console()
    console.print(changes_table(changes))
    with Events(console) as events:
        status = stack.execute(change_set, events.hear)
    console.print(f"the stack {stack.name} is [bold green]{status}[/]")
    if outputs := stack.outputs():
        console.print(outputs_table(outputs))


def _built(dist: Path, architectures: list[Architecture], python_version: str, tuning: Path | None) -> Manifest:
    with progress(MofNCompleteColumn()) as bar:
        task = bar.add_task("detections", total=steps(architectures))
        manifest = build(
            dist,
            architectures=architectures,
            python_version=python_version,
            tuning=tuning,
            step=lambda text: bar.update(task, description=text, advance=1),
        )
    Console().print(listing(manifest))
    return manifest


def progress(count: ProgressColumn) -> Progress:
    """A bar on the error stream, gone when the work is done; `count` says how far it is."""
    columns = (BarColumn(_BAR_WIDTH), count, TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def told() -> Iterator[None]:
    """Turn a failure into what is wrong, what to do next, and exit code 1."""
    try:
        yield
    except ArtifactError as exc:
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"[bold red]failed:[/] {escape(exc.problem)}")
        console.print(f"[bold]next:[/] {escape(exc.next_step)}")
        raise typer.Exit(1) from exc


if __name__ == "__main__":
    app()
