"""What a function writes for CloudWatch."""

from __future__ import annotations

import orjson
import pytest

from daswatch.aws.cloudwatch import Telemetry


@pytest.mark.parametrize(("given", "namespace"), [(None, "Daswatch"), ("audit", "audit")])
def test_metrics_are_in_the_namespace_of_the_stack(
    given: str | None, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if given:
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", given)

    Telemetry("ingest").emit({}, {"DeadLetters": 1}, {})

    (metrics,) = orjson.loads(capsys.readouterr().out)["_aws"]["CloudWatchMetrics"]
    assert (metrics["Namespace"], metrics["Dimensions"]) == (namespace, [["service"]])
