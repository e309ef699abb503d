"""docs/settings.md: the table of settings, from the code.

python -m tools.settings_page   # writes it
"""

from __future__ import annotations

from pathlib import Path

from daswatch.detections import reference_pages
from daswatch.settings import SETTINGS, Reader, Setting
from tools.markers import with_part

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
BEGIN, END = "<!-- settings: made by python -m tools.settings_page -->", "<!-- end of settings -->"


def table() -> str:
    """Each setting with its default, who reads it, and its meaning."""
    readers = [reader.value for reader in Reader]
    head = ["Setting", "Default", *readers, "Meaning"]
    rows = [_row(setting) for setting in SETTINGS.values()]
    return reference_pages.table(head, rows)


def with_table(page: str) -> str:
    """The page with the table of the code. Raises ValueError where the page has no place for it."""
    return with_part(page, BEGIN, END, table())


def _row(setting: Setting) -> list[str]:
    default = "required" if setting.required else setting.shown or (f"`{setting.default}`" if setting.default else "")
    read = ["yes" if reader in setting.read_by else "" for reader in Reader]
    return [f"`{setting.name}`", default, *read, setting.meaning]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
