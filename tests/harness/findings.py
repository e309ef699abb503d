"""The findings function as Lambda runs it: its settings, its events, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.detections.detection import Detection, dump
from daswatch.detections.samples import samples_of
from demo.aws import DEAD_LETTER_BUCKET, LocalAws
from demo.stream import InvocationContext
from findings_lambda import handler as handler_module
from tests.harness.runs import FEW, RunHarness

_OF_NO_DATABASE = {"bool": {"must_not": {"exists": {"field": "resourceId"}}}}


class FindingsFunction(RunHarness):
    """The handlers with their settings; what they printed is kept."""

    def __init__(
        self,
        search: OpenSearch,
        aws: LocalAws,
        url: str,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        super().__init__(search, aws, FEW)
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._forget_dead_letters()
        self.printed = ""
        self._compiled = folder / "detections.json"
        self._compiled.write_bytes(dump(self.detections))
        self.configure(
            OPENSEARCH_ENDPOINT=url,
            OPENSEARCH_AUTH="none",
            DEAD_LETTER_BUCKET=DEAD_LETTER_BUCKET,
            INDEX_PREFIX=self.prefix,
            DETECTIONS=str(self._compiled),
            ALERT_TOPIC_ARN=self.topic_arn,
            DASHBOARDS_URL="https://search.example.internal/_dashboards",
            **aws.environment,
        )

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        handler_module.warm_function.cache_clear()
        clients.session.cache_clear()

    def compile(self, detections: Sequence[Detection]) -> None:
        """Deploy it with these detections; the next invocation is a cold start."""
        self.detections = list(detections)
        self._compiled.write_bytes(dump(self.detections))
        self.configure()

    def close(self) -> None:
        """Remove what is only ours, and forget the clients of the settings."""
        self.configure()
        super().close()

    def scheduled(self) -> dict[str, Any]:
        return self._call(handler_module.scheduled({}, InvocationContext()))

    def prompted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._call(handler_module.prompted(request, InvocationContext()))

    def claim_a_look(self, begins: str) -> None:
        """As another function does."""
        self.search.index(index=self.indices.runs, id="look", body={"since": begins})

    def notified(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return self._call(handler_module.notified(event, InvocationContext()))

    @property
    def log(self) -> dict[str, Any]:
        """The line of the last invocation."""
        line: dict[str, Any] = orjson.loads(self.printed.splitlines()[-1])
        return line

    def _call(self, answer: dict[str, Any]) -> dict[str, Any]:
        out, err = self._capsys.readouterr()
        self.printed += out + err
        return answer

    def attack(self, detection: str = "bruteforce-user", words: str = "twelve") -> None:
        """The first sample of a detection that begins so, ending now."""
        sample = next(one for one in samples_of(detection) if one.expected == "match" and one.words.startswith(words))
        self.happen(sample, datetime.now(UTC))

    def _forget_dead_letters(self) -> None:
        """Lines of other runs, whose objects are gone."""
        self.search.indices.refresh(index=self.indices.dead_letters, params={"ignore_unavailable": "true"})
        self.search.delete_by_query(
            index=self.indices.dead_letters,
            body={"query": _OF_NO_DATABASE},
            params={"ignore_unavailable": "true", "refresh": "true", "conflicts": "proceed"},
        )

    def dead_letters(self) -> list[dict[str, Any]]:
        self.search.indices.refresh(index=self.indices.dead_letters, params={"ignore_unavailable": "true"})
        body = {"query": _OF_NO_DATABASE}
        answer = self.search.search(index=self.indices.dead_letters, body=body, params={"ignore_unavailable": "true"})
        return [hit["_source"] for hit in answer["hits"]["hits"]]

    def notification(self, template: str, index: str, body: Mapping[str, Any], **ctx: Any) -> dict[str, Any]:
        """The SNS event of a monitor that ran this search now, its message made by the real mustache."""
        result = self.search.search(index=index, body=body)
        now = datetime.now(UTC)
        params = {
            "ctx": {
                "monitor": {"name": "my monitor", "_id": "m1"},
                "trigger": {"name": "found", "severity": "2"},
                "periodStart": (now - timedelta(minutes=1)).isoformat(),
                "periodEnd": now.isoformat(),
                "results": [result],
                "error": None,
                **ctx,
            }
        }
        rendered = self.search.transport.perform_request(
            "POST", "/_render/template", body={"source": template, "params": params}
        )
        return sns(orjson.dumps(rendered["template_output"]).decode())


def sns(message: str) -> dict[str, Any]:
    """An SNS event with one message."""
    record = {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"MessageId": "1", "Message": message}}
    return {"Records": [record]}
