"""Runs over a region where anything happens: what never is done, and that all is watched in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from daswatch.deadline import Deadline
from daswatch.enrolment.consumers import DeliveryFound, resource_id_of
from daswatch.enrolment.plan import OnDeselection, State
from tests.fakes.clock import Clock
from tests.fakes.region import CHANGES, Database, error
from tests.harness.enrolment import CONSUMERS, EVIDENCE, RUN_SECONDS, SPLUNK, TAGGED, Enrolling, by_name, wanted

_CALLS = st.integers(min_value=1, max_value=12)
_THROTTLED = [*sorted(CHANGES), "DescribeDeliveryStream", "ListDeliveryStreams"]
_REFUSALS = ["AccessDenied", "LimitExceeded"]
_EXCEPTED = {"daswatch:exception": "a test", "daswatch:exception-until": "2031-12-31"}


class Killed(BaseException):
    """The run ends here: Lambda's limit, or a restart of its host."""


class AnyRegion(RuleBasedStateMachine):
    """Settings, databases, people and AWS change at random between and within runs."""

    def __init__(self) -> None:
        super().__init__()
        self.enrolling = Enrolling(wanted(consumers=replace(CONSUMERS, splunk=None)))
        self.region = self.enrolling.region
        self.region.page = 2
        self.asked: set[str] = set()  # databases whose start is remembered
        self.killed: set[str] = set()  # those of them whose run was killed: whether RDS was asked is not known
        self.by_person: set[str] = set()  # databases whose stream a person switched
        self.number = 0
        self.outcomes: dict[str, str] = {}

    @initialize(
        count=st.integers(min_value=1, max_value=7), are_watched=st.booleans(), how=st.sampled_from(OnDeselection)
    )
    def databases(self, count: int, *, are_watched: bool, how: OnDeselection) -> None:
        self.settings_change(with_splunk=False, key="a", how=how)
        for _ in range(count):
            self.database_comes(cluster=True, tagged=True, gives_up=False, is_late=False)
        for _ in range(6 if are_watched else 0):
            self._run()
            self.region.pass_time()

    @rule(cluster=st.booleans(), tagged=st.booleans(), gives_up=st.booleans(), is_late=st.booleans())
    def database_comes(self, *, cluster: bool, tagged: bool, gives_up: bool, is_late: bool) -> None:
        self.number += 1
        database = self.region.add(f"d{self.number}", cluster=cluster, tags=TAGGED if tagged else {})
        database.gives_up, database.is_late = gives_up, is_late

    @rule(data=st.data(), with_stream=st.booleans())
    def database_goes(self, data: st.DataObject, *, with_stream: bool) -> None:
        if database := self._any(data):
            self.region.delete(database, with_stream=with_stream)
            self._run()

    @rule(data=st.data(), tags=st.sampled_from([TAGGED, {}, {**TAGGED, **_EXCEPTED}]))
    def tags_change(self, data: st.DataObject, tags: Mapping[str, str]) -> None:
        if database := self._any(data):
            database.tags = dict(tags)

    @rule(data=st.data(), status=st.sampled_from(["available", "modifying"]))
    def database_is_worked_on(self, data: st.DataObject, status: str) -> None:
        if database := self._any(data):
            database.set_status(status)

    @rule(data=st.data())
    def person_switches(self, data: st.DataObject) -> None:
        database = self._any(data)
        if database is None or database.coming:
            return
        if database.stream == "started":
            self.region.end_stream(database)
        elif database.stream == "stopped":
            database.gives_up = False
            self.region.begin_stream(database, by_person=True)
        self.by_person.add(database.resource_id)

    @rule(data=st.data())
    def person_disables_mapping(self, data: st.DataObject) -> None:
        enabled = [one for one in self.region.mappings.values() if one["State"] == "Enabled"]
        if enabled:
            data.draw(st.sampled_from(enabled))["State"] = "Disabled"

    @rule(with_splunk=st.booleans(), key=st.sampled_from(["a", "b"]), how=st.sampled_from(list(OnDeselection)))
    def settings_change(self, *, with_splunk: bool, key: str, how: OnDeselection) -> None:
        evidence = replace(EVIDENCE, key=f"{EVIDENCE.key}{key}")
        consumers = replace(
            CONSUMERS,
            evidence=evidence,
            splunk=replace(SPLUNK, key=evidence.key) if with_splunk else None,
            failures=f"arn:aws:s3:::letters-{key}",
        )
        self.enrolling.wanted = wanted(consumers=consumers, on_deselection=how)

    @rule()
    def time_passes(self) -> None:
        self.region.pass_time()

    @rule(runs=st.integers(min_value=1, max_value=4))
    def runs_end_well(self, runs: int) -> None:
        for _ in range(runs):
            self._run()
            self.region.pass_time()

    @rule(call=_CALLS, before=st.booleans())
    def run_is_killed(self, call: int, *, before: bool) -> None:
        self._at(call, self._kill, before=before)
        try:
            self._run()
        except Killed:
            self.killed |= self.asked

    @rule(call=_CALLS, before=st.booleans())
    def second_run_comes_between(self, call: int, *, before: bool) -> None:
        def other() -> None:
            self.enrolling.reconciler().run(self.enrolling.now, Deadline.after(RUN_SECONDS, Clock()))

        self._at(call, other, before=before)
        self._run()

    @rule(
        calls=st.sets(st.sampled_from([*sorted(CHANGES), "DescribeDeliveryStream", "ListDeliveryStreams"]), min_size=1)
    )
    def aws_throttles(self, calls: set[str]) -> None:
        self._refuse(calls, "ThrottlingException")
        self._run()

    @rule(
        calls=st.sets(st.sampled_from(sorted(CHANGES)), min_size=1),
        code=st.sampled_from(["AccessDenied", "LimitExceeded"]),
    )
    def aws_refuses(self, calls: set[str], code: str) -> None:
        self._refuse(calls, f"{code}Exception")
        self._run()

    @rule(down=st.sets(st.sampled_from(["read", "claim", "write"]), min_size=1))
    def search_is_down(self, down: set[str]) -> None:
        self.enrolling.memories.down = frozenset(down)
        before = len(self.region.changes)
        self._run()
        if down & {"read", "claim"}:
            assert not any(call == "StartActivityStream" for call, _ in self.region.changes[before:])

    @rule()
    def all_is_well_in_the_end(self) -> None:
        """The region is left alone from now on: each database gets there, and then no run changes anything."""
        for database in self.region.databases.values():
            database.set_status("available")
        for _ in range(14 + 3 * len(self.region.databases)):
            self._run()
            self.region.pass_time()
        found = by_name(self._run())
        for database in self.region.databases.values():
            enrolment = found[database.name]
            if enrolment.state is State.FAILED:
                assert database.stream == "stopped"
                was_asked = database.resource_id in self.region.starts or database.resource_id in self.killed
                assert was_asked or database.resource_id in self.by_person, enrolment.reason
            elif database.tags == TAGGED:
                assert enrolment.state is State.WATCHED, enrolment
                self._is_consumed(database)
        before = (len(self.region.changes), self._documents())
        report = self._run()
        assert not any(one.steps for one in report.enrolments)
        assert (len(self.region.changes), self._documents()) == before

    def _documents(self) -> dict[str, Any]:
        """But for when a delivery was looked at: that is each hour."""
        found = self.enrolling.memories.documents
        return {id_: {name: value for name, value in one.items() if name != "checked"} for id_, one in found.items()}

    def _is_consumed(self, database: Database) -> None:
        arn, consumers = self.region.arn(database), self.enrolling.wanted.consumers
        (mapping,) = (one for one in self.region.mappings.values() if one["EventSourceArn"] == arn)
        assert mapping["State"] == "Enabled"
        assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == consumers.failures
        kinds = [one.kind for one in map(DeliveryFound.of, self.region.deliveries.values()) if one.stream_arn == arn]
        assert set(consumers.kinds) <= set(kinds)

    def _any(self, data: st.DataObject) -> Database | None:
        found = list(self.region.databases.values())
        return data.draw(st.sampled_from(found)) if found else None

    def _kill(self) -> None:
        raise Killed

    def _run(self) -> Any:
        before = len(self.region.calls)
        try:
            return self.enrolling.run()
        finally:
            self.region.on_call = lambda _, __: None
            self.region.on_answer = lambda _, __: None
            self.enrolling.memories.down = frozenset()
            for call, parameters in self.region.calls[before:]:
                self._check(call, parameters)
            self.asked |= {
                one["resourceId"] for one in self.enrolling.memories.documents.values() if one.get("startAsked")
            }
            self._check_all()

    def _at(self, number: int, act: Callable[[], None], *, before: bool) -> None:
        """Do something once, before the call of that number or after it."""
        seen = 0

        def count(_: str, __: Mapping[str, Any]) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                act()

        if before:
            self.region.on_call = count
        else:
            self.region.on_answer = count

    def _refuse(self, calls: set[str], code: str) -> None:
        def refuse(call: str, _: Mapping[str, Any]) -> None:
            if call in calls:
                raise error(code, call)

        self.region.on_call = refuse

    def _check(self, call: str, parameters: Mapping[str, Any]) -> None:
        """What no run does, whatever happens."""
        how = self.enrolling.wanted.on_deselection
        if call == "StopActivityStream":
            assert how is OnDeselection.STOP
            (database,) = (one for one in self.region.databases.values() if one.arn == parameters["ResourceArn"])
            assert database.tags != TAGGED
            assert database.resource_id in self.asked
        if call == "DeleteEventSourceMapping":
            mapping = self.region.mappings.get(parameters["UUID"])
            if mapping:
                self._may_remove(mapping["EventSourceArn"])
        if call == "DeleteDeliveryStream" and (found := self.region.deliveries.get(parameters["DeliveryStreamName"])):
            self._may_remove(DeliveryFound.of(found).stream_arn)

    def _may_remove(self, stream_arn: str) -> None:
        database = self.region.databases.get(resource_id_of(stream_arn))
        released = self.enrolling.wanted.on_deselection is not OnDeselection.KEEP
        is_deselected = database is not None and database.tags != TAGGED
        assert stream_arn not in self.region.streams or (released and is_deselected)

    def _check_all(self) -> None:
        assert all(count == 1 for count in self.region.starts.values())
        arns = [one["EventSourceArn"] for one in self.region.mappings.values()]
        assert len(arns) == len(set(arns))
        kept = [(one.stream_arn, one.kind) for one in map(DeliveryFound.of, self.region.deliveries.values())]
        assert len(kept) == len(set(kept))


TestAnyRegion = AnyRegion.TestCase
TestAnyRegion.settings = settings(max_examples=30, stateful_step_count=15, phases=[Phase.generate])
