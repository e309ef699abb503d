"""CloudTrail's events of API calls, as EventBridge delivers them."""

from __future__ import annotations

from typing import Any

from daswatch.detections.samples import base_events


def api_call(**detail: Any) -> dict[str, Any]:
    """A call of StopActivityStream; the arguments differ from its detail."""
    base = base_events()["control-plane"]
    return {
        **base,
        "time": "2031-03-04T11:22:33Z",
        "detail": {**base["detail"], "eventTime": "2031-03-04T11:22:33Z", **detail},
    }
