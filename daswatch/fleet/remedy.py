"""The remedy of a verdict: what to do about a database, and the commands and code for it with the database's names.

In: a document of `das-databases`, as an audit leaves it. Out: one sentence, and texts by their form. The texts are
templates in `remediation/`; each value is quoted as its language demands, so that no name or tag can be more than a
value there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from string import Template

from daswatch.activity_streams.lifecycle import (
    DatabaseKind,
    Mode,
    Status,
    WantedMode,
    chosen_mode,
    effects_of_start,
)
from daswatch.alerts.findings import partition
from daswatch.alerts.text import plain
from daswatch.fleet.database import Document, KeyState
from daswatch.fleet.posture import EXCEPTION_TAG, EXCEPTION_UNTIL_TAG, Verdict

_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
_KINDS = {DatabaseKind.CLUSTER: "cluster", DatabaseKind.INSTANCE: "instance"}
_MODES = {Mode.ASYNC: "Asynchronous", Mode.SYNC: "Synchronous"}
# What a look at a place and its databases calls, as AWS's messages name it.
_ACTIONS = {
    "AssumeRole": "sts:AssumeRole",
    "ListAccounts": "organizations:ListAccounts",
    "DescribeRegions": "ec2:DescribeRegions",
    "DescribeDBClusters": "rds:DescribeDBClusters",
    "DescribeDBInstances": "rds:DescribeDBInstances",
    "DescribeOrderableDBInstanceOptions": "rds:DescribeOrderableDBInstanceOptions",
    "DescribeKey": "kms:DescribeKey",
}
_LABEL = re.compile(r"[^A-Za-z0-9]+", re.ASCII)


class RemedyForm(StrEnum):
    """How a remedy is carried out."""

    CLI = "cli"
    TERRAFORM = "terraform"
    CLOUDFORMATION = "cloudformation"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, as a sentence without the database's name, and how; without a form where there is none."""

    advice: str
    forms: Mapping[RemedyForm, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A KMS key for a stream, as CreateKey and CreateAlias take it."""

    alias: str
    description: str
    policy: str


@dataclass(frozen=True, slots=True)
class StartPlan:
    """How a stream is started, as commands of the AWS CLI; `key` is created first, None where one is given."""

    commands: str
    key: NewKey | None = None


def advice(document: Document) -> str:
    """What to do about a database, as a sentence without its name."""
    name, home = _name(document), _home(document)
    match Verdict(document["verdict"]):
        case Verdict.COVERED:
            return "Nothing is to be done."
        case Verdict.STARTING:
            return "Wait some minutes: the stream starts, and its first heartbeat follows."
        case Verdict.OFF if document["streamStatus"] == Status.STOPPING:
            return f"Wait until the activity stream has stopped, start it again, and add {name} to a stack in {home}."
        case Verdict.OFF:
            return f"Start the activity stream, and add {name} to the parameter Databases of a stack in {home}."
        case Verdict.NOT_ELIGIBLE:
            return (
                "No activity stream can be started as the database is. Where its engine has them, move it to a version "
                "and instance class for which RDS offers a mode; else audit it by its own logs."
            )
        case Verdict.NOT_CONSUMED:
            return (
                f"Add {name} to the parameter Databases of the stack in {home}, and deploy. If it is there, run "
                "`daswatch doctor`."
            )
        case Verdict.LAGGING | Verdict.SILENT:
            return f"Run `daswatch doctor` for the stack in {home}: it names what delays or stops the records."
        case Verdict.KEY_UNUSABLE:
            return _key_advice(document)
        case Verdict.POLICY_UNLOCKED:
            return "Lock the audit policy: while it is unlocked, what is audited can be changed."
        case Verdict.ASYNCHRONOUS:
            return (
                "Stop the activity stream in a quiet hour and start it in mode sync, if RDS offers that mode. Nothing "
                "is recorded in between, and sessions then wait for their audit."
            )
        case Verdict.EXCEPTED:
            return "Nothing is to be done until the exception ends. To end it earlier, remove its tags."
        case Verdict.UNKNOWN:
            return _unknown_advice(document)


def _key_advice(document: Document) -> str:
    match document.get("streamKeyState", ""):
        case KeyState.PENDING_DELETION:
            return (
                "Cancel the deletion of the key and enable it. Once the key is deleted, nothing that was encrypted "
                "with it can be read."
            )
        case KeyState.DISABLED:
            return "Enable the key of the activity stream."
        case _:
            return "Make the key of the activity stream usable again: KMS shows what it lacks."


def _unknown_advice(document: Document) -> str:
    reason = document.get("verdictReason", "")
    if "OPENSEARCH_ENDPOINT" in reason:
        return "Set OPENSEARCH_ENDPOINT: whether records arrive is known there."
    actions = [action for call, action in _ACTIONS.items() if call in reason]
    if actions:
        return f"Allow {' and '.join(actions)} in {_home(document)}, or wait for the next run if AWS did not answer."
    return (
        f"Look at {_home(document)}: name it in FLEET_ACCOUNTS and FLEET_REGIONS, and let FLEET_ROLE be assumed there. "
        f"The role needs {', '.join(list(_ACTIONS.values())[2:])}."
    )


def remedy_of(document: Document, wanted: WantedMode = WantedMode.AUTO, key: str = "") -> Remedy:
    """The remedy of a database. `key` is the ARN of a KMS key for a new stream; without, one is created."""
    texts = _Texts(document, wanted, key)
    cli, console = RemedyForm.CLI, RemedyForm.CONSOLE
    forms: Mapping[RemedyForm, str] = {}
    match Verdict(document["verdict"]):
        case Verdict.OFF if texts.mode:
            forms = texts.of_start()
        case Verdict.KEY_UNUSABLE if document.get("streamKeyState") == KeyState.PENDING_DELETION:
            forms = {
                cli: texts.shell("cancel-key-deletion.sh"),
                console: texts.key_steps("Cancel key deletion, Enable"),
            }
        case Verdict.KEY_UNUSABLE if document.get("streamKeyState") == KeyState.DISABLED:
            forms = {cli: texts.shell("enable-key.sh"), console: texts.key_steps("Enable")}
        case Verdict.POLICY_UNLOCKED:
            forms = {cli: texts.shell("lock-policy.sh"), console: texts.policy_steps()}
        case Verdict.ASYNCHRONOUS:
            forms = {cli: texts.shell("list-modes.sh", "restart-in-sync.sh")}
        case Verdict.EXCEPTED:
            forms = {cli: texts.shell("end-exception.sh")}
        case Verdict.NOT_ELIGIBLE if not document["engineName"].startswith(("mysql", "mariadb", "postgres", "db2")):
            forms = {cli: texts.shell("list-options.sh")}
    note = "" if texts.mode or document["verdict"] != Verdict.OFF else " RDS offers no mode that is wanted here."
    return Remedy(advice(document) + note, forms)


def new_key(document: Document) -> NewKey:
    """The key that is created for a database's stream where none is given."""
    return _Texts(document, WantedMode.AUTO, "").new_key()


def start_plan(document: Document, mode: Mode, key: str = "", *, native_fields: bool = False) -> StartPlan:
    """How to start the stream of a database in a mode. `key` is the ARN, id or alias of a KMS key, empty for a new one.

    `native_fields` is for engines that have them.
    """
    texts = _Texts(document, WantedMode(mode), key, native_fields=native_fields)
    return StartPlan(texts.start_commands(), None if key else texts.new_key())


def shell(value: str) -> str:
    """A value as one word of a POSIX shell."""
    return shlex.quote(plain(value))


def hcl(value: str) -> str:
    """A value as a string of Terraform, without interpolation."""
    text = plain(value).replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return f'"{text}"'


def yaml(value: str) -> str:
    """A value as a double-quoted string of YAML."""
    return json.dumps(plain(value), ensure_ascii=False)


class _Texts:
    """The templates with a database's names."""

    def __init__(self, document: Document, wanted: WantedMode, key: str, *, native_fields: bool = False) -> None:
        self._document = document
        self._key = key
        self._native_fields = native_fields
        self._kind = DatabaseKind(document["databaseKind"])
        self._modes = frozenset(map(Mode, document.get("streamModes", ()))) or None
        self.mode = chosen_mode(wanted, self._modes)

    def of_start(self) -> dict[RemedyForm, str]:
        """How to start the stream. A key is created where none is given."""
        return {
            RemedyForm.CLI: self.shell() + self.start_commands(),
            RemedyForm.TERRAFORM: self._terraform(),
            RemedyForm.CLOUDFORMATION: _filled("activity-stream.yaml", self._values(yaml, key=yaml(self._key))),
            RemedyForm.CONSOLE: self._start_steps(),
        }

    def start_commands(self) -> str:
        """Commands that start the stream, after those that create its key."""
        values = self._values(shell, key=shell(self._key))
        return "".join(_filled(name, values) for name in ("given-key.sh" if self._key else "key.sh", "start.sh"))

    def new_key(self) -> NewKey:
        """The key that these commands create."""
        account, region = self._document["awsAccountId"], self._document["awsRegion"]
        policy = _key_policy(f"arn:{partition(region)}:iam::{account}:root")
        return NewKey(self._alias, f"Database activity stream of {_name(self._document)}", policy)

    def shell(self, *names: str, key: str | None = None) -> str:
        """Commands, after one that shows whose credentials they use."""
        values = self._values(shell, key=shell(self._document.get("streamKey", "") if key is None else key))
        return "".join(_filled(name, values) for name in ("account.sh", *names))

    def key_steps(self, actions: str) -> str:
        """Steps in the console of KMS."""
        account, region = (plain(self._document[name]) for name in ("awsAccountId", "awsRegion"))
        key = plain(self._document.get("streamKey", ""))
        return (
            f"1. In account {account}, open https://{self._console}/kms/home?region={region}#/kms/keys\n"
            f"2. Select the key {key}. Choose Key actions, {actions}.\n"
        )

    def policy_steps(self) -> str:
        """Steps in the console of RDS."""
        account, region, name = (
            plain(self._document[name]) for name in ("awsAccountId", "awsRegion", "databaseIdentifier")
        )
        return (
            f"1. In account {account}, open https://{self._console}/rds/home?region={region}#databases:\n"
            f"2. Select the {_KINDS[self._kind]} {name}. Choose Actions, Modify database activity stream.\n"
            "3. Choose Locked, then Modify DB activity stream.\n"
        )

    def _terraform(self) -> str:
        label = self._label
        key = hcl(self._key) if self._key else f"aws_kms_key.{label}.arn"
        values = self._values(hcl, key=key)
        of_instance = self._kind is DatabaseKind.INSTANCE
        names = ["provider.tf"]
        if not self._key:
            names.append("key.tf")
        names.append("stream-of-instance.tf" if of_instance else "stream-of-cluster.tf")
        command = (
            f"aws rds start-activity-stream --region {shell(self._document['awsRegion'])} "
            f"--resource-arn {shell(self._document['databaseArn'])} --mode {self.mode} "
            f"--kms-key-id {shell(self._key or self._alias)} --apply-immediately"
        )
        return "".join(_filled(name, {**values, "start": command}) for name in names)

    def _start_steps(self) -> str:
        key = plain(self._key) or "a customer managed key; create one first, because RDS's own key is not taken"
        effects = " ".join(f"{one[0].upper()}{one[1:]}." for one in self._effects)
        mode = _MODES[self.mode] if self.mode else ""
        return _filled("start.txt", {**self._values(plain, key=key), "effects": effects, "mode": mode})

    def _values(self, quoted: Callable[[str], str], **own: str) -> dict[str, str]:
        """What templates name: values of the language, and words for its comments."""
        one, is_cluster = self._document, self._kind is DatabaseKind.CLUSTER
        account, region, name = one["awsAccountId"], one["awsRegion"], _name(one)
        root = f"arn:{partition(region)}:iam::{account}:root"
        key_of_stream = self.new_key()
        values = {
            "account": account,
            "region": region,
            "arn": one["databaseArn"],
            "identifier": one["databaseIdentifier"],
            "database": name,
            "engine": one["engineName"],
            "mode": self.mode or "",
            "alias": key_of_stream.alias,
            "root": root,
            "key_policy": key_of_stream.policy,
            "policy_name": f"start-{self._label}",
            "description": key_of_stream.description,
            "via_rds": f"rds.{region}.amazonaws.com",
        }
        return {
            **{field: quoted(value) for field, value in values.items()},
            "label": self._label,
            "kind": _KINDS[self._kind],
            "console": self._console,
            "describe": "describe-db-clusters" if is_cluster else "describe-db-instances",
            "described": "DBClusters" if is_cluster else "DBInstances",
            "identifier_option": "--db-cluster-identifier" if is_cluster else "--db-instance-identifier",
            "native_fields": " --engine-native-audit-fields-included" if self._native_fields else "",
            "list_modes": "\n".join(self._list_modes()),
            "account_in_words": plain(account),
            "region_in_words": plain(region),
            "database_in_words": plain(name),
            "effects": "\n".join(f"# Warning: {effect}." for effect in self._effects),
            **own,
        }

    def _list_modes(self) -> Iterable[str]:
        one = self._document
        for name in sorted({member["instanceClass"] for member in one.get("instances", ())}):
            yield (
                f"aws rds describe-orderable-db-instance-options --region {shell(one['awsRegion'])} "
                f"--engine {shell(one['engineName'])} --engine-version {shell(one.get('engineVersion', ''))} "
                f"--db-instance-class {shell(name)} "
                "--query 'OrderableDBInstanceOptions[].SupportedActivityStreamModes[]' --output text"
            )

    @property
    def _effects(self) -> tuple[str, ...]:
        return effects_of_start(self._kind, self._document["engineName"], self.mode)

    @property
    def _label(self) -> str:
        """A name of the code's own objects."""
        return f"{_KINDS[self._kind]}_{_LABEL.sub('_', self._document['databaseIdentifier']).strip('_')}"

    @property
    def _alias(self) -> str:
        return f"alias/daswatch-{self._label.replace('_', '-')}"

    @property
    def _console(self) -> str:
        return _CONSOLES.get(partition(self._document["awsRegion"]), "console.aws.amazon.com")


def _key_policy(root: str) -> str:
    """The key policy that KMS gives a key by default: access is a matter of IAM policies."""
    statement = {
        "Sid": "EnableIamPolicies",
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _filled(name: str, values: Mapping[str, str]) -> str:
    template = Template(files("remediation").joinpath(name).read_text("utf-8"))
    return template.substitute({**values, "exception_tag": EXCEPTION_TAG, "exception_until_tag": EXCEPTION_UNTIL_TAG})


def _name(document: Document) -> str:
    return plain(f"{document['databaseKind']}:{document['databaseIdentifier']}")


def _home(document: Document) -> str:
    return plain(f"account {document['awsAccountId']}, {document['awsRegion']}")
