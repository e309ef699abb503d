"""A real OpenSearch on this machine's loopback, for the demo, the tests and the benchmarks.

    with Node.start() as node:
        client = OpenSearch(node.url)

In: a JDK and Maven (see `demo.opensearch_home`), or a server that OPENSEARCH_URL names. Out: an object with
a `url`. OPENSEARCH_VERSION chooses its version. `python -m demo.opensearch` runs the node alone, in the foreground.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, NoReturn, Self, TypeAlias

import urllib3
from rich.console import Console

from demo.opensearch_home import (
    Account,
    AssemblyFailed,
    Distribution,
    Jdk,
    LocalOpenSearchError,
    MissingTool,
    NotOurNode,
    Release,
    StartFailed,
    UnknownVersion,
    UnusableFolder,
    distribution,
    find_jdk,
    furnish,
    how_it_ended,
    locked,
    make_home,
    unprivileged_account,
    wanted_release,
)

__all__ = [
    "AnyNode",
    "AssemblyFailed",
    "ExternalNode",
    "LocalOpenSearchError",
    "MissingTool",
    "Node",
    "NotOurNode",
    "StartFailed",
    "UnknownVersion",
    "UnusableFolder",
    "node_or_external",
]

LOOPBACK: Final = "127.0.0.1"
CLUSTER_NAME: Final = "daswatch-local"  # and so the name of its log
START_SECONDS: Final = 900.0  # 5 to 6 on two cores; over 300 where thirty programs want them. One that dies ends it
STOP_SECONDS: Final = 30.0  # from SIGTERM to SIGKILL; a clean stop takes under one second
EXTERNAL_SECONDS: Final = 10.0  # for a server that should run already
POLL_SECONDS: Final = 0.1


class Node:
    """A node that we run: one process, one home, one port, from `start` to `close`.

    `stop` and `kill` leave the home in place, so that `restart` finds the same data behind the same URL.
    `close`, and the end of a `with`, stops it and removes a temporary home. A program that is killed with
    SIGKILL leaves its node running.
    """

    def __init__(
        self,
        *,
        home: Path,
        temporary: bool,
        port: PortReservation,
        command: Sequence[str],
        account: Account | None,
    ) -> None:
        self.home = home
        self._temporary = temporary
        self._port = port
        self._command = list(command)
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0  # bytes in the log before this start

    @classmethod
    def start(
        cls,
        home_root: Path | None = None,
        heap_mb: int = 1024,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        deadline: float = START_SECONDS,
        environ: Mapping[str, str] | None = None,
        console: Console | None = None,
        release: Release | None = None,
    ) -> Self:
        """Start a node and wait until it answers.

        `home_root` becomes its home and is kept, so that a later start finds its data; without it the home is
        a temporary folder, removed on `close`. Without `port` a free one is taken. `settings` are more lines
        of opensearch.yml; `deadline` is in seconds; progress goes to `console`, else to stderr. Without `release` it is
        the one that OPENSEARCH_VERSION names. Raises a LocalOpenSearchError; after a StartFailed the home is left for
        its logs.
        """
        environ = os.environ if environ is None else environ
        release = release or wanted_release(environ)
        account = unprivileged_account()
        jdk = find_jdk(environ, account, release=release)
        console = console or Console(stderr=True)
        jars = distribution(environ, jdk, account, console, release)
        if not jars.classes(jdk).exists() and os.access(jars.root, os.W_OK):
            archive_classes(jars, jdk, account, console)
        reserved = PortReservation(port)
        try:
            home = make_home(home_root, account)
        except BaseException:
            reserved.close()
            raise
        node = cls(
            home=home,
            temporary=home_root is None,
            port=reserved,
            command=java_command(jdk, jars, home, heap_mb),
            account=account,
        )
        node._first_start(jars, settings or {}, deadline)
        return node

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def pid(self) -> int | None:
        """Of the running process; None between `stop` or `kill` and `restart`."""
        return self._process.pid if self._process else None

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @property
    def log_file(self) -> Path:
        return self.home / "logs" / f"{CLUSTER_NAME}.log"

    @property
    def console_file(self) -> Path:
        """What the JVM itself prints: a bad option, no memory, a crash before logging works."""
        return self.home / "logs" / "console.log"

    def wait_until_ready(self, deadline: float = START_SECONDS) -> None:
        """Return once it answers and has its primary shards.

        Raises StartFailed if it dies, or after `deadline` seconds.
        """
        until = time.monotonic() + deadline
        process = self._running()
        with self._http() as http:
            while not self._answers(http):
                try:
                    # The pause between two questions, and the watch for its death.
                    code = process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    if time.monotonic() < until:
                        continue
                    raise StartFailed(self._explain(f"did not answer at {self.url} in {deadline:.0f} s")) from None
                raise StartFailed(self._explain(f"died while starting ({how_it_ended(code)})"))

    def wait(self) -> int:
        """Block until the process ends by itself; its return code, negative for a signal."""
        return self._running().wait()

    def stop(self, deadline: float = STOP_SECONDS) -> None:
        """SIGTERM, then SIGKILL if it is still there after `deadline` seconds. Nothing if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL at once, as a crash would end it. Nothing if it does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self, deadline: float = START_SECONDS) -> None:
        """Start again on the same home, port and data, after a stop if it runs; return when it answers."""
        self.stop()
        self._launch(deadline)

    def close(self) -> None:
        """Stop, let go of the port, and remove the home if it was temporary."""
        self.stop()
        self._port.close()
        if self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_start(self, jars: Distribution, settings: Mapping[str, str], deadline: float) -> None:
        """Furnish the home and start. After a StartFailed the home is left for its logs."""
        try:
            furnish(self.home, jars, {**node_settings(self.home, self.port), **settings}, self._account)
            self._launch(deadline)
        except StartFailed:
            self.kill()
            self._port.close()
            raise
        except BaseException:
            self.close()
            raise

    def _launch(self, deadline: float) -> None:
        self._log_begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.console_file.open("wb") as console:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.home,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},  # ours may hold keys, or JAVA_TOOL_OPTIONS
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
                process_group=0,  # Ctrl-C on a terminal is for us, who then stop the node in order
            )
        self.wait_until_ready(deadline)

    def _http(self) -> urllib3.PoolManager:
        """How it is asked whether it is ready."""
        return urllib3.PoolManager(retries=False)

    def _answers(self, http: urllib3.PoolManager) -> bool:
        return is_ready(http, self.url)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise StartFailed("OpenSearch was stopped: call restart()")
        return self._process

    def _explain(self, what: str) -> str:
        log = self.log_file.read_bytes()[self._log_begin :] if self.log_file.exists() else b""
        text = (self.console_file.read_bytes() + log).decode("utf-8", errors="replace")
        return explain(f"OpenSearch {what}", text, self.home / "logs")


class ExternalNode:
    """The server that OPENSEARCH_URL names: used as it is, neither started nor stopped by us."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def wait_until_ready(self, deadline: float = EXTERNAL_SECONDS) -> None:
        """Return once it answers, whatever it says; raise StartFailed after `deadline` seconds."""
        until = time.monotonic() + deadline
        shown = urllib3.util.parse_url(self.url)._replace(auth=None).url  # a password is not for the terminal
        with urllib3.PoolManager(retries=False) as http:
            while True:
                try:
                    http.request("GET", self.url, timeout=deadline)
                    return
                except urllib3.exceptions.HTTPError as exc:
                    if time.monotonic() >= until:
                        raise StartFailed(
                            f"no answer from OPENSEARCH_URL={shown} ({type(exc).__name__}): "
                            "start that server, or unset the variable"
                        ) from exc
                    time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Nothing: it is not ours to stop."""

    def close(self) -> None:
        """Nothing: we hold nothing of it."""

    def kill(self) -> NoReturn:
        raise NotOurNode("OPENSEARCH_URL names a server that is not ours to kill: unset it for a node that is")

    def restart(self, deadline: float = EXTERNAL_SECONDS) -> NoReturn:
        raise NotOurNode("OPENSEARCH_URL names a server that is not ours to restart: unset it for a node that is")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


AnyNode: TypeAlias = Node | ExternalNode


def node_or_external(
    home_root: Path | None = None,
    heap_mb: int = 1024,
    port: int | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    kind: type[Node] = Node,
) -> AnyNode:
    """The server that OPENSEARCH_URL names, else a node that we start. Either answers when it is returned.

    The other arguments are those of `Node.start`; none has an effect on a server that runs already.
    """
    environ = os.environ if environ is None else environ
    if environ.get("OPENSEARCH_URL"):
        external = ExternalNode(environ["OPENSEARCH_URL"])
        external.wait_until_ready()
        return external
    return kind.start(home_root, heap_mb, port, environ=environ)


class PortReservation:
    """A port that stays ours while the node is down.

    The socket is bound and never listens. On Linux another one with SO_REUSEADDR, which OpenSearch sets, can
    listen on the port all the same, and the kernel assigns it to no one who asks for any port: not before the
    node listens, not between `kill` and `restart`. Other systems would refuse OpenSearch, so there the port
    is only tried.
    """

    def __init__(self, port: int | None) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, port or 0))
        except (OSError, OverflowError) as exc:
            self._socket.close()
            raise StartFailed(f"port {port} cannot be had on {LOOPBACK} ({exc}): choose another") from exc
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def close(self) -> None:
        self._socket.close()


def node_settings(home: Path, port: int) -> dict[str, str]:
    """The lines of opensearch.yml: one node, alone, on loopback, indifferent to how full the disk is."""
    return {
        "cluster.name": CLUSTER_NAME,
        "node.name": "local",
        # A JSON string is a YAML string, whatever the path holds.
        "path.data": json.dumps(str(home / "data")),
        "path.logs": json.dumps(str(home / "logs")),
        "network.host": LOOPBACK,
        "http.port": str(port),
        "transport.port": "0",  # any: no other node joins
        "discovery.type": "single-node",
        "bootstrap.memory_lock": "false",
        # A developer's disk is often 90 % full, past which OpenSearch would assign no shard.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        # The serial collector lets garbage stand until the heap is full. A breaker that reads the heap's use counts
        # that and answers 429 although there is room; this one counts what requests reserve.
        "indices.breaker.total.use_real_memory": "false",
        # The message of a monitor is a template of its own; tests have more of them than the 75 of five minutes.
        "script.context.template.max_compilations_rate": "unlimited",
    }


def java_command(jdk: Jdk, jars: Distribution, home: Path, heap_mb: int) -> list[str]:
    """The JVM's command line.

    On two cores the serial collector starts 1 s sooner than G1, indexes as fast and holds 0.4 GB less of a
    1 GiB heap. C1 alone (TieredStopAtLevel=1) would save another second and cost a quarter of the bulk rate.
    """
    classes = jars.classes(jdk)
    archived = classes.exists() and classes.stat().st_size
    return [
        str(jdk.java),
        f"-Xms{heap_mb}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={home / 'logs' / 'jvm-crash.log'}",
        f"-Xbootclasspath/a:{jars.policy_of_the_agent}" if jars.release.has_agent else "-Djava.security.manager=allow",
        *([f"-XX:SharedArchiveFile={classes}", "-Xlog:cds=off"] if archived else []),
        "--enable-native-access=ALL-UNNAMED",
        "--add-modules=jdk.incubator.vector",
        f"-Djava.io.tmpdir={home / 'tmp'}",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        "-Dlog4j2.disable.jmx=true",
        "-Dlog4j.shutdownHookEnabled=false",  # or a stop is not logged: OpenSearch ends logging itself
        "-Dopensearch.distribution.type=tar",
        f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={home / 'config'}",
        "-cp",
        f"{jars.lib}/*",
        "org.opensearch.bootstrap.OpenSearch",
    ]


def archive_classes(jars: Distribution, jdk: Jdk, account: Account | None, console: Console) -> None:
    """Start a node once, and keep the classes that it has loaded: a later start has them read, checked and linked.

    Halves the processor time of a start. Safe against a second process that starts now. Raises as `Node.start` does.
    """
    classes = jars.classes(jdk)
    with locked(jars.root.parent, console):
        if classes.exists():
            return
        console.print("OpenSearch: starting it once to archive its classes", highlight=False)
        home = make_home(None, account)
        written = home / classes.name
        reserved = PortReservation(None)
        java, *options = java_command(jdk, jars, home, heap_mb=512)
        node = Node(
            home=home,
            temporary=True,
            port=reserved,
            command=[java, f"-XX:ArchiveClassesAtExit={written}", *options],
            account=account,
        )
        node._first_start(jars, {}, START_SECONDS)
        try:
            node.stop(START_SECONDS)  # which writes it
            building = classes.with_suffix(".building")
            if written.exists():
                shutil.copyfile(written, building)
            else:
                building.touch()
            building.rename(classes)
        finally:
            node.close()


def is_ready(http: urllib3.PoolManager, url: str) -> bool:
    """Whether the node answers and has all its primary shards; asking it waits up to a second for them."""
    try:
        reply = http.request("GET", f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5.0)
    except urllib3.exceptions.HTTPError:
        return False
    return reply.status == HTTPStatus.OK


LOG_LINES: Final = 10  # that an error quotes
LOG_LINE_CHARACTERS: Final = 300

# What a log says, and what its reader should do; the first that is found counts.
ADVICE: Final = (
    ("Could not reserve enough space", "ask for less heap"),
    ("insufficient memory", "ask for less heap"),
    ("Too small maximum heap", "ask for more heap"),
    ("OutOfMemoryError", "ask for more heap"),
    ("BindHttpException", "another program has the port, choose another"),
    ("failed to obtain node lock", "another node runs on this folder, stop it or choose another"),
    ("SIGKILL", "most likely the system ran out of memory, ask for less heap"),
    ("did not answer", "it may be slow here, allow it more time"),
)


def explain(what: str, log: str, folder: Path) -> str:
    """The text of a StartFailed: what happened, what to do, and the lines of the log with the cause."""
    relevant = [line for line in log.splitlines() if is_relevant(line)]
    loud = [line for line in relevant if "[INFO ]" not in line and "[WARN ]" not in line]
    reason = "\n".join([what, *loud])  # not the rest, where the JVM's own options name OutOfMemoryError
    advice = next((advice for sign, advice in ADVICE if sign in reason), "see its log for the reason")
    quoted = [line[:LOG_LINE_CHARACTERS] for line in (loud or relevant)[-LOG_LINES:]]
    return "\n".join([f"{what}: {advice}. Its logs are in {folder} and end with:", *quoted])


def is_relevant(line: str) -> bool:
    """Not empty, no stack frame, none of the JVM's habitual warnings."""
    return bool(line.strip()) and not line.lstrip().startswith(("at ", "... ", "WARNING: "))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node until Ctrl-C or SIGTERM, which is exit 0; exit 1 with the reason where it cannot or dies."""
    parser = argparse.ArgumentParser(prog="python -m demo.opensearch", description="OpenSearch on this machine.")
    parser.add_argument("--port", type=int, default=9200, help="default 9200; 0 takes a free one")
    parser.add_argument("--heap-mb", type=int, default=1024, help="JVM heap in MiB, default 1024")
    parser.add_argument("--data", type=Path, metavar="DIR", help="home to keep; default: temporary, removed at the end")
    options = parser.parse_args(argv)

    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to survive the terminal
        ending.append(signal.SIGHUP)

    def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
        for sign in ending:  # impatience must not cut the orderly stop short, which is bounded
            signal.signal(sign, signal.SIG_IGN)
        raise KeyboardInterrupt

    for sign in ending:
        signal.signal(sign, interrupt)
    try:
        with Node.start(options.data, options.heap_mb, options.port) as node:
            print(f"OpenSearch: {node.url} (pid {node.pid}, log {node.log_file}), Ctrl-C stops it", flush=True)
            ended = node.wait()
        print(f"OpenSearch ended by itself ({how_it_ended(ended)})", file=sys.stderr)
    except LocalOpenSearchError as exc:
        print(exc, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
