"""Provide a custom resource: an activity stream, the content at an endpoint, or the enrolment of databases.

Each provider takes a request and returns the response, or raises a DaswatchError, whose message becomes the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from daswatch.activity_streams.custom_resources import (
    CONTENT_ID,
    ENROLMENT_ID,
    NOTHING_MADE,
    OnDelete,
    Request,
    RequestType,
    Response,
    StreamProperties,
    read_stream_properties,
    resource_id_of,
    stream_id,
)
from daswatch.activity_streams.lifecycle import RdsDatabase, Status, WantedStream, how_to_change, pauses
from daswatch.aws.rds import ActivityStreams, Switch, settle
from daswatch.content.model import Operation, Plan
from daswatch.deadline import Deadline
from daswatch.errors import DashboardsUnavailable, FunctionUnavailable, RequestError, SearchUnavailable, StreamRefused

# A new domain: no answer until its name resolves, 401 and 403 until its users and policies are effective.
_SETTLING_STATUS = (0, 401, 403, 429, 502, 503, 504)
_LONGEST_SETTLING_SECONDS = 300.0
# A stack creates policies and keys just before they are needed: with growing pauses, more than a minute.
_PATIENCE = 8
_MAX_NOTE = 1000  # characters
_COUNTS = {"Created": Operation.CREATE, "Updated": Operation.UPDATE, "Unchanged": Operation.UNCHANGED}


class StreamProvider:
    """Custom::ActivityStream. An existing stream is adopted as it is; deletion keeps it running by default."""

    def __init__(self, streams: Callable[[Deadline], ActivityStreams]) -> None:
        """`streams` is called for the first request that has to look at RDS: retaining a stream needs none."""
        self._streams = streams

    def __call__(self, request: Request, deadline: Deadline) -> Response:
        """Raises RequestError, StreamRefused, RdsUnavailable."""
        if request.type is RequestType.DELETE:
            return self._delete(request, deadline)
        streams, properties = self._streams(deadline), read_stream_properties(request.properties)
        switch = Switch(streams, properties.database, properties.wanted, patience=_PATIENCE)
        database = self._settled(switch, deadline)
        found = {} if switch.has_acted else _differences(streams, properties.wanted, database)
        if request.type is RequestType.UPDATE and request.physical_id == stream_id(database.resource_id):
            self._refuse_changes(streams, request, properties, database, found)
        note = "; ".join(found.values())
        return Response(
            succeeded=True,
            physical_id=stream_id(database.resource_id),
            reason=f"an activity stream exists and was not changed: {note}" if found else switch.decision.reason,
            data={
                "KinesisStreamArn": database.kinesis_stream_arn,
                "KinesisStreamName": database.stream.kinesis_stream_name,
                "KmsKeyArn": streams.key_arn(database.stream.kms_key_id, database),
                "ResourceId": database.resource_id,
                "Engine": database.engine,
                "Mode": database.stream.mode,
                "Note": note[:_MAX_NOTE],
            },
        )

    def _settled(self, switch: Switch, deadline: Deadline) -> RdsDatabase:
        left = settle([switch], deadline)
        if left or switch.database is None or not switch.done:
            raise StreamRefused(_unfinished(switch) if left else switch.decision.reason)
        return switch.database

    def _refuse_changes(
        self,
        streams: ActivityStreams,
        request: Request,
        properties: StreamProperties,
        database: RdsDatabase,
        found: Mapping[str, str],
    ) -> None:
        """Refuse an update that changes a running stream.

        A stream that differed from the properties before was adopted so, and stays adopted. A stack that rolls back
        comes here too: it gets what it had.
        """
        try:
            before = read_stream_properties(request.old_properties)
        except RequestError:
            return
        already = _differences(streams, before.wanted, database)
        if changed := [words for subject, words in found.items() if subject not in already]:
            raise StreamRefused(how_to_change(properties.database, changed))

    def _delete(self, request: Request, deadline: Deadline) -> Response:
        physical = request.physical_id or NOTHING_MADE
        resource_id = resource_id_of(request.physical_id)
        if not resource_id:
            return Response(succeeded=True, physical_id=physical, reason="there was no activity stream to keep or stop")
        if str(request.properties.get("OnDelete", "")).strip().lower() != OnDelete.STOP:
            return Response(succeeded=True, physical_id=physical, reason="the activity stream was not changed")
        streams = self._streams(deadline)
        # By its resource id: the name may belong to another database by now.
        database = streams.find_resource(resource_id)
        if database is None:
            return Response(
                succeeded=True, physical_id=physical, reason="the database no longer exists, nor does its stream"
            )
        switch = Switch(streams, database.name, None)
        left = settle([switch], deadline)
        under_way = switch.database is not None and switch.database.stream.status is Status.STOPPING
        if left and not under_way:
            raise StreamRefused(_unfinished(switch))
        if switch.refused and streams.find_resource(resource_id) is not None:
            raise StreamRefused(switch.decision.reason)
        return Response(succeeded=True, physical_id=physical, reason=switch.decision.reason)


class ContentProvider:
    """Custom::Content. Deletion leaves everything in place: events, alerts, dashboards."""

    def __init__(self, install: Callable[[Deadline], Plan]) -> None:
        """`install` plans, executes and returns the plan, before a deadline; after it has raised it is called again."""
        self._install = install

    def __call__(self, request: Request, deadline: Deadline) -> Response:
        """Raises SettingsError, SearchUnavailable, DashboardsUnavailable, ArchiveUnavailable."""
        if request.type is RequestType.DELETE:
            physical = request.physical_id or NOTHING_MADE
            return Response(succeeded=True, physical_id=physical, reason="data and content were not deleted")
        plan = self._installed(deadline)
        data = {name: str(plan.count(step)) for name, step in _COUNTS.items()}
        left_out = [f"left out: {left.count} of kind {left.kind} ({left.why})" for left in plan.left_out]
        reason = "; ".join(["the content is installed", *left_out])
        return Response(succeeded=True, physical_id=CONTENT_ID, reason=reason, data=data)

    def _installed(self, deadline: Deadline) -> Plan:
        settled = deadline.at_most(_LONGEST_SETTLING_SECONDS)
        for pause in pauses():
            try:
                return self._install(deadline)
            except (SearchUnavailable, DashboardsUnavailable) as exc:
                if exc.status not in _SETTLING_STATUS or settled.remaining <= pause:
                    raise
            deadline.sleep(pause)
        raise AssertionError("pauses never end")


class EnrolmentProvider:
    """Custom::Enrolment. Creation and update enrol at once; deletion removes what reads the streams."""

    def __init__(
        self,
        begin: Callable[[str, Deadline], None],
        invoke: Callable[[str, Mapping[str, Any], Deadline], Mapping[str, Any]],
    ) -> None:
        """Both invoke a function by its name and raise FunctionUnavailable; only `invoke` waits for its answer."""
        self._begin = begin
        self._invoke = invoke

    def __call__(self, request: Request, deadline: Deadline) -> Response:
        """Raises RequestError, FunctionUnavailable."""
        function = request.properties.get("Function")
        if not isinstance(function, str) or not function:
            raise RequestError("Function is missing (expected: the name of the enrolment function)")
        if request.type is RequestType.DELETE:
            if not request.was_made:
                return Response(succeeded=True, physical_id=NOTHING_MADE, reason="nothing was enrolled")
            stops = str(request.properties.get("OnDelete", "")).strip().lower() == OnDelete.STOP
            return self._release(function, "stop" if stops else "release", deadline)
        self._begin(function, deadline)
        return Response(succeeded=True, physical_id=ENROLMENT_ID, reason="enrolment has begun")

    def _release(self, function: str, how: str, deadline: Deadline) -> Response:
        for pause in pauses():
            answer = self._invoke(function, {"release": how}, deadline)
            left = [one for one in answer.get("databases", ()) if one.get("steps")]
            if not left:
                return Response(succeeded=True, physical_id=ENROLMENT_ID, reason="no stream is read any more")
            if deadline.remaining <= pause:
                raise FunctionUnavailable(f"{len(left)} databases are still read: delete the stack again")
            deadline.sleep(pause)
        raise AssertionError("pauses never end")


def _differences(streams: ActivityStreams, wanted: WantedStream, database: RdsDatabase) -> dict[str, str]:
    """How a running stream differs; a key that KMS does not describe counts as another one."""
    try:
        return streams.differences(wanted, database)
    except StreamRefused as exc:
        return {"key": f"whether it encrypts with {wanted.kms_key_id} is unknown: {exc}"}


def _unfinished(switch: Switch) -> str:
    return (
        f"{switch.name}: RDS has not finished in the time that there was: {switch.decision.reason}. What RDS has "
        "agreed to goes on by itself: do the same again in some minutes"
    )
