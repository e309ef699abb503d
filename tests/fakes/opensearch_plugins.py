"""Stand-ins for what is on no package registry: three plugins of OpenSearch, and Dashboards, over real HTTP.

They stand in a proxy before a real node. They do what the real ones were seen to do: the server chooses a monitor's id,
names are not unique, an index that a monitor names has to exist, a stored query is rewritten, a second channel under
one id is a conflict, a policy is written over what was read or not at all. Whatever else is asked of them is refused,
and fails the test. What a monitor finds and sends is made by the node itself: its search, painless and mustache.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import urllib3

from daswatch.times import iso_milliseconds
from tests.fakes.proxy import Dropped, Exchange, Proxy, Request, Response, forward

ALERTING, NOTIFICATIONS, POLICIES = "/_plugins/_alerting", "/_plugins/_notifications", "/_plugins/_ism/policies"
DASHBOARDS = "/_dashboards/api/saved_objects"
READS = frozenset({("POST", "/_search"), ("POST", "/_bulk_get"), ("POST", "/_export")})


def failure(status: int, kind: str, reason: str) -> Response:
    """A failure as OpenSearch words it."""
    return Response.of_json(status, {"error": {"type": kind, "reason": reason}, "status": status})


def is_write(request: Request) -> bool:
    """Whether it asks the server to change anything."""
    path = urlsplit(request.path).path
    return request.method not in ("GET", "HEAD") and not any(
        request.method == method and path.endswith(end) for method, end in READS
    )


MOST_MESSAGE_BYTES, MOST_SUBJECT = 262_144, 100  # SNS refuses what is longer
_UNITS = {"MINUTES": timedelta(minutes=1), "HOURS": timedelta(hours=1), "DAYS": timedelta(days=1)}
_ACTION_FIELDS = {
    "id",
    "name",
    "destination_id",
    "subject_template",
    "message_template",
    "throttle_enabled",
    "throttle",
    "action_execution_policy",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What an action published, or why it could not."""

    monitor: str
    subject: str
    message: str
    failure: str = ""


class Engine:
    """Runs a monitor with the node's own parts: its search, the trigger's painless, the action's mustache."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager()

    def run(self, monitor: Mapping[str, Any], at: datetime, since: datetime | None = None) -> dict[str, Any]:
        """The input's search over the period that ends then: the `ctx` of condition and message.

        `since` is the begin of the period; without it the schedule's interval decides.
        """
        begin = since or at - interval_of(monitor)
        period = {"period_start": int(begin.timestamp() * 1000), "period_end": int(at.timestamp() * 1000)}
        given = monitor["inputs"][0]["search"]
        filled = self.rendered(orjson.dumps(given["query"]).decode(), period)
        # As the plugin searches: without leniency, so that an index which is named has to exist.
        answer = self._asked("POST", f"/{','.join(given['indices'])}/_search", orjson.loads(filled))
        failed = answer.status >= 300
        return {
            "monitor": {"name": monitor["name"], "_id": "m1"},
            "periodStart": iso_milliseconds(begin),
            "periodEnd": iso_milliseconds(at),
            "results": [] if failed else [answer.json],
            "error": answer.json["error"]["reason"] if failed else None,
        }

    def fires(self, condition: str, ctx: Mapping[str, Any]) -> tuple[bool, str | None]:
        """Whether the condition is met, and the error that makes the plugin take it for met."""
        # Outside the plugin a script reaches `ctx` as a parameter.
        script = {"source": condition.replace("ctx.", "params.ctx."), "lang": "painless", "params": {"ctx": ctx}}
        answer = self._asked("POST", "/_scripts/painless/_execute", {"script": script})
        if answer.status < 300:
            return answer.json["result"] == "true", None
        return True, str(answer.json["error"]["root_cause"][0]["reason"])

    def rendered(self, template: str, params: Mapping[str, Any]) -> str:
        """What mustache makes of a template, byte by byte."""
        answer = self._asked("POST", "/_render/template", {"source": template, "params": params})
        assert answer.status == 200, answer.body
        return answer.body.decode().removeprefix('{"template_output":').removesuffix("}")

    def is_there(self, index: str) -> bool:
        """Whether an index of this name exists."""
        return self._asked("HEAD", f"/{index}").status == 200

    def sent(self, monitor: Mapping[str, Any], at: datetime, since: datetime | None = None) -> Iterator[Sent]:
        """What the monitor publishes in one run."""
        ctx = self.run(monitor, at, since)
        for one in monitor["triggers"]:
            trigger = one["query_level_trigger"]
            fires, error = self.fires(trigger["condition"]["script"]["source"], ctx)
            params = {
                **ctx,
                "trigger": {"name": trigger["name"], "severity": trigger["severity"]},
                "error": ctx["error"] or error,
            }
            for action in trigger["actions"] if fires else ():
                text = self.rendered(action["message_template"]["source"], {"ctx": params})
                subject = action["subject_template"]["source"].replace("{{ctx.monitor.name}}", monitor["name"])
                too_long = len(text.encode()) > MOST_MESSAGE_BYTES or len(subject) > MOST_SUBJECT
                yield Sent(monitor["name"], subject, text, "Message too long" if too_long else "")

    def _asked(self, method: str, path: str, content: Any = None) -> Response:
        body = None if content is None else orjson.dumps(content)
        answer = self._http.request(
            method, f"{self._url}{path}", body=body, headers={"content-type": "application/json"}
        )
        return Response(answer.status, {}, answer.data)


def interval_of(monitor: Mapping[str, Any]) -> timedelta:
    """How far apart the runs of a monitor with an interval are."""
    period = monitor["schedule"]["period"]
    return int(period["interval"]) * _UNITS[period["unit"]]


@dataclass
class Alerting:
    """Monitors. Before the first one some versions of the plugin have no index to search."""

    engine: Engine
    monitors: dict[str, dict[str, Any]] = field(default_factory=dict)
    searches: dict[str, Any] = field(default_factory=dict)  # as they were sent, to be run
    index_from_the_start: bool = True
    shards: int = 1  # of its index, of which one answers
    clock: int = 0

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(f"{ALERTING}/monitors")
        content: Any = orjson.loads(request.body) if request.body else None
        name = path.removeprefix("/")
        match request.method, path:
            case "POST", "/_search":
                return self._search(content)
            case "POST", "":
                return self._write(f"m{len(self.monitors) + 1:04}", content, 201)
            case "PUT", _ if name in self.monitors:
                return self._write(name, content, 200)
            case "PUT", _:
                return failure(404, "alerting_exception", f"Monitor with {name} is not found")
        raise Unexpected(request)

    def named(self, name: str) -> dict[str, Any]:
        """The one monitor of this name."""
        (found,) = (one for one in self.monitors.values() if one["name"] == name)
        return found

    def sent(self, at: datetime, since: datetime | None = None) -> list[Sent]:
        """What all monitors that are on publish in a run that ends then."""
        return [
            sent
            for name, monitor in self.monitors.items()
            if monitor["enabled"]
            for sent in self.engine.sent({**monitor, "inputs": [{"search": self.searches[name]}]}, at, since)
        ]

    def copy(self, name: str, copy_id: str, **changes: Any) -> dict[str, Any]:
        """A second monitor as its export, imported, makes it."""
        there = next(key for key, one in self.monitors.items() if one["name"] == name)
        self.clock += 1
        copied: dict[str, Any] = orjson.loads(orjson.dumps({**self.monitors[there], **changes}))
        copied["enabled_time"] = self.clock if copied["enabled"] else None
        self.monitors[copy_id], self.searches[copy_id] = copied, self.searches[there]
        return copied

    def _search(self, content: Mapping[str, Any]) -> Response:
        if not self.monitors and not self.index_from_the_start:
            return failure(404, "alerting_exception", "Configured indices are not found: [.opendistro-alerting-config]")
        assert set(content) == {"size", "query"}
        names = content["query"]["terms"]["monitor.name.keyword"]
        hits = [
            {"_id": name, "_source": monitor} for name, monitor in self.monitors.items() if monitor["name"] in names
        ]
        return Response.of_json(
            200,
            {
                "timed_out": False,
                "_shards": {"total": self.shards, "successful": 1, "skipped": 0, "failed": 0},
                "hits": {"total": {"value": len(hits)}, "hits": hits[: content["size"]]},
            },
        )

    def _write(self, name: str, monitor: Mapping[str, Any], status: int) -> Response:
        search = monitor["inputs"][0]["search"]
        missing = [one for one in search["indices"] if "*" not in one and not self.engine.is_there(one)]
        if missing:
            return failure(404, "alerting_exception", f"Configured indices are not found: [{', '.join(missing)}]")
        wrong = wrong_in(monitor)
        if wrong:
            return failure(400, "illegal_argument_exception", wrong)
        self.clock += 1
        before = self.monitors.get(name, {}).get("enabled_time")
        self.monitors[name] = {
            **_rewritten(monitor),
            "enabled_time": (before or self.clock) if monitor["enabled"] else None,
            "last_update_time": self.clock,
        }
        self.searches[name] = search
        return Response.of_json(status, {"_id": name, "_version": 1, "_seq_no": 0, "monitor": monitor})


def wrong_in(monitor: Mapping[str, Any]) -> str:
    """Why the plugin refuses a monitor; empty where it does not."""
    triggers = [one["query_level_trigger"] for one in monitor["triggers"]]
    ids = [one["id"] for one in triggers]
    if monitor["monitor_type"] != "query_level_monitor" or len(monitor["inputs"]) != 1:
        return "Monitors can only have 1 search input."
    if len(ids) > 10:
        return "Monitors can only support up to 10 triggers."
    if len(set(ids)) < len(ids):
        return "Duplicate trigger id. Trigger ids must be unique."
    if not all(one["severity"] in ("1", "2", "3", "4", "5") for one in triggers):
        return "severity"
    wrong = (_wrong_in_action(action) for one in triggers for action in one["actions"])
    return _wrong_in_schedule(monitor["schedule"]) or next(filter(None, wrong), "")


def _wrong_in_schedule(schedule: Mapping[str, Any]) -> str:
    if set(schedule) == {"cron"}:
        return "" if schedule["cron"].get("timezone") else "Timezone in cron schedule is null."
    if set(schedule) != {"period"}:
        return "You can only specify one type of schedule."
    if schedule["period"]["interval"] <= 0:
        return "Interval is not allowed to be 0 or negative"
    return "" if schedule["period"]["unit"] in _UNITS else "unit is not supported"


def _wrong_in_action(action: Mapping[str, Any]) -> str:
    if set(action) - _ACTION_FIELDS:
        return "Unexpected field while parsing action"
    throttle = action.get("throttle")
    if action.get("throttle_enabled") and not throttle:
        return "Action throttle enabled but not set throttle value"
    if throttle and (throttle["unit"] != "MINUTES" or not 1 <= throttle["value"] <= 24 * 60):
        return "Can only set throttle period less than or equal to 24h"
    texts = [action[name] for name in ("message_template", "subject_template") if action.get(name)]
    return "" if all(one.get("lang", "mustache") == "mustache" for one in texts) else "must be a mustache script"


def _rewritten(monitor: Mapping[str, Any]) -> dict[str, Any]:
    """As the plugin keeps it: the query is another text, and everything has more fields."""
    search = monitor["inputs"][0]["search"]
    query = {"size": search["query"].get("size", 0), "query": {"bool": {"adjust_pure_negative": True, "boost": 1.0}}}
    added: dict[str, Any] = {"schema_version": 8, "user": None, "data_sources": {}, "owner": "alerting"}
    return {**monitor, **added, "inputs": [{"search": {**search, "query": query}}]}


@dataclass
class Notifications:
    """Channels."""

    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    allowed: tuple[str, ...] = ("slack", "chime", "webhook", "sns")

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(NOTIFICATIONS)
        content: Any = orjson.loads(request.body) if request.body else None
        name = path.removeprefix("/configs/")
        match request.method, path:
            case "GET", "/features":
                return Response.of_json(200, {"allowed_config_type_list": self.allowed, "plugin_features": {}})
            case "POST", "/configs":
                if content["config_id"] in self.channels:
                    return failure(409, "version_conflict_engine_exception", "document already exists")
                return self._write(content["config_id"], content["config"])
            case "GET", _ if name in self.channels:
                one = {
                    "config_id": name,
                    "created_time_ms": 1,
                    "last_updated_time_ms": 1,
                    "config": self.channels[name],
                }
                return Response.of_json(200, {"start_index": 0, "total_hits": 1, "config_list": [one]})
            case "GET", _ if path.startswith("/configs/"):
                return failure(404, "status_exception", f"NotificationConfig {name} not found")
            case "PUT", _ if name in self.channels and set(content) == {"config"}:
                return self._write(name, content["config"])
        raise Unexpected(request)

    def _write(self, name: str, config: Mapping[str, Any]) -> Response:
        if config["sns"].get("role_arn") == "" or not config["sns"]["topic_arn"].startswith("arn:"):
            return failure(400, "illegal_argument_exception", "Invalid AWS ARN")
        self.channels[name] = {**config}
        return Response.of_json(200, {"config_id": name})


@dataclass
class Policies:
    """Index State Management."""

    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    _writes: int = 0

    def answer(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        name = parts.path.removeprefix(f"{POLICIES}/")
        match request.method, parts.path:
            case "GET", path if path == POLICIES:
                return Response.of_json(200, {"policies": list(self.policies.values()), "total_policies": 1})
            case "GET", _ if name in self.policies:
                return Response.of_json(200, self.policies[name])
            case "GET", _:
                return failure(404, "status_exception", "Policy not found")
            case "PUT", _:
                return self._write(name, parse_qs(parts.query), orjson.loads(request.body)["policy"])
        raise Unexpected(request)

    def put(self, name: str, policy: Mapping[str, Any]) -> None:
        """As a user's own request does it, over what is there."""
        there = self.policies.get(name)
        params = {"if_seq_no": [str(there["_seq_no"])], "if_primary_term": ["1"]} if there else {}
        assert self._write(name, params, policy).status < 300

    def _write(self, name: str, params: Mapping[str, list[str]], policy: Mapping[str, Any]) -> Response:
        there = self.policies.get(name)
        expected = {"if_seq_no": [str(there["_seq_no"])], "if_primary_term": ["1"]} if there else {}
        if dict(params) != expected:
            return failure(409, "version_conflict_engine_exception", "version conflict")
        if not policy["description"]:
            return failure(400, "illegal_argument_exception", "description")
        self._writes += 1
        retry = {"count": 3, "backoff": "exponential", "delay": "1m"}
        states = [
            {**one, "actions": [{"retry": retry, **action} for action in one["actions"]]} for one in policy["states"]
        ]
        templates = [{**one, "last_updated_time": 1} for one in policy["ism_template"]]
        added = {"policy_id": name, "last_updated_time": 1, "schema_version": 21, "error_notification": None}
        kept = {**policy, **added, "states": states, "ism_template": templates}
        self.policies[name] = {
            "_id": name,
            "_version": self._writes,
            "_seq_no": self._writes,
            "_primary_term": 1,
            "policy": kept,
        }
        return Response.of_json(200 if there else 201, self.policies[name])


@dataclass
class Dashboards:
    """Saved objects of one tenant. `refused` are ids that an import does not take."""

    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    imports: int = 0
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, request.body))
        if "osd-xsrf" not in headers:
            return Response.of_json(400, {"statusCode": 400, "error": "Bad Request", "message": "Missing osd-xsrf"})
        match request.method, parts.path.removeprefix(DASHBOARDS):
            case "POST", "/_bulk_get":
                asked = [(one["type"], one["id"]) for one in orjson.loads(request.body)]
                return Response.of_json(200, {"saved_objects": [self._get(*one) for one in asked]})
            case "POST", "/_import":
                return self._import(request, parse_qs(parts.query))
            case "POST", "/_export":
                return self._export(orjson.loads(request.body))
        raise Unexpected(request)

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        missing = {"statusCode": 404, "error": "Not Found", "message": f"Saved object [{kind}/{name}] not found"}
        return self.objects.get((kind, name)) or {"id": name, "type": kind, "error": missing}

    def _import(self, request: Request, params: Mapping[str, list[str]]) -> Response:
        self.imports += 1
        overwrite = params.get("overwrite") == ["true"]
        content = [orjson.loads(line) for line in _file(request).splitlines() if line.strip()]
        known = {*self.objects, *((one["type"], one["id"]) for one in content)}
        errors = [error for one in content if (error := self._error(one, known, overwrite))]
        if not errors:
            for one in content:
                self.put(one)
        answer = {"success": not errors, "successCount": len(content) - len(errors)}
        return Response.of_json(200, {**answer, **({"errors": errors} if errors else {})})

    def put(self, one: Mapping[str, Any]) -> None:
        """As Dashboards keeps it: with a version, a time and attributes of its own."""
        attributes = dict(one["attributes"])
        if one["type"] == "index-pattern":
            attributes.setdefault("fields", "[]")
        added = {"updated_at": "2031-03-04T12:00:00.000Z", "version": "WzEsMV0=", "namespaces": ["default"]}
        self.objects[one["type"], one["id"]] = {**one, **added, "attributes": attributes}

    def _error(self, one: Mapping[str, Any], known: set[tuple[str, str]], overwrite: bool) -> dict[str, Any] | None:
        shown = {"id": one["id"], "type": one["type"], "title": one["attributes"].get("title")}
        missing = [
            {"type": ref["type"], "id": ref["id"]} for ref in one["references"] if (ref["type"], ref["id"]) not in known
        ]
        if one["id"] in self.refused:
            return {**shown, "error": {"type": "unsupported_type"}}
        if missing:
            return {**shown, "error": {"type": "missing_references", "references": missing}}
        if not overwrite and (one["type"], one["id"]) in self.objects:
            return {**shown, "error": {"type": "conflict"}}
        return None

    def _export(self, content: Mapping[str, Any]) -> Response:
        if "objects" in content:
            wanted = [(one["type"], one["id"]) for one in content["objects"]]
        else:
            wanted = [key for key in self.objects if key[0] in content["type"]]
        if any(key not in self.objects for key in wanted):
            return Response.of_json(400, {"statusCode": 400, "error": "Bad Request", "message": "not found"})
        for key in wanted:
            if content.get("includeReferencesDeep"):
                references = [(ref["type"], ref["id"]) for ref in self.objects[key]["references"]]
                wanted += [one for one in references if one not in wanted]
        lines = [orjson.dumps(self.objects[key]) for key in wanted]
        if not content.get("excludeExportDetails"):
            lines.append(orjson.dumps({"exportedCount": len(lines), "missingRefCount": 0, "missingReferences": []}))
        return Response(200, {"content-type": "application/ndjson"}, b"\n".join(lines))


def _file(request: Request) -> bytes:
    """The one file of a form. Raises AssertionError where Dashboards would answer 400."""
    content_type = request.headers.get("content-type") or request.headers["Content-Type"]
    head = f"content-type: {content_type}\r\n\r\n".encode()
    form = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    (part,) = form.iter_parts()
    assert part.get_param("name", header="content-disposition") == "file"
    assert str(part.get_filename()).endswith(".ndjson")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


class Unexpected(Exception):
    """A request that the real ones do not know, as far as we have seen."""

    def __init__(self, request: Request) -> None:
        super().__init__(f"{request.method} {request.path}")


class Domain:
    """A real node with these before it, as a domain is. `close` raises where something unexpected was asked."""

    def __init__(self, url: str) -> None:
        self.alerting, self.notifications = Alerting(Engine(url)), Notifications()
        self.policies, self.dashboards = Policies(), Dashboards()
        self.writes: list[str] = []
        self.unexpected: list[str] = []
        self._proxy = Proxy(url)
        self.url = self._proxy.url
        self._answers = {
            prefix: self._checked(answer)
            for prefix, answer in {
                ALERTING: self.alerting.answer,
                NOTIFICATIONS: self.notifications.answer,
                POLICIES: self.policies.answer,
                DASHBOARDS: self.dashboards.answer,
            }.items()
        }
        for prefix, answer in self._answers.items():
            self._proxy.on(_below(prefix), answer)
        self._proxy.on(self._noted, forward)

    def without(self, prefix: str) -> None:
        """From now on this is not there: the node answers for it."""
        self._proxy.on(_below(prefix), forward)

    def fail(self, prefix: str, response: Response) -> None:
        """From now on this answers so to everything that changes something."""
        self._proxy.on(lambda request: request.path.startswith(prefix) and is_write(request), lambda _: response)

    def recover(self, prefix: str, answer: Callable[[Request], Response]) -> None:
        """It works again."""
        self._proxy.on(_below(prefix), self._checked(answer))

    def interrupt(self, after: int, *, done: bool) -> Callable[[], None]:
        """End the caller's connection at the write that follows so many; `done`: after it was carried out.

        Returns what ends the interruption.
        """
        writes, over = 0, False

        def behave(exchange: Exchange) -> Response:
            nonlocal writes
            writes += 1
            if writes <= after or (done and writes == after + 1):
                behaviour = next(
                    (one for prefix, one in self._answers.items() if _below(prefix)(exchange.request)), forward
                )
                answer = behaviour(exchange)
                if writes <= after:
                    return answer
            raise Dropped

        def end() -> None:
            nonlocal over
            over = True

        self._proxy.on(lambda request: not over and is_write(request), behave)
        return end

    def close(self) -> None:
        self._proxy.close()
        assert not self.unexpected

    def _noted(self, request: Request) -> bool:
        if is_write(request):
            self.writes.append(f"{request.method} {request.path}")
        return False

    def _checked(self, answer: Callable[[Request], Response]) -> Callable[[Exchange], Response]:
        def behave(exchange: Exchange) -> Response:
            try:
                return answer(exchange.request)
            except Exception as exc:  # noqa: BLE001 - it is raised when the domain closes
                self.unexpected.append(f"{type(exc).__name__}: {exc}")
                return failure(500, "unexpected", "the stand-in does not know this")

        return behave


def _below(prefix: str) -> Callable[[Request], bool]:
    return lambda request: request.path.startswith(prefix)
