"""Chromium, without a window: a page of HTML -> PNG."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from daswatch.errors import DaswatchError

SCALE = 1.15  # pixels of the picture for one of the page
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 120


class BrowserError(DaswatchError):
    """Stop: there is no Chromium, or it made no picture; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Browser:
    """A Chromium on this machine."""

    program: str

    @classmethod
    def found(cls, path: str | None = None) -> Browser:
        """The Chromium on the path. Raises BrowserError."""
        for name in _NAMES:
            program = shutil.which(name, path=path)
            if program:
                return cls(program)
        raise BrowserError("there is no Chromium: install it, for example with `apt-get install chromium`")

    def picture(self, html: str, width: int, height: int) -> bytes:
        """The page as PNG. Raises BrowserError."""
        with tempfile.TemporaryDirectory(prefix="daswatch-pictures-") as name:
            folder = Path(name)
            page, target = folder / "page.html", folder / "page.png"
            page.write_text(html, "utf-8")
            command = [
                self.program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-lcd-text",
                "--hide-scrollbars",
                f"--force-device-scale-factor={SCALE}",
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={width},{height}",
                f"--screenshot={target}",
                page.as_uri(),
            ]
            environment = {**os.environ, "HOME": name}
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=environment)
            except subprocess.TimeoutExpired as exc:
                raise BrowserError(f"{self.program} made no picture within {_SECONDS} s") from exc
            if done.returncode or not target.exists():
                last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
                raise BrowserError(f"{self.program} made no picture: {last[0]}")
            return target.read_bytes()
