"""Stand-ins for what is on no package registry: three plugins of OpenSearch, and Dashboards, over real HTTP.

They stand in a proxy before a real node. They do what the real ones were seen to do: the server chooses a monitor's id,
names are not unique, a stored query is rewritten, a second channel under one id is a conflict, a policy is written over
what was read or not at all. Whatever else is asked of them is refused, and fails the test.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.proxy import Exchange, Proxy, Request, Response, forward

ALERTING, NOTIFICATIONS, POLICIES = "/_plugins/_alerting", "/_plugins/_notifications", "/_plugins/_ism/policies"
DASHBOARDS = "/_dashboards/api/saved_objects"
READS = frozenset({("POST", "/_search"), ("POST", "/_bulk_get"), ("POST", "/_export")})


def failure(status: int, kind: str, reason: str) -> Response:
    """A failure as OpenSearch tells it."""
    return Response.of_json(status, {"error": {"type": kind, "reason": reason}, "status": status})


def is_write(request: Request) -> bool:
    """Whether it asks the server to change anything."""
    path = urlsplit(request.path).path
    return request.method not in ("GET", "HEAD") and not any(
        request.method == method and path.endswith(end) for method, end in READS
    )


@dataclass
class Alerting:
    """Monitors."""

    monitors: dict[str, dict[str, Any]] = field(default_factory=dict)
    installed: bool = True

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(f"{ALERTING}/monitors")
        content: Any = orjson.loads(request.body) if request.body else None
        match request.method, path:
            case "POST", "/_search":
                return self._search(content)
            case "POST", "":
                wrong = self._wrong(content)
                if wrong:
                    return failure(400, "illegal_argument_exception", wrong)
                name = f"m{len(self.monitors) + 1:04}"
                self.monitors[name] = _rewritten(content)
                return Response.of_json(201, {"_id": name, "_version": 1, "_seq_no": 0, "monitor": content})
            case "PUT", _ if path.removeprefix("/") in self.monitors:
                wrong = self._wrong(content)
                if wrong:
                    return failure(400, "illegal_argument_exception", wrong)
                self.monitors[path.removeprefix("/")] = _rewritten(content)
                return Response.of_json(200, {"_id": path.removeprefix("/"), "monitor": content})
            case "PUT", _:
                return failure(404, "alerting_exception", "Monitor not found")
        raise Unexpected(request)

    def named(self, name: str) -> dict[str, Any]:
        """The one monitor of this name."""
        (found,) = (one for one in self.monitors.values() if one["name"] == name)
        return found

    def _search(self, content: Mapping[str, Any]) -> Response:
        if not self.monitors:
            return failure(404, "alerting_exception", "Configured indices are not found: [.opendistro-alerting-config]")
        assert set(content) == {"size", "query"}
        names = content["query"]["terms"]["monitor.name.keyword"]
        hits = [
            {"_id": name, "_source": monitor} for name, monitor in self.monitors.items() if monitor["name"] in names
        ]
        return Response.of_json(200, {"hits": {"total": {"value": len(hits)}, "hits": hits[: content["size"]]}})

    @staticmethod
    def _wrong(monitor: Mapping[str, Any]) -> str:
        triggers = [one["query_level_trigger"] for one in monitor["triggers"]]
        if monitor["monitor_type"] != "query_level_monitor" or len(monitor["inputs"]) != 1:
            return "not such a monitor"
        if monitor["schedule"].get("period", {"interval": 1})["interval"] <= 0:
            return "interval"
        if len(triggers) > 10 or len({one["id"] for one in triggers}) < len(triggers):
            return "triggers"
        return "" if all(one["severity"] in "12345" and one["actions"] for one in triggers) else "trigger"


def _rewritten(monitor: Mapping[str, Any]) -> dict[str, Any]:
    """As the plugin keeps it: the query is another text, and everything has more fields."""
    search = monitor["inputs"][0]["search"]
    query = {"size": search["query"].get("size", 0), "query": {"bool": {"adjust_pure_negative": True, "boost": 1.0}}}
    return {
        **monitor,
        "schema_version": 8,
        "enabled_time": 1 if monitor["enabled"] else None,
        "last_update_time": 1,
        "inputs": [{"search": {**search, "query": query}}],
    }


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
        """As somebody's own request does it, over what is there."""
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
        told = {"id": one["id"], "type": one["type"], "title": one["attributes"].get("title")}
        missing = [
            {"type": ref["type"], "id": ref["id"]} for ref in one["references"] if (ref["type"], ref["id"]) not in known
        ]
        if one["id"] in self.refused:
            return {**told, "error": {"type": "unsupported_type"}}
        if missing:
            return {**told, "error": {"type": "missing_references", "references": missing}}
        if not overwrite and (one["type"], one["id"]) in self.objects:
            return {**told, "error": {"type": "conflict"}}
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
        self.alerting, self.notifications = Alerting(), Notifications()
        self.policies, self.dashboards = Policies(), Dashboards()
        self.writes: list[str] = []
        self.unexpected: list[str] = []
        self._proxy = Proxy(url)
        self.url = self._proxy.url
        for prefix, answer in {
            ALERTING: self.alerting.answer,
            NOTIFICATIONS: self.notifications.answer,
            POLICIES: self.policies.answer,
            DASHBOARDS: self.dashboards.answer,
        }.items():
            self._proxy.on(_below(prefix), self._checked(answer))
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
            except Exception as exc:  # noqa: BLE001 - it is told when the domain closes
                self.unexpected.append(f"{type(exc).__name__}: {exc}")
                return failure(500, "unexpected", "the stand-in does not know this")

        return behave


def _below(prefix: str) -> Callable[[Request], bool]:
    return lambda request: request.path.startswith(prefix)
