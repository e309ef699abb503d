"""Every command in a block of the documents runs as it is written, where only what the page asks for is set.

AWS is moto, CloudFormation a stand-in that knows the template, OpenSearch the node, `aws` a stand-in of the AWS CLI on
botocore. A command that is neither run nor listed in OUTSIDE with its reason fails.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from pytest_httpserver import HTTPServer

from demo.opensearch import AnyNode
from tests import ROOT
from tests.fakes.cloudformation import DASHBOARDS_USER, CloudFormation
from tests.fakes.opensearch_plugins import Domain
from tests.fakes.rds import Rds
from tools.artifacts.manifest import NAME

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), ROOT / "terraform" / "README.md", *(ROOT / "docs").glob("*.md"))
)
_COMMAND_SECONDS = 30 * 60  # what hangs, fails; no command has to be faster than that, however busy the machine is
_SHELLS = ("sh", "bash", "shell", "console")
_OTHERS = ("mermaid", "json", "yaml", "hcl", "sql", "text", "dql", "lucene")

# Why a command is not run here. Those of `make` are resolved with `make --dry-run`, and have to lead to a module.
OUTSIDE = {
    r"make (demo|bench|opensearch|pictures)\b.*": "takes minutes, or stays up; has tests of its own",
    r"(OPENSEARCH_URL=\S+ )?make (check|test)\b.*": "runs these tests",
    r".*python -m tests\.harness\.nodes": "stays up; tests/functions/test_three_nodes.py has its three nodes",
    r"(uv build|pip install)\b.*": "installs from the index; tests/tools/test_wheel.py installs the wheel",
    r"daswatch (gaps|replay|verify)\b.*": "look at a stack's buckets and hours; tests/commands has tests of each",
    r".*daswatch dashboards preview": "stays up; tests/preview has its tests",
    r"git pull": "asks the project's own remote",
    r"aws cloudformation create-stack-(set|instances)\b.*": "needs an organization; botocore's model takes its options",
}
# What a page asks its reader to set or have, by name; each name has to be in the page's text.
ASKED = {
    "README.md": ("AWS_REGION", "OPENSEARCH_ENDPOINT", "URL"),
    "docs/dashboards.md": ("OPENSEARCH_ENDPOINT",),
    "docs/deploy.md": ("AWS_REGION", "OPENSEARCH_ENDPOINT"),
    "docs/evidence.md": ("AWS_REGION", "OPENSEARCH_ENDPOINT"),
    "docs/fleet.md": ("AWS_REGION", "OPENSEARCH_ENDPOINT"),
    "docs/detections.md": ("AWS_REGION", "OPENSEARCH_ENDPOINT", "tuning.yml"),
}
# What a page offers instead of its first command: there is no stack yet.
FROM_SCRATCH = r"make deploy .*OpenSearchEndpoint=.*"
# Exit codes that a command may have besides 0: the doctor finds a stack of a stand-in, which has no function that
# enrols, not all databases are audited, and samples are tuned away.
ALSO = {
    r".*daswatch doctor": (1,),
    r".*daswatch enrol.*": (1,),
    r".*daswatch posture .*": (1,),
    r".*detections test .*--tuning .*": (1,),
}


@dataclass(frozen=True)
class Command:
    """A line of a block, with its continuations."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"

    @property
    def reason(self) -> str:
        """Why it is not run; empty where it is."""
        return next((why for pattern, why in OUTSIDE.items() if re.fullmatch(pattern, self.text, re.DOTALL)), "")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and content of each block."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text("utf-8"))
    return [(token.info, token.content) for token in tokens if token.type in ("fence", "code_block")]


def commands(page: str) -> list[Command]:
    found = []
    for language, content in blocks(page):
        if language not in _SHELLS:
            continue
        for line in content.replace("\\\n", " ").splitlines():
            text = re.sub(r"\s+#.*$|^#.*$", "", line.removeprefix("$ ")).strip()
            if text:
                found.append(Command(page, re.sub(r"\s+", " ", text)))
    return found


EVERY = [command for page in PAGES for command in commands(page)]


@dataclass
class Reader:
    """Someone who follows a page in a checkout of their own, with what the page asks for."""

    folder: Path
    environment: dict[str, str]
    replaced: Mapping[str, str]  # names of examples, by what stands for them
    done: list[str] = field(default_factory=list)

    def run(self, command: Command) -> subprocess.CompletedProcess[str]:
        """Run it; what it exports is there for the next one."""
        text = command.text
        for example, real in self.replaced.items():
            text = text.replace(example, real)
        script = f'{text}\ncode=$?\nenv -0 > "$KEPT"\nexit $code'
        kept = self.folder / ".kept"
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, "KEPT": str(kept)},
            input="y\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        exported = dict(line.split("=", 1) for line in kept.read_text().split("\0") if "=" in line)
        self.environment |= {name: exported[name] for name in exported if f"{name}=" in command.text}
        self.done.append(command.text)
        return done


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make package` builds, for the architecture that is deployed: built once, by the command itself."""
    folder = tmp_path_factory.mktemp("dist")
    arguments = f"ARGS=--architecture arm64 --dist {folder}"
    done = subprocess.run(["make", "package", arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / NAME).is_file()
    return folder


@pytest.fixture
def cloudformation(rds: Rds, httpserver: HTTPServer) -> CloudFormation:
    return CloudFormation(ROOT / "template.yaml", rds.aws, httpserver)


@pytest.fixture
def domain(node: AnyNode) -> Iterator[Domain]:
    running = Domain(node.url)
    yield running
    running.close()


@pytest.fixture
def reader(rds: Rds, cloudformation: CloudFormation, domain: Domain, dist: Path, tmp_path: Path) -> Iterator[Reader]:
    """A checkout, the databases, the bucket and the stack that the pages name."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    # Some commands write pages, which other tests read meanwhile.
    shutil.copytree(ROOT / "docs", folder / "docs")
    for path in ROOT.iterdir():
        if path.name not in ("dist", "build", "detections.json", "actors.json", "docs", ".git"):
            (folder / path.name).symlink_to(path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, module in (("aws", "tests.fakes.aws_cli"), ("make-python", "tests.harness.packaged")):
        script = tools / name
        script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m {module} "$@"\n')
        script.chmod(0o755)
    names = [rds.known(name) for name in ("cluster:orders", "db:ledger", "db:archive", "db:payroll")]
    rds.run_stream(names[0])
    rds.aws.create_bucket("my-artifacts")
    secrets = rds.aws.client("secretsmanager")
    secrets.create_secret(Name=DASHBOARDS_USER, SecretString='{"username": "u", "password": "p"}')
    yield Reader(
        folder,
        {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "COLUMNS": "200",
            # What stands in for AWS, and credentials for it.
            "AWS_ENDPOINT_URL": rds.aws.url,
            "AWS_ENDPOINT_URL_CLOUDFORMATION": cloudformation.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            # The build is that of `make package`, done once.
            "DASWATCH_DIST": str(dist),
            "MAKEFLAGS": f"-- RUN={tools / 'make-python'}",
        },
        {"https://search.example.org\n": domain.url, "https://search.example.org ": f"{domain.url} "},
    )
    secrets.delete_secret(SecretId=DASHBOARDS_USER, ForceDeleteWithoutRecovery=True)
    bucket = rds.aws.session.resource("s3", endpoint_url=rds.aws.url).Bucket("my-artifacts")
    bucket.objects.all().delete()
    bucket.delete()


def asked_for(page: str, reader: Reader, url: str) -> dict[str, str]:
    """What the page asks for; a name that is not in it is not set."""
    text = (ROOT / page).read_text("utf-8")
    values = {"AWS_REGION": "eu-west-1", "OPENSEARCH_ENDPOINT": url, "URL": url}
    names = ASKED.get(page, ())
    assert [name for name in names if name not in text] == []
    if "tuning.yml" in text:
        examples = [content for _, content in blocks("docs/detections.md")]
        parts = [one for one in examples if one.startswith(("detections:", "actors:"))]
        (reader.folder / "tuning.yml").write_text("\n".join(parts))
    return {name: values[name] for name in names if name in values}


@pytest.mark.node
@pytest.mark.parametrize("page", [page for page in PAGES if any(not one.reason for one in commands(page))])
def test_every_command_of_a_page_runs(
    page: str, reader: Reader, domain: Domain, cloudformation: CloudFormation
) -> None:
    reader.replaced = (
        {"https://search.example.org": domain.url}
        if page != "docs/deploy.md"
        else {"OPENSEARCH_ENDPOINT=https://search.example.org": f"OPENSEARCH_ENDPOINT={domain.url}"}
    )
    reader.environment |= asked_for(page, reader, domain.url)
    failed = {}
    for command in commands(page):
        if command.reason:
            continue
        if re.fullmatch(FROM_SCRATCH, command.text):
            cloudformation.stacks.clear()
        done = reader.run(command)
        allowed = {
            0,
            *(code for pattern, codes in ALSO.items() if re.fullmatch(pattern, command.text) for code in codes),
        }
        if done.returncode not in allowed or "Traceback" in done.stdout + done.stderr:
            failed[command.text] = (done.returncode, done.stdout[-1500:], done.stderr[-1500:])

    assert failed == {}
    assert reader.done


@pytest.mark.parametrize("command", [one for one in EVERY if one.reason and one.text.startswith("make ")], ids=str)
def test_a_target_that_is_not_run_leads_to_a_module(command: Command) -> None:
    done = subprocess.run(
        ["make", "--dry-run", *shlex.split(command.text)[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    modules = re.findall(r"python3? -m ([\w.]+)", done.stdout)
    assert modules
    assert all(
        module == "pytest"
        or (ROOT / module.replace(".", "/")).with_suffix("").exists()
        or (ROOT / f"{module.replace('.', '/')}.py").is_file()
        for module in modules
    )


def test_every_block_says_what_it_is() -> None:
    unknown = [
        (page, content[:40])
        for page in PAGES
        for language, content in blocks(page)
        if language not in (*_SHELLS, *_OTHERS)
    ]

    assert unknown == []


def test_nothing_is_listed_that_no_page_has() -> None:
    for pattern in OUTSIDE:
        assert any(re.fullmatch(pattern, one.text, re.DOTALL) for one in EVERY), pattern
    for pattern in ALSO:
        assert any(re.fullmatch(pattern, one.text) for one in EVERY), pattern


def test_enough_commands_are_run() -> None:
    run = [one for one in EVERY if not one.reason]

    assert len(run) > 35
    assert {one.page for one in run} >= {"README.md", "docs/deploy.md", "docs/detections.md", "terraform/README.md"}


def test_the_region_is_the_only_variable_of_a_deployment(reader: Reader, domain: Domain) -> None:
    """Without it the first command says so; with AWS_REGION alone it goes on."""
    first = next(one for one in commands("docs/deploy.md") if one.text.startswith("make deploy"))

    without = reader.run(first)
    reader.environment["AWS_REGION"] = "eu-west-1"
    with_it = reader.run(first)

    assert "export AWS_REGION=" in without.stderr
    assert with_it.returncode == 0, with_it.stderr
