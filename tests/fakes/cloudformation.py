"""CloudFormation over HTTP, as far as a deployment asks it: stacks of our template, whose change sets do nothing.

Moto's would make all resources. Parameters are checked as CloudFormation checks them: names, and that none is
missing. Requests and answers are those of its query protocol, which botocore writes and parses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from demo.aws import LocalAws
from tools.artifacts.template import Template

DASHBOARDS_USER = "daswatch-dashboards-user"  # the output's secret
_REGION_AND_ACCOUNT = "eu-west-1:123456789012"


@dataclass
class _Stack:
    name: str
    status: str = "REVIEW_IN_PROGRESS"
    parameters: dict[str, str] = field(default_factory=dict)
    change_sets: dict[str, dict[str, str]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudformation:{_REGION_AND_ACCOUNT}:stack/{self.name}/1b0c3a10-0000-11f1-8000-0a1b2c3d4e5f"


class _Refused(Exception):
    """A ValidationError."""


class CloudFormation:
    """The stacks of one test."""

    def __init__(self, template: Path, aws: LocalAws, server: HTTPServer) -> None:
        self._text = template.read_text("utf-8")
        self._template = Template.read(template)
        self._aws = aws
        self.stacks: dict[str, _Stack] = {}
        self.deleted: list[str] = []
        server.expect_request("/", "POST").respond_with_handler(self._answer)
        self.url = server.url_for("")

    def _answer(self, request: Request) -> Response:
        asked = dict(parse_qsl(request.get_data(as_text=True), keep_blank_values=True))
        action = asked["Action"]
        try:
            return Response(_result(action, getattr(self, f"_{action}")(asked)), content_type="text/xml")
        except _Refused as exc:
            error = {"Type": "Sender", "Code": "ValidationError", "Message": str(exc)}
            return Response(_xml({"ErrorResponse": {"Error": error}}), 400, content_type="text/xml")

    def _stack(self, request: Mapping[str, str]) -> _Stack:
        name = request["StackName"].rpartition("stack/")[2].partition("/")[0]
        if name not in self.stacks:
            raise _Refused(f"Stack with id {name} does not exist")
        return self.stacks[name]

    def _DescribeStacks(self, request: Mapping[str, str]) -> Any:
        stack = self._stack(request)
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()]
        outputs = [{"OutputKey": "DashboardsUser", "OutputValue": DASHBOARDS_USER}]
        described = {
            "StackId": stack.arn,
            "StackName": stack.name,
            "CreationTime": "2031-03-04T11:22:33Z",
            "StackStatus": stack.status,
            "Parameters": parameters,
            "Outputs": outputs,
        }
        return {"Stacks": [described]}

    def _ListStackResources(self, request: Mapping[str, str]) -> Any:
        self._stack(request)
        return {"StackResourceSummaries": []}

    def _DescribeStackResource(self, request: Mapping[str, str]) -> Any:
        self._stack(request)
        name = request["LogicalResourceId"]
        detail = {
            "LogicalResourceId": name,
            "PhysicalResourceId": f"daswatch-{name}",
            "ResourceType": "AWS::IAM::Role",
            "LastUpdatedTimestamp": "2031-03-04T11:22:33Z",
            "ResourceStatus": "CREATE_COMPLETE",
        }
        return {"StackResourceDetail": detail}

    def _GetTemplate(self, request: Mapping[str, str]) -> Any:
        return {"TemplateBody": self._text}

    def _GetTemplateSummary(self, request: Mapping[str, str]) -> Any:
        bucket, _, key = request["TemplateURL"].partition("://")[2].partition("/")
        self._aws.s3().head_object(Bucket=bucket.partition(".")[0], Key=key)  # it was uploaded
        return {
            "Parameters": [
                {"ParameterKey": name, **({"DefaultValue": str(one["Default"])} if "Default" in one else {})}
                for name, one in self._template.parameters.items()
            ]
        }

    def _CreateChangeSet(self, request: Mapping[str, str]) -> Any:
        name = request["StackName"]
        stack = self.stacks.setdefault(name, _Stack(name))
        given: dict[str, str] = {}
        number = 1
        while key := request.get(f"Parameters.member.{number}.ParameterKey"):
            if request.get(f"Parameters.member.{number}.UsePreviousValue") == "true":
                given[key] = stack.parameters[key]
            else:
                given[key] = request[f"Parameters.member.{number}.ParameterValue"]
            number += 1
        values = {n: str(one["Default"]) for n, one in self._template.parameters.items() if "Default" in one} | given
        if set(values) != set(self._template.parameters):
            raise _Refused(f"Parameters: {sorted(set(values) ^ set(self._template.parameters))}")
        stack.change_sets[request["ChangeSetName"]] = values
        return {"Id": f"{stack.arn}/{request['ChangeSetName']}", "StackId": stack.arn}

    def _DescribeChangeSet(self, request: Mapping[str, str]) -> Any:
        assert request["ChangeSetName"] in self._stack(request).change_sets
        change = {"Action": "Modify", "LogicalResourceId": "Ingest", "ResourceType": "AWS::Lambda::Function"}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"Type": "Resource", "ResourceChange": change}]}

    def _ExecuteChangeSet(self, request: Mapping[str, str]) -> Any:
        stack = self._stack(request)
        done = "CREATE_COMPLETE" if stack.status == "REVIEW_IN_PROGRESS" else "UPDATE_COMPLETE"
        stack.parameters = stack.change_sets[request["ChangeSetName"]]
        stack.status = done
        stack.events.append(done)
        return {}

    def _DescribeStackEvents(self, request: Mapping[str, str]) -> Any:
        stack = self._stack(request)
        events = [
            {
                "StackId": stack.arn,
                "EventId": str(number),
                "StackName": stack.name,
                "LogicalResourceId": stack.name,
                "PhysicalResourceId": stack.arn,
                "ResourceType": "AWS::CloudFormation::Stack",
                "Timestamp": "2031-03-04T11:22:33Z",
                "ResourceStatus": status,
            }
            for number, status in enumerate(stack.events)
        ]
        return {"StackEvents": events[::-1]}

    def _DeleteStack(self, request: Mapping[str, str]) -> Any:
        self.deleted.append(self._stack(request).name)  # and goes on for a while, as a real one does
        return {}


def _result(action: str, answer: Any) -> str:
    return (
        f'<{action}Response xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">'
        f"<{action}Result>{_xml(answer)}</{action}Result></{action}Response>"
    )


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(one)}</{name}>" for name, one in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_xml(one)}</member>" for one in value)
    return escape(str(value))
