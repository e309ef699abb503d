"""Streams that follow names, in AWS: one step of each per run, which never waits for RDS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from daswatch.activity_streams.lifecycle import Asked, RdsDatabase
from daswatch.aws.api_calls import AwsError, ask
from daswatch.aws.fleet import FleetLookup
from daswatch.aws.rds import ActivityStreams, Switch
from daswatch.deadline import Deadline
from daswatch.errors import FleetUnavailable, RdsUnavailable
from daswatch.fleet.database import Place
from daswatch.fleet.moves import Follow, mapping_like

if TYPE_CHECKING:
    from types_boto3_lambda.client import LambdaClient

_STEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """What was done for one database. With `done` nothing is left to do here."""

    follow: Follow
    what: str
    asked: Asked = Asked.NOT_YET
    done: bool = False


class Follower:
    """Starts streams in the account's own role, and reads those of our own account and region."""

    def __init__(self, own: Place, lookup: FleetLookup, functions: Callable[[], LambdaClient]) -> None:
        self._own = own
        self._lookup = lookup
        self._functions = functions

    def advance(self, one: Follow, deadline: Deadline) -> Step:
        """Do what can be done now. Never raises for what AWS answers: the next run tries it again."""

        def until() -> Deadline:
            return deadline.at_most(_STEP_SECONDS)

        try:
            rds = self._lookup.client("rds", one.place, until())
            streams = ActivityStreams(rds, lambda: self._lookup.client("kms", one.place, until()), until)
            switch = Switch(streams, one.name, one.wanted, asked=one.asked)
            switch.look()
            if switch.database is None or switch.database.resource_id != one.resource_id:
                return Step(one, switch.decision.reason if switch.database is None else "its name has moved again")
            decision = switch.decision if switch.settled else switch.advance()
            if not switch.done:
                return Step(one, decision.reason, switch.asked)
            if one.place != self._own:
                where = f"account {one.place.account_id}, region {one.place.region}"
                what = f"its stream is started; read it in {where}: deploy there again with {one.name} in Databases"
                return Step(one, what, switch.asked, done=True)
            return Step(one, self._read(switch.database, one, until), switch.asked, done=True)
        except (FleetUnavailable, RdsUnavailable) as exc:
            return Step(one, str(exc), one.asked)
        except AwsError as exc:
            return Step(one, f"its stream is started, and not read: Lambda: {exc.code}: {exc.words}", one.asked)

    def _read(self, database: RdsDatabase, one: Follow, until: Callable[[], Deadline]) -> str:
        """Read the stream with the functions that read the former one. Raises AwsError."""
        client = self._functions()
        arn = database.kinesis_stream_arn
        former_arn = f"{arn.rpartition('/')[0]}/{one.former_stream}"
        # A stream has a handful of consumers, and a page a hundred.
        former = ask(lambda: client.list_event_source_mappings(EventSourceArn=former_arn), until())
        present = ask(lambda: client.list_event_source_mappings(EventSourceArn=arn), until())
        read_by = {mapping.get("FunctionArn") for mapping in present.get("EventSourceMappings", ())}
        wanted = [
            mapping
            for mapping in former.get("EventSourceMappings", ())
            if mapping.get("State") != "Deleting" and mapping.get("FunctionArn")
        ]
        if not wanted:
            return "its stream is started; no function here has read the former one: nothing reads the new one"
        for mapping in wanted:
            if mapping["FunctionArn"] not in read_by:
                create = partial(client.create_event_source_mapping, **mapping_like(mapping, arn))
                # Not again where it may have had its effect: the next run sees whether it had.
                ask(create, until(), repeatable=False)
        names = ", ".join(sorted({mapping["FunctionArn"].rpartition(":")[2] for mapping in wanted}))
        return f"its stream is started, and read by {names}"
