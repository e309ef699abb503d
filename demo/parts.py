"""Long runs in parts: where one part fails, it is named, what the others found is kept, and the next one runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass
class Parts:
    """The parts of one run, and which of them failed."""

    console: Console
    failed: list[str] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Run what is inside; an error ends this part alone. An interrupt ends the run."""
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - whatever ends one part, the others do not depend on it
            self.failed.append(name)
            self.console.print(f"[red]{escape(name)} failed: {type(exc).__name__}: {escape(str(exc))}[/]")

    def show(self) -> bool:
        """Name the parts that failed once more, at the end of a long output; whether all parts ran."""
        if self.failed:
            self.console.print(f"[red]failed: {escape(', '.join(self.failed))}; the results of the others stand[/]")
        return not self.failed
