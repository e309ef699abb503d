"""The names of deployments: whatever two prefixes are allowed, nothing of one matches a pattern of the other."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import permutations
from typing import Any

import pytest

from daswatch.content.model import Content, WantedContent
from daswatch.content.plan import wanted_content
from daswatch.detections.sigma import compile_all
from daswatch.indices import Indices, problem_of

PREFIXES = ("das-events", "acme-events", "das-acme-events", "das_events-events", "das-alerts-events", "das2-events")
REFUSED = (
    "das",
    "das-events-prod",
    "das-events-events",
    "x-events-y-events",
    "acme--events",
    "acme-x--y-events",
    "das-drops-events",
    "das-tallies-events",
    "das-completeness-events",
    "Das-events",
    "_a-events",
)


def written(prefix: str) -> set[str]:
    """An index of each sort."""
    own = Indices(prefix)
    dated = {f"{prefix}-2031.03.04", f"{prefix}-undated-2031.03", f"{own.drops}-2031.03"}
    dated |= {f"{own.tallies}-2031.03.04", f"{own.completeness}-2031.03"}
    return dated | {own.alerts, own.seen, own.runs, own.pulse, own.dead_letters, own.control_plane}


def patterns(content: list[Content]) -> set[str]:
    """All that a deployment's templates, policies, roles and monitors say of indices."""

    def walk(value: Any) -> set[str]:
        if isinstance(value, dict):
            named = {name for key in ("index_patterns", "indices") for name in value.get(key) or ()}
            return named.union(*map(walk, value.values()))
        return set[str]().union(*map(walk, value)) if isinstance(value, list) else set()

    return set[str]().union(*(walk(one.body) for one in content))


DETECTIONS = compile_all()


def content_of(prefix: str) -> list[Content]:
    arn = "arn:aws:sns:eu-west-1:123456789012:monitors"
    return wanted_content(WantedContent(index_prefix=prefix, detections=DETECTIONS, alert_topic_arn=arn))[0]


CONTENT = {prefix: content_of(prefix) for prefix in PREFIXES}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_deployment_has_a_pattern_for_each_of_its_indices(prefix: str) -> None:
    own = patterns(CONTENT[prefix])

    assert all(any(fnmatchcase(name, pattern) for pattern in own) for name in written(prefix))


@pytest.mark.parametrize(("one", "other"), list(permutations(PREFIXES, 2)))
def test_deployments_share_no_index(one: str, other: str) -> None:
    """Also not where the one's stem begins with the other's."""
    # A monitor names `<index>*` of a single index, since the plugin refuses one that does not exist.
    theirs = {name for name in patterns(CONTENT[other]) if not name.endswith(("control-plane*", "pulse*"))}

    assert not [(name, pattern) for name in written(one) for pattern in theirs if fnmatchcase(name, pattern)]


@pytest.mark.parametrize(("one", "other"), list(permutations(PREFIXES, 2)))
def test_deployments_share_no_content(one: str, other: str) -> None:
    names = [{(content.kind, content.name) for content in CONTENT[prefix]} for prefix in (one, other)]

    assert not names[0] & names[1]


@pytest.mark.parametrize("prefix", REFUSED)
def test_prefix_that_collides_is_refused_by_name(prefix: str) -> None:
    assert all(problem_of(prefix))
    with pytest.raises(ValueError, match=prefix):
        Indices(prefix)


def test_default_prefix_keeps_its_names() -> None:
    own = Indices()

    assert (own.prefix, own.alerts, own.runs, own.drops) == ("das-events", "das-alerts", "das-runs", "das-drops")
    assert own.titled("Overview") == "Overview"
