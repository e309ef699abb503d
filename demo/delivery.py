"""Firehose's way from a Direct PUT delivery stream into S3 folders, as far as moto leaves it out.

moto writes what it is given under the stream's prefix as it stands, with the expressions in it. `sort_into_folders`
does the rest, from the stream's own configuration: it splits the records, asks each for its partition keys, and writes
one object for each folder. The configuration is one that AWS takes, and the one that docs/rows.md shows.
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from demo.aws import REGION
from demo.rds import ACCOUNT_ID

if TYPE_CHECKING:
    from types_boto3_firehose.client import FirehoseClient
    from types_boto3_firehose.type_defs import ExtendedS3DestinationConfigurationTypeDef
    from types_boto3_s3.client import S3Client

PREFIX = (
    "rows/activity=!{partitionKeyFromQuery:activity}/date=!{partitionKeyFromQuery:date}"
    "/hour=!{partitionKeyFromQuery:hour}/"
)
ERROR_PREFIX = "rows-failed/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/"
QUERY = '{activity:.activity,date:.["@timestamp"][0:10],hour:.["@timestamp"][11:13]}'

_ROLE = "arn:aws:iam::123456789012:role/daswatch-rows"
_EXPRESSION = re.compile(r"!\{(\w+):([^}]*)\}")
# Of JQ only what the query above needs: a field by its name, and a part of its text.
_QUERY_KEY = re.compile(r'(?P<key>\w+):\.(?:(?P<name>\w+)|\["(?P<quoted>[^"]+)"\])(?:\[(?P<first>\d+):(?P<end>\d+)\])?')


def destination(bucket: str) -> ExtendedS3DestinationConfigurationTypeDef:
    """The delivery stream's configuration for rows: several may share a record, each goes to its own folder."""
    return {
        "RoleARN": _ROLE,
        "BucketARN": f"arn:aws:s3:::{bucket}",
        "Prefix": PREFIX,
        "ErrorOutputPrefix": ERROR_PREFIX,
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 300},
        "CompressionFormat": "GZIP",
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "ProcessingConfiguration": {
            "Enabled": True,
            "Processors": [
                {
                    "Type": "RecordDeAggregation",
                    "Parameters": [{"ParameterName": "SubRecordType", "ParameterValue": "JSON"}],
                },
                {
                    "Type": "MetadataExtraction",
                    "Parameters": [
                        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": QUERY},
                        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
                    ],
                },
                {"Type": "AppendDelimiterToRecord"},
            ],
        },
    }


def create_delivery_stream(firehose: FirehoseClient, name: str, bucket: str) -> str:
    """A delivery stream for rows into a bucket that is there; its name."""
    firehose.create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration=destination(bucket),
    )
    return name


def sort_into_folders(firehose: FirehoseClient, s3: S3Client, name: str) -> None:
    """Deliver all that the stream has taken so far, by its own configuration."""
    described = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    target: Mapping[str, Any] = described["Destinations"][0]["ExtendedS3DestinationDescription"]
    bucket = target["BucketARN"].rpartition(":")[2]
    processors = {
        processor["Type"]: {one["ParameterName"]: one["ParameterValue"] for one in processor.get("Parameters", ())}
        for processor in target["ProcessingConfiguration"]["Processors"]
    }
    if processors.get("RecordDeAggregation") != {"SubRecordType": "JSON"}:
        raise ValueError("moto joins the records of a call: only a stream that splits them can be delivered here")
    query = processors["MetadataExtraction"]["MetadataExtractionQuery"]
    end = b"\n" if "AppendDelimiterToRecord" in processors else b""

    folders: dict[str, list[bytes]] = {}
    raw = [key for key in _keys(s3, bucket, target["Prefix"]) if f"/{name}-" in key]
    for key in raw:
        for text in _split(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()):
            keys = _partition_keys(query, orjson.loads(text))
            prefix = _evaluated(target["Prefix" if keys else "ErrorOutputPrefix"], keys)
            folders.setdefault(prefix, []).append(text.encode() + end)
    now = datetime.now(UTC)
    for prefix, records in folders.items():
        s3.put_object(
            Bucket=bucket,
            Key=f"{prefix}{name}-1-{now:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.gz",
            Body=gzip.compress(b"".join(records), mtime=0),
        )
    for key in raw:
        s3.delete_object(Bucket=bucket, Key=key)


def delivered_objects(s3: S3Client, bucket: str, prefix: str = "rows/") -> Iterator[tuple[str, bytes]]:
    """The key and content of each object with rows."""
    for key in _keys(s3, bucket, prefix):
        yield key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def delivered_rows(s3: S3Client, bucket: str, prefix: str = "rows/") -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Each row with the folders it is in: activity, date and hour."""
    for key, content in delivered_objects(s3, bucket, prefix):
        folders = dict(part.split("=", 1) for part in key.removeprefix(prefix).split("/")[:-1])
        for line in gzip.decompress(content).splitlines():
            yield folders, orjson.loads(line)


def transformation_record(data: str, sequence_number: str, arrival: datetime) -> dict[str, Any]:
    """A stream record as Firehose hands it to a transformation, `data` in base64. Times are in milliseconds."""
    milliseconds = round(arrival.timestamp() * 1000)
    return {
        "recordId": f"{sequence_number}0000000000",
        "approximateArrivalTimestamp": milliseconds + 900,
        "data": data,
        "kinesisRecordMetadata": {
            "sequenceNumber": sequence_number,
            "subsequenceNumber": 0,
            "partitionKey": "1",
            "shardId": "shardId-000000000000",
            "approximateArrivalTimestamp": milliseconds,
        },
    }


def transformation_event(records: Sequence[Mapping[str, Any]], stream_arn: str) -> dict[str, Any]:
    """A batch as Firehose hands it over, of a Firehose that reads a Kinesis stream."""
    return {
        "invocationId": "00000000-0000-4000-8000-000000000000",
        "sourceKinesisStreamArn": stream_arn,
        "deliveryStreamArn": f"arn:aws:firehose:{REGION}:{ACCOUNT_ID}:deliverystream/activity-rows",
        "region": REGION,
        "records": list(records),
    }


def _keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def _split(text: str) -> Iterator[str]:
    """Consecutive JSON objects, with or without a newline after each, as they stand."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        _, end = decoder.raw_decode(text, position)
        yield text[position:end]
        position = end + (text[end : end + 1] == "\n")


def _partition_keys(query: str, row: Mapping[str, Any]) -> dict[str, str]:
    """What the query gives for a row; empty where a key has no value, which Firehose takes for a failure."""
    keys = {}
    for part in query.strip("{}").split(","):
        key = _QUERY_KEY.fullmatch(part.strip())
        if key is None:
            raise ValueError(f"{part} is more of JQ than is understood here")
        value = row.get(key["name"] or key["quoted"])
        if isinstance(value, str) and key["first"]:
            value = value[int(key["first"]) : int(key["end"])]
        if not isinstance(value, str) or not value:
            return {}
        keys[key["key"]] = value
    return keys


def _evaluated(prefix: str, keys: Mapping[str, str]) -> str:
    """A prefix with its expressions replaced by what they stand for."""
    now = datetime.now(UTC)

    def value(expression: re.Match[str]) -> str:
        namespace, name = expression.groups()
        match namespace:
            case "partitionKeyFromQuery":
                return keys[name]
            case "timestamp" if name == "yyyy-MM-dd":
                return f"{now:%Y-%m-%d}"
            case "firehose" if name == "error-output-type":
                return "processing-failed"
            case _:
                raise ValueError(f"{expression[0]} is not an expression that this understands")

    return _EXPRESSION.sub(value, prefix)
