"""The cluster's own authority: the server's and the administrator's certificates, the key for tokens."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Certificates:
    """Everything is written as PEM below ``folder``.

    ``ca``           what clients trust
    ``server``       certificate and key for 127.0.0.1 and localhost
    ``admin``        certificate and key of a member of ``system:masters``
    ``signing_key``  of service account tokens (ES256), also at ``signing_key_file``
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.server = _write(authority.issue_cert("127.0.0.1", "localhost"), folder / "server")
        # The API server takes the organisation as the user's group. The host name is for Go, which cannot
        # handle trustme's critical extension of other names where it is empty.
        admin = authority.issue_cert("localhost", common_name="admin", organization_name="system:masters")
        self.admin = _write(admin, folder / "admin")
        self.signing_key = ec.generate_private_key(ec.SECP256R1())
        self.signing_key_file = folder / "service-accounts.pem"
        self.signing_key_file.write_bytes(
            self.signing_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )

    def server_context(self) -> ssl.SSLContext:
        """For a server that stands in for the API server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.server)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def client_context(self, *, admin: bool = False) -> ssl.SSLContext:
        """Trusts this authority alone; with ``admin`` it also shows the administrator's certificate."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["http/1.1"])
        if admin:
            context.load_cert_chain(*self.admin)
        return context


def _write(issued: trustme.LeafCert, path: Path) -> tuple[Path, Path]:
    certificate, key = path.with_suffix(".pem"), path.with_suffix(".key")
    issued.private_key_pem.write_to_path(key)
    for number, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(certificate, append=number > 0)
    return certificate, key
