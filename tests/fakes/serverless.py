"""A stand-in for a Serverless collection: a proxy of the real node that refuses what a collection refuses.

Which calls there are is read from the table of docs/serverless.md. What was written is not found, by id either, before
`pass_time`; a write that is forwarded leaves versions and shards out of its answer, as a collection does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson
from opensearchpy import OpenSearch

from demo.opensearch import AnyNode, ExternalNode
from tests import ROOT
from tests.fakes.proxy import Exchange, Proxy, Response

PAGE = ROOT / "docs/serverless.md"
TIME_SERIES = "Document ID is not supported in create/index operation request"
# Of no use in a collection, or not documented: the stand-in is no more generous than AWS's page.
_HEADS = frozenset({"_index", "_id"})
_PARAMETERS = frozenset({"filter_path", "ignore_unavailable", "allow_no_indices", "size", "max_concurrent_searches"})
_SETTINGS = frozenset({"analysis", "codec"})
_ROW = re.compile(r"^\| (GET|POST|PUT|DELETE) \| `(/[^`]*)` \|[^|]*\| (yes|no) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the table."""

    method: str
    path: str
    there: bool

    def fits(self, method: str, path: str) -> bool:
        """Whether a request is such a call. A name of OpenSearch's own begins with an underscore, an index does not."""
        pattern = re.sub(r"<(index|id|name)>", lambda one: r"[^/_][^/]*" if one[1] == "index" else r".+", self.path)
        return method == self.method and re.fullmatch(pattern, path) is not None


def calls() -> list[Call]:
    """The table of docs/serverless.md."""
    table = PAGE.read_text("utf-8").partition("<!-- calls -->")[2].partition("<!-- end of calls -->")[0]
    return [Call(method, path, there == "yes") for method, path, there in _ROW.findall(table)]


def is_chosen(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether OPENSEARCH_SERVICE asks for the stand-in, for the demo and the tests."""
    return environ.get("OPENSEARCH_SERVICE") == "aoss"


class CollectionNode(ExternalNode):
    """A node that our functions know by the collection in front of it; `node` is for what a test itself asks."""

    def __init__(self, node: AnyNode) -> None:
        self.node = node
        self.collection = Collection(node.url, at_once=True)
        super().__init__(self.collection.url)

    def close(self) -> None:
        self.collection.close()
        self.node.close()


class Collection:
    """A collection in front of a node, of type search or time series. `unknown` has what it refused.

    With `at_once`, time passes after each write: what is tested is which calls there are.
    """

    def __init__(self, url: str, *, time_series: bool = False, at_once: bool = False) -> None:
        self._node = OpenSearch(url)
        self._time_series = time_series
        self._at_once = at_once
        self._calls = [call for call in calls() if call.there]
        self._proxy = Proxy(url)
        self._proxy.on(lambda request: True, self._answer)
        self.url = self._proxy.url
        self.unknown: list[str] = []
        self.used: set[Call] = set()
        self._sent: dict[str, Any] = {}  # settings of templates, as they were sent

    def pass_time(self, indices: str) -> None:
        """Some ten seconds: what was written is found from now on."""
        self._node.indices.refresh(index=indices, params={"ignore_unavailable": "true"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; the node stays."""
        self._proxy.close()
        self._node.close()

    def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        parts = urlsplit(request.path)
        parameters = parse_qs(parts.query)
        if parts.path.startswith("/_dashboards/"):
            return Response(404)  # another server, which is not there
        call = next((call for call in self._calls if call.fits(request.method, parts.path)), None)
        if call is None:
            return self._refused(f"{request.method} {parts.path}", Response(404))
        if "refresh" in parameters:
            return self._refused(request.path, _error(400, "status_exception", "true refresh policy is not supported."))
        if unknown := parameters.keys() - _PARAMETERS:
            return self._refused(f"{parts.path}: {sorted(unknown)}", _error(400, "illegal_argument_exception", "no"))
        self.used.add(call)
        if call.path == "/_bulk":
            return self._bulk(exchange)
        if request.method == "PUT" and call.path in ("/_index_template/<name>", "/<index>"):
            return self._created(exchange, call)
        if call.path == "/_index_template/<name>":
            return self._template(exchange)
        if call.path.endswith(("/_mget", "/_doc/<id>")) and request.method in ("GET", "POST"):
            return _without_versions(_read(exchange, parts.path))
        if call.path in ("/<index>/_doc/<id>", "/<index>/_create/<id>"):
            return self._written(exchange, [parts.path.split("/")[1]])
        return _without_versions(exchange.forward())

    def _written(self, exchange: Exchange, indices: Iterable[str]) -> Response:
        """What is answered to a write."""
        response = _without_versions(exchange.forward())
        if self._at_once:
            self.pass_time(",".join(sorted(set(indices))))
        return response

    def _bulk(self, exchange: Exchange) -> Response:
        heads = [next(iter(orjson.loads(line).items())) for line in exchange.request.body.splitlines()[::2]]
        if self._time_series:
            refused = {"status": 400, "error": {"type": "illegal_argument_exception", "reason": TIME_SERIES}}
            return Response.of_json(200, {"errors": True, "items": [{action: refused} for action, _ in heads]})
        for action, head in heads:
            if action not in ("create", "index") or head.keys() - _HEADS:
                return self._refused(f"bulk: {action} {sorted(head)}", _error(400, "illegal_argument_exception", "no"))
        return self._written(exchange, (head["_index"] for _, head in heads))

    def _created(self, exchange: Exchange, call: Call) -> Response:
        """An index, or the template of some, which is not refreshed by itself: that is what `pass_time` is for."""
        body = orjson.loads(exchange.request.body)
        holder = body if call.path == "/<index>" else body["template"]
        settings = holder.get("settings", {}).get("index", {})
        if settings.keys() - _SETTINGS or "composed_of" in body:
            return self._refused(f"settings {sorted(settings)}", _error(400, "illegal_argument_exception", "no"))
        self._sent[exchange.request.path] = {"index": settings} if settings else None
        codec = {"codec": "best_compression"} if "codec" in settings else {}  # the node has no zstd
        holder["settings"] = {"index": {**settings, **codec, "refresh_interval": "-1"}}
        return exchange.forward(orjson.dumps(body))

    def _template(self, exchange: Exchange) -> Response:
        """A template as it was sent; one that the node has otherwise is not there."""
        response = exchange.forward()
        if response.status != 200 or exchange.request.path not in self._sent:
            return Response.of_json(404, {})
        content = response.json
        template = content["index_templates"][0]["index_template"]["template"]
        template["settings"] = self._sent[exchange.request.path]
        return Response.of_json(200, content)

    def _refused(self, what: str, response: Response) -> Response:
        self.unknown.append(what)
        return response


def _read(exchange: Exchange, path: str) -> Response:
    """By id, and no sooner than a search finds it."""
    request = exchange.request
    later = type(request)(request.method, f"{path}?realtime=false", request.headers, request.body)
    return Exchange(later, exchange.upstream, exchange.closing).forward()


def _without_versions(response: Response) -> Response:
    try:
        content = response.json
    except orjson.JSONDecodeError:
        return response
    return Response(response.status, response.headers, orjson.dumps(_zeroed(content)))


def _zeroed(value: Any) -> Any:
    if isinstance(value, dict):
        made = {name: _zeroed(inner) for name, inner in value.items()}
        made |= dict.fromkeys(made.keys() & {"_seq_no", "_primary_term"}, 0)
        # A shard that failed is not what a collection hides.
        shards = made.get("_shards")
        if isinstance(shards, dict) and not shards.get("failed"):
            made["_shards"] = {"total": 0, "successful": 0, "skipped": 0, "failed": 0}
        return made
    return [_zeroed(inner) for inner in value] if isinstance(value, list) else value


def _error(status: int, error_type: str, reason: str) -> Response:
    return Response.of_json(status, {"error": {"type": error_type, "reason": reason}, "status": status})
