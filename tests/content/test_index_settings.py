"""Shards, copies, refresh and codec: what is shipped, what a deployment sets, and what a team set there stays."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.content.index_settings import IndexSettings
from daswatch.content.model import Content, ContentKind, Operation
from daswatch.content.plan import plan
from daswatch.content.templates import for_collection, shipped_content
from daswatch.errors import SettingsError
from daswatch.settings import Environment

EVENTS, COPIES = "das-event-settings", "das-copies"
# As a release before these settings installed it, and OpenSearch gives it back.
EARLIER: dict[str, Any] = {
    "template": {
        "settings": {
            "index": {
                "number_of_shards": "1",
                "number_of_replicas": "1",
                "auto_expand_replicas": "0-1",
                "refresh_interval": "10s",
                "codec": "best_compression",
                "sort": {"field": ["resourceId", "statementHash"], "order": ["asc", "asc"]},
                "query": {
                    "default_field": [
                        "commandText",
                        "objects",
                        "dbUserName",
                        "errorMessage",
                        "clientApplication",
                        "remoteHost",
                    ]
                },
            }
        }
    },
    "version": 1,
}


class Endpoint:
    """A component template at an endpoint, as setups and a team leave it."""

    def __init__(self, name: str, there: dict[str, Any] | None = None) -> None:
        self.name, self.there, self.why, self.step = name, there, "", Operation.UNCHANGED

    def setup(self, **settings: Any) -> dict[str, Any]:
        """Plan and install; the settings afterwards."""
        shipped = [one for one in shipped_content(settings=IndexSettings(**settings)) if one.name == self.name]
        found = {(ContentKind.COMPONENT_TEMPLATE, self.name): self.there} if self.there else {}
        (step,) = plan(shipped, found)
        self.step, self.why = step.step, step.why
        if step.step is not Operation.UNCHANGED:
            self.there = as_text(dict(step.content.body))
        return self.index

    def change(self, **settings: Any) -> None:
        """By hand, with `None` for what is taken out."""
        index = {**self.index, **settings}
        kept = {name: value for name, value in index.items() if value is not None}
        self.there = {**(self.there or {}), "template": {"settings": {"index": as_text(kept)}}}

    @property
    def index(self) -> dict[str, Any]:
        assert self.there
        settings: dict[str, Any] = self.there["template"]["settings"]["index"]
        return settings


def as_text(value: Any) -> Any:
    """Settings as OpenSearch gives them back; what stands in `_meta` it keeps as it is."""
    if isinstance(value, dict):
        return {name: inner if name == "_meta" else as_text(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_text(inner) for inner in value]
    return str(value).lower() if isinstance(value, bool | int) else value


def test_default_replicas_fit_one_node_and_three_zones() -> None:
    copies = Endpoint(COPIES).setup()

    assert copies == {"auto_expand_replicas": "0-2", "write": {"wait_for_active_shards": "all"}}


def test_events_name_no_copies() -> None:
    """They are in one place, for all indices."""
    assert not Endpoint(EVENTS).setup().keys() & {"number_of_replicas", "auto_expand_replicas", "write"}


@pytest.mark.parametrize("name", [EVENTS, COPIES])
def test_second_setup_changes_nothing(name: str) -> None:
    endpoint = Endpoint(name)
    endpoint.setup()

    endpoint.setup()

    assert (endpoint.step, endpoint.why) == (Operation.UNCHANGED, "")


def test_earlier_release_gets_the_new_defaults() -> None:
    endpoint = Endpoint(EVENTS, EARLIER)

    index = endpoint.setup()

    assert endpoint.step is Operation.UPDATE
    assert not index.keys() & {"number_of_replicas", "auto_expand_replicas"}
    assert (index["number_of_shards"], endpoint.why) == ("1", "")


@pytest.mark.parametrize("earlier", [None, EARLIER], ids=["marked", "earlier"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"number_of_shards": 6}, "number_of_shards 6"),
        ({"refresh_interval": "30s"}, "refresh_interval 30s"),
        ({"codec": "zstd"}, "codec zstd"),
        ({"merge": {"policy": {"segments_per_tier": 20}}}, "merge.policy.segments_per_tier 20"),
        ({"number_of_replicas": 2, "auto_expand_replicas": "false"}, "number_of_replicas 2"),
    ],
)
def test_what_a_team_changed_survives_setup(earlier: dict[str, Any] | None, change: dict[str, Any], why: str) -> None:
    endpoint = Endpoint(EVENTS, earlier)
    if earlier is None:
        endpoint.setup()
    endpoint.change(**change)

    for _ in range(3):  # also when the first of them had something else to update
        index = endpoint.setup()
        assert index.items() >= as_text(change).items()
        assert "changed by the team, and kept" in endpoint.why
        assert why in endpoint.why
    assert endpoint.step is Operation.UNCHANGED


@pytest.mark.parametrize(
    "change",
    [
        {"number_of_replicas": 1, "auto_expand_replicas": None},
        {"auto_expand_replicas": None},
        {"auto_expand_replicas": "0-all"},
    ],
)
def test_replicas_are_one_decision(change: dict[str, Any]) -> None:
    """A number counts only where nothing expands it: a team that takes that out has decided, too."""
    endpoint = Endpoint(COPIES)
    endpoint.setup()
    endpoint.change(**change)
    before = dict(endpoint.index)

    assert endpoint.setup() == before
    assert "changed by the team, and kept" in endpoint.why


def test_setting_is_installed_and_stays_without_it() -> None:
    """`daswatch setup` without the option leaves what an earlier one set."""
    endpoint = Endpoint(EVENTS)
    endpoint.setup()

    assert endpoint.setup(shards=3, refresh_seconds=5, codec="zstd")["number_of_shards"] == "3"
    assert endpoint.setup()["number_of_shards"] == "3"
    assert endpoint.step is Operation.UNCHANGED
    assert endpoint.setup(shards=4)["number_of_shards"] == "4"
    assert endpoint.index["refresh_interval"] == "5s"


def test_setting_on_an_earlier_release_is_installed() -> None:
    assert Endpoint(EVENTS, EARLIER).setup(shards=6)["number_of_shards"] == "6"


def test_hand_made_change_outlives_the_setting_it_changed() -> None:
    """A parameter that stays as it was is no newer decision; one that is changed is."""
    endpoint = Endpoint(EVENTS)
    endpoint.setup(shards=3)
    endpoint.change(number_of_shards=8)

    assert endpoint.setup(shards=3)["number_of_shards"] == "8"
    assert endpoint.setup()["number_of_shards"] == "8"
    assert endpoint.setup(shards=5)["number_of_shards"] == "5"


def test_mappings_that_a_team_added_stay() -> None:
    endpoint = Endpoint(EVENTS)
    endpoint.setup()
    assert endpoint.there
    endpoint.there["template"]["mappings"] = {"properties": {"team": {"type": "keyword"}}}

    endpoint.setup(shards=2)

    assert endpoint.there["template"]["mappings"] == {"properties": {"team": {"type": "keyword"}}}


@pytest.mark.parametrize(
    ("settings", "copies"),
    [
        ({"replicas": "auto"}, {"auto_expand_replicas": "0-2", "write": {"wait_for_active_shards": "all"}}),
        ({"replicas": "domain"}, {"write": {"wait_for_active_shards": "1"}}),
        ({"replicas": "0"}, {"number_of_replicas": "0", "write": {"wait_for_active_shards": "1"}}),
        ({"replicas": "1"}, {"number_of_replicas": "1", "write": {"wait_for_active_shards": "2"}}),
        ({"replicas": "2"}, {"number_of_replicas": "2", "write": {"wait_for_active_shards": "2"}}),
        (
            {"replicas": "2", "write_copies": "1"},
            {"number_of_replicas": "2", "write": {"wait_for_active_shards": "1"}},
        ),
        ({"write_copies": "1"}, {"auto_expand_replicas": "0-2", "write": {"wait_for_active_shards": "1"}}),
    ],
)
def test_copies_that_acknowledge_follow_the_replicas(settings: dict[str, str], copies: dict[str, Any]) -> None:
    """Two, where there are two that one node cannot take away; never more than there can be."""
    found = Endpoint(COPIES).setup(**settings)
    if found.get("auto_expand_replicas") == "false":
        del found["auto_expand_replicas"]

    assert found == copies


def read(**variables: str) -> IndexSettings:
    environment = Environment(variables)
    settings = IndexSettings.read(environment)
    environment.check()
    return settings


def test_settings_are_read_from_the_environment() -> None:
    found = read(
        INDEX_SHARDS="3",
        INDEX_REPLICAS="2",
        INDEX_REFRESH_SECONDS="30",
        INDEX_CODEC="zstd",
        INDEX_WRITE_COPIES="3",
    )

    assert found == IndexSettings(3, "2", 30, "zstd", "3")
    assert read(INDEX_SHARDS=" ") == IndexSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INDEX_SHARDS", "0"),
        ("INDEX_SHARDS", "101"),
        ("INDEX_SHARDS", "many"),
        ("INDEX_REPLICAS", "10"),
        ("INDEX_REPLICAS", "0-2"),
        ("INDEX_REFRESH_SECONDS", "61"),
        ("INDEX_REFRESH_SECONDS", "-1"),
        ("INDEX_CODEC", "lz4"),
        ("INDEX_WRITE_COPIES", "0"),
        ("INDEX_WRITE_COPIES", "11"),
    ],
)
def test_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(**{name: value})


def test_more_acknowledging_copies_than_there_are_is_refused() -> None:
    """No write would ever be acknowledged."""
    with pytest.raises(SettingsError, match="INDEX_WRITE_COPIES is more than there are"):
        read(INDEX_REPLICAS="1", INDEX_WRITE_COPIES="3")


@pytest.mark.parametrize("replicas", ["", "auto"])
def test_number_of_acknowledging_copies_needs_one_of_replicas(replicas: str) -> None:
    """Where copies expand, and fewer nodes are left than that number, OpenSearch's manager fails to remove a node."""
    with pytest.raises(SettingsError, match="INDEX_WRITE_COPIES needs INDEX_REPLICAS"):
        read(INDEX_REPLICAS=replicas, INDEX_WRITE_COPIES="2")
    assert read(INDEX_REPLICAS=replicas, INDEX_WRITE_COPIES="all").write_copies == "all"
    assert read(INDEX_REPLICAS=replicas, INDEX_WRITE_COPIES="1").write_copies == "1"


def test_collection_keeps_a_codec_that_it_knows() -> None:
    def codecs(**settings: Any) -> set[str]:
        made: list[Content] = for_collection(shipped_content(settings=IndexSettings(**settings)))
        return {one.body["template"].get("settings", {}).get("index", {}).get("codec", "") for one in made} - {""}

    assert codecs() == {"zstd"}
    assert codecs(codec="default") == {"default"}
    assert codecs(codec="zstd_no_dict", shards=4) == {"zstd_no_dict"}
