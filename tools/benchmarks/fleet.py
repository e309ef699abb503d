"""A fleet of any size, the same for each seed, as AWS describes it; and what a run of the inventory over it costs.

botocore makes and signs every request, and parses every answer; only the network between is left out. The fleet has all
engines and states, Serverless v2 and read replicas, blue/green pairs, databases of other services that RDS describes
too, and some that are deleted while their region is looked at.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import orjson
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from opensearchpy import OpenSearch

from daswatch.aws.clients import regional_client, sts_client
from daswatch.aws.fleet import FleetLookup
from daswatch.aws.roles import Credentials
from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.fleet.database import Place
from daswatch.fleet.inventory import Look
from daswatch.opensearch.templates import ContentGateway
from tools.benchmarks.figures import Figures
from tools.benchmarks.ingest import child_process

ACCOUNTS = tuple(f"{number}" * 12 for number in range(1, 6))
REGIONS = tuple(
    f"{area}-{number}"
    for area in ("us-east", "us-west", "eu-west", "eu-central", "eu-north", "ap-south", "ap-northeast", "ap-southeast")
    for number in (1, 2, 3, 4)
)[:30]
PLACES = tuple(Place(account, region) for account in ACCOUNTS for region in REGIONS)
DATABASES = 1_000
ANSWER_SECONDS = 0.02  # of one call, a region of the same continent
_PAGE = 100  # RDS's default

# What there is, with how often: kind, engine, versions, classes.
_SHAPES: Sequence[tuple[int, str, str, tuple[str, ...], tuple[str, ...]]] = (
    (24, "cluster", "aurora-postgresql", ("14.9", "15.4", "16.2"), ("db.r6g.large", "db.serverless", "db.t4g.medium")),
    (16, "cluster", "aurora-mysql", ("8.0.mysql_aurora.3.04.0", "5.7.mysql_aurora.2.11.2"), ("db.r6g.xlarge",)),
    (3, "cluster", "docdb", ("5.0.0",), ("db.r6g.large",)),
    (3, "cluster", "neptune", ("1.3.1.0",), ("db.r6g.large",)),
    (3, "cluster", "postgres", ("16.2",), ("db.m6gd.large",)),  # Multi-AZ DB cluster
    (14, "db", "postgres", ("15.4", "16.2"), ("db.m6g.large", "db.t4g.micro")),
    (12, "db", "mysql", ("8.0.36",), ("db.m6g.large",)),
    (5, "db", "mariadb", ("10.11.6",), ("db.m6g.large",)),
    (9, "db", "oracle-ee", ("19.0.0.0.ru-2024-01.rur-2024-01.r1",), ("db.r6i.large", "db.m5.xlarge")),
    (3, "db", "oracle-se2-cdb", ("21.0.0.0.ru-2024-01.rur-2024-01.r1",), ("db.m5.large",)),
    (8, "db", "sqlserver-ee", ("15.00.4345.5.v1",), ("db.r6i.xlarge",)),
)
_STATES = ("available",) * 12 + ("stopped", "modifying", "backing-up", "upgrading", "storage-full")
_WITHOUT = ("docdb", "neptune", "postgres", "mysql", "mariadb", "oracle-se2-cdb")
_SYNC = ("aurora-postgresql",)


@dataclass(slots=True)
class _Region:
    clusters: list[dict[str, Any]] = field(default_factory=list)
    instances: list[dict[str, Any]] = field(default_factory=list)
    doomed: list[str] = field(default_factory=list)  # instances that are deleted after the first page of clusters


class GeneratedFleet:
    """AWS with some databases. `calls` counts what was asked of it, by operation."""

    def __init__(
        self,
        databases: int = DATABASES,
        seed: int = 1,
        answer_seconds: float = 0.0,
        places: Sequence[Place] = PLACES,
        *,
        audited: bool = False,
    ) -> None:
        """With `audited`, all databases have a stream that is on."""
        self.calls: Counter[str] = Counter()
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        random = Random(seed)
        self._audited = audited
        self.places = list(places)
        self._regions = {place: _Region() for place in self.places}
        shapes = [shape for shape in _SHAPES if not audited or shape[2] not in _WITHOUT]
        weights = [shape[0] for shape in shapes]
        number = 0
        while number < databases:
            place = random.choice(self.places)
            shape = random.choices(shapes, weights)[0]
            # A pair counts twice: the old one keeps its name with -old1, and a new one has the name.
            pair = number + 1 < databases and random.random() < 0.03
            for name in (f"d{number:04}", f"d{number:04}-old1") if pair else (f"d{number:04}",):
                self._add(random, place, shape, name)
                number += 1

    def lookup(self, regions: tuple[str, ...] = ()) -> FleetLookup:
        """A look at it from the first account."""
        return FleetLookup(
            ACCOUNTS[0], REGIONS[0], self._client, lambda: self._client("sts", REGIONS[0], None), "inventory", regions
        )

    def look(self, deadline: Deadline) -> list[Look]:
        """Look at all accounts and regions."""
        return self.lookup().look(ACCOUNTS, deadline)

    @property
    def bound(self) -> int:
        """How many calls a look may need: see docs/fleet.md."""
        accounts = 2 * len(ACCOUNTS) - 1  # a role in all but our own, and the regions
        pages = sum(
            max(1, -(-len(entries) // _PAGE))
            for one in self._regions.values()
            for entries in (one.clusters, one.instances)
        )
        questions = keys = 0
        for one in self._regions.values():
            pages += sum(max(1, -(-len(raws) // _PAGE)) for raws in (one.clusters, one.instances))
            raws = [*one.clusters, *one.instances]
            questions += len({(raw["Engine"], raw["EngineVersion"], raw["DBInstanceClass"]) for raw in one.instances})
            keys += len({raw["ActivityStreamKmsKeyId"] for raw in raws if "ActivityStreamKmsKeyId" in raw})
        return accounts + pages + questions + keys

    def _add(self, random: Random, place: Place, shape: tuple[Any, ...], name: str) -> None:
        _, kind, engine, versions, classes = shape
        region = self._regions[place]
        resource = "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=26))
        status = random.choice(_STATES)
        common = {
            "Engine": engine,
            "EngineVersion": random.choice(versions),
            "StorageEncrypted": random.random() < 0.8,
            "TagList": [
                {"Key": "env", "Value": random.choice(("prod", "test"))},
                {"Key": "team", "Value": "shop & co"},
            ],
            **_stream(random, engine, kind, resource, place, audited=self._audited),
        }
        arn = f"arn:aws:rds:{place.region}:{place.account_id}"
        if kind == "db":
            region.instances.append(
                {
                    **common,
                    "DBInstanceIdentifier": name,
                    "DBInstanceArn": f"{arn}:db:{name}",
                    "DbiResourceId": f"db-{resource}",
                    "DBInstanceClass": random.choice(classes),
                    "DBInstanceStatus": status,
                    **({"ReadReplicaSourceDBInstanceIdentifier": "d0000"} if random.random() < 0.1 else {}),
                }
            )
            return
        members = [f"{name}-{number}" for number in range(random.choice((0, 1, 2, 2, 3)))]
        region.clusters.append(
            {
                **common,
                "DBClusterIdentifier": name,
                "DBClusterArn": f"{arn}:cluster:{name}",
                "DbClusterResourceId": f"cluster-{resource}",
                "Status": status,
                "DBClusterMembers": [
                    {"DBInstanceIdentifier": one, "IsClusterWriter": one == members[0]} for one in members
                ],
            }
        )
        region.instances += [
            {
                "Engine": engine,
                "EngineVersion": common["EngineVersion"],
                "DBInstanceIdentifier": one,
                "DBInstanceArn": f"{arn}:db:{one}",
                "DbiResourceId": f"db-{resource[:-4]}{one[-4:].upper()}",
                "DBInstanceClass": random.choice(classes),
                "DBInstanceStatus": status,
                "DBClusterIdentifier": name,
            }
            for one in members
        ]
        if members and random.random() < 0.02:
            region.doomed += members

    def _client(self, service: str, region: str, credentials: Credentials | None) -> Any:
        given = credentials or {"AccessKeyId": ACCOUNTS[0], **_SECRET}
        client = self._new_client(service, region, given)
        place = Place(credentials["AccessKeyId"] if credentials else ACCOUNTS[0], region)
        client.meta.events.register("before-send", cast(Callable[..., None], partial(self._answer, place, service)))
        return client

    def _new_client(self, service: str, region: str, credentials: Credentials) -> Any:
        return sts_client() if service == "sts" else regional_client(service, region, credentials)

    def _answer(self, place: Place, service: str, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        time.sleep(self._answer_seconds)
        if service == "kms":
            call = "DescribeKey"
            answer = orjson.dumps({"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled"}})
        else:
            asked = {name: values[0] for name, values in parse_qs(cast(str, request.body)).items()}
            call = asked["Action"]
            answer = getattr(self, f"_{service}")(place, call, asked)
        with self._lock:
            self.calls[call] += 1
        return AWSResponse(request.url, 200, HTTPHeaders(), RawBody(answer))

    def _sts(self, _: Place, call: str, asked: Mapping[str, str]) -> bytes:
        account = asked["RoleArn"].split(":")[4]
        given = {"AccessKeyId": account, **_SECRET, "Expiration": "2031-03-04T10:00:00Z"}
        return _xml(call, {"Credentials": given})

    def _ec2(self, _: Place, call: str, __: Mapping[str, str]) -> bytes:
        regions = dict.fromkeys(one.region for one in self.places)
        items = "".join(f"<item><regionName>{one}</regionName></item>" for one in regions)
        return f"<{call}Response><requestId>1</requestId><regionInfo>{items}</regionInfo></{call}Response>".encode()

    def _rds(self, place: Place, call: str, asked: Mapping[str, str]) -> bytes:
        region = self._regions[place]
        if call == "DescribeOrderableDBInstanceOptions":
            engine, name = asked["Engine"], asked["DBInstanceClass"]
            modes = [] if ".t" in name else ["sync", "async"] if engine in _SYNC else ["async"]
            option = {"Engine": engine, "DBInstanceClass": name, "SupportedActivityStreamModes": modes}
            return _xml(call, {"OrderableDBInstanceOptions": [option]}, item="OrderableDBInstanceOption")
        clusters = call == "DescribeDBClusters"
        found = region.clusters if clusters else region.instances
        begin = int(asked.get("Marker", 0))
        page = found[begin : begin + _PAGE]
        if clusters and region.doomed:
            region.instances = [one for one in region.instances if one["DBInstanceIdentifier"] not in region.doomed]
        more = {"Marker": str(begin + _PAGE)} if begin + _PAGE < len(found) else {}
        item = "DBCluster" if clusters else "DBInstance"
        return _xml(call, {f"{item}s": page, **more}, item=item)


KEYS = {"AWS_ACCESS_KEY_ID": "generated", "AWS_SECRET_ACCESS_KEY": "generated"}
_SECRET = {"SecretAccessKey": "generated", "SessionToken": "generated"}
_ITEMS = {"TagList": "Tag", "DBClusterMembers": "DBClusterMember", "SupportedActivityStreamModes": "member"}


def _stream(random: Random, engine: str, kind: str, resource: str, place: Place, *, audited: bool) -> dict[str, Any]:
    if engine in _WITHOUT or (not audited and random.random() < 0.4):
        return {"ActivityStreamStatus": "stopped"}
    return {
        "ActivityStreamStatus": random.choice(("started",) * 8 + (("starting", "stopping") if not audited else ())),
        "ActivityStreamMode": random.choice(("sync", "async")) if engine in _SYNC else "async",
        "ActivityStreamKmsKeyId": f"arn:aws:kms:{place.region}:{place.account_id}:key/{random.choice('ab')}",
        "ActivityStreamKinesisStreamName": f"aws-rds-das-{kind}-{resource}",
    }


def _xml(call: str, result: Mapping[str, Any], item: str = "member") -> bytes:
    inner = "".join(_elements(name, value, item) for name, value in result.items())
    return f"<{call}Response><{call}Result>{inner}</{call}Result></{call}Response>".encode()


def _elements(name: str, value: Any, item: str) -> str:
    if isinstance(value, Mapping):
        inner = "".join(_elements(key, one, _ITEMS.get(key, item)) for key, one in value.items())
    elif isinstance(value, list):
        inner = "".join(_elements(item, one, item) for one in value)
    else:
        inner = escape(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{name}>{inner}</{name}>"


class RawBody:
    """What botocore reads a body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> list[bytes]:
        return [self._content]


def inventory(step: Callable[[str], None], client: OpenSearch, url: str, figures: Figures) -> None:
    """A first and a second run over 1,000 databases of 150 places, each of a process of its own."""
    ContentGateway(client).install_all(shipped_content())
    settings = {"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "none", "AWS_REGION": REGIONS[0], **KEYS}
    step("inventory: 1,000 databases")
    first = child_process("inventory", Path(os.devnull), {**os.environ, **settings})
    again = child_process("inventory", Path(os.devnull), {**os.environ, **settings})
    if first["calls"] > first["bound"]:
        raise RuntimeError(f"{first['calls']:g} calls of AWS, and {first['bound']:g} should do")
    figures.add(
        inventory_1000_databases_s=again["seconds"],
        inventory_1000_databases_first_s=first["seconds"],
        inventory_1000_databases_aws_calls=first["calls"],
        inventory_1000_databases_aws_calls_bound=first["bound"],
        inventory_1000_databases_peak_memory_mb=max(first["mb"], again["mb"]),
    )
