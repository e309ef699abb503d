"""`aws` as far as the documents use it: `aws <service> <operation> --option value`, on botocore's models.

--query and --output text as the AWS CLI has them, its shorthand for lists of structures, `wait`, `s3 cp --recursive`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name

from daswatch.aws.session import aws_session

_OWN = ("query", "output")


def parsed(arguments: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Words, and options with their values."""
    words: list[str] = []
    options: dict[str, list[str]] = {}
    current: list[str] = words
    for argument in arguments:
        if argument.startswith("--"):
            current = options.setdefault(argument[2:], [])
        else:
            current.append(argument)
    return words, options


def value_of(shape: Any, values: list[str]) -> Any:
    """An option's value by its shape."""
    match shape.type_name:
        case "boolean":
            return True
        case "list" if shape.member.type_name == "structure":
            return [structure(shape.member, value) for value in values]
        case "list":
            return values
        case "integer":
            return int(values[0])
    (value,) = values
    return value


def structure(shape: Any, text: str) -> dict[str, Any]:
    """`Key=a,Other=true`."""
    pairs = dict(part.split("=", 1) for part in text.split(","))
    return {
        name: value == "true" if shape.members[name].type_name == "boolean" else value for name, value in pairs.items()
    }


def text_of(answer: Any) -> str:
    """--output text of a string, or a list of strings."""
    return answer if isinstance(answer, str) else "\t".join(answer)


def call(service: str, operation: str, options: dict[str, list[str]]) -> None:
    client: Any = aws_session().client(service)  # type: ignore[call-overload]
    model = botocore.session.get_session().get_service_model(service)
    if operation == "wait":
        raise SystemExit("aws wait needs the name of what is waited for")
    name = next(one for one in model.operation_names if xform_name(one, "-") == operation)
    shape = model.operation_model(name).input_shape
    members = shape.members if shape else {}
    shapes = {xform_name(one, "-"): (one, member) for one, member in members.items()}
    parameters = {
        shapes[option][0]: value_of(shapes[option][1], values)
        for option, values in options.items()
        if option not in _OWN
    }
    answer = getattr(client, xform_name(name))(**parameters)
    answer.pop("ResponseMetadata", None)
    if query := options.get("query"):
        answer = jmespath.search(query[0], answer)
        if answer is None:
            raise SystemExit("None")
    print(text_of(answer) if options.get("output") == ["text"] else json.dumps(answer, default=str))


def wait(service: str, name: str, options: dict[str, list[str]]) -> None:
    client: Any = aws_session().client(service)  # type: ignore[call-overload]
    parameters = {"".join(part.title() for part in option.split("-")): values[0] for option, values in options.items()}
    client.get_waiter(name.replace("-", "_")).wait(**parameters)


def copy(folder: str, to: str) -> None:
    match = re.fullmatch(r"s3://([^/]+)/(.*)", to)
    if match is None:
        raise SystemExit(f"{to} is not an S3 URI")
    s3 = aws_session().client("s3")
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            s3.upload_file(str(path), match[1], match[2] + path.relative_to(folder).as_posix())


if __name__ == "__main__":
    words, options = parsed(sys.argv[1:])
    match words:
        case ["s3", "cp"]:
            copy(*options["recursive"])
        case [service, "wait", name]:
            wait(service, name, options)
        case [service, operation]:
            call(service, operation, options)
        case _:
            raise SystemExit(f"aws {' '.join(words)} is not known here")
