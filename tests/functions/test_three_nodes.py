"""Three nodes in one cluster: what ends, stops, fills up or is cut off from the others while events are ingested.

Each test waits for states of the cluster, not for a time. Lambda's part is played as in `test_faults`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest

from daswatch.evidence import run
from demo.aws import LocalAws
from demo.ledger import LedgerEntry
from demo.traffic import produce
from tests.fakes.clock import RealClock
from tests.fakes.proxy import Proxy, bulk, sequence
from tests.harness.faults import Batch, assert_ledger_equals_index, function_on, left_after, sealed_batches
from tests.harness.ingest import IngestFunction
from tests.harness.kills import MOMENTS, KilledNodes, Killer, killing
from tests.harness.nodes import STATE_SECONDS, Cluster, Member, cluster
from tests.harness.replay import Evidence

pytestmark = [pytest.mark.node, pytest.mark.cluster]

SEED = 20_310_305
NOON = datetime(2031, 3, 5, 12, 0, tzinfo=UTC)  # hours from another day, and so from another index
RECORDS = 200  # of a batch of all databases
# Whose node is killed, and when a bulk request has come, is on its way, or was taken.
KILLS = (("primary", "during"), ("manager", "before"), ("random", "after"), ("primary", "after"))
DELIVERIES = 500
BETWEEN_BATCHES_SECONDS = 0.3  # leaves a node that starts its part of the processor
# Of one invocation. A node that hangs takes it all, so that the next delivery may meet another one.
REMAINING_MS = 12_000
FEW = 4
OBJECTS = 8  # that each replay finds new: one kill at least


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


class Ingesting:
    """The ingest function at a cluster, its stream, and the ledger of what was delivered."""

    def __init__(self, function: IngestFunction, three: Cluster) -> None:
        self.function = function
        self.three = three
        self.batches = sealed_batches(function, produce(SEED, NOON, 1_000_000), RECORDS)
        self.entries: list[LedgerEntry] = []
        self.invocations = self.redelivered = 0
        self.log: dict[str, Any] = {}

    @property
    def index(self) -> str:
        return f"{self.function.prefix}-{NOON:%Y.%m.%d}"

    def next(self) -> Batch:
        """The next batch, which is in the ledger from now on."""
        batch = next(self.batches)
        self.entries += batch.entries
        return batch

    def invoke(self, records: Sequence[dict[str, Any]], remaining_ms: int = REMAINING_MS) -> Sequence[dict[str, Any]]:
        """Deliver records once; those that are to be delivered again."""
        left = left_after(self.function.invoke(*records, remaining_ms=remaining_ms), records)
        self.log, self.function.printed = self.function.log, ""
        self.invocations += 1
        self.redelivered += bool(left)
        return left

    def deliver(self, records: Sequence[dict[str, Any]]) -> None:
        """Deliver records until none is left."""
        left: Sequence[dict[str, Any]] = records
        for _ in range(DELIVERIES):
            if not left:
                return
            left = self.invoke(left)
        raise AssertionError(f"{len(left)} records are left after {DELIVERIES} deliveries")

    def deliver_while(self, going_on: Future[None]) -> None:
        """Deliver new batches, one at least, until it is done."""
        while True:
            self.deliver(self.next().records)
            if wait([going_on], BETWEEN_BATCHES_SECONDS).done:
                return going_on.result()

    def finish(self) -> None:
        """All copies are there, and hold what the ledger says."""
        self.three.wait_for_green(self.index)
        note = f"{self.invocations} invocations, {self.redelivered} of them delivered again"
        assert_ledger_equals_index(self.entries, self.function, note)
        assert not self.function.search.indices.exists(index=self.function.indices.dead_letters)


@pytest.fixture
def ingesting(
    three: Cluster,
    aws: LocalAws,
    kms_key_id: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Ingesting]:
    """Two batches are in the index, whose copies are there."""
    with function_on(three.url, aws, kms_key_id, monkeypatch, capsys) as function:
        function.clock = RealClock()  # nodes take real time
        running = Ingesting(function, three)
        for _ in range(2):
            running.deliver(running.next().records)
        three.wait_for_green(running.index)
        yield running
        three.recover()
        three.wait_for_green(running.index)
        function.close()


def test_killed_nodes_lose_and_double_nothing(ingesting: Ingesting, three: Cluster) -> None:
    random = Random(SEED)
    with Proxy(three.url) as proxy, ThreadPoolExecutor(1) as restarts:
        ingesting.function.configure(OPENSEARCH_ENDPOINT=proxy.url)
        for number, (role, moment) in enumerate(KILLS):
            victim = three.manager() if role == "manager" else random.choice(three.members)
            if role == "primary":
                victim = three.primary(ingesting.index) or victim
            killed = Event()
            proxy.on(bulk, sequence(killing(victim, moment, killed)))
            restarts.submit(killed.wait, STATE_SECONDS)
            ingesting.deliver_while(restarts.submit(victim.restart))
            assert killed.is_set()
            if number % 2:  # else the next one is killed while copies are made
                three.wait_for_green(ingesting.index)
        proxy.behave()
        ingesting.finish()


def test_replay_outlives_killed_nodes(
    ingesting: Ingesting, three: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node of a primary, the cluster manager and any node end, each at a random write of a replay."""
    monkeypatch.setattr(run, "_NOTE_SECONDS", 0.0)
    random = Random(SEED)
    evidence = Evidence.empty(ingesting.function, tmp_path)
    roles, moments = (random.sample(all_, len(all_)) for all_ in (("primary", "manager", "random"), MOMENTS))

    def chosen() -> Member:
        role = roles.pop()
        if role == "manager":
            return three.manager()
        return (three.primary(ingesting.index) if role == "primary" else None) or random.choice(three.members)

    def wait_until_up() -> None:
        nodes.wait_until_up()
        three.wait_for_green(f"{ingesting.function.indices.stem}-*")

    with Proxy(three.url) as proxy, ThreadPoolExecutor(1) as restarts:
        ingesting.function.configure(OPENSEARCH_ENDPOINT=proxy.url)
        killer = Killer(proxy, random, moments, most_between=OBJECTS, kind=bulk)
        nodes = KilledNodes(killer, chosen, restarts)
        while killer.left:
            for _ in range(OBJECTS):
                batch = ingesting.next()
                evidence.archive(batch.records, batch.database)
            evidence.replayed_through(wait_until_up, most=len(MOMENTS) + 1)

    ingesting.finish()


def test_isolated_primary_acknowledges_nothing(ingesting: Ingesting, three: Cluster) -> None:
    """The function reaches a primary alone whose cluster goes on without it; a second delivery finds its documents."""
    isolated, waiting = three.of_primary(ingesting.index), ingesting.next().records
    others = [member for member in three.members if member is not isolated]

    three.part(isolated)
    acknowledged = []
    for _ in range(2):
        assert ingesting.invoke(waiting)
        acknowledged.append(ingesting.log["written"] + ingesting.log["already_there"])
    three.wait_for(
        lambda: three.primary(ingesting.index, of=others[0]) in others, "a primary among the nodes that are together"
    )
    three.heal()

    assert acknowledged == [0, 0]
    ingesting.deliver(waiting)
    ingesting.finish()


def test_primary_that_hangs_is_replaced(ingesting: Ingesting, three: Cluster) -> None:
    """Its connections stay. Then it goes on, and learns what happened."""
    hanging = three.of_primary(ingesting.index)
    hanging.pause()
    with ThreadPoolExecutor(1) as pool:
        replaced = pool.submit(
            three.wait_for, lambda: three.primary(ingesting.index) not in (None, hanging), "another primary"
        )
        ingesting.deliver_while(replaced)
    hanging.go_on()
    ingesting.deliver(ingesting.next().records)
    ingesting.finish()


def test_full_disks_block_until_there_is_room(ingesting: Ingesting, three: Cluster) -> None:
    """OpenSearch sets the block itself, and lifts it; the answer is 429."""
    path = f"/{ingesting.index}/_settings?flat_settings=true"

    def is_blocked() -> bool:
        settings = three.ask(path)[ingesting.index]["settings"]
        return bool(settings.get("index.blocks.read_only_allow_delete") == "true")

    three.configure({"cluster.info.update.interval": "10s", **disks("100000tb", enabled=True)})
    three.wait_for(is_blocked, "blocked")
    left = ingesting.invoke(ingesting.next().records)
    cause = ingesting.log["cause"]
    three.configure(disks("1kb", enabled=True))
    three.wait_for(lambda: not is_blocked(), "free again")
    three.configure({"cluster.info.update.interval": None, **disks(None, enabled=None)})

    assert left
    assert "cluster_block_exception" in cause
    assert ingesting.log["bulk_requests"] < FEW, "it is not asked again and again"
    ingesting.deliver(left)
    ingesting.finish()


def disks(free: str | None, *, enabled: bool | None) -> dict[str, Any]:
    """Settings under which a disk with less room than that is full."""
    disk = "cluster.routing.allocation.disk"
    levels = {f"{disk}.watermark.{level}": free for level in ("low", "high", "flood_stage")}
    return {f"{disk}.threshold_enabled": enabled, **levels}


def test_rolling_restart_loses_nothing(ingesting: Ingesting, three: Cluster) -> None:
    def roll() -> None:
        for member in three.members:
            member.restart()
            three.wait_for_green(ingesting.index)

    with ThreadPoolExecutor(1) as pool:
        ingesting.deliver_while(pool.submit(roll))
    ingesting.finish()


def test_acknowledged_events_survive_a_lost_disk(ingesting: Ingesting, three: Cluster) -> None:
    """A replica's node ends, what comes then is acknowledged, and the primary's node ends with its disk.

    The shipped templates have three copies, and as many as are there acknowledge a write.
    """
    index = ingesting.index
    primary, replica = three.of_primary(index), three.of_replica(index)

    replica.kill()
    ingesting.deliver(ingesting.next().records)
    written = ingesting.log["written"]
    primary.kill()
    shutil.rmtree(primary.node.data_dir / "nodes")
    replica.restart()
    primary.restart()
    three.wait_for_green(index)

    assert written > 0
    assert three.of_primary(index) not in (primary, replica)
    ingesting.finish()
