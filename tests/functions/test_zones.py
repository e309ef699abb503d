"""Copies of indices on a real node of a domain whose zones are forced and balanced, as Multi-AZ with Standby has them.

Such a domain refuses every index whose copies are not a multiple of its zones, whatever the number of nodes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.content.templates import shipped_content
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway
from demo.aws import DEAD_LETTER_BUCKET, LocalAws
from demo.opensearch import AnyNode, Node
from tests.builders.events import postgresql_event
from tests.fakes.clock import Clock
from tests.harness.ingest import IngestFunction
from tests.harness.installed import remove
from tests.harness.nodes import QuickNode

pytestmark = [pytest.mark.node, pytest.mark.versions]

THREE_ZONES = {
    "node.attr.zone": "a",
    "cluster.routing.allocation.awareness.attributes": "zone",
    "cluster.routing.allocation.awareness.force.zone.values": "a,b,c",
    "cluster.routing.allocation.awareness.balance": "true",
}

DEFAULT_REPLICAS = "cluster.default_number_of_replicas"


@pytest.fixture(scope="module")
def zoned() -> Iterator[Node]:
    """One node of three zones, whose default is a replica in each of the others: else it could not create any index."""
    with QuickNode.start(heap_mb=512, settings=THREE_ZONES) as running:
        client = OpenSearch(running.url)
        client.cluster.put_settings(body={"persistent": {DEFAULT_REPLICAS: 2}})  # not heeded in opensearch.yml
        client.close()
        yield running


@pytest.fixture(params=["one node", "three zones"])
def place(request: pytest.FixtureRequest) -> AnyNode:
    """Each of the two domains."""
    name = "node" if request.param == "one node" else "zoned"
    found: AnyNode = request.getfixturevalue(name)
    return found


@pytest.fixture
def function(
    place: AnyNode,
    aws: LocalAws,
    kms_key_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[IngestFunction]:
    """The ingest function at a domain on which nothing is installed."""
    client = OpenSearch(place.url, timeout=60)
    running = IngestFunction(place.url, aws, kms_key_id, client, secrets.token_hex(6), monkeypatch, capsys)
    running.indices = Indices(f"t-{running.name}-events")
    running.configure(
        OPENSEARCH_ENDPOINT=place.url,
        OPENSEARCH_AUTH="none",
        DEAD_LETTER_BUCKET=DEAD_LETTER_BUCKET,
        INDEX_PREFIX=running.prefix,
        **aws.environment,
    )
    monkeypatch.chdir(tmp_path)
    yield running
    remove(client, running.prefix)
    client.close()


def setup(*options: str) -> Result:
    return CliRunner().invoke(app, ["setup", "--no-dashboards", "--no-monitors", *options], env={"COLUMNS": "400"})


def health(function: IngestFunction) -> dict[str, Any]:
    """Of the indices of one deployment."""
    found: dict[str, Any] = function.search.cluster.health(index=f"{function.indices.stem}-*")
    return found


def test_default_copies_are_green_and_usable(function: IngestFunction) -> None:
    installed = setup()
    assert installed.exit_code == 0, installed.output

    waiting = function.invoke(function.record([postgresql_event()]), function.delivered(b"no envelope"))
    assert waiting == [], function.log["cause"]

    assert (len(function.documents()), len(function.dead_letters()), len(function.pulses())) == (1, 1, 1)
    assert (health(function)["status"], health(function)["unassigned_shards"]) == ("green", 0)
    assert setup("--output", "json").exit_code == 0


def test_domains_own_replicas_are_taken(function: IngestFunction) -> None:
    """Usable, and yellow where the domain wants more copies than it has nodes."""
    assert setup("--replicas", "domain").exit_code == 0

    assert function.invoke(function.record([postgresql_event()])) == []
    assert len(function.documents()) == 1
    assert health(function)["status"] == "yellow"


@pytest.mark.parametrize("place", ["three zones"], indirect=True)
def test_refused_replicas_show_opensearchs_sentence(function: IngestFunction) -> None:
    """Two copies in three zones: setup says why in OpenSearch's own words, and installs nothing that needs them."""
    answer = setup("--replicas", "1")

    assert answer.exit_code == 1
    assert "expected total copies needs to be a multiple of total awareness attributes [3]" in answer.output
    assert "illegal_argument_exception" in answer.output or "invalid_index_template_exception" in answer.output


@pytest.mark.parametrize("place", ["three zones"], indirect=True)
def test_earlier_templates_were_refused(function: IngestFunction) -> None:
    """The fault that the defaults are for: up to one replica is refused by such a domain."""
    shipped = shipped_content(function.prefix)
    copies = next(one for one in shipped if one.name.endswith("-copies"))
    earlier = replace(copies, body={"template": {"settings": {"index": {"auto_expand_replicas": "0-1"}}}})

    with pytest.raises(Exception, match="expected max cap on auto expand to be a multiple of total awareness"):
        ContentGateway(function.search).install_all([earlier])


class Jumping(Clock):
    """Two attempts, however long OpenSearch waits for copies."""

    def sleep(self, seconds: float, /) -> None:
        super().sleep(seconds + 30.0)


@pytest.mark.parametrize("place", ["one node"], indirect=True)
def test_missing_copies_are_named_and_redelivered(function: IngestFunction) -> None:
    """A write that fewer copies would acknowledge than must is not acknowledged; it is once they are there."""
    assert setup("--replicas", "3", "--write-copies", "4").exit_code == 0  # more than three nodes hold
    record = function.record([postgresql_event()])
    function.clock = Jumping()

    assert function.invoke(record) == [record["kinesis"]["sequenceNumber"]]
    assert "INDEX_WRITE_COPIES" in function.log["cause"]
    assert "503" in function.log["cause"]
    assert function.log["dead_letters"] == {}

    # As if the other copies were back.
    body = {"index": {"write.wait_for_active_shards": "1"}}
    function.search.indices.put_settings(index=f"{function.indices.stem}-*", body=body)
    assert function.invoke(record) == []
    assert len(function.documents()) == 1
