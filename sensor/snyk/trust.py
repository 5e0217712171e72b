"""Whose certificates are trusted: the system's authorities, and those of an extra bundle.

The certificates are read here and given to both transports as they are, because each library would look for
them elsewhere by itself: gRPC brings its own, OpenSSL knows the paths of the system it was built on.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from sensor.config.texts import SettingsError
from sensor.snyk.deadline import DeadlineSSLSocket
from sensor.snyk.watched_file import WatchedFile

_MAX_BUNDLE_BYTES = 8 << 20
_MAX_FOLDER_FILES = 2000
# Where distributions keep all authorities in one file, as Go looks for them
# (https://go.dev/src/crypto/x509/root_linux.go).
_USUAL_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL
    "/etc/ssl/cert.pem",  # Alpine
)
# Bundles have comments between the certificates, which need not be ASCII.
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[\s\w+/=]+-----END CERTIFICATE-----", re.ASCII)

log = logging.getLogger(__name__)


class Trust:
    """``ca_bundle`` is a PEM file trusted beside the system's. Any thread may ask."""

    def __init__(self, ca_bundle: Path | None, environment: Mapping[str, str] = os.environ) -> None:
        """Raises :class:`SettingsError` where the bundle cannot be used, or nothing would be trusted."""
        self._environment = environment
        self._lock = threading.Lock()
        self._bundle = WatchedFile(ca_bundle, _MAX_BUNDLE_BYTES) if ca_bundle else None
        self._version = 1
        self._complaint = ""
        self._extra = self._read_bundle() or b""
        self._context: tuple[int, ssl.SSLContext] | None = None
        self.pem()

    @property
    def version(self) -> int:
        """Grows when the bundle becomes another, which makes connections be made anew. Costs a stat()."""
        with self._lock:
            try:
                extra = self._read_bundle()
            except SettingsError as error:
                self._complain(str(error))
            else:
                self._take(extra)
            return self._version

    def pem(self) -> bytes:
        """Every trusted certificate in PEM, as gRPC takes them. Read anew: it is not worth its memory."""
        system, looked = _system_certificates(self._environment)
        if not system and not self._extra:
            raise SettingsError(
                f"found no trusted certificate authorities in {', '.join(looked)}; install the package "
                "ca-certificates of the distribution, or name a PEM file with --ca-bundle"
            )
        return system + self._extra

    def context(self) -> ssl.SSLContext:
        """The same trust for OpenSSL: TLS 1.2 or newer, host names checked. Shared: it holds 1.3 MiB."""
        with self._lock:
            if self._context is None or self._context[0] != self._version:
                self._context = self._version, self.new_context()
            return self._context[1]

    def new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = DeadlineSSLSocket
        # As gRPC's: what the bundle names is trusted, be it a root or not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=self.pem().decode("ascii"))
        return context

    def _take(self, extra: bytes | None) -> None:
        if extra is None:
            return
        self._complaint = ""
        if extra != self._extra:
            self._extra = extra
            self._version += 1

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            log.warning("%s; the last authorities stay trusted until it holds others", text)

    def _read_bundle(self) -> bytes | None:
        """``None`` where it is as it was."""
        if self._bundle is None:
            return None
        named = f"--ca-bundle {str(self._bundle.path)!r}"
        try:
            content = self._bundle.read_if_changed()
        except OSError as error:
            raise SettingsError(f"{named}: cannot read it: {error.strerror or error}") from None
        return None if content is None else _checked(content, named)


def _checked(content: bytes, named: str) -> bytes:
    expected = "expected certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE"
    if len(content) > _MAX_BUNDLE_BYTES:
        raise SettingsError(f"{named}: found more than {_MAX_BUNDLE_BYTES >> 20} MiB, {expected}")
    if not content.strip():
        raise SettingsError(f"{named}: found it empty, {expected}")
    found = _certificates(content)
    if not found or content.count(b"-----BEGIN CERTIFICATE-----") != found.count(
        b"-----BEGIN CERTIFICATE-----"
    ):
        hint = (
            " (it looks like DER: openssl x509 -inform der -in FILE -out FILE.pem)"
            if content[:1] == b"0"
            else ""
        )
        raise SettingsError(f"{named}: found no whole certificate, {expected}{hint}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found.decode("ascii"))
    except ssl.SSLError as error:
        raise SettingsError(f"{named}: found a broken certificate ({error.reason}), {expected}") from None
    return found


def _certificates(content: bytes) -> bytes:
    return b"".join(block + b"\n" for block in _CERTIFICATE.findall(content))


def _system_certificates(environment: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Return the system's certificates in PEM and where they were looked for.

    SSL_CERT_FILE and SSL_CERT_DIR take the place of the usual paths, as for OpenSSL (its
    X509_get_default_cert_file_env(3)).
    """
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    default = ssl.get_default_verify_paths()
    files = [file] if file else [] if folder else [default.openssl_cafile, *_USUAL_FILES]
    folders = [folder] if folder else [] if file else [default.openssl_capath]
    looked: list[str] = []
    for one in files:
        looked.append(one)
        if found := _certificates(_content(Path(one))):
            return found, looked
    for one in folders:
        looked.append(one)
        if found := b"".join(_certificates(_content(path)) for path in _hashed(Path(one))):
            return found, looked
    return b"", looked


def _hashed(folder: Path) -> Iterator[Path]:
    """The files that OpenSSL itself would find in ``folder``: named by the hash of the subject."""
    return islice(sorted(folder.glob("????????.[0-9]")), _MAX_FOLDER_FILES)


def _content(path: Path) -> bytes:
    try:
        return WatchedFile(path, _MAX_BUNDLE_BYTES).read_if_changed() or b""
    except OSError:
        return b""
