"""The server of the preview: pages on the loopback address, read-only.

In: GET requests of a browser on this machine. Out: HTML; each panel is asked of OpenSearch when the page asks for it. A
panel that fails says so in its place, with 400 for a view that is not understood and 503 for OpenSearch.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from html import escape
from importlib.resources import files
from typing import Any, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daswatch.content.dashboards import SavedObject, shipped_objects
from daswatch.content.templates import shipped_content
from daswatch.errors import SearchUnavailable, SettingsError
from daswatch.indices import Indices
from daswatch.preview.charts import svg_of
from daswatch.preview.formats import visible
from daswatch.preview.pages import (
    Answered,
    Panel,
    content_html,
    document_page,
    fields_of,
    page_html,
    panels_of,
    problem_page,
)
from daswatch.preview.panels import PanelError, by_key, requests_of, rows_of
from daswatch.preview.tables import Place
from daswatch.preview.view import View, ViewError

HOST = "127.0.0.1"
# Asks an index for a search's answer. Raises SearchUnavailable.
Ask: TypeAlias = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
_ROOM = (600, 300)  # px, where a browser does not say how much it has
_SMALLEST, _LARGEST = 80, 4_000  # px
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Preview:
    """The dashboards of one deployment, at one endpoint."""

    def __init__(self, ask: Ask, indices: Indices, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._ask = ask
        self._clock = clock
        self._objects = by_key(shipped_objects(indices))
        templates = [(one.name, one.body) for one in shipped_content(indices.prefix)]
        self._patterns = [one for one in self._objects.values() if one.type == "index-pattern"]
        self._fields = {one.title: fields_of(one.title, templates) for one in self._patterns}
        self._first = f"{indices.saved_object_start}overview"

    def app(self) -> ASGIApp:
        """As an application of ASGI."""
        routes = [
            Route("/", self._home),
            Route("/page.css", lambda _: _file("page.css", "text/css")),
            Route("/page.js", lambda _: _file("page.js", "text/javascript")),
            Route("/{dashboard}", self._dashboard),
            Route("/{dashboard}/panel/{panel}", self._panel),
            Route("/{dashboard}/document/{index}/{id:path}", self._document),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
        return Starlette(routes=routes, middleware=[Middleware(_Headers), hosts])

    def _home(self, _: Request) -> Response:
        return RedirectResponse(f"/{self._first}")

    def _dashboard(self, request: Request) -> Response:
        dashboard = self._objects.get(("dashboard", request.path_params["dashboard"]))
        if dashboard is None:
            return _page(problem_page("Not found", "There is no such dashboard."), 404)
        view, problem = View(), ""
        try:
            view = View.of(request.query_params.multi_items())
            view.span(dashboard, self._clock())
            view.asked(self._fields[self._patterns[0].title])
        except ViewError as exc:
            problem = str(exc)
        page = page_html(dashboard, panels_of(dashboard, self._objects), view, problem, request.scope["nonce"])
        return _page(page, 400 if problem else 200)

    def _panel(self, request: Request) -> Response:
        dashboard = self._objects.get(("dashboard", request.path_params["dashboard"]))
        listed = panels_of(dashboard, self._objects) if dashboard else []
        panel = next((one for one in listed if one.one.id == request.path_params["panel"]), None)
        if dashboard is None or panel is None:
            return _failed("There is no such panel.", 404)
        try:
            return _page(self._content(dashboard, panel, request), 200)
        except (ViewError, PanelError) as exc:
            return _failed(str(exc), 400)
        except SearchUnavailable as exc:
            return _failed(f"OpenSearch did not answer this panel: {exc}", 503)

    def _content(self, dashboard: SavedObject, panel: Panel, request: Request) -> str:
        parameters = request.query_params
        view = View.of(parameters.multi_items())
        span = view.span(dashboard, self._clock())
        answers = []
        for asked in requests_of(panel.one, self._objects, span):
            # As in Dashboards, a control offers all values of the time range.
            control = panel.kind == "input_control_vis"
            body = asked.body if control else view.narrowed(asked, self._fields[asked.index])
            answer = self._ask(asked.index, body)
            answers.append(
                Answered(asked, rows_of(asked, answer), answer["hits"]["total"]["value"], answer["hits"]["hits"])
            )
        room = _length(parameters.get("w"), _ROOM[0]), _length(parameters.get("h"), _ROOM[1])
        return content_html(panel, answers, span, self._objects, Place(f"/{dashboard.id}", view), room)

    def _document(self, request: Request) -> Response:
        index, identity = request.path_params["index"], request.path_params["id"]
        dashboard = self._objects.get(("dashboard", request.path_params["dashboard"]))
        pattern = next((one for one in self._patterns if fnmatchcase(index, one.title)), None)
        if dashboard is None or pattern is None or set(index) & set("*?,"):
            return _page(problem_page("Not found", "There is no such document."), 404)
        try:
            view = View.of(request.query_params.multi_items())
            hits = self._ask(index, {"size": 1, "query": {"ids": {"values": [identity]}}})["hits"]["hits"]
        except ViewError as exc:
            return _page(problem_page("Not understood", str(exc)), 400)
        except SearchUnavailable as exc:
            return _page(problem_page("No answer", f"OpenSearch did not answer: {exc}"), 503)
        if not hits:
            return _page(problem_page("Not found", "There is no such document: it may have been deleted."), 404)
        return _page(document_page(dashboard, hits[0], pattern, view, request.scope["nonce"]), 200)


class _Headers:
    """What every answer says to the browser, and a new nonce for each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        nonce = scope["nonce"] = secrets.token_urlsafe(16)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
            await send(message)

        await self._app(scope, receive, with_headers)


def _file(name: str, kind: str) -> Response:
    return Response(files("daswatch.preview").joinpath(name).read_bytes(), media_type=kind)


def _page(html: str, status: int) -> Response:
    return HTMLResponse(html, status)


def _failed(problem: str, status: int) -> Response:
    return _page(f'<p class="failed" role="alert">{escape(visible(problem))}</p>', status)


def _length(text: str | None, default: int) -> int:
    return min(max(int(text), _SMALLEST), _LARGEST) if text and text.isdecimal() and len(text) < 6 else default


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve on the loopback address, in a thread; yields the URL. Raises SettingsError where the port is taken."""
    try:
        listener = socket.create_server((HOST, port))
    except OSError as exc:
        raise SettingsError([f"port {port} cannot be listened on ({exc.strerror}; expected: a free port)"]) from exc
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", ws="none", loop="asyncio", http="h11", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="preview", daemon=True)
    thread.start()
    # The first chart takes seconds: Vega is loaded.
    threading.Thread(target=svg_of, args=({"data": {"values": []}, "mark": "bar"},), daemon=True).start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
