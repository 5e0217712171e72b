"""The cluster's own authority, made on the spot: a certificate for each component, each with its own name."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.kubernetes.layout import API_SERVICE_ADDRESS, API_URL, DOMAIN, NODE, NODE_ADDRESS, Layout

# User and group of each: the names that Kubernetes' own roles are bound to.
_CLIENTS = {
    "admin": ("admin", "system:masters"),
    "apiserver-to-kubelet": ("kube-apiserver-kubelet-client", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", None),
    "kube-scheduler": ("system:kube-scheduler", None),
    "kube-proxy": ("system:kube-proxy", None),
    "dns": ("system:dns", None),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}
_API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{DOMAIN}",
    "localhost",
    "127.0.0.1",
    NODE_ADDRESS,
    API_SERVICE_ADDRESS,
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files below ``folder``: NAME.pem and NAME.key, the authority's ``ca.pem``, the key for tokens."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def tokens(self) -> Path:
        """Key that signs the tokens of service accounts (ES256)."""
        return self.folder / "tokens.key"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def make(self) -> None:
        """Issues all of them. The authority's own key is kept nowhere."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        self._write("kube-apiserver", authority.issue_cert(*_API_NAMES))
        self._write("kubelet-server", authority.issue_cert(NODE, NODE_ADDRESS))
        for name, (user, group) in _CLIENTS.items():
            # The host name is for Go, which cannot handle trustme's extension of other names when empty.
            issued = authority.issue_cert("localhost", common_name=user, organization_name=group)
            self._write(name, issued)
        key = ec.generate_private_key(ec.SECP256R1())
        self.tokens.touch(mode=0o600)
        self.tokens.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )

    def _write(self, name: str, issued: trustme.LeafCert) -> None:
        self.key(name).touch(mode=0o600)
        issued.private_key_pem.write_to_path(self.key(name))
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(self.certificate(name), append=number > 0)


def write_kubeconfigs(layout: Layout) -> None:
    """One for each client, with the certificates in it: the administrator's may be copied as it is."""
    certificates = Certificates(layout.certificates)
    for name in _CLIENTS:
        path = layout.kubeconfig(name)
        path.touch(mode=0o600)
        path.write_text(json.dumps(_kubeconfig(certificates, name), indent=1))


def _kubeconfig(certificates: Certificates, name: str) -> dict[str, object]:
    cluster = {"server": API_URL, "certificate-authority-data": _data(certificates.ca)}
    user = {
        "client-certificate-data": _data(certificates.certificate(name)),
        "client-key-data": _data(certificates.key(name)),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "current-context": "test",
    }


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
