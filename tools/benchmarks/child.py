"""What is measured in a process of its own: the cold start, its baseline, and the peak memory. Prints one JSON line.

Usage: python -m tools.benchmarks.child cold|baseline|memory|firehose|inventory|enrolment EVENT_FILE
       python -m tools.benchmarks.child replay BUCKET_URL
"""

from __future__ import annotations

import time

_BEGUN = time.perf_counter()

import json  # noqa: E402 - the clock starts before anything is imported
import os  # noqa: E402
import sys  # noqa: E402


def cold(event_file: str) -> dict[str, float]:
    """Import to first document. Reading the event is the runtime's part, and is not counted."""
    from demo.stream import InvocationContext
    from ingest_lambda.handler import handler

    imported = time.perf_counter()
    with open(event_file, "rb") as file:
        event = json.load(file)
    paused = time.perf_counter() - imported
    answer = handler(event, InvocationContext())
    seconds = time.perf_counter() - _BEGUN - paused
    if answer["batchItemFailures"]:
        raise SystemExit("the first document was not written")
    return {"seconds": seconds, "import_seconds": imported - _BEGUN}


def baseline(_: str) -> dict[str, float]:
    """What any function with these libraries pays: their import, and one KMS client."""
    import aws_encryption_sdk  # noqa: F401
    import boto3
    import opensearchpy  # noqa: F401
    import requests_aws4auth  # noqa: F401

    boto3.client("kms", region_name=os.environ["AWS_REGION"])
    return {"seconds": time.perf_counter() - _BEGUN}


def memory(event_file: str) -> dict[str, float]:
    """Peak resident memory of one invocation, the runtime's copy of the event included."""
    from demo.stream import InvocationContext
    from ingest_lambda.handler import handler

    with open(event_file, "rb") as file:
        event = json.load(file)
    before = _peak_mb()
    answer = handler(event, InvocationContext())
    if answer["batchItemFailures"]:
        raise SystemExit("not everything was written")
    return {"mb": _peak_mb(), "before_mb": before}


def firehose(event_file: str) -> dict[str, float]:
    """Peak resident memory of one invocation of the transformation, the runtime's copies of both sides included."""
    from demo.stream import InvocationContext
    from firehose_lambda.handler import handler

    with open(event_file, "rb") as file:
        event = json.load(file)
    before = _peak_mb()
    answer = json.dumps(handler(event, InvocationContext()))
    if len(answer) > 6 * 1024 * 1024:
        raise SystemExit("the answer is larger than Lambda takes")
    return {"mb": _peak_mb(), "before_mb": before, "given_back": answer.count('"ProcessingFailed"')}


def inventory(_: str) -> dict[str, float]:
    """One run of the posture function over a generated fleet, as it works: read, look, judge, write."""
    from datetime import UTC, datetime

    from daswatch.deadline import Deadline
    from daswatch.indices import Indices
    from daswatch.opensearch.client import search_client
    from daswatch.opensearch.database_index import DatabaseIndex
    from daswatch.settings import Environment, SearchEndpoint
    from posture_lambda.auditor import Auditor
    from tools.benchmarks.fleet import ACCOUNTS, ANSWER_SECONDS, DATABASES, GeneratedFleet

    fleet = GeneratedFleet(answer_seconds=ANSWER_SECONDS)
    bound = fleet.bound
    before = _peak_mb()
    index = DatabaseIndex(search_client(SearchEndpoint.read(Environment(os.environ))), Indices())
    auditor = Auditor(fleet.lookup, lambda _: list(ACCOUNTS), index)
    begun = time.perf_counter()
    audit = auditor.run(None, datetime.now(UTC), Deadline.after(600)).audit
    seconds = time.perf_counter() - begun
    if audit.unseen or len(audit.present) < DATABASES * 0.85:  # those of other services are none of ours
        raise SystemExit(f"{len(audit.present)} databases were found, and not looked at: {audit.unseen}")
    calls = sum(fleet.calls.values())
    return {"seconds": seconds, "calls": calls, "bound": bound, "mb": _peak_mb(), "before_mb": before}


_FEW_CALLS = 50  # of a run that describes no delivery stream


def enrolment(_: str) -> dict[str, float]:
    """Runs of the enrolment function over a generated region: until nothing is left, and one after that."""
    from dataclasses import replace
    from datetime import UTC, datetime, timedelta

    from daswatch.activity_streams.lifecycle import WantedStream
    from daswatch.aws.enrolment import ConsumersGateway, StepsGateway
    from daswatch.aws.rds import ActivityStreams
    from daswatch.deadline import Deadline
    from daswatch.enrolment.consumers import Consumers, Evidence
    from daswatch.enrolment.plan import Wanted
    from daswatch.enrolment.selection import Selection
    from daswatch.indices import Indices
    from daswatch.opensearch.client import search_client
    from daswatch.opensearch.enrolment_index import EnrolmentIndex
    from daswatch.settings import Environment, SearchEndpoint
    from enrol_lambda.reconciler import EnrolmentReport, Reconciler
    from tools.benchmarks.enrolment import PLACE, EnrolledRegion

    region = EnrolledRegion()
    functions, firehose, rds = region.client("lambda"), region.client("firehose"), region.client("rds")
    arn = f"{PLACE.region}:{PLACE.account_id}"
    evidence = Evidence(
        "arn:aws:s3:::evidence", f"arn:aws:iam::{PLACE.account_id}:role/deliveries", f"arn:aws:kms:{arn}:key/k", "logs"
    )
    consumers = Consumers("daswatch", f"arn:aws:lambda:{arn}:function:ingest", "arn:aws:s3:::dead-letters", evidence)
    wanted = Wanted(Selection(everything=True), WantedStream(f"arn:aws:kms:{arn}:key/k"), consumers)
    steps = StepsGateway(
        wanted, functions, firehose, lambda until: ActivityStreams(rds, lambda: region.client("kms"), until)
    )
    reconciler = Reconciler(
        PLACE,
        region.lookup((PLACE.region,)),
        ConsumersGateway(functions, firehose, region.client("kinesis")),
        lambda: steps,
        EnrolmentIndex(search_client(SearchEndpoint.read(Environment(os.environ))), Indices()),
        wanted,
    )
    now, before = datetime.now(UTC), _peak_mb()
    figures: dict[str, float] = {}

    def run() -> EnrolmentReport:
        nonlocal now
        now += timedelta(minutes=5)
        region.calls.clear()
        region.throttled.clear()
        region.begun.clear()
        begun = time.perf_counter()
        report = reconciler.run(now, Deadline.after(898))
        return replace(report, total_ms=(time.perf_counter() - begun) * 1000)

    first = run()
    figures["first_s"], figures["first_left"] = first.total_ms / 1000, first.left
    for service in ("rds", "lambda", "firehose"):
        figures[f"first_{service}_calls"] = len(region.begun.get(service, ()))
        figures[f"first_{service}_calls_per_minute"] = region.most_per_minute(service)
        figures[f"first_{service}_throttled"] = region.throttled[service]
    runs = 1
    while sum(region.calls.values()) > _FEW_CALLS and runs < 40:  # deliveries are looked at for the first time
        report, runs = run(), runs + 1
    figures["runs_until_quiet"] = runs
    report = run()
    if report.left or report.causes or any(one.steps for one in report.enrolments):
        raise SystemExit(f"the run is not quiet: {report.left} steps left, {report.causes}")
    figures["s"], figures["aws_calls"] = report.total_ms / 1000, sum(region.calls.values())
    return {**figures, "peak_memory_mb": _peak_mb(), "memory_mb_before": before}


def replay(source: str) -> dict[str, float]:
    """Peak resident memory of the command over an archive."""
    from typer.testing import CliRunner

    from daswatch.commands.replay import app

    source = source.replace("s3:/", "s3://")  # it came as a path
    result = CliRunner().invoke(app, [source, "--detections", "off", "--output", "json"])
    if result.exit_code:
        raise SystemExit(f"the replay ended with {result.exit_code}: {result.output[-1000:]}")
    return {"mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this process since it began: `ru_maxrss` starts with what the parent had when it forked."""
    with open("/proc/self/status", encoding="ascii") as status:
        kilobytes = next(line for line in status if line.startswith("VmHWM:")).split()[1]
    return int(kilobytes) / 1024


if __name__ == "__main__":
    what = {
        "cold": cold,
        "baseline": baseline,
        "memory": memory,
        "firehose": firehose,
        "inventory": inventory,
        "enrolment": enrolment,
        "replay": replay,
    }[sys.argv[1]]
    sys.stderr.write(json.dumps(what(sys.argv[2])))
