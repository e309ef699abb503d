"""Our ingest function as deployed, wired to a node and to a stand-in for KMS; and the limit it is held against."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import urllib3
from opensearchpy import OpenSearch, RequestsHttpConnection

from daswatch.aws.kms import DataKeys
from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.documents.decoder import RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.opensearch.event_indices import document_action
from daswatch.opensearch.templates import ContentGateway
from daswatch.records.decryption import Decryptor
from daswatch.records.envelope import stream_source
from demo.aws import REGION
from demo.stream import InvocationContext
from ingest_lambda import handler as handler_module
from ingest_lambda.settings import read_settings
from tools.benchmarks.kms import LocalKms
from tools.benchmarks.workload import Workload

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class NotAllWritten(Exception):
    """A benchmark whose documents did not all arrive measures nothing."""


@dataclass
class BenchIndex:
    """A fresh set of daily indices under their own prefix, with the mapping as shipped."""

    client: OpenSearch
    url: str
    prefix: str

    def __enter__(self) -> BenchIndex:
        self.clear()
        ContentGateway(self.client).install_all(shipped_content(self.prefix))
        return self

    def __exit__(self, *exc: object) -> None:
        self.clear()
        self.client.indices.delete_index_template(name=self.prefix)

    def clear(self) -> None:
        """Delete the indices."""
        self.client.indices.delete(index=f"{self.prefix}-*")

    def expect(self, events: int) -> None:
        """Raises NotAllWritten unless exactly so many documents are there."""
        self.refresh()
        there = self.client.count(index=f"{self.prefix}-*")["count"]
        if there != events:
            raise NotAllWritten(f"{there} of {events} events are in {self.prefix}-*")

    def refresh(self) -> None:
        """Make all documents searchable."""
        self.client.indices.refresh(index=f"{self.prefix}-*")

    def settle(self) -> None:
        """Let what the node still merges end, so that it does not run into the next measurement."""
        self.client.indices.flush(index=f"{self.prefix}-*")
        while self._merging():
            time.sleep(0.05)

    def bytes(self) -> int:
        """Bytes on disk after a merge to one segment each."""
        self.client.indices.forcemerge(index=f"{self.prefix}-*", params={"max_num_segments": "1"})
        self.client.indices.flush(index=f"{self.prefix}-*", params={"force": "true"})
        # A second refresh lets go of the segments that the merge replaced.
        self.client.indices.refresh(index=f"{self.prefix}-*")
        answer = self.client.indices.stats(index=f"{self.prefix}-*", metric="store,segments")
        primaries = answer["_all"]["primaries"]
        return int(primaries["store"]["size_in_bytes"])

    def _merging(self) -> int:
        answer = self.client.indices.stats(index=f"{self.prefix}-*", metric="merge")
        return int(answer["_all"]["primaries"]["merges"]["current"])


class Ours:
    """The handler, warm, signing its requests as on a domain."""

    def __init__(self, index: BenchIndex, kms: LocalKms) -> None:
        environment = {
            **_CREDENTIALS,
            "OPENSEARCH_ENDPOINT": index.url,
            "INDEX_PREFIX": index.prefix,
            "DEAD_LETTER_BUCKET": "bench-dead-letters",
        }
        os.environ.update(_CREDENTIALS)
        self._function = handler_module.Function(read_settings(environment), kms.client())

    def run(self, batches: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Invoke the handler for each batch. Raises NotAllWritten where it answers that something is left."""
        with contextlib.redirect_stdout(io.StringIO()):
            for batch in batches:
                answer = handler_module.invoke(self._function, {"Records": batch}, InvocationContext())
                if answer["batchItemFailures"]:
                    raise NotAllWritten(str(answer))


@dataclass
class Limit:
    """The same documents, serialised beforehand, sent by bulk alone."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    _http: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    def run(self) -> None:
        """Send all bodies, one after the other."""
        for body in self.bodies:
            answer = self._http.request(
                "POST",
                f"{self.url}/_bulk?filter_path=errors",
                body=body,
                headers={"content-type": "application/x-ndjson"},
            )
            if orjson.loads(answer.data)["errors"]:
                raise NotAllWritten("the limit's bulk had errors")


def serialised(workload: Workload, kms: LocalKms, prefix: str, actions_per_bulk: int) -> list[bytes]:
    """The bulk bodies of a workload's documents, by the function's own flattening."""
    decoder = RecordDecoder(DataKeys(kms.client()), Decryptor())
    flattening, later = Flattening("2031-03-04T00:00:00.000Z", prefix), Deadline.after(3600)
    lines: list[bytes] = []
    bodies: list[bytes] = []
    for batch in workload.batches:
        for record in batch:
            stream = stream_source(record["eventSourceARN"])
            decoded = decoder.decode(record["kinesis"]["data"], stream, "2031-03-04T00:00:00.000Z", flattening, later)
            for document in decoded.documents:
                lines.append(document_action(document, 0).lines)
                if len(lines) == actions_per_bulk:
                    bodies.append(b"".join(lines))
                    lines = []
    if lines:
        bodies.append(b"".join(lines))
    return bodies


def sample_client(url: str) -> OpenSearch:
    """opensearch-py as the published samples use it."""
    return OpenSearch(url, http_auth=("user", "password"), connection_class=RequestsHttpConnection, timeout=30)
