"""The ingest function in a process of its own, as in one of Lambda's execution environments.

Reads one JSON line for each invocation from standard input, `{"records": […], "remaining_ms": …}`, and writes the
handler's answer as one line; before the first, the line `"ready"`. Its own output goes to standard error.
It may be killed at any moment: what it did not answer has to be delivered again.
"""

from __future__ import annotations

import os
import sys

import orjson

from demo.stream import InvocationContext
from ingest_lambda.handler import handler


def main() -> None:
    """Answer invocations until the input ends."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as answers:
        sys.stdout = sys.stderr
        answers.write(b'"ready"\n')
        for line in sys.stdin.buffer:
            invocation = orjson.loads(line)
            answer = handler(
                {"Records": invocation["records"]}, InvocationContext(remaining_ms=invocation["remaining_ms"])
            )
            answers.write(orjson.dumps(answer) + b"\n")


if __name__ == "__main__":
    main()
