"""The local OpenSearch with its Security plugin: TLS, users and roles as on a domain with fine-grained access control.

    with SecuredNode.start_secured() as node:
        admin = OpenSearch(node.url, **node.admin)

The plugin comes from Maven Central as OpenSearch does, once, into the same cache.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rich.console import Console

from demo.opensearch import LOOPBACK, Node
from demo.opensearch_home import (
    DEFAULT_RELEASE,
    MARKER,
    Account,
    Release,
    cache_folder,
    find_jdk,
    find_maven,
    locked,
    make_home,
    maven_environment,
    run_maven,
    unprivileged_account,
    wanted_release,
)

COLLECTIONS_VERSION: Final = "4.5.0"  # of commons-collections4, which the plugin needs, and brings along for 2.x only
PLUGIN: Final = "opensearch-security"
VALID_FOR: Final = timedelta(days=2)  # a node lives for a session
SECURED_START_SECONDS: Final = 1_800.0  # 17 to 26 on two cores: the plugin creates its index after the node is up


def security_pom(plugin_version: str) -> str:
    """The zip without what it depends on, which it brings along, and what it does not."""
    return f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>\
<groupId>daswatch.local</groupId><artifactId>security</artifactId><version>1</version><packaging>pom</packaging>\
<dependencies><dependency><groupId>org.opensearch.plugin</groupId><artifactId>{PLUGIN}</artifactId>\
<version>{plugin_version}</version><type>zip</type>\
<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>\
<dependency><groupId>org.apache.commons</groupId><artifactId>commons-collections4</artifactId>\
<version>{COLLECTIONS_VERSION}</version></dependency></dependencies></project>
"""


def secured_release(wanted: Release) -> Release:
    """The release, or the default one where its Security plugin is not on Maven Central."""
    return wanted if wanted.security_plugin else DEFAULT_RELEASE


class SecuredNode(Node):
    """A node with the Security plugin, over HTTPS. Its certificates are in `home / "config"`."""

    @classmethod
    def start_secured(cls, heap_mb: int = 1024) -> Self:
        """Start one on a temporary home, as `Node.start` does."""
        account, console = unprivileged_account(), Console(stderr=True)
        release = secured_release(wanted_release(os.environ))
        jdk = find_jdk(os.environ, account, release=release)
        plugin = security_plugin(maven_environment(os.environ, jdk), account, console, release)
        home = make_home(None, account)
        (home / MARKER).touch()
        install(plugin, home)
        node = cls.start(
            home,
            heap_mb,
            settings=security_settings(),
            deadline=SECURED_START_SECONDS,
            console=console,
            release=release,
        )
        node._temporary = True
        return node

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def ca_file(self) -> str:
        """The certificate that clients trust."""
        return str(self.home / "config" / "ca.pem")

    @property
    def admin(self) -> dict[str, Any]:
        """Options of an opensearch-py client that is the administrator, with all permissions."""
        config = self.home / "config"
        return {
            "ca_certs": self.ca_file,
            "client_cert": str(config / "admin.pem"),
            "client_key": str(config / "admin-key.pem"),
        }

    def _http(self) -> urllib3.PoolManager:
        files = self.admin
        return urllib3.PoolManager(
            retries=False, ca_certs=files["ca_certs"], cert_file=files["client_cert"], key_file=files["client_key"]
        )

    def _answers(self, http: urllib3.PoolManager) -> bool:
        """Users and roles are there some seconds after the node is."""
        if not super()._answers(http):
            return False
        return http.request("GET", f"{self.url}/_plugins/_security/health", timeout=5.0).status == HTTPStatus.OK


def security_plugin(environ: Mapping[str, str], account: Account | None, console: Console, release: Release) -> Path:
    """The folder of the unpacked plugin, resolved with Maven if this machine has none yet."""
    cache = cache_folder(environ, account)
    finished = cache / f"{PLUGIN}-{release.security_plugin}-for-{release.version}-{COLLECTIONS_VERSION}"
    if os.path.isdir(finished):
        return finished
    maven = find_maven(environ)
    with locked(cache, console):
        if not finished.is_dir():
            building = Path(tempfile.mkdtemp(prefix=".security-", dir=cache))
            try:
                _unpack(building, maven, environ, console, release)
                building.rename(finished)
            finally:
                shutil.rmtree(building, ignore_errors=True)  # not there any more when the rename succeeded
    return finished


def install(plugin: Path, home: Path) -> None:
    """Put the plugin, its configuration and new certificates into a node's home."""
    plugins, config = home / "plugins", home / "config"
    plugins.mkdir()
    shutil.copytree(plugin, plugins / PLUGIN, ignore=shutil.ignore_patterns("config"))
    shutil.copytree(plugin / "config", config / PLUGIN)
    with _authority(config) as issue:
        issue("node", ip=LOOPBACK)
        issue("admin")


def security_settings() -> dict[str, str]:
    """The lines of opensearch.yml."""
    files = {
        f"plugins.security.ssl.{layer}.{setting}": file
        for layer in ("transport", "http")
        for setting, file in (
            ("pemcert_filepath", "node.pem"),
            ("pemkey_filepath", "node-key.pem"),
            ("pemtrustedcas_filepath", "ca.pem"),
        )
    }
    return {
        **files,
        "plugins.security.ssl.http.enabled": "true",
        "plugins.security.ssl.http.clientauth_mode": "OPTIONAL",
        "plugins.security.ssl.transport.enforce_hostname_verification": "false",
        "plugins.security.authcz.admin_dn": '["CN=admin"]',
        "plugins.security.nodes_dn": '["CN=node"]',
        "plugins.security.allow_default_init_securityindex": "true",
    }


def _unpack(folder: Path, maven: str, environ: Mapping[str, str], console: Console, release: Release) -> None:
    (folder / "pom.xml").write_text(security_pom(release.security_plugin), encoding="utf-8")
    run_maven(maven, folder, environ, console, f"OpenSearch's Security plugin {release.security_plugin}")
    (folder / "pom.xml").unlink()
    archive = folder / f"{PLUGIN}-{release.security_plugin}.zip"
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    archive.unlink()
    shutil.rmtree(folder / "tools")
    if len(list(folder.glob("commons-collections4-*.jar"))) > 1:
        (folder / f"commons-collections4-{COLLECTIONS_VERSION}.jar").unlink()
    # It names a module that is not published, and does without; and the one patch release that it was built for.
    descriptor = folder / "plugin-descriptor.properties"
    lines = descriptor.read_text("utf-8").splitlines()
    kept = [line for line in lines if line and not line.startswith(("#", "extended.plugins", "opensearch.version"))]
    descriptor.write_text(
        "\n".join([*kept, "extended.plugins=", f"opensearch.version={release.version}", ""]), encoding="utf-8"
    )
    for built in (folder, *folder.rglob("*")):
        built.chmod(0o755 if built.is_dir() else 0o644)


@contextmanager
def _authority(folder: Path) -> Iterator[Any]:
    """Certificates signed by a new authority, as PEM files in `folder`; its key is gone afterwards."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "daswatch local")])
    root = _builder(name, name, key.public_key())
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(
        x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        ),
        critical=True,
    )
    (folder / "ca.pem").write_bytes(root.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(common_name: str, ip: str = "") -> None:
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        built = _builder(subject, name, own.public_key())
        if ip:
            built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(ip))]), critical=False)
        certificate = built.sign(key, hashes.SHA256())
        (folder / f"{common_name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{common_name}-key.pem").write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    yield issue


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID_FOR)
    )
