"""One account and region without a network: RDS, Lambda, Firehose and Kinesis, as far as enrolment uses them.

botocore's models check the parameters of each call. What takes AWS minutes is done by `pass_time`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel, ServiceModel
from botocore.session import get_session
from botocore.validate import ParamValidator

from daswatch.fleet.database import Place
from tests.builders.fleet import PLACE, raw_cluster, raw_instance

CHANGES = frozenset(
    {
        "StartActivityStream",
        "StopActivityStream",
        "CreateEventSourceMapping",
        "UpdateEventSourceMapping",
        "DeleteEventSourceMapping",
        "CreateDeliveryStream",
        "UpdateDestination",
        "DeleteDeliveryStream",
    }
)


@cache
def operation(service: str, call: str) -> OperationModel:
    """AWS's model of a call, by its name."""
    return _service(service).operation_model(call)


@cache
def _service(name: str) -> ServiceModel:
    return get_session().get_service_model(name)


@cache
def _calls(service: str) -> dict[str, str]:
    """The names of calls by those of boto3's methods."""
    return {xform_name(name): name for name in _service(service).operation_names}


def problems(service: str, call: str, parameters: Mapping[str, Any]) -> str:
    """What botocore's model has against the parameters of a call, closed vocabularies and lengths included."""
    shape = operation(service, call).input_shape
    assert shape is not None
    report = ParamValidator().validate(parameters, shape).generate_report()
    return "\n".join(filter(None, [str(report), *_breaches(shape, parameters, call)]))


def _breaches(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Enums and maximum lengths, which botocore leaves to the service."""
    match shape.type_name:
        case "structure":
            for name, one in value.items():
                if name in shape.members:
                    yield from _breaches(shape.members[name], one, f"{path}.{name}")
        case "list":
            for one in value:
                yield from _breaches(shape.member, one, path)
        case "string":
            if shape.enum and value not in shape.enum:
                yield f"{path}: {value} is none of {shape.enum}"
            if len(value) > shape.metadata.get("max", len(value)):
                yield f"{path}: {value} is longer than {shape.metadata['max']}"


def error(code: str, call: str, message: str = "") -> ClientError:
    """What AWS answers."""
    status = 429 if code.startswith(("Throttl", "TooMany")) else 400
    answer: Any = {"Error": {"Code": code, "Message": message or code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, call)


@dataclass
class Database:
    """A database and its activity stream. `coming` are the statuses of the stream that `pass_time` brings."""

    raw: dict[str, Any]
    tags: dict[str, str]
    stream: str = "stopped"
    coming: list[str] = field(default_factory=list)
    gives_up: bool = False  # RDS begins to start, and does not
    is_late: bool = False  # RDS describes the old status for a while after it has agreed

    @property
    def is_cluster(self) -> bool:
        return "DBClusterArn" in self.raw

    @property
    def resource_id(self) -> str:
        return str(self.raw["DbClusterResourceId" if self.is_cluster else "DbiResourceId"])

    @property
    def identifier(self) -> str:
        return str(self.raw["DBClusterIdentifier" if self.is_cluster else "DBInstanceIdentifier"])

    @property
    def name(self) -> str:
        return f"{'cluster' if self.is_cluster else 'db'}:{self.identifier}"

    @property
    def arn(self) -> str:
        return str(self.raw["DBClusterArn" if self.is_cluster else "DBInstanceArn"])

    @property
    def stream_name(self) -> str:
        return f"aws-rds-das-{self.resource_id}"

    def set_status(self, status: str) -> None:
        self.raw["Status" if self.is_cluster else "DBInstanceStatus"] = status

    @property
    def status(self) -> str:
        return str(self.raw["Status" if self.is_cluster else "DBInstanceStatus"])

    def described(self) -> dict[str, Any]:
        on = {"ActivityStreamMode": "async", "ActivityStreamKmsKeyId": "k", "ActivityStreamKinesisStreamName": ""}
        described = {name: value for name, value in self.raw.items() if name not in on}
        described["ActivityStreamStatus"] = self.stream
        described["TagList"] = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        if self.stream != "stopped":
            described |= {**on, "ActivityStreamKinesisStreamName": self.stream_name}
        return described


class Region:
    """AWS here. `on_call` is asked before each call, and may raise what the caller then gets."""

    def __init__(self, place: Place = PLACE) -> None:
        self.place = place
        self.databases: dict[str, Database] = {}  # by resource id
        self.streams: set[str] = set()  # ARNs of Kinesis
        self.mappings: dict[str, dict[str, Any]] = {}
        self.deliveries: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.starts: Counter[str] = Counter()  # to which RDS has agreed, by resource id
        self.fails_to_create: set[str] = set()  # delivery streams
        self.on_call: Callable[[str, Mapping[str, Any]], None] = lambda _, __: None
        self.on_answer: Callable[[str, Mapping[str, Any]], None] = (
            self.on_call
        )  # asked after each call; what it raises is in place of the answer
        self.page = 100
        self._number = 0
        self._lock = threading.RLock()

    def client(self, service: str, *_: object) -> Any:
        """A client of boto3, as far as it is used here."""
        region = self

        class Client:
            meta = SimpleNamespace(region_name=region.place.region)

            def __getattr__(self, name: str) -> Callable[..., Any]:
                return partial(region._call, service, _calls(service)[name])

        return Client()

    def _call(self, service: str, call: str, **parameters: Any) -> Any:
        assert (found := problems(service, call, parameters)) == "", found
        self.on_call(call, parameters)
        with self._lock:
            self.calls.append((call, parameters))
            answer = getattr(self, f"_{xform_name(call)}")(**parameters)
        self.on_answer(call, parameters)
        return answer

    @property
    def changes(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The calls that change something."""
        return [one for one in self.calls if one[0] in CHANGES]

    def add(
        self, identifier: str, *, cluster: bool = True, tags: Mapping[str, str] | None = None, **raw: Any
    ) -> Database:
        """A new database, audited by none."""
        make = raw_cluster if cluster else raw_instance
        database = Database(make(identifier, self.place, **raw), dict(tags or {}))
        self.databases[database.resource_id] = database
        return database

    def arn(self, database: Database) -> str:
        """Of its Kinesis stream."""
        return f"arn:aws:kinesis:{self.place.region}:{self.place.account_id}:stream/{database.stream_name}"

    def begin_stream(self, database: Database, *, by_person: bool = False) -> None:
        """RDS has agreed to start."""
        if not by_person:
            self.starts[database.resource_id] += 1
        database.coming = ["starting", "stopped" if database.gives_up else "started"]
        if not database.is_late:
            self._advance(database)

    def end_stream(self, database: Database) -> None:
        """RDS has agreed to stop."""
        database.stream, database.coming = "stopping", ["stopped"]

    def _advance(self, database: Database) -> None:
        if database.coming:
            database.stream = database.coming.pop(0)
        if database.stream == "stopped" and not database.coming:
            self.streams.discard(self.arn(database))
        elif database.stream == "started":
            self.streams.add(self.arn(database))

    def delete(self, database: Database, *, with_stream: bool = True) -> None:
        """The database is deleted; its Kinesis stream may be there for a while."""
        del self.databases[database.resource_id]
        if with_stream:
            self.streams.discard(self.arn(database))

    def pass_time(self) -> None:
        """What was under way is done."""
        for database in self.databases.values():
            self._advance(database)
        described = {self.arn(one) for one in self.databases.values()}
        self.streams &= described
        for uuid, mapping in list(self.mappings.items()):
            if mapping["State"] == "Deleting":
                del self.mappings[uuid]
            elif mapping["State"] != "Disabled":
                mapping["State"] = "Enabled"
        for name, delivery in list(self.deliveries.items()):
            if delivery["DeliveryStreamStatus"] == "DELETING":
                del self.deliveries[name]
            elif delivery["DeliveryStreamStatus"] == "CREATING":
                failed = name in self.fails_to_create
                delivery["DeliveryStreamStatus"] = "CREATING_FAILED" if failed else "ACTIVE"

    def _describe_db_clusters(self, Filters: Any = (), **_: Any) -> Any:
        names = {"db-cluster-id": "DBClusterIdentifier", "db-cluster-resource-id": "DbClusterResourceId"}
        found = [one.described() for one in self.databases.values() if one.is_cluster]
        return {"DBClusters": [one for one in found if _fits(one, Filters, names)]}

    def _describe_db_instances(self, Filters: Any = (), **_: Any) -> Any:
        found = []
        for one in self.databases.values():
            if not one.is_cluster:
                found.append(one.described())
                continue
            member = f"{one.identifier}-1"
            raw = raw_instance(member, self.place, DBClusterIdentifier=one.identifier, Engine=one.raw["Engine"])
            found.append({**raw, "ActivityStreamStatus": "stopped"})
        names = {
            "db-instance-id": "DBInstanceIdentifier",
            "dbi-resource-id": "DbiResourceId",
            "db-cluster-id": "DBClusterIdentifier",
        }
        return {"DBInstances": [one for one in found if _fits(one, Filters, names)]}

    def _describe_orderable_db_instance_options(self, **asked: Any) -> Any:
        modes = ["sync", "async"] if asked["Engine"] == "aurora-postgresql" else ["async"]
        option = {**asked, "SupportedActivityStreamModes": modes}
        return {"OrderableDBInstanceOptions": [option]}

    def _asked(self, arn: str) -> Database:
        return next(one for one in self.databases.values() if arn.endswith(f":{one.name}"))

    def _start_activity_stream(self, ResourceArn: str, **_: Any) -> Any:
        database = self._asked(ResourceArn)
        if database.stream != "stopped" or database.coming or database.status != "available":
            raise error("InvalidDBClusterStateFault", "StartActivityStream", "not in a state to start")
        self.begin_stream(database)
        return {"Status": "starting"}

    def _stop_activity_stream(self, ResourceArn: str, **_: Any) -> Any:
        database = self._asked(ResourceArn)
        if database.stream != "started":
            raise error("InvalidDBClusterStateFault", "StopActivityStream", "not started")
        self.end_stream(database)
        return {"Status": "stopping"}

    def _list_event_source_mappings(self, FunctionName: str, MaxItems: int, Marker: str = "0") -> Any:
        found = [one for one in self.mappings.values() if one["FunctionArn"] == FunctionName]
        begin, size = int(Marker), min(MaxItems, self.page)
        more = {"NextMarker": str(begin + size)} if begin + size < len(found) else {}
        return {"EventSourceMappings": deepcopy(found[begin : begin + size]), **more}

    def _create_event_source_mapping(self, EventSourceArn: str, FunctionName: str, Tags: Any, **settings: Any) -> Any:
        if any(one["EventSourceArn"] == EventSourceArn for one in self.mappings.values()):
            raise error("ResourceConflictException", "CreateEventSourceMapping")
        if EventSourceArn not in self.streams:
            raise error("InvalidParameterValueException", "CreateEventSourceMapping", "Stream not found")
        self._number += 1
        uuid = f"00000000-0000-4000-8000-{self._number:012}"
        made = {"UUID": uuid, "EventSourceArn": EventSourceArn, "FunctionArn": FunctionName, "State": "Creating"}
        self.mappings[uuid] = {**made, "TumblingWindowInSeconds": 0, **deepcopy(settings)}
        return self.mappings[uuid]

    def _mapping(self, uuid: str, call: str) -> dict[str, Any]:
        if uuid not in self.mappings:
            raise error("ResourceNotFoundException", call)
        mapping = self.mappings[uuid]
        if mapping["State"] not in ("Enabled", "Disabled"):
            raise error("ResourceInUseException", call, f"it is {mapping['State']}")
        return mapping

    def _update_event_source_mapping(self, UUID: str, Enabled: bool | None = None, **settings: Any) -> Any:
        mapping = self._mapping(UUID, "UpdateEventSourceMapping")
        mapping.update(deepcopy(settings))
        if Enabled or mapping["State"] == "Enabled":
            mapping["State"] = "Updating"
        return mapping

    def _delete_event_source_mapping(self, UUID: str) -> Any:
        mapping = self._mapping(UUID, "DeleteEventSourceMapping")
        mapping["State"] = "Deleting"
        return mapping

    def _list_delivery_streams(
        self,
        Limit: int,
        DeliveryStreamType: str,
        ExclusiveStartDeliveryStreamName: str = "",
    ) -> Any:
        found = [one for one in sorted(self.deliveries) if one > ExclusiveStartDeliveryStreamName]
        size = min(Limit, self.page)
        return {"DeliveryStreamNames": found[:size], "HasMoreDeliveryStreams": len(found) > size}

    def _describe_delivery_stream(self, DeliveryStreamName: str) -> Any:
        if DeliveryStreamName not in self.deliveries:
            raise error("ResourceNotFoundException", "DescribeDeliveryStream")
        return {"DeliveryStreamDescription": deepcopy(self.deliveries[DeliveryStreamName])}

    def _create_delivery_stream(
        self,
        DeliveryStreamName: str,
        KinesisStreamSourceConfiguration: Any,
        Tags: Any,
        **more: Any,
    ) -> Any:
        if DeliveryStreamName in self.deliveries:
            raise error("ResourceInUseException", "CreateDeliveryStream")
        (name,) = (one for one in more if one.endswith("DestinationConfiguration"))
        self.deliveries[DeliveryStreamName] = {
            "DeliveryStreamName": DeliveryStreamName,
            "DeliveryStreamStatus": "CREATING",
            "VersionId": "1",
            "Source": {"KinesisStreamSourceDescription": deepcopy(KinesisStreamSourceConfiguration)},
            "Destinations": [
                {
                    "DestinationId": "destinationId-1",
                    name.replace("Configuration", "Description"): _described(more[name]),
                }
            ],
        }
        return {}

    def _update_destination(
        self,
        DeliveryStreamName: str,
        CurrentDeliveryStreamVersionId: str,
        DestinationId: str,
        **update: Any,
    ) -> Any:
        delivery = self.deliveries.get(DeliveryStreamName)
        if delivery is None:
            raise error("ResourceNotFoundException", "UpdateDestination")
        if delivery["DeliveryStreamStatus"] != "ACTIVE":
            raise error("ResourceInUseException", "UpdateDestination")
        if delivery["VersionId"] != CurrentDeliveryStreamVersionId:
            raise error("ConcurrentModificationException", "UpdateDestination")
        ((name, changes),) = update.items()
        described = delivery["Destinations"][0][name.replace("Update", "Description")]
        described.update(_described(changes))
        delivery["VersionId"] = str(int(delivery["VersionId"]) + 1)
        return {}

    def _delete_delivery_stream(self, DeliveryStreamName: str) -> Any:
        delivery = self.deliveries.get(DeliveryStreamName)
        if delivery is None:
            raise error("ResourceNotFoundException", "DeleteDeliveryStream")
        if delivery["DeliveryStreamStatus"] in ("CREATING", "DELETING"):
            raise error("ResourceInUseException", "DeleteDeliveryStream")
        delivery["DeliveryStreamStatus"] = "DELETING"
        return {}

    def _describe_stream_summary(self, StreamARN: str) -> Any:
        if StreamARN not in self.streams:
            raise error("ResourceNotFoundException", "DescribeStreamSummary")
        return {"StreamDescriptionSummary": {}}

    def _describe_key(self, **_: Any) -> Any:
        return {"KeyMetadata": {"KeyState": "Enabled"}}


def _fits(raw: Mapping[str, Any], filters: Any, names: Mapping[str, str]) -> bool:
    return all(raw.get(names[one["Name"]], "") in one["Values"] for one in filters)


def _described(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """As Firehose describes it: with what it adds by itself."""
    found = deepcopy(dict(configuration))
    for name in ("S3Configuration", "S3Update"):
        if name in found:
            found["S3DestinationDescription"] = _described(found.pop(name))
    found.setdefault("S3BackupMode", "Disabled")
    for processor in found.get("ProcessingConfiguration", {}).get("Processors", ()):
        if processor["Type"] == "Lambda":
            processor["Parameters"].append({"ParameterName": "RoleArn", "ParameterValue": "added by Firehose"})
    return found
