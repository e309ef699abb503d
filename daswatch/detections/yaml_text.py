"""Files of `detections/` and a team's own, which are YAML -> values. Runs when the functions are packaged."""

from __future__ import annotations

from typing import Any

import yaml

# libyaml's: the one in Python takes most of the time of compiling the rules. Not every build of PyYAML has it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(text: str) -> Any:
    """The value of a text with one document. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def read_documents(text: str) -> list[Any]:
    """The values of a text's documents. Raises yaml.YAMLError."""
    return list(yaml.load_all(text, _Loader))
