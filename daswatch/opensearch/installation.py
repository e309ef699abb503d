"""Everything that Daswatch installs at an endpoint: looks, and executes a plan.

Functions and the command line use this one way in. What was done before a failure stays; a second run plans the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol, Self

import orjson
from opensearchpy import OpenSearch

from daswatch.content.backups import backups
from daswatch.content.model import Content, ContentKind, Plan, PlannedStep, WantedContent
from daswatch.content.plan import Found, wanted_content, whole_plan
from daswatch.deadline import Deadline
from daswatch.errors import DashboardsUnavailable, SearchUnavailable
from daswatch.indexing import write_probe
from daswatch.indexing.bulk import NO_IDS, takes_no_ids
from daswatch.indices import Indices
from daswatch.opensearch.alerting import AlertingGateway
from daswatch.opensearch.client import dashboards_client, search_client
from daswatch.opensearch.dashboards import DashboardsGateway
from daswatch.opensearch.request import command_deadline, request
from daswatch.opensearch.security import SecurityGateway
from daswatch.opensearch.templates import ContentGateway
from daswatch.settings import DashboardsEndpoint, SearchEndpoint

_REFUSED = 400
_NEXT = "what was installed before it stays; correct the cause and run it again, it installs what is missing"


class _Gateway(Protocol):
    """Looks at, and installs, content of some kinds."""

    @property
    def kinds(self) -> frozenset[ContentKind]: ...

    def look(self, shipped: Sequence[Content]) -> Found: ...

    def install(self, steps: Sequence[PlannedStep]) -> None: ...


class Installation:
    """One endpoint, and its Dashboards; without one, saved objects are left out."""

    def __init__(
        self,
        search: OpenSearch,
        dashboards: DashboardsGateway | None,
        until: Callable[[], Deadline] = command_deadline,
    ) -> None:
        """`until` gives each request its deadline."""
        self._search = search
        self._until = until
        self._dashboards = dashboards
        self._gateways: list[_Gateway] = [
            ContentGateway(search, until),
            SecurityGateway(search, until),
            AlertingGateway(search, until),
            *([dashboards] if dashboards else []),
        ]

    @classmethod
    def at(
        cls, endpoint: SearchEndpoint, dashboards: DashboardsEndpoint | None, deadline: Deadline | None = None
    ) -> Self:
        """With clients of its own. Raises SettingsError where the credentials they need are not there.

        `deadline` bounds all requests together; without one each has its own, and a command takes what it takes.
        """
        until = {"until": lambda: deadline} if deadline else {}
        gateway = None
        if dashboards:
            client = dashboards_client(endpoint, dashboards.url)
            gateway = DashboardsGateway(client, dashboards.tenant, **until)
        return cls(search_client(endpoint), gateway, **until)

    def plan(self, wanted: WantedContent) -> Plan:
        """What would have to be done; it only reads. Raises SearchUnavailable, DashboardsUnavailable."""
        shipped, left_out = wanted_content(wanted)
        pieces: dict[tuple[ContentKind, str], Mapping[str, Any]] = {}
        absent: dict[ContentKind, str] = {}
        notes: dict[tuple[ContentKind, str], str] = {}
        for gateway in self._gateways:
            own = [content for content in shipped if content.kind in gateway.kinds]
            if own:
                found = gateway.look(own)
                pieces |= found.pieces
                absent |= found.absent
                notes |= found.notes
        if self._dashboards is None:
            absent[ContentKind.SAVED_OBJECT] = "no Dashboards was named"
        return whole_plan(shipped, left_out, Found(pieces, absent, notes))

    def execute(
        self,
        plan: Plan,
        backup: Callable[[str, bytes], None],
        advance: Callable[[PlannedStep], None] = lambda step: None,
    ) -> None:
        """Do it, in order. `backup` gets what is replaced, under the name of a file, before it is.

        `advance` is called for each step that is done. Raises SearchUnavailable or DashboardsUnavailable at the first
        step that fails; the message names it, and what to do next.
        """
        for gateway, steps in self._batches(plan.to_do):
            for name, content in backups(steps).items():
                backup(name, content)
            try:
                gateway.install(steps)
            except (SearchUnavailable, DashboardsUnavailable) as exc:
                raise type(exc)(f"{_named(steps)}: {exc}; {_NEXT}", exc.status) from exc
            for step in steps:
                advance(step)

    def check_ids(self, wanted: WantedContent) -> None:
        """Raises SearchUnavailable where a collection takes no document ids, as one of type time series does.

        The document that it is asked about cannot be kept: its time is not one.
        """
        if wanted.service != "aoss":
            return
        index = Indices(wanted.index_prefix).dead_letters
        lines = [{"create": {"_index": index, "_id": write_probe.ID}}, {"@timestamp": "not a time"}]
        body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        answer = request(self._search, "POST", "/_bulk", deadline=self._until(), body=body, with_reason=True)
        items = answer.get("items", []) if isinstance(answer, Mapping) else []
        if any(takes_no_ids(str(item.get("create", {}).get("error", {}).get("reason", ""))) for item in items):
            raise SearchUnavailable(NO_IDS, _REFUSED)

    def _batches(self, steps: Sequence[PlannedStep]) -> Iterator[tuple[_Gateway, list[PlannedStep]]]:
        """Each step alone, but saved objects together: an import resolves their references."""
        for kind, group in groupby(steps, key=lambda step: step.content.kind):
            gateway = next(one for one in self._gateways if kind in one.kinds)
            together = list(group)
            if kind is ContentKind.SAVED_OBJECT:
                yield gateway, together
            else:
                yield from ((gateway, [step]) for step in together)


def _named(steps: Sequence[PlannedStep]) -> str:
    if len(steps) == 1:
        return f"{steps[0].content.kind} {steps[0].content.name}"
    return f"{len(steps)} saved objects"
