"""The local OpenSearch: what it asks of the machine, and that it is a real one which survives a crash."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from rich.console import Console

from demo.opensearch import (
    AssemblyFailed,
    ExternalNode,
    MissingTool,
    Node,
    NotOurNode,
    PortReservation,
    StartFailed,
    UnknownVersion,
    UnusableFolder,
    explain,
    node_or_external,
)
from demo.opensearch_home import (
    DEFAULT_RELEASE,
    MODULES,
    RELEASES,
    Account,
    Jdk,
    Release,
    cache_folder,
    choose_jdk,
    distribution,
    find_jdk,
    find_maven,
    java_version,
    make_home,
    recipe,
    unprivileged_account,
    wanted_release,
)
from tests import ROOT

JDK = Jdk(Path("/jdk"), 21)
OLD = {"OPENSEARCH_VERSION": "2.19"}


def quiet() -> Console:
    return Console(file=io.StringIO(), force_terminal=False)


def executable(path: Path, script: str) -> Path:
    """A shell script in place of a tool of the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def jdk_home(home: Path, version: str) -> Path:
    executable(home / "bin" / "java", "exit 1")
    (home / "release").write_text(f'IMPLEMENTOR="Someone"\nJAVA_VERSION="{version}"\n', encoding="utf-8")
    return home


# --- the JDK ---


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('IMPLEMENTOR="Eclipse Adoptium"\nJAVA_RUNTIME_VERSION="25.0.3+9-LTS"\nJAVA_VERSION="25.0.3"\n', 25),
        ('JAVA_VERSION="21"\n', 21),
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)\n', 17),
        ('java version "1.8.0_442"\n', 8),
        ('openjdk version "26-ea" 2026-03-17\n', 26),
        ("No Java runtime present, requesting install.\n", None),
        ("", None),
    ],
)
def test_reads_the_feature_version(text: str, version: int | None) -> None:
    assert java_version(text) == version


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [((17, 21, 25), 25), ((21,), 21), ((17, 8), None), ((21, 27), 21), ((28, 27, 17), 27), ((), None)],
)
def test_chooses_the_newest_known_jdk_and_a_too_new_one_last(versions: tuple[int, ...], chosen: int | None) -> None:
    found = choose_jdk([Jdk(Path(f"/jdk-{version}"), version) for version in versions], DEFAULT_RELEASE)
    assert (found.version if found else None) == chosen


@pytest.mark.parametrize(("versions", "chosen"), [((17, 25), 17), ((17, 21, 25), 21), ((24, 25), None), ((11,), None)])
def test_choose_jdk_of_2x_needs_a_security_manager(versions: tuple[int, ...], chosen: int | None) -> None:
    found = choose_jdk([Jdk(Path(f"/jdk-{version}"), version) for version in versions], wanted_release(OLD))
    assert (found.version if found else None) == chosen


def test_java_home_goes_before_the_jvm_folder_and_that_before_the_path(tmp_path: Path) -> None:
    named = jdk_home(tmp_path / "named", "21.0.1")
    jdk_home(tmp_path / "jvm" / "jdk-25", "25.0.3")
    on_path = jdk_home(tmp_path / "tools", "23.0.2")
    environ = {"JAVA_HOME": str(named), "PATH": str(on_path / "bin")}
    folders = (tmp_path / "jvm", tmp_path / "absent")

    assert find_jdk(environ, folders=folders).version == 21
    assert find_jdk({"PATH": environ["PATH"]}, folders=folders).version == 25
    assert find_jdk({"PATH": environ["PATH"]}, folders=()).version == 23


def test_find_jdk_of_2x_names_both_limits(tmp_path: Path) -> None:
    jdk_home(tmp_path / "new", "25.0.3")
    with pytest.raises(MissingTool, match=r"OpenSearch 2\.19\.6 needs a JDK 17 to 21 \(found: 25 in"):
        find_jdk({"PATH": ""}, folders=(tmp_path,), release=wanted_release(OLD))


def test_an_old_java_home_is_passed_over(tmp_path: Path) -> None:
    old = jdk_home(tmp_path / "old", "17.0.15")
    new = jdk_home(tmp_path / "jvm" / "new", "21.0.1")
    assert find_jdk({"JAVA_HOME": str(old), "PATH": ""}, folders=(tmp_path / "jvm",)) == Jdk(new, 21)


def test_a_java_without_a_release_file_is_asked(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "java", "echo 'openjdk version \"24.0.1\" 2025-04-15' >&2")
    assert find_jdk({"PATH": str(tmp_path / "bin")}, folders=()).version == 24


@pytest.mark.parametrize("installed", ["17.0.15", None])
def test_no_fit_jdk_is_one_line_that_says_what_to_install(tmp_path: Path, installed: str | None) -> None:
    if installed:
        jdk_home(tmp_path / "old", installed)
    with pytest.raises(MissingTool) as error:
        find_jdk({"PATH": str(tmp_path / "nothing")}, folders=(tmp_path,))
    line = str(error.value)
    assert "\n" not in line
    assert "JDK 21 or newer" in line
    assert "openjdk-21-jdk-headless" in line
    assert (f"17 in {tmp_path / 'old'}" if installed else "found: none") in line


# --- the jars ---


def test_no_maven_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match=r"\A[^\n]*install the package maven[^\n]*\Z"):
        find_maven({"PATH": str(tmp_path)})


def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    xdg = {"XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert cache_folder({"DASWATCH_CACHE": str(tmp_path / "own"), **xdg}) == tmp_path / "own"
    assert cache_folder(xdg) == tmp_path / "xdg" / "daswatch"
    assert cache_folder({}) == Path.home() / ".cache" / "daswatch"


@pytest.mark.parametrize(
    ("wanted", "version"),
    [("", "3.4.0"), ("2.19", "2.19.6"), ("2.19.6", "2.19.6"), ("3.4.0", "3.4.0"), ("3.8", "3.8.0")],
)
def test_wanted_release_is_named_whole_or_by_line(wanted: str, version: str) -> None:
    assert wanted_release({"OPENSEARCH_VERSION": wanted}).version == version


@pytest.mark.parametrize("wanted", ["2.1", "2.19.7", "3.40", "latest"])
def test_wanted_release_that_is_unknown_lists_the_known(wanted: str) -> None:
    with pytest.raises(
        UnknownVersion, match=rf"OPENSEARCH_VERSION={wanted} .* choose one of 2\.19\.6, 3\.4\.0, 3\.8\.0"
    ):
        wanted_release({"OPENSEARCH_VERSION": wanted})


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_the_recipe_names_a_pom_and_a_descriptor_for_every_module(release: Release) -> None:
    files = recipe(release)
    for module in MODULES:
        assert f"<artifactId>{module.artifact}</artifactId>" in files[f"modules/{module.name}/pom.xml"]
        assert f"<module>modules/{module.name}</module>" in files["pom.xml"]
        described = files[f"modules/{module.name}/plugin-descriptor.properties"]
        assert f"classname={release.classname(module)}\n" in described
        assert f"opensearch.version={release.version}\n" in described
        assert files.get(f"modules/{module.name}/plugin-security.policy", "") == module.policy
    assert ("agent/pom.xml" in files) is release.has_agent


def test_recipe_of_each_release_has_its_own_folder(tmp_path: Path) -> None:
    environ = machine(tmp_path, FAKE_MAVEN)
    found = {distribution(environ, JDK, None, quiet(), release).root for release in RELEASES}
    assert len(found) == len(RELEASES)
    assert {folder.name.split("-")[1] for folder in found} == {release.version for release in RELEASES}


# Stands in for Maven: notes that it ran, and leaves a jar of each kind where the plugin would.
FAKE_MAVEN = """\
echo ran >> "$RUNS"
mkdir -p agent
for pom in lib agent modules/*; do
    echo "[INFO] Copying shared.jar"
    touch "$pom/shared.jar" "$pom/$(basename "$pom").jar"
done
touch modules/analysis-common/lang-painless.jar
"""


def machine(tmp_path: Path, maven: str) -> dict[str, str]:
    """An environment with that `mvn`, a cache of its own, and a file that counts how often `mvn` ran."""
    executable(tmp_path / "tools" / "mvn", maven)
    return {
        "PATH": f"{tmp_path / 'tools'}:{os.defpath}",
        "DASWATCH_CACHE": str(tmp_path / "cache"),
        "RUNS": str(tmp_path / "runs"),
    }


def test_processes_that_start_at_once_call_maven_once(tmp_path: Path) -> None:
    environ = machine(tmp_path, FAKE_MAVEN)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: distribution(environ, JDK, None, quiet()), range(4)))
    later = distribution(environ | {"PATH": ""}, JDK, None, quiet())  # needs no Maven any more

    assert found == {later}
    assert (tmp_path / "runs").read_text().split() == ["ran"]
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [later.root.name, "opensearch.lock"]


def test_a_module_has_no_jar_that_it_inherits(tmp_path: Path) -> None:
    jars = distribution(machine(tmp_path, FAKE_MAVEN), JDK, None, quiet())
    assert [p.name for p in (jars.modules / "analysis-common").glob("*.jar")] == ["analysis-common.jar"]
    assert {p.name for p in jars.lib.glob("*.jar")} == {"shared.jar", "lib.jar"}


def test_the_jars_are_readable_by_others_whatever_the_umask(tmp_path: Path) -> None:
    environ = machine(tmp_path, FAKE_MAVEN)
    before = os.umask(0o077)
    try:
        jars = distribution(environ, JDK, None, quiet())
    finally:
        os.umask(before)
    assert stat.S_IMODE(jars.root.parent.stat().st_mode) == 0o755
    for path in (jars.root, *jars.root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_a_failing_maven_is_quoted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environ = machine(tmp_path, "echo '[INFO] Scanning'; echo '[ERROR] Could not transfer artifact'; exit 1")
    with pytest.raises(AssemblyFailed) as error:
        distribution(environ, JDK, None, quiet())
    assert str(error.value).splitlines()[1:] == ["[ERROR] Could not transfer artifact"]
    assert "settings.xml" in str(error.value)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["opensearch.lock"]


def test_a_cache_that_cannot_be_written_says_which_variable_to_set(tmp_path: Path) -> None:
    environ = machine(tmp_path, FAKE_MAVEN)
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(UnusableFolder, match="set DASWATCH_CACHE"):
        distribution(environ, JDK, None, quiet())


# --- the home ---


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UnusableFolder, match="not a node of ours"):
        make_home(tmp_path, None)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_home_is_taken_over_when_it_is_empty_or_was_ours(tmp_path: Path) -> None:
    assert make_home(tmp_path / "new", None) == tmp_path / "new"
    (tmp_path / "new" / "data").mkdir()
    assert make_home(tmp_path / "new", None) == tmp_path / "new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_root_passes_over_places_that_the_nodes_user_cannot_reach(tmp_path: Path) -> None:
    nobody = unprivileged_account()
    assert isinstance(nobody, Account)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    assert cache_folder({"DASWATCH_CACHE": str(closed / "cache")}, nobody) == Path("/var/cache/daswatch")
    with pytest.raises(UnusableFolder, match="cannot be reached by user nobody"):
        make_home(closed / "home", nobody)


# --- the node ---


def test_a_reserved_port_can_be_listened_on_and_is_given_to_nobody_else() -> None:
    reserved = PortReservation(None)
    try:
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", reserved.number))
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", reserved.number))
            server.listen()
            with pytest.raises(StartFailed, match=f"port {reserved.number} cannot be had"):
                PortReservation(reserved.number)
    finally:
        reserved.close()


def test_failed_start_shows_the_lines_that_matter() -> None:
    log = (
        "WARNING: Using incubator modules: jdk.incubator.vector\n"
        "[2026-11-21T07:09:31,008][INFO ][o.o.n.Node] JVM arguments [-XX:+ExitOnOutOfMemoryError]\n"
        "[2026-11-21T07:09:32,776][ERROR][o.o.b.Bootstrap] Exception\n"
        "java.lang.IllegalStateException: failed to obtain node locks, tried [[/home/data]]\n"
        "\tat org.opensearch.env.NodeEnvironment.<init>(NodeEnvironment.java:329)\n"
        "\t... 5 more\n"
    )
    assert explain("OpenSearch died while starting (exit 1)", log, Path("/home/logs")).splitlines() == [
        "OpenSearch died while starting (exit 1): another node runs on this folder, stop it or choose "
        "another. Its logs are in /home/logs and end with:",
        "[2026-11-21T07:09:32,776][ERROR][o.o.b.Bootstrap] Exception",
        "java.lang.IllegalStateException: failed to obtain node locks, tried [[/home/data]]",
    ]


def test_an_external_server_is_used_and_never_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

        pool.submit(answer)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with node_or_external(environ={"OPENSEARCH_URL": f"{url}/"}) as node:
            assert isinstance(node, ExternalNode)
            assert node.url == url
            node.stop()
            with pytest.raises(NotOurNode, match="OPENSEARCH_URL"):
                node.kill()
            with pytest.raises(NotOurNode, match="OPENSEARCH_URL"):
                node.restart()


def test_an_external_server_that_is_absent_is_named_without_its_password() -> None:
    reserved = PortReservation(None)
    node = ExternalNode(f"http://user:secret@127.0.0.1:{reserved.number}")
    with pytest.raises(StartFailed) as error:
        node.wait_until_ready(deadline=0.1)
    reserved.close()
    assert f"OPENSEARCH_URL=http://127.0.0.1:{reserved.number} " in str(error.value)
    assert "secret" not in str(error.value)


# --- a real one: these tests start nodes of their own, whatever OPENSEARCH_URL says ---


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with Node.start(heap_mb=512) as started:
        yield started


def ask(node: Node, method: str, path: str, body: object = None) -> Any:
    """The answer's JSON; fails the test on any status from 300 on."""
    reply = urllib3.request(method, node.url + path, json=body, retries=False, timeout=30.0)
    assert reply.status < 300, reply.data.decode()
    return reply.json()


def test_it_is_the_version_that_was_asked_for(node: Node) -> None:
    assert ask(node, "GET", "/")["version"]["number"] == wanted_release(os.environ).version


def test_it_has_every_module_that_we_rely_on(node: Node) -> None:
    info = ask(node, "GET", "/_nodes/_local/plugins")
    (local,) = info["nodes"].values()
    assert {module["name"] for module in local["modules"]} == {module.name for module in MODULES}


def test_it_runs_painless_and_mustache(node: Node) -> None:
    script = {"script": {"source": "params.a * 2", "params": {"a": 21}}}
    assert ask(node, "POST", "/_scripts/painless/_execute", script) == {"result": "42"}
    template = {"source": {"query": {"match": {"activity": "{{activity}}"}}}, "params": {"activity": "DDL"}}
    answer = ask(node, "POST", "/_render/template", template)
    assert answer == {"template_output": {"query": {"match": {"activity": "DDL"}}}}


def test_node_breaker_counts_reservations_not_garbage(node: Node) -> None:
    """What the serial collector has not freed yet must not make the node answer 429."""
    (local,) = ask(node, "GET", "/_nodes/_local/stats/breaker,jvm")["nodes"].values()
    breakers = {name: one["estimated_size_in_bytes"] for name, one in local["breakers"].items()}
    parent = breakers.pop("parent")
    assert parent <= sum(breakers.values()) < local["jvm"]["mem"]["heap_used_in_bytes"]


NANOS = "2026-01-01T00:00:00.123456789Z"


@pytest.mark.parametrize(
    ("field", "value", "query"),
    [
        ("wildcard", "DROP TABLE payments", {"wildcard": {"f": "*TABLE pay*"}}),
        ("match_only_text", "drop table payments", {"match": {"f": "payments"}}),
        ("flat_object", {"a": {"b": "c"}}, {"term": {"f.a.b": "c"}}),
        ("date_nanos", NANOS, {"range": {"f": {"gt": NANOS.replace("9Z", "8Z")}}}),
        ("ip", "192.0.2.7", {"term": {"f": "192.0.2.0/24"}}),
        ("percolator", {"match_all": {}}, {"exists": {"field": "f"}}),
    ],
)
def test_it_has_the_field_types_that_we_map(node: Node, field: str, value: object, query: object) -> None:
    index = f"/types-{field}"
    ask(node, "PUT", index, {"mappings": {"properties": {"f": {"type": field}}}})
    ask(node, "PUT", f"{index}/_doc/1?refresh=true", {"f": value})
    assert ask(node, "POST", f"{index}/_count", {"query": query})["count"] == 1


def test_it_runs_as_an_unprivileged_user_on_loopback_only(node: Node) -> None:
    assert node.data_dir.stat().st_uid != 0
    (local,) = ask(node, "GET", "/_nodes/_local/http,transport")["nodes"].values()
    for layer in ("http", "transport"):
        assert {address.rpartition(":")[0] for address in local[layer]["bound_address"]} == {"127.0.0.1"}


def test_a_document_survives_a_crash_behind_the_same_url(node: Node) -> None:
    url, first = node.url, node.pid
    ask(node, "PUT", "/crash/_doc/1?refresh=true", {"activity": "DDL"})

    node.kill()
    assert node.pid is None
    with pytest.raises(urllib3.exceptions.HTTPError):
        ask(node, "GET", "/")

    node.restart()
    assert node.url == url
    assert node.pid not in (None, first)
    hits = ask(node, "POST", "/crash/_search", {"query": {"match": {"activity": "DDL"}}})["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["1"]


def test_a_node_that_dies_while_starting_shows_why_and_keeps_its_logs() -> None:
    with pytest.raises(StartFailed, match=r"died while starting \(exit 1\)") as error:
        Node.start(heap_mb=1)
    logs = re.search(r"logs are in (\S+) and end with:\n(.|\n)*Too small maximum heap", str(error.value))
    assert logs
    assert Path(logs[1], "console.log").exists()
    shutil.rmtree(Path(logs[1]).parent)


def test_the_command_prints_its_url_and_ends_cleanly_on_sigterm() -> None:
    command = [sys.executable, "-m", "demo.opensearch", "--port", "0", "--heap-mb", "512"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=600)
    assert (process.returncode, rest, errors) == (0, "", "")
    url = line.split()[1]
    with pytest.raises(urllib3.exceptions.HTTPError):
        urllib3.request("GET", url, retries=False, timeout=5.0)
