"""Trusted authorities: real bundles, folders and handshakes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from sensor.config.texts import SettingsError
from sensor.snyk.deadline import within
from sensor.snyk.probe import probe
from sensor.snyk.target import Target
from sensor.snyk.trust import Trust
from tests.clock import PATIENCE
from tests.unit.snyk_servers import HOST, Authority, http_server

BEGIN = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def pem(authority: Authority) -> bytes:
    return authority.bundle.read_bytes()


def test_ssl_cert_file_takes_the_place_of_the_systems(authority: Authority) -> None:
    trust = Trust(None, {"SSL_CERT_FILE": str(authority.bundle)})
    assert trust.pem() == pem(authority)
    assert len(trust.context().get_ca_certs()) == 1


def test_ssl_cert_dir_is_read_by_the_names_that_openssl_reads(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "12ab34cd.0").write_bytes(pem(authority))
    (folder / "unhashed.pem").write_bytes(pem(Authority(tmp_path)))
    assert Trust(None, {"SSL_CERT_DIR": str(folder)}).pem() == (folder / "12ab34cd.0").read_bytes()


def test_the_systems_authorities_are_found_without_being_told() -> None:
    assert Trust(None, {}).pem().count(BEGIN) > 10


def test_a_bundle_is_trusted_beside_the_systems(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    trust = Trust(other.bundle, {"SSL_CERT_FILE": str(authority.bundle)})
    assert trust.pem() == pem(authority) + pem(other)


def test_a_bundle_alone_will_do(authority: Authority) -> None:
    assert Trust(authority.bundle, {"SSL_CERT_FILE": "/nonexistent"}).pem() == pem(authority)


def test_nothing_to_trust_says_where_it_looked() -> None:
    with pytest.raises(SettingsError, match=r"/nonexistent/file, /nonexistent/folder.*--ca-bundle"):
        Trust(None, {"SSL_CERT_FILE": "/nonexistent/file", "SSL_CERT_DIR": "/nonexistent/folder"})


def test_comments_in_a_bundle_need_not_be_ascii(authority: Authority, tmp_path: Path) -> None:
    """As those of RHEL: each certificate has the name of its owner above it."""
    path = tmp_path / "commented.pem"
    path.write_bytes("# Főtanúsítvány\n".encode() + pem(authority))
    assert Trust(path, {"SSL_CERT_FILE": "/nonexistent"}).pem() == pem(authority)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "found it empty"),
        (b"not a certificate", "found no whole certificate"),
        (b"0\x82\x03\x00\x30", "looks like DER"),
        (BEGIN + b"\nMIIB", "found no whole certificate"),
        (BEGIN + b"\nAAAA\n-----END CERTIFICATE-----\n", "found a broken certificate"),
        (b"x" * (8 << 20) + b"y", "more than 8 MiB"),
    ],
)
def test_a_bundle_that_is_none_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=says) as refused:
        Trust(path)
    assert f"--ca-bundle {str(path)!r}" in str(refused.value) and "expected certificates in PEM" in str(
        refused.value
    )


def test_a_bundle_that_ends_in_the_middle_is_refused(authority: Authority) -> None:
    authority.bundle.write_bytes(pem(authority) + pem(authority)[:-40])
    with pytest.raises(SettingsError, match="no whole certificate"):
        Trust(authority.bundle)


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.pem'.*No such file"):
        Trust(tmp_path / "missing.pem")


def test_another_bundle_is_another_version_and_a_broken_one_is_not(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    trust = Trust(authority.bundle, {"SSL_CERT_FILE": "/nonexistent"})
    first = trust.context()
    assert trust.version == 1 and trust.context() is first
    authority.bundle.write_bytes(b"half a cert")
    assert trust.version == 1 and trust.version == 1
    assert caplog.text.count("the last authorities stay trusted") == 1
    authority.bundle.write_bytes(pem(other))
    assert trust.version == 2 and trust.pem() == pem(other)
    assert trust.context() is not first


def test_only_tls_1_2_and_newer_and_checked_names(authority: Authority) -> None:
    context = Trust(authority.bundle).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED


def test_a_server_that_only_knows_old_tls_is_named(authority: Authority) -> None:
    with http_server(authority.certificate()) as server:
        assert server.context is not None
        server.context.set_ciphers("ALL:@SECLEVEL=0")
        server.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            server.context.maximum_version = ssl.TLSVersion.TLSv1_1
        with within(PATIENCE):
            cause = probe(Target(HOST, server.port, "https"), Trust(authority.bundle))
    assert cause and cause.reason == "old_tls" and "TLS 1.2" in cause.text


def test_a_certificate_itself_can_be_what_is_trusted(authority: Authority, tmp_path: Path) -> None:
    """As gRPC takes it: the bundle need not hold a root."""
    certificate = authority.certificate()
    leaf = tmp_path / "leaf.pem"
    certificate.cert_chain_pems[0].write_to_path(str(leaf))
    with http_server(certificate) as server, within(PATIENCE):
        assert probe(Target(HOST, server.port, "https"), Trust(leaf)) is None
