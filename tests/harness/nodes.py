"""Nodes for tests that do more to them than ask: one that starts quickly, and three that are one cluster.

    with cluster() as three:
        OpenSearch(three.url)            # a round-robin endpoint, as that of a domain
        three.of_primary(index).kill()   # and `restart`
        three.part(member)               # packets between it and the others are dropped, until `heal`

`python -m tests.harness.nodes` runs three in the foreground, for tests that get their URL in OPENSEARCH_URL. All
addresses are on loopback. Between the nodes each connection passes a `Route`, which knows by its process who opened it:
that takes Linux.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import urllib3

from demo.opensearch import LOOPBACK, Node, PortReservation
from tests.fakes.relay import Relay, close, pump

HEAP_MB: Final = 512
MEMBERS: Final = 3
# For states that come within seconds: past this, they do not come.
STATE_SECONDS: Final = 900.0
POLL_SECONDS: Final = 0.2
# Of a node that does not answer the others: 30 s with OpenSearch's own settings. One that is only slow passes.
FAULT_DETECTION: Final[Mapping[str, str]] = {
    f"cluster.fault_detection.{check}.{setting}": value
    for check in ("follower_check", "leader_check")
    for setting, value in (("timeout", "5s"), ("retry_count", "2"))
}


class QuickNode(Node):
    """A node that compiles with C1 alone: a start takes half the processor time, and there are many.

    What tests ask is too varied for C2's work to pay within minutes.
    """

    def __init__(self, *, command: Sequence[str], **others: Any) -> None:
        java, *options = command
        super().__init__(command=[java, "-XX:TieredStopAtLevel=1", *options], **others)


class MemberNode(QuickNode):
    """A node that is ready when it has a cluster manager: indices of a test may have lost their shards."""

    def _answers(self, http: urllib3.PoolManager) -> bool:
        try:
            return http.request("GET", f"{self.url}/_cluster/health?timeout=1s", timeout=5.0).status == HTTPStatus.OK
        except urllib3.exceptions.HTTPError:
            return False


class Route:
    """The way to one node's transport port; connections that some processes opened can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._passing: dict[int, tuple[socket.socket, socket.socket]] = {}  # by the port of the process that opened it
        self._lying: list[socket.socket] = []
        self._cut: frozenset[int] = frozenset()
        threading.Thread(target=self._accept, daemon=True, name="route").start()

    def cut(self, processes: Collection[int]) -> None:
        """End their connections; what they open from now on is accepted, and nothing comes back. Of none: heal."""
        with self._lock:
            self._cut = frozenset(processes)
            for one in self._lying:
                close(one)
            self._lying = []
            if processes:
                for port, ends in self._passing.items():
                    if opener(port, processes):
                        for one in ends:
                            close(one)

    def _accept(self) -> None:
        while True:
            try:
                client, peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, peer[1]), daemon=True).start()

    def _serve(self, client: socket.socket, port: int) -> None:
        with self._lock:
            if self._cut and opener(port, self._cut):
                self._lying.append(client)
                return
            try:
                server = socket.create_connection((LOOPBACK, self._port))
            except OSError:
                close(client)
                return
            self._passing[port] = client, server
        threading.Thread(target=pump, args=(server, client), daemon=True).start()
        pump(client, server)
        with self._lock:
            if self._passing.get(port) == (client, server):
                del self._passing[port]

    def close(self) -> None:
        close(self._listener)
        with self._lock:
            for one in [*self._lying, *(end for ends in self._passing.values() for end in ends)]:
                close(one)


def opener(port: int, processes: Collection[int]) -> bool:
    """Whether one of these processes has a socket on that port of loopback."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in processes:
        try:
            descriptors = list(Path(f"/proc/{process}/fd").iterdir())
        except OSError:
            continue  # it has ended
        for descriptor in descriptors:
            try:
                if os.readlink(descriptor) in inodes:
                    return True
            except OSError:
                continue  # closed since it was listed
    return False


@dataclass
class Member:
    """One of the nodes."""

    name: str
    transport: PortReservation
    route: Route
    node: MemberNode = field(init=False)
    paused: bool = False

    def start(self, seeds: str, names: str, heap_mb: int, settings: Mapping[str, str]) -> None:
        """Returns once the cluster has formed."""
        self.node = MemberNode.start(
            heap_mb=heap_mb,
            settings={
                "node.name": self.name,
                "discovery.type": "zen",
                "discovery.seed_hosts": seeds,
                "cluster.initial_cluster_manager_nodes": names,
                "transport.port": str(self.transport.number),
                "transport.publish_port": str(self.route.port),
                **settings,
            },
            deadline=STATE_SECONDS,
        )

    @property
    def is_up(self) -> bool:
        """Whether it can answer."""
        return self.node.pid is not None and not self.paused

    def kill(self) -> None:
        """SIGKILL."""
        self.node.kill()

    def restart(self) -> None:
        """After a SIGTERM where it runs; returns when it answers and knows its cluster."""
        self.node.restart(STATE_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and nothing comes back."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def go_on(self) -> None:
        """SIGCONT."""
        if self.paused:
            self._signal(signal.SIGCONT)
            self.paused = False

    def _signal(self, number: signal.Signals) -> None:
        if self.node.pid is not None:
            os.kill(self.node.pid, number)

    def close(self) -> None:
        self.go_on()
        if hasattr(self, "node"):
            self.node.close()
        self.route.close()
        self.transport.close()


class Cluster:
    """Three nodes, and an endpoint that sends each connection to the next one that takes it."""

    def __init__(self, members: Sequence[Member], endpoint: Relay) -> None:
        self.members = members
        self._endpoint = endpoint
        self.url = endpoint.url

    def ask(self, path: str, method: str = "GET", body: Any = None, of: Member | None = None) -> Any:
        """A running node's answer; an error's as well."""
        asked = of or next(member for member in self.members if member.is_up)
        reply = urllib3.request(method, asked.node.url + path, json=body, retries=False, timeout=60.0)
        return reply.json() if reply.data else None

    def primary(self, index: str, of: Member | None = None) -> Member | None:
        """The member whose copy of an index of one shard is the primary, as far as one of them knows."""
        return self._holder(index, "p", of)

    def of_primary(self, index: str) -> Member:
        """The same, where there must be one."""
        return self._there(self.primary(index))

    def of_replica(self, index: str) -> Member:
        """The member with the other copy."""
        return self._there(self._holder(index, "r", None))

    def manager(self) -> Member:
        """The elected cluster manager."""
        (found,) = self.ask("/_cat/cluster_manager?format=json")
        return self._named(found["node"])

    def wait_for(self, state: Callable[[], bool], what: str) -> None:
        """Ask again until it is so. A node may not answer for a while."""
        until = time.monotonic() + STATE_SECONDS
        while True:
            try:
                if state():
                    return
            except (urllib3.exceptions.HTTPError, KeyError, TypeError, ValueError):
                pass  # it has no manager, or is about to end
            assert time.monotonic() < until, f"not {what} after {STATE_SECONDS:.0f} s"
            time.sleep(POLL_SECONDS)

    def wait_for_green(self, index: str) -> None:
        """All members are there, and have all copies of an index."""
        path = f"/_cluster/health/{index}?filter_path=status,number_of_nodes"
        green = {"status": "green", "number_of_nodes": MEMBERS}
        self.wait_for(lambda: self.ask(path) == green, "green")

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings of the cluster; None is the default."""
        assert self.ask("/_cluster/settings", "PUT", {"persistent": settings}).get("acknowledged")

    def recover(self) -> None:
        """All members run and reach each other."""
        self.heal()
        for member in self.members:
            member.go_on()
            if not member.is_up:
                member.restart()

    def part(self, member: Member) -> None:
        """Drop all packets between a member and the others; the endpoint reaches that one alone."""
        own = frozenset({member.node.pid or 0})
        for other in self.members:
            other.route.cut(self.pids() - own if other is member else own)
        self._endpoint.answer_from([member.node.url])

    def heal(self) -> None:
        """Undo that."""
        for member in self.members:
            member.route.cut(())
        self._endpoint.answer_from([member.node.url for member in self.members])

    def pids(self) -> frozenset[int]:
        """The processes."""
        return frozenset(member.node.pid for member in self.members if member.node.pid is not None)

    def _holder(self, index: str, role: str, of: Member | None) -> Member | None:
        shards = self.ask(f"/_cat/shards/{index}?format=json&h=prirep,state,node", of=of)
        # One that moves is "from -> to".
        held = [one["node"].split()[0] for one in shards if one["prirep"] == role and one["node"]]
        return self._named(held[0]) if held else None

    def _named(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name)

    def _there(self, member: Member | None) -> Member:
        assert member is not None, "no node has that copy"
        return member


@contextmanager
def cluster(heap_mb: int = HEAP_MB, settings: Mapping[str, str] = FAULT_DETECTION) -> Iterator[Cluster]:
    """Three nodes that have found each other."""
    with ExitStack() as stack:
        members = []
        for number in range(MEMBERS):
            transport = PortReservation(None)
            member = Member(f"node-{number}", transport, Route(transport.number))
            stack.callback(member.close)
            members.append(member)
        seeds = ",".join(f"{LOOPBACK}:{member.route.port}" for member in members)
        names = ",".join(member.name for member in members)
        with ThreadPoolExecutor(MEMBERS) as pool:
            for started in [pool.submit(member.start, seeds, names, heap_mb, settings) for member in members]:
                started.result()
        endpoint = stack.enter_context(Relay(*(member.node.url for member in members)))
        running = Cluster(members, endpoint)
        running.wait_for(lambda: running.ask("/_cluster/health")["number_of_nodes"] == MEMBERS, "three nodes")
        yield running


def main() -> None:
    """Run three nodes for the whole suite until Ctrl-C: with more heap, and with OpenSearch's own patience."""
    with cluster(1024, {}) as three:
        print(f"three nodes: OPENSEARCH_URL={three.url}, Ctrl-C stops them", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
