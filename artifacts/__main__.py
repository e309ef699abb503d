"""`python -m artifacts package | deploy`: what `make package` and `make deploy` run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from artifacts.build import DEFAULT_PYTHON_VERSION, build, steps
from artifacts.errors import ArtifactError
from artifacts.manifest import NAME, Manifest
from artifacts.show import listing
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


def _built(dist: Path, architectures: list[Architecture], python_version: str, tuning: Path | None) -> Manifest:
    with progress() as bar:
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


def progress() -> Progress:
    """A bar on the error stream, gone when the work is done."""
    columns = (BarColumn(_BAR_WIDTH), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
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
