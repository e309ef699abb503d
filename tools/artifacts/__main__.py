"""`python -m tools.artifacts package | deploy`: what `make package` and `make deploy` run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
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

from daswatch.aws.rds import ActivityStreams, reached
from daswatch.aws.session import aws_session
from daswatch.commands.console import Output, errors_as_exit_codes, write_json
from tools.artifacts.build import DEFAULT_PYTHON_VERSION, NOT_COMPILED, ROOT, build, steps
from tools.artifacts.databases import Looked, look_at, new_names, starts, wanted
from tools.artifacts.errors import UsageError
from tools.artifacts.manifest import NAME, Manifest
from tools.artifacts.migration import keeping
from tools.artifacts.show import Events, changes_table, listing, outputs_table
from tools.artifacts.stack import Stack, parse_parameters
from tools.artifacts.template import DATABASES, Template, check_bucket_name, check_stack_name
from tools.artifacts.upload import Uploaded, check_bucket, sizes, upload, upload_template, uploads
from tools.artifacts.wheels import Architecture

Format = Annotated[Output, typer.Option("--output", help="Output format.")]

app = typer.Typer(help="Deployable artifacts: build them, deploy them.", no_args_is_help=True, add_completion=False)

_BAR_WIDTH = 24  # characters
_MARK = "failed"  # before a problem, in the middle of what make prints

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
    output: Format = Output.TABLE,
) -> None:
    """Build every function's zip with the wheels of its target, and dist/manifest.json."""
    with errors_as_exit_codes(output, _MARK):
        manifest = _built(dist, architecture or list(Architecture), python_version, tuning, output)
        if output is Output.JSON:
            write_json(manifest.as_json())
        else:
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
    output: Format = Output.TABLE,
) -> None:
    """Check what is asked for, package, upload what the bucket has not, and create or update the stack.

    For the template's runtime, and no other version of Python. Exit code 1 where it fails, 2 where what is asked for
    cannot be: nothing is built or uploaded then.
    """
    with errors_as_exit_codes(output, _MARK):
        given = parse_parameters(parameters)
        if not bucket:
            raise UsageError("no bucket is named", "make deploy BUCKET=..., a bucket in the stack's region")
        check_bucket_name(bucket)
        check_stack_name(stack)
        takes = Template.read(template)
        takes.check_given(given)
        session = _session()
        s3, one = _s3(session), Stack(_cloudformation(session), stack)
        check_bucket(s3, bucket)
        _, before = one.look()
        takes.check_together({"ArtifactBucket": bucket, "ArtifactPrefix": "daswatch", **given}, before)
        _check_databases(session, given, before)
        manifest = _built(dist, list(Architecture), DEFAULT_PYTHON_VERSION, tuning, output)
        sent = _uploaded(s3, bucket, dist, manifest, template)
        if text := keeping(one.template()):
            _keep_consumers(one, upload_template(s3, bucket, text))
        _change(one, sent, {"ArtifactBucket": bucket, "ArtifactPrefix": sent.prefix, **given}, output)


def _session() -> boto3.Session:
    session = aws_session()
    if not session.region_name:
        raise UsageError("no region is set", "export AWS_REGION=..., the region of the databases")
    return session


def _s3(session: boto3.Session) -> Any:
    # Signed for the region, as the bucket's address has it: us-east-1 has an address without any otherwise.
    return session.client("s3", config=Config(s3={"us_east_1_regional_endpoint": "regional"}))


def _cloudformation(session: boto3.Session) -> Any:
    return session.client("cloudformation", config=Config(retries={"mode": "standard"}))


def _check_databases(session: boto3.Session, given: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Look at the databases that are new in the stack; warn of what the start of their streams does to them."""
    if DATABASES not in given:
        return
    selected = (given[DATABASES], before.get(DATABASES, ""))
    rds = session.client("rds", config=Config(retries={"mode": "standard"}))
    gateway = ActivityStreams(reached(rds), lambda: session.client("kms"))
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    with console.status("RDS is asked about the databases"):
        stream = wanted({**before, **given})
        looked = look_at(gateway, new_names(*selected), stream)
        others = starts(gateway, *selected, stream)
    looked = Looked(looked.effects | others.effects, looked.unseen | others.unseen)
    for name, effects in looked.effects.items():
        console.print(f"[yellow]warning:[/] {name}: its activity stream starts: {escape('; '.join(effects))}")
    for name, why in looked.unseen.items():
        console.print(f"[yellow]warning:[/] {name} was not looked at: {escape(why)}")


def _uploaded(s3: Any, bucket: str, dist: Path, manifest: Manifest, template: Path) -> Uploaded:
    with progress(DownloadColumn()) as bar:
        task = bar.add_task("upload", total=sizes(uploads(dist, manifest, template)))
        return upload(
            s3, bucket, dist, manifest, template, lambda key, size: bar.update(task, description=key, advance=size)
        )


def _keep_consumers(stack: Stack, template_url: str) -> None:
    """Update a stack of an earlier release, so that CloudFormation keeps what reads the streams."""
    console = Console(stderr=True, emoji=False)
    console.print("first, what reads the streams is to stay when it leaves the template")
    change_set = f"daswatch-keep-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if stack.prepare(template_url, {}, change_set):
        with Events(console) as events:
            stack.execute(change_set, events.hear)


def _change(stack: Stack, sent: Uploaded, given: Mapping[str, str], output: Output) -> None:
    console = Console(stderr=output is Output.JSON, emoji=False)
    console.print(
        f"s3://{sent.bucket}/{sent.prefix}: {len(sent.sent)} sent, {len(sent.skipped)} there already", soft_wrap=True
    )
    change_set = f"daswatch-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with Console(stderr=True).status("CloudFormation compares the template with the stack"):
        changes = stack.prepare(sent.template_url, given, change_set)
    status, outputs = "UNCHANGED", {}
    if changes:
        console.print(changes_table(changes))
        with Events(console) as events:
            status = stack.execute(change_set, events.hear)
        outputs = stack.outputs()
    if output is Output.JSON:
        changed = [asdict(one) for one in changes]
        write_json({"stack": stack.name, "status": status, "changes": changed, "outputs": outputs})
    elif not changes:
        console.print(f"the stack {stack.name} is as it should be")
    else:
        console.print(f"the stack {stack.name} is [bold green]{status}[/]")
        if outputs:
            console.print(outputs_table(outputs))


def _built(
    dist: Path, architectures: list[Architecture], python_version: str, tuning: Path | None, output: Output
) -> Manifest:
    with progress(MofNCompleteColumn()) as bar:
        task = bar.add_task("detections", total=steps(architectures))
        manifest = build(
            dist,
            architectures=architectures,
            python_version=python_version,
            tuning=tuning,
            step=lambda text: bar.update(task, description=text, advance=1),
        )
    console = Console(stderr=output is Output.JSON, emoji=False)
    console.print(listing(manifest))
    if manifest.compiled_by is None:
        console.print(f"[yellow]warning:[/] {NOT_COMPILED.format(python_version)}", soft_wrap=True)
    return manifest


def progress(count: ProgressColumn) -> Progress:
    """A bar on the error stream, gone when the work is done; `count` says how far it is."""
    columns = (BarColumn(_BAR_WIDTH), count, TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    app()
