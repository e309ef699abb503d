"""The replay function while one of its dependencies does not answer; see `test_hanging_fleet.py`."""

from __future__ import annotations

import pytest

from daswatch.errors import DependencyError
from demo.opensearch import AnyNode
from tests.fakes.clock import ends_within
from tests.fakes.relay import SILENCES, Relay, Silence
from tests.harness.replay import events
from tests.harness.replay_function import Replaying

pytestmark = pytest.mark.node

SHORT_MS = 20_000
LIMIT_SECONDS = 600.0
LATE_SECONDS = 0.5  # of each connection, and a run makes dozens

DEPENDENCIES = ("opensearch", "s3", "kms", "sts")


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", DEPENDENCIES)
def test_replay_ends_while_a_dependency_is_silent(
    replaying: Replaying, node: AnyNode, name: str, silence: Silence
) -> None:
    """Nothing is written or marked meanwhile, and all of it afterwards."""
    keys = [replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(3)]
    with Relay(node.url if name == "opensearch" else replaying.ingest.aws.url) as relay:
        variable = "OPENSEARCH_ENDPOINT" if name == "opensearch" else f"AWS_ENDPOINT_URL_{name.upper()}"
        replaying.configure(**{variable: relay.url})
        silence(relay)

        with ends_within(LIMIT_SECONDS), pytest.raises(DependencyError):
            replaying.invoke(SHORT_MS)

        assert (replaying.written(), replaying.done(keys)) == (0, [])
        relay.answer_after(LATE_SECONDS)
        replaying.run(hours=1)
        replaying.run(hours=2)

    assert replaying.written() == 15
    assert replaying.done(keys) == keys
