"""Lambda around an artifact: its Runtime API on loopback, and a process that has nothing but the artifact.

The process runs AWS's own runtime client, awslambdaric, which on Lambda is part of the runtime. It lies in a folder of
its own, behind the artifact's, as /var/runtime lies behind /var/task.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import files
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Literal, Self

from demo.aws import REGION
from demo.rds import ACCOUNT_ID

_VERSION = "/2018-06-01/runtime"
_RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")
_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.1

# Runs a handler as /var/runtime/bootstrap does; at the end it writes where every module came from.
_BOOTSTRAP = """
import atexit, json, sys

task, runtime, shown, handler = sys.argv[1:]
before = list(sys.path)

def write():
    modules = {name: getattr(one, "__file__", None) for name, one in list(sys.modules.items())}
    with open(shown, "w") as file:
        json.dump({"path": before, "modules": modules}, file)

atexit.register(write)
sys.path[:0] = [task]
sys.path.append(runtime)
from awslambdaric.__main__ import main
main(["bootstrap", handler])
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runtime client posted: the function's answer, or its error."""

    kind: Literal["response", "error", "init error"]
    body: Any


@dataclass(frozen=True, slots=True)
class _Invocation:
    request_id: str
    event: bytes


class RuntimeApi:
    """Lambda's Runtime API for one process: an invocation at a time."""

    def __init__(self, function_name: str) -> None:
        self.function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function_name}"
        self._waiting: queue.Queue[_Invocation | None] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API has them."""
        return f"127.0.0.1:{self._server.server_port}"

    def put(self, event: Any) -> None:
        """The next invocation."""
        self._waiting.put(_Invocation(str(uuid.uuid4()), json.dumps(event).encode()))

    def end(self) -> None:
        """No more invocations: the next call for one fails."""
        self._waiting.put(None)

    def close(self) -> None:
        self.end()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                invocation = api._waiting.get() if self.path == f"{_VERSION}/invocation/next" else None
                if invocation is None:
                    self._answer(403, {}, b"{}")
                    return
                deadline = round((time.time() + _TIMEOUT_SECONDS) * 1000)
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(deadline),
                    "Lambda-Runtime-Invoked-Function-Arn": api.function_arn,
                    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                }
                self._answer(200, headers, invocation.event)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == f"{_VERSION}/init/error":
                    api.answers.put(Answer("init error", body))
                elif self.path.endswith("/response"):
                    api.answers.put(Answer("response", body))
                else:
                    api.answers.put(Answer("error", body))
                self._answer(202, {}, b'{"status": "OK"}')

            def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class Lambda:
    """One function's artifact, unpacked and running alone."""

    def __init__(
        self,
        artifact: Path,
        handler: str,
        settings: Mapping[str, str],
        folder: Path,
        runtime: Path,
        python: str = sys.executable,
    ) -> None:
        self.task = folder / "task"
        self._runtime = runtime
        self._modules = folder / "modules.json"
        self._output = folder / "output"
        with zipfile.ZipFile(artifact) as archive:
            archive.extractall(self.task)
        name = handler.partition(".")[0]
        self.api = RuntimeApi(name)
        # All that the process has of an environment. -I and -S: neither this machine's site-packages nor its user's.
        environment = {
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LAMBDA_TASK_ROOT": str(self.task),
            "LANG": "en_US.UTF-8",
            **settings,
        }
        paths = (str(self.task), str(self._runtime), str(self._modules))
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [python, "-I", "-S", "-B", "-c", _BOOTSTRAP, *paths, handler],
                cwd=self.task,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def invoke(self, event: Any) -> Answer:
        """What the function answers to an event. Fails where the process ends without."""
        self.api.put(event)
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                return self.api.answers.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                assert self._process.poll() is None, f"the process has ended:\n{self.output}"
        raise AssertionError(f"no answer within {_TIMEOUT_SECONDS} s:\n{self.output}")

    def end(self) -> dict[str, Any]:
        """End the process; where it had searched for modules before, and each module's file."""
        self.api.end()
        self._process.wait(_TIMEOUT_SECONDS)
        shown: dict[str, Any] = json.loads(self._modules.read_text("utf-8"))
        return shown

    @property
    def output(self) -> str:
        """What the process printed."""
        return self._output.read_text("utf-8", "replace")

    @property
    def log(self) -> dict[str, Any]:
        """The line about the last invocation."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return next(line for line in reversed(lines) if "request_id" in line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(_TIMEOUT_SECONDS)
        self.api.close()


def runtime_client(folder: Path) -> Path:
    """AWS's runtime client and what it needs, alone in a folder."""
    for distribution in _RUNTIME:
        found = files(distribution)
        assert found, f"{distribution} has no list of its files"
        for file in found:
            path = PurePosixPath(file)
            if ".." not in path.parts and path.suffix in (".py", ".so"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), folder / path)
    return folder
