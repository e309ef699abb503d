"""One deployment's fleet: databases of an account that no other test uses, and indices of its own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.deadline import Deadline
from daswatch.indices import Indices
from daswatch.opensearch.database_index import DatabaseIndex
from demo.aws import DEAD_LETTER_BUCKET
from posture_lambda import handler as handler_module
from tests.fakes.rds import Rds
from tests.harness.installed import give_back, installed_prefix

REGION = "us-east-1"


class Fleet:
    """Databases in one region of an account, and what is known of them."""

    def __init__(
        self,
        search: OpenSearch,
        url: str,
        rds: Rds,
        monkeypatch: pytest.MonkeyPatch,
        account: str = "",
        region: str = REGION,
    ) -> None:
        self.account = account or str(secrets.randbelow(9 * 10**11) + 10**11)
        self.region = region
        self.rds = rds.at(self.account, region)
        self.indices = Indices(installed_prefix(search))
        self.index = DatabaseIndex(search, self.indices)
        self._search = search
        self._monkeypatch = monkeypatch
        self.configure(
            OPENSEARCH_ENDPOINT=url,
            OPENSEARCH_AUTH="none",
            INDEX_PREFIX=self.indices.prefix,
            FLEET_ACCOUNTS=self.account,
            FLEET_REGIONS=region,
            FLEET_ROLE="daswatch-inventory",
            DEAD_LETTER_BUCKET=DEAD_LETTER_BUCKET,
        )

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        handler_module.warm_function.cache_clear()
        clients.session.cache_clear()

    @property
    def documents(self) -> dict[str, Mapping[str, Any]]:
        """The inventory's documents, by resource id."""
        return {one["resourceId"]: one for one in self.index.read(Deadline.after(60)).values()}

    def count(self, index: str) -> int:
        """How many documents an index has; 0 without the index."""
        lenient = {"ignore_unavailable": "true", "allow_no_indices": "true"}
        return int(self._search.count(index=index, params=lenient)["count"])

    def hear(self, resource_id: str, at: str) -> None:
        """An instance's pulse, as the ingest function writes it."""
        pulse = {"resourceId": resource_id, "instanceId": resource_id, "lastSeen": at, "lastEvent": at}
        self._search.index(index=self.indices.pulse, body=pulse, params={"refresh": "true"})

    def close(self) -> None:
        """Remove what is only ours."""
        self.configure()
        give_back(self._search, self.indices.prefix)
