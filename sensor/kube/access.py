"""Where the API server is and what it is shown: an address, trust, and a token or a certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Protocol

from sensor.kube.deadline import DeadlineSSLSocket
from sensor.kube.errors import Unconfigured


@dataclass(frozen=True, slots=True)
class Address:
    """``authorities`` are certificates in PEM, ``None`` for the system's. ``certificate`` is a file with the
    client's own, ``key`` one with its key. ``proxy`` is a URL, never shown."""

    url: str
    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    verify: bool = True
    proxy: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """Raises :class:`Unconfigured`."""
        try:
            if self.authorities is not None and not self.authorities.strip():
                raise ValueError  # the system's would be taken in their place
            context = ssl.create_default_context(cadata=self.authorities)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ValueError) as error:
            reason = (
                getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
            )
            raise Unconfigured(
                f"cannot use the certificates for the API server {self.url}: {reason}; expected PEM: "
                "the cluster's authorities, and the client's certificate with its key",
                reason="certificates",
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = DeadlineSSLSocket
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Access:
    """``authorization`` is the whole header: ``Bearer …``."""

    address: Address
    authorization: str | None = field(default=None, repr=False)


class AccessSource(Protocol):
    """One way to know the access. Any thread may ask."""

    def current(self, *, refused: bool = False) -> Access:
        """Return it as it is now; ``refused``: the last one was answered with 401. Raises
        :class:`sensor.kube.errors.KubeError`."""
        ...
