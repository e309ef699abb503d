"""Words that make a text hard to read, looked for in everything that is written: code, documents, rules, templates.

python -m tools.language   # names each place; exit code 1 where there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SUFFIXES = {".json", ".md", ".py", ".tf", ".yaml", ".yml"}
# A word, what to write instead.
_WORDS = {
    r"(?<!\.)tells?|told|telling|untold": "report, record, log, return, notify, show, name",
    r"somebody|whoever": "the actor (a user, an operator, AWS), or the passive",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again, from scratch",
    r"graver|gravest": "more severe, most severe",
    r"beside": "alongside, next to, in addition to",
}
_PATTERN = re.compile("|".join(rf"\b(?P<w{number}>{words})\b" for number, words in enumerate(_WORDS)), re.IGNORECASE)
_NOT_OURS = {"__pycache__", "build", "dist", "node_modules"}
_EXEMPT = ("tests/corpus/", "tests/tools/test_language.py", "tools/language.py")  # other people's words, and these


def problems(text: str) -> Iterator[tuple[int, str, str]]:
    """The line, the word, and what to write instead."""
    advice = list(_WORDS.values())
    for number, line in enumerate(text.splitlines(), 1):
        for match in _PATTERN.finditer(line.replace("_", " ")):
            yield number, match[0], advice[int((match.lastgroup or "w0")[1:])]


def files(root: Path) -> Iterator[Path]:
    """What is written in a tree: neither environments and caches, nor what is built."""
    for path in sorted(root.iterdir()):
        if path.name in _NOT_OURS or (path.name.startswith(".") and path.name != ".github"):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix in _SUFFIXES and not path.relative_to(ROOT).as_posix().startswith(_EXEMPT):
            yield path


def main() -> int:
    """Check every file of the project."""
    found = 0
    for path in files(ROOT):
        for number, word, instead in problems(path.read_text("utf-8")):
            found += 1
            print(f"{path.relative_to(ROOT)}:{number}: {word!r}: write {instead}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
