"""OPENSEARCH_AUTH=basic: the password is read when it is needed, and again when it is refused, but not each time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import orjson
import pytest

from daswatch.aws import clients
from daswatch.deadline import Deadline
from daswatch.errors import DashboardsUnavailable, SearchUnavailable, SettingsError
from daswatch.indexing.bulk import Action
from daswatch.opensearch import client as opensearch_client
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import Password, dashboards_client, search_client
from daswatch.opensearch.dashboards import DashboardsGateway
from daswatch.opensearch.request import request
from daswatch.settings import SearchEndpoint
from demo.aws import LocalAws
from tests.fakes.clock import Clock
from tests.fakes.proxy import Exchange, Proxy, Response

LATER = Deadline.after(3600, Clock())


class Secret:
    """A secret that can be rotated; counts how often it is read."""

    def __init__(self) -> None:
        self.password = "first"
        self.reads = 0
        self.error: Exception | None = None

    def read(self, deadline: Deadline) -> tuple[str, str]:
        self.reads += 1
        if self.error:
            raise self.error
        return "app", self.password


@pytest.fixture
def secret() -> Secret:
    return Secret()


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def password(secret: Secret, clock: Clock) -> Password:
    return Password(secret.read, clock.monotonic)


def test_a_password_is_read_at_the_first_request_and_kept(secret: Secret, password: Password) -> None:
    assert secret.reads == 0

    headers = [password.provide(LATER) for _ in range(3)]

    assert headers == [{"authorization": "Basic " + base64.b64encode(b"app:first").decode()}] * 3
    assert secret.reads == 1


def test_a_rotated_password_is_read_again(secret: Secret, password: Password, clock: Clock) -> None:
    refused = password.provide(LATER)
    clock.now += 3600
    secret.password = "second"

    assert password.renew(refused, LATER)
    assert password.provide(LATER) != refused
    assert password.renew(refused, LATER)  # another thread's request, refused at the same time
    assert secret.reads == 2


def test_a_refusal_reads_the_password_at_most_every_ten_seconds(
    secret: Secret, password: Password, clock: Clock
) -> None:
    refused = password.provide(LATER)

    for _ in range(100):
        assert not password.renew(refused, LATER)
        clock.now += 1

    assert secret.reads == 1 + 9


@pytest.mark.parametrize("error", [SearchUnavailable("Secrets Manager"), SettingsError(["no such secret"])])
def test_a_secret_that_cannot_be_read_again_leaves_the_refusal(
    secret: Secret, password: Password, clock: Clock, error: Exception
) -> None:
    refused = password.provide(LATER)
    clock.now += 3600
    secret.error = error

    assert not password.renew(refused, LATER)
    assert password.provide(LATER) == refused


# Over HTTP.


class Guarded:
    """A server that takes one password, and a secret in Secrets Manager that has it or not yet."""

    def __init__(self, aws: LocalAws, proxy: Proxy) -> None:
        self._secrets_manager = aws.client("secretsmanager")
        self._proxy = proxy
        self.password = "first"
        self.secret_arn = self._secrets_manager.create_secret(
            Name=f"guarded-{id(self)}", SecretString=self._content("first")
        )["ARN"]
        self.refused = 0
        proxy.on(lambda request: True, self._answer)

    @property
    def endpoint(self) -> SearchEndpoint:
        return SearchEndpoint(self._proxy.url, auth="basic", secret_arn=self.secret_arn)

    def keep(self, password: str) -> None:
        self._secrets_manager.put_secret_value(SecretId=self.secret_arn, SecretString=self._content(password))

    def _content(self, password: str) -> str:
        return orjson.dumps({"username": "app", "password": password}).decode()

    def _answer(self, exchange: Exchange) -> Response:
        expected = "Basic " + base64.b64encode(f"app:{self.password}".encode()).decode()
        if exchange.request.headers.get("authorization") != expected:
            self.refused += 1
            return Response(401, {"content-type": "text/plain"}, b"Unauthorized")
        return Response.of_json(200, {"saved_objects": [], "errors": False, "items": [{"create": {"status": 201}}]})


@pytest.fixture
def guarded(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    for name, value in {**aws.environment, "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.url}.items():
        monkeypatch.setenv(name, value)
    clients.session.cache_clear()
    monkeypatch.setattr(opensearch_client, "SECRET_SECONDS", 0.0)
    with Proxy(aws.url) as proxy:
        yield Guarded(aws, proxy)


def _searching(endpoint: SearchEndpoint) -> Callable[[], object]:
    client = search_client(endpoint)
    return lambda: request(client, "GET", "/", deadline=Deadline.after(60))


def _writing(endpoint: SearchEndpoint) -> Callable[[], object]:
    gateway = SearchGateway(search_client(endpoint))

    def write() -> None:
        result = gateway.write([Action(b'{"create":{"_index":"i","_id":"1"}}\n{}\n', "1")], Deadline.after(60))
        if result.unwritten:
            raise SearchUnavailable(result.cause)

    return write


def _showing(endpoint: SearchEndpoint) -> Callable[[], object]:
    gateway = DashboardsGateway(dashboards_client(endpoint, endpoint.url))
    return lambda: gateway.get([("search", "das-session")])


@pytest.mark.parametrize("make", [_searching, _writing, _showing])
def test_a_warm_client_follows_a_rotated_password(
    guarded: Guarded, make: Callable[[SearchEndpoint], Callable[[], object]]
) -> None:
    call = make(guarded.endpoint)
    call()

    guarded.password = "second"  # the server first, the secret a little later
    with pytest.raises((SearchUnavailable, DashboardsUnavailable), match="401"):
        call()
    guarded.keep("second")
    call()
    call()

    assert guarded.refused == 2


def test_a_secret_that_is_not_there_is_named(guarded: Guarded) -> None:
    endpoint = SearchEndpoint(guarded.endpoint.url, auth="basic", secret_arn=f"{guarded.secret_arn}-gone")

    with pytest.raises(SearchUnavailable, match="ResourceNotFoundException") as error:
        _searching(endpoint)()

    assert error.value.status == 400
    with pytest.raises(SearchUnavailable, match="ResourceNotFoundException"):
        _writing(endpoint)()


def test_a_secret_of_another_shape_is_not_quoted(guarded: Guarded) -> None:
    guarded._secrets_manager.put_secret_value(SecretId=guarded.secret_arn, SecretString="hunter2")

    with pytest.raises(SettingsError) as error:
        _searching(guarded.endpoint)()

    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
