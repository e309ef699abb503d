"""What a local OpenSearch needs before it can run: a JDK, its jars, a folder to live in, a user to run as.

In: the machine (environment, JVM folders, Maven). Out: a `Distribution`, the read-only jars that all nodes of
this machine share, and a home, the folder that one node owns. `demo.opensearch` runs the process in it.

There is no archive to download: OpenSearch's own jars are on Maven Central, so `mvn` resolves them, once,
into a cache outside the checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

VERSION_VARIABLE: Final = "OPENSEARCH_VERSION"
MAVEN_SECONDS: Final = 900.0  # a first download takes 20 to 60; past this the network hangs
PLAIN_LINE_SECONDS: Final = 10.0  # between two lines of progress in a log
MAVEN_LINES: Final = 5  # of its errors that ours quotes: the rest is advice to Maven users

# The system's JVM folders: Linux, then macOS (whose JDKs keep their home two levels down).
JVM_FOLDERS: Final = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"))
# For root, where its own cache or temporary folder is closed to the node's user. Only root writes to the
# first; all do to the second, where mkdtemp takes an unpredictable name.
SHARED_CACHE: Final = Path("/var/cache")
OPEN_TEMP: Final = Path("/var/tmp")  # noqa: S108 - see above


class LocalOpenSearchError(Exception):
    """The node of this machine cannot be had. The text is for the person at the terminal.

    LocalOpenSearchError
    |-- UnknownVersion    no recipe for the version that was asked for
    |-- MissingTool       install something first; the text is one line
    |-- AssemblyFailed    Maven could not resolve the jars
    |-- UnusableFolder    the home that was asked for, or the cache, cannot serve
    |-- StartFailed       the process died, or never answered
    `-- NotOurNode        asked to kill or restart a server that we did not start
    """


class UnknownVersion(LocalOpenSearchError):
    """OPENSEARCH_VERSION names a version without a recipe; the text lists those that have one."""


class MissingTool(LocalOpenSearchError):
    """A tool that the machine lacks; the text is one line that says what to install."""


class AssemblyFailed(LocalOpenSearchError):
    """Maven could not resolve the jars; the text ends with Maven's own reason."""


class UnusableFolder(LocalOpenSearchError):
    """A folder that the node's user cannot reach, that we cannot write, or that holds something else."""


class StartFailed(LocalOpenSearchError):
    """The process died, or did not answer in time; the text quotes its log and says what to do."""


class NotOurNode(LocalOpenSearchError):
    """Asked to kill or restart the server that OPENSEARCH_URL names."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that a node runs as when we are root: OpenSearch refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Jdk:
    home: Path
    version: int

    @property
    def java(self) -> Path:
        return self.home / "bin" / "java"


@dataclass(frozen=True, slots=True)
class Release:
    """A version of OpenSearch, and in what starting it differs from the others.

    Up to 2.x it runs under Java's security manager, which a JDK after 21 warns about and one after 23 lacks; from 3.0
    on under an agent of its own, which confines plugins. Ours has none to confine, and starts without it: watching each
    class and each file costs a third of a start and half of what it takes to create an index.
    """

    version: str
    log4j: str  # of log4j-api in OpenSearch's closure: a newer log4j-core breaks at start
    least_java: int
    newest_java: int  # that it is known to run on
    # Of the Security plugin, where one of this line is on Maven Central. A patch release apart, both work together.
    security_plugin: str = ""

    @property
    def has_agent(self) -> bool:
        return not self.version.startswith("2.")

    def classname(self, module: Module) -> str:
        """The class of a module, which 3.0 renamed."""
        return module.classname + ("ModulePlugin" if self.has_agent else "Plugin")

    def runs_on(self, jdk: Jdk) -> bool:
        """Whether it starts there. Under a JDK that is newer than what it is known to run on it may, and often does."""
        return self.least_java <= jdk.version and (self.has_agent or jdk.version <= self.newest_java)


# The newest of each line whose jars are all on Maven Central: 2.19.7 and 3.9.0 lack some.
DEFAULT_RELEASE: Final = Release("3.4.0", log4j="2.21.0", least_java=21, newest_java=25, security_plugin="3.4.0.0")
RELEASES: Final = (
    Release("2.19.6", log4j="2.25.4", least_java=17, newest_java=21, security_plugin="2.19.4.0"),
    DEFAULT_RELEASE,
    Release("3.8.0", log4j="2.25.4", least_java=21, newest_java=25),
)


def wanted_release(environ: Mapping[str, str]) -> Release:
    """The release that OPENSEARCH_VERSION names, whole or by its line such as 2.19. Raises UnknownVersion."""
    wanted = environ.get(VERSION_VARIABLE)
    if not wanted:
        return DEFAULT_RELEASE
    for release in RELEASES:
        if f"{release.version}.".startswith(f"{wanted}."):
            return release
    known = ", ".join(release.version for release in RELEASES)
    raise UnknownVersion(f"{VERSION_VARIABLE}={wanted} is not a version that can be built here: choose one of {known}")


@dataclass(frozen=True, slots=True)
class Module:
    """One of OpenSearch's own modules, which its archive brings along and its jar does not."""

    name: str
    artifact: str
    classname: str  # without the ending, see Release.classname
    extends: str = ""
    policy: str = ""


# What a module may do beyond what OpenSearch grants its own code. The jars do not contain the files of the archive.
_NETTY_POLICY: Final = """\
grant {
  permission java.net.SocketPermission "*", "accept,connect,resolve";
  permission java.io.FilePermission "/proc/sys/net/core/somaxconn", "read";
  permission java.util.PropertyPermission "sun.nio.ch.bugLevel", "write";
  permission java.lang.RuntimePermission "getClassLoader";
  permission java.lang.RuntimePermission "setContextClassLoader";
};
"""
_PAINLESS_POLICY: Final = """\
grant {
  permission java.lang.RuntimePermission "createClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";
};
"""
_MUSTACHE_POLICY: Final = """\
grant {
  permission java.lang.RuntimePermission "accessDeclaredMembers";
};
"""
_REINDEX_POLICY: Final = """\
grant {
  permission java.net.SocketPermission "*", "connect,resolve";
  permission java.net.NetPermission "getProxySelector";
};
"""

MODULES: Final = (
    Module("transport-netty4", "transport-netty4-client", "org.opensearch.transport.Netty4", policy=_NETTY_POLICY),
    Module("lang-painless", "lang-painless", "org.opensearch.painless.Painless", policy=_PAINLESS_POLICY),
    Module(
        "analysis-common",
        "analysis-common",
        "org.opensearch.analysis.common.CommonAnalysis",
        extends="lang-painless",
    ),
    Module(
        "ingest-common",
        "ingest-common",
        "org.opensearch.ingest.common.IngestCommon",
        extends="lang-painless",
    ),
    Module("percolator", "percolator-client", "org.opensearch.percolator.Percolator"),
    Module("reindex", "reindex-client", "org.opensearch.index.reindex.Reindex", policy=_REINDEX_POLICY),
    Module("parent-join", "parent-join-client", "org.opensearch.join.ParentJoin"),
    Module("mapper-extras", "mapper-extras-client", "org.opensearch.index.mapper.MapperExtras"),
    Module(
        "aggs-matrix-stats",
        "aggs-matrix-stats-client",
        "org.opensearch.search.aggregations.matrix.MatrixAggregation",
    ),
    Module("lang-mustache", "lang-mustache-client", "org.opensearch.script.mustache.Mustache", policy=_MUSTACHE_POLICY),
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """OpenSearch's jars in the cache, laid out as its archive would: `lib/`, `agent/`, `modules/<name>/`."""

    root: Path
    release: Release

    @property
    def lib(self) -> Path:
        return self.root / "lib"

    @property
    def modules(self) -> Path:
        return self.root / "modules"

    @property
    def policy_of_the_agent(self) -> Path:
        """What OpenSearch asks at its start, with or without the agent."""
        return self.root / "agent" / f"opensearch-agent-bootstrap-{self.release.version}.jar"

    def classes(self, jdk: Jdk) -> Path:
        """The archive of classes that a JVM of this JDK maps instead of reading the jars; empty if it makes none."""
        return self.root / f"classes-{jdk.version}.jsa"


# --- the user -------------------------------------------------------------------------------------


def unprivileged_account() -> Account | None:
    """The user to drop to, or None where we are not root and a node just runs as we do."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_reach(path: Path, account: Account | None) -> bool:
    """Whether `account` can read the file `path`, or pass through the folder; True for None, that is us.

    Asked of the kernel by a child that is that user: adding up mode bits would be wrong under ACLs and mount
    options. What does not exist yet is judged by its nearest ancestor that does.
    """
    if account is None:
        return True
    existing = next(level for level in (path, *path.parents) if level.exists())
    question = ["test", "-x" if existing.is_dir() else "-r", str(existing)]
    try:
        answer = subprocess.run(question, user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False)
    except PermissionError as exc:  # a container that took root's capabilities away
        raise LocalOpenSearchError(
            f"OpenSearch refuses to run as root, and root may not become {account.name} here: run this as "
            "another user, or set OPENSEARCH_URL to a server that runs already"
        ) from exc
    return answer.returncode == 0


def make_folder(folder: Path) -> None:
    """Create `folder`, and let others traverse each level that had to be made, whatever the umask says."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(exist_ok=True)
        level.chmod(0o755)


# --- the JDK --------------------------------------------------------------------------------------


def java_version(text: str) -> int | None:
    """The feature version in a `release` file or in what `java -version` prints; None where there is none.

    `JAVA_VERSION="25.0.3"` is 25, `openjdk version "17.0.15"` is 17, the old `1.8.0_442` is 8, `26-ea` is 26.
    """
    found = re.search(r'(?:^JAVA_VERSION=|\bversion )"(?:1\.)?(\d+)', text, re.MULTILINE)
    return int(found[1]) if found else None


def read_jdk(home: Path) -> Jdk | None:
    """The JDK (or runtime) at `home`; None where there is none, or if it does not print its version."""
    java = home / "bin" / "java"
    if not os.access(java, os.X_OK):
        return None
    release = home / "release"
    if release.is_file():
        version = java_version(release.read_text(encoding="utf-8", errors="replace"))
    else:
        asked = subprocess.run([java, "-version"], capture_output=True, text=True, errors="replace", check=False)
        version = java_version(asked.stderr)
    return Jdk(home, version) if version is not None else None


def choose_jdk(candidates: Sequence[Jdk], release: Release) -> Jdk | None:
    """The newest that the release is known to run on, else the one least too new that may do; None without any."""
    fit = [jdk for jdk in candidates if release.runs_on(jdk)]
    known = [jdk for jdk in fit if jdk.version <= release.newest_java]
    if known:
        return max(known, key=lambda jdk: jdk.version)
    return min(fit, key=lambda jdk: jdk.version, default=None)


def find_jdk(
    environ: Mapping[str, str],
    account: Account | None = None,
    folders: Sequence[Path] = JVM_FOLDERS,
    release: Release = DEFAULT_RELEASE,
) -> Jdk:
    """JAVA_HOME if the release runs on it, then the best under the system's JVM folders, then PATH.

    A JDK that `account` cannot read (root's own, under `/root`) is not a candidate. Raises MissingTool.
    """
    named = [Path(environ["JAVA_HOME"])] if environ.get("JAVA_HOME") else []
    entries = [entry for folder in folders if folder.is_dir() for entry in sorted(folder.iterdir())]
    installed = [home.resolve() for entry in entries for home in (entry, entry / "Contents" / "Home")]
    on_path = shutil.which("java", path=environ.get("PATH", os.defpath))
    shims = [Path(on_path).resolve().parent.parent] if on_path else []
    seen: list[Jdk] = []
    for tier in (named, installed, shims):
        found = [jdk for home in tier if (jdk := read_jdk(home)) is not None]
        seen += found
        chosen = choose_jdk([jdk for jdk in found if can_reach(jdk.java, account)], release)
        if chosen:
            return chosen
    have = ", ".join(sorted({f"{jdk.version} in {jdk.home}" for jdk in seen})) or "none"
    who = f" that user {account.name} can read" if account else ""
    newer = "or newer" if release.has_agent else f"to {release.newest_java}"
    raise MissingTool(
        f"OpenSearch {release.version} needs a JDK {release.least_java} {newer}{who} (found: {have}): install one, "
        f"for example the package openjdk-{release.least_java}-jdk-headless, and let JAVA_HOME name it if it is not "
        "found"
    )


def find_maven(environ: Mapping[str, str]) -> str:
    """The `mvn` on PATH. Raises MissingTool."""
    found = shutil.which("mvn", path=environ.get("PATH", os.defpath))
    if not found:
        raise MissingTool(
            "OpenSearch's jars are resolved with Maven and there is no mvn on PATH: "
            "install the package maven, or set OPENSEARCH_URL to a server that runs already"
        )
    return found


# --- the jars -------------------------------------------------------------------------------------


def cache_folder(environ: Mapping[str, str], account: Account | None = None) -> Path:
    """Where the jars are kept: DASWATCH_CACHE, else `$XDG_CACHE_HOME/daswatch`, else `~/.cache/daswatch`.

    As root, a place that the node's user cannot reach (`/root` is closed to others) will not do; then it is
    `/var/cache/daswatch`.
    """
    if environ.get("DASWATCH_CACHE"):
        wanted = Path(environ["DASWATCH_CACHE"]).expanduser().absolute()
    else:
        wanted = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "daswatch"
    return wanted if can_reach(wanted, account) else SHARED_CACHE / "daswatch"


def pom(name: str, *, dependencies: Sequence[tuple[str, str, str]] = (), modules: Sequence[str] = ()) -> str:
    """A Maven project that builds nothing: it has dependencies to copy, or modules to visit."""
    listed = "".join(
        f"<dependency><groupId>{escape(group)}</groupId><artifactId>{escape(artifact)}</artifactId>"
        f"<version>{escape(version)}</version></dependency>"
        for group, artifact, version in dependencies
    )
    visited = "".join(f"<module>{escape(module)}</module>" for module in modules)
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>daswatch.local</groupId><artifactId>{escape(name)}</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{listed}</dependencies><modules>{visited}</modules>"
        "</project>\n"
    )


def recipe(release: Release) -> dict[str, str]:
    """What is written before Maven runs, by relative path: a pom for each folder, and one that visits them.

    Each folder has a closure of its own, so they cannot share a pom; one run of Maven resolves all.
    """
    server = [
        ("org.opensearch", "opensearch", release.version),
        ("org.opensearch", "opensearch-plugin-classloader", release.version),
        ("org.apache.logging.log4j", "log4j-core", release.log4j),
    ]
    agent = [("org.opensearch", "opensearch-agent-bootstrap", release.version)]
    folders = {"lib": server, **({"agent": agent} if release.has_agent else {})} | {
        f"modules/{module.name}": [("org.opensearch.plugin", module.artifact, release.version)] for module in MODULES
    }
    poms = {
        f"{folder}/pom.xml": pom(folder.replace("/", "-"), dependencies=needed) for folder, needed in folders.items()
    }
    descriptors = {f"modules/{m.name}/plugin-descriptor.properties": descriptor(m, release) for m in MODULES}
    policies = {f"modules/{m.name}/plugin-security.policy": m.policy for m in MODULES if m.policy}
    return {"pom.xml": pom("opensearch", modules=list(folders)), **poms, **descriptors, **policies}


def descriptor(module: Module, release: Release) -> str:
    """The `plugin-descriptor.properties` that OpenSearch reads in a module's folder."""
    return (
        f"name={module.name}\n"
        f"description=OpenSearch module {module.name}, from its published jar\n"
        f"version={release.version}\n"
        f"opensearch.version={release.version}\n"
        f"java.version={release.least_java}\n"
        f"classname={release.classname(module)}\n"
        f"extended.plugins={module.extends}\n"
        "has.native.controller=false\n"
    )


def distribution(
    environ: Mapping[str, str],
    jdk: Jdk,
    account: Account | None,
    console: Console,
    release: Release = DEFAULT_RELEASE,
) -> Distribution:
    """The jars, resolved with Maven if this machine has none yet (about a minute), else at once and offline.

    Safe against a second process that starts now: one builds, the other waits for the lock and finds it done.
    The folder's name carries the version and a digest of the recipe, so a changed recipe is another folder.
    Raises MissingTool, UnusableFolder, AssemblyFailed.
    """
    files = recipe(release)
    digest = hashlib.sha256("\0".join(f"{path}\0{text}" for path, text in files.items()).encode()).hexdigest()
    cache = cache_folder(environ, account)
    finished = cache / f"opensearch-{release.version}-{digest[:8]}"
    if os.path.isdir(finished):  # unlike Path.is_dir, not an error where we may not look: `locked` reports that
        return Distribution(finished, release)
    maven = find_maven(environ)
    with locked(cache, console):
        if not finished.is_dir():
            for abandoned in cache.glob(".opensearch-*"):  # by a process that was killed: we hold the lock
                shutil.rmtree(abandoned)
            building = Path(tempfile.mkdtemp(prefix=".opensearch-", dir=cache))
            try:
                what = f"OpenSearch {release.version}"
                assemble(building, files, maven, maven_environment(environ, jdk), console, what)
                building.rename(finished)
            finally:
                shutil.rmtree(building, ignore_errors=True)  # not there any more when the rename succeeded
            console.print(f"OpenSearch: the jars are in {finished}", highlight=False, soft_wrap=True)
    return Distribution(finished, release)


@contextmanager
def locked(cache: Path, console: Console) -> Iterator[None]:
    """Hold the cache's lock, waiting for the process that has it; the kernel frees it if that process dies."""
    try:
        make_folder(cache)
        handle = (cache / "opensearch.lock").open("w")
    except OSError as exc:
        raise UnusableFolder(
            f"cannot write OpenSearch's jars to {cache} ({exc.strerror}): "
            "set DASWATCH_CACHE to a folder that can be written"
        ) from exc
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("OpenSearch: another process is fetching the jars, waiting for it", highlight=False)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def assemble(
    folder: Path, files: Mapping[str, str], maven: str, environ: Mapping[str, str], console: Console, what: str
) -> None:
    """Fill `folder` with the jars, and open it for reading by others. Raises AssemblyFailed."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    run_maven(maven, folder, environ, console, what)

    for module in MODULES:
        # A class in two places is "jar hell", and OpenSearch stops: what lib/ or the extended module has must
        # not be in the module again.
        parents = [folder / "lib"] + ([folder / "modules" / module.extends] if module.extends else [])
        inherited = {jar.name for parent in parents for jar in parent.glob("*.jar")}
        for jar in (folder / "modules" / module.name).glob("*.jar"):
            if jar.name in inherited:
                jar.unlink()
    for used in folder.rglob("pom.xml"):
        used.unlink()
    # A user without a passwd entry, as in `docker run --user 1234`, has "?" for a home to Maven, and so here.
    shutil.rmtree(folder / "?", ignore_errors=True)
    for built in (folder, *folder.rglob("*")):
        built.chmod(0o755 if built.is_dir() else 0o644)


def maven_environment(environ: Mapping[str, str], jdk: Jdk) -> dict[str, str]:
    """Maven keeps its own Java, whose trust store may hold a proxy's CA; where there is none it gets ours."""
    if environ.get("JAVA_HOME") or shutil.which("java", path=environ.get("PATH", os.defpath)):
        return dict(environ)
    return {**environ, "JAVA_HOME": str(jdk.home)}


def run_maven(maven: str, folder: Path, environ: Mapping[str, str], console: Console, what: str) -> None:
    """Copy the closure of each pom next to it, and show the progress. Raises AssemblyFailed."""
    command = [
        maven,
        "--batch-mode",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "-DoutputDirectory=${project.basedir}",
    ]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # PIPE above
        watchdog = threading.Timer(MAVEN_SECONDS, process.kill)
        watchdog.start()
        try:
            output = list(narrate(process.stdout, console, what))
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
    if process.returncode != 0:
        reasons = [line for line in output if line.startswith("[ERROR]")] or output
        raise AssemblyFailed(
            f"Maven could not resolve {what} ({how_it_ended(process.returncode)}). "
            "Check that it can reach its repository (proxy and mirrors are set in ~/.m2/settings.xml), then "
            "run this again; or set OPENSEARCH_URL to a server that runs already. Maven said:\n"
            + "\n".join(reasons[:MAVEN_LINES])
        )


def narrate(lines: Iterable[str], console: Console, subject: str) -> Iterator[str]:
    """Pass Maven's lines on and show how far it is: a spinner on a terminal, else a line now and then."""
    what = f"{subject}: fetching the jars with Maven, once"
    downloads = jars = 0
    printed = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        if not console.is_terminal:
            console.print(f"{what} (about a minute)", highlight=False, soft_wrap=True)
        for line in lines:
            downloads += "Downloaded from " in line
            jars += "Copying " in line
            state = f"{downloads} files downloaded, {jars} jars in place"
            progress.update(task, description=f"{what}: {state}")
            if not console.is_terminal and time.monotonic() - printed > PLAIN_LINE_SECONDS:
                printed = time.monotonic()
                console.print(f"OpenSearch: {state}", highlight=False, soft_wrap=True)
            yield line.rstrip()


def how_it_ended(code: int) -> str:
    """A return code of subprocess in words: `exit 1`, or `signal SIGKILL` for -9."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


# --- the home -------------------------------------------------------------------------------------

MARKER: Final = ".daswatch-opensearch"  # in every home of ours: we take over such a folder, or an empty one

LOG4J2_PROPERTIES: Final = """\
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:opensearch.logs.base_path}/${sys:opensearch.logs.cluster_name}.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
# A single node on loopback: what would change in another version is not this log's business.
logger.deprecation.name = org.opensearch.deprecation
logger.deprecation.level = error
"""


def make_home(wanted: Path | None, account: Account | None) -> Path:
    """An empty or earlier home for one node: the folder `wanted`, or a new temporary one.

    Raises UnusableFolder where `wanted` holds something else (as root we would change its owner), or where
    the node's user cannot get to it.
    """
    if wanted is None:
        parent = Path(tempfile.gettempdir())
        if not can_reach(parent, account):
            parent = OPEN_TEMP
        return Path(tempfile.mkdtemp(prefix="daswatch-opensearch-", dir=parent))
    home = wanted.absolute()
    if account and not can_reach(home.parent, account):
        raise UnusableFolder(
            f"{home} cannot be reached by user {account.name}, whom OpenSearch runs as: choose a folder that "
            "others can pass through to, or run this as another user than root"
        )
    try:
        make_folder(home)
        if any(home.iterdir()) and not (home / MARKER).exists():
            raise UnusableFolder(f"{home} holds something that is not a node of ours: choose an empty folder")
        (home / MARKER).touch()
    except OSError as exc:
        raise UnusableFolder(f"cannot write to {home} ({exc.strerror}): choose another folder") from exc
    return home


def furnish(home: Path, jars: Distribution, settings: Mapping[str, str], account: Account | None) -> None:
    """Write the configuration into `home`, link the modules, and give all of it to the node's user."""
    (home / MARKER).touch()
    for name in ("config", "data", "logs", "plugins", "tmp"):
        (home / name).mkdir(exist_ok=True)
    modules = home / "modules"
    modules.unlink(missing_ok=True)  # of an earlier run, perhaps to another distribution
    modules.symlink_to(jars.modules, target_is_directory=True)
    lines = "".join(f"{key}: {value}\n" for key, value in settings.items())
    (home / "config" / "opensearch.yml").write_text(lines, encoding="utf-8")
    (home / "config" / "log4j2.properties").write_text(LOG4J2_PROPERTIES, encoding="utf-8")
    if account:
        os.chown(home, account.uid, account.gid)
        for folder, folders, files in os.walk(home):  # which does not follow the link to the modules
            for name in folders + files:
                os.chown(Path(folder, name), account.uid, account.gid, follow_symlinks=False)
