"""How many shards, how much storage and heap: by what an event takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.content.sizing import (
    BYTES_PER_EVENT,
    DAILY_SHARDS,
    GB,
    GIB,
    LARGEST_SHARD_BYTES,
    SHARD_BYTES,
    Volume,
    sizing,
)
from daswatch.hourly_indices import NOTICE
from tests import ROOT

VOLUMES = st.builds(
    Volume,
    events_per_day=st.integers(0, 10**12),
    retention_days=st.integers(1, 3_650),
    copies=st.integers(1, 4),
)
LUCENE_DOCUMENTS = 2_147_483_519


@given(VOLUMES)
def test_no_shard_is_too_large(volume: Volume) -> None:
    needed = sizing(volume)

    assert needed.shard_bytes <= SHARD_BYTES < LARGEST_SHARD_BYTES
    assert needed.shard_documents < LUCENE_DOCUMENTS
    assert needed.shard_documents * needed.shards_per_day >= volume.events_per_day


@given(VOLUMES)
def test_hourly_indices_for_days_with_too_many_shards(volume: Volume) -> None:
    needed = sizing(volume)

    assert needed.indices_per_day == (24 if needed.hourly else 1)
    assert needed.hourly or needed.primary_shards <= DAILY_SHARDS


@pytest.mark.parametrize(
    ("events", "hourly", "primaries", "shards", "gb_per_day"),
    [
        (1_000_000, False, 1, 800, 0.371),
        (100_000_000, False, 1, 800, 37.1),
        (1_000_000_000, False, 10, 8_000, 371),
        (10_000_000_000, True, 13, 249_600, 3_710),
    ],
)
def test_volumes_of_the_page(events: int, hourly: bool, primaries: int, shards: int, gb_per_day: float) -> None:
    needed = sizing(Volume(events, retention_days=400, copies=2))

    assert (needed.hourly, needed.primary_shards, needed.shards) == (hourly, primaries, shards)
    assert needed.bytes_per_day == events * BYTES_PER_EVENT == pytest.approx(gb_per_day * GB)
    assert needed.heap_bytes == shards // 25 * GIB
    assert needed.storage_bytes == pytest.approx(needed.bytes_per_day * 800 / 0.76)


def setup(*arguments: str) -> Result:
    """Without any setting: nothing is asked or installed anywhere."""
    return CliRunner().invoke(app, ["setup", "--size", *arguments], env={"COLUMNS": "150"})


def test_setup_proposes_settings_for_machines() -> None:
    result = setup("10000000000", "--retention-days", "30", "--copies", "3", "--output", "json")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    first_day = datetime.now(UTC).date() + NOTICE
    assert answer["settings"] == {
        "INDEX_SHARDS": "13",
        "INDEX_REPLICAS": "2",
        "INDEX_HOURLY": f"{first_day.isoformat()}/..",
    }
    assert answer["needed"]["shards"] == 13 * 24 * 3 * 30


def test_setup_shows_people_what_a_volume_needs() -> None:
    result = setup("1000000000")

    assert result.exit_code == 0, result.output
    assert "1,000,000,000 events a day, kept for 400 days in 2 copies" in result.stdout
    assert "37.1 GB, 100,000,000 documents" in result.stdout
    assert "320 GiB" in result.stdout


def test_the_table_of_the_page_is_what_is_computed() -> None:
    page = (ROOT / "docs" / "sizing.md").read_text()
    names = {"1 million": 10**6, "100 million": 10**8, "1 billion": 10**9, "10 billion": 10**10}

    for name, events in names.items():
        needed = sizing(Volume(events, retention_days=400, copies=2))
        cells = [
            name,
            f"{events / 86_400:,.0f}",
            f"{needed.bytes_per_day / GB:,.1f} GB",
            "an hour" if needed.hourly else "a day",
            str(needed.primary_shards),
            f"{needed.shard_bytes / GB:.1f} GB",
            f"{needed.shards:,}",
            f"{needed.heap_bytes // GIB:,} GiB",
            f"{needed.storage_bytes / GB / 1000:,.1f} TB",
        ]
        assert f"| {' | '.join(cells)} |" in page
