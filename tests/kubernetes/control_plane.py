"""The command lines of what decides: etcd, kube-apiserver, kube-controller-manager, kube-scheduler."""

from __future__ import annotations

from tests.kubernetes.certificates import Certificates
from tests.kubernetes.layout import (
    API_PORT,
    DOMAIN,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)

ETCD_URL = "http://127.0.0.1:2379"
_ETCD_PEER_URL = "http://127.0.0.1:2380"


def etcd(layout: Layout) -> list[str]:
    return [
        "etcd",
        f"--data-dir={layout.root / 'etcd'}",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={_ETCD_PEER_URL}",
        f"--initial-advertise-peer-urls={_ETCD_PEER_URL}",
        f"--initial-cluster=default={_ETCD_PEER_URL}",
        # Nobody needs the data of a cluster that the machine took down with it.
        "--unsafe-no-fsync",
    ]


def apiserver(layout: Layout) -> list[str]:
    certificates = Certificates(layout.certificates)
    return [
        str(layout.programs / "kube-apiserver"),
        f"--etcd-servers={ETCD_URL}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={certificates.certificate('kube-apiserver')}",
        f"--tls-private-key-file={certificates.key('kube-apiserver')}",
        f"--client-ca-file={certificates.ca}",
        f"--kubelet-certificate-authority={certificates.ca}",
        f"--kubelet-client-certificate={certificates.certificate('apiserver-to-kubelet')}",
        f"--kubelet-client-key={certificates.key('apiserver-to-kubelet')}",
        # The node's certificate has its name and its address; no name server knows the former.
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # Streaming lists need etcd 3.4.31, newer than the distribution's: see tests/cluster/api_server.py.
        "--feature-gates=WatchList=false",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-signing-key-file={certificates.tokens}",
        f"--service-account-key-file={certificates.tokens}",
    ]


def controller_manager(layout: Layout) -> list[str]:
    certificates = Certificates(layout.certificates)
    return [
        str(layout.programs / "kube-controller-manager"),
        *_own_access(layout, "kube-controller-manager"),
        f"--cluster-cidr={POD_NETWORK}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--root-ca-file={certificates.ca}",
        f"--service-account-private-key-file={certificates.tokens}",
        # Each controller with the rights of its own role, as every installer has it.
        "--use-service-account-credentials=true",
    ]


def scheduler(layout: Layout) -> list[str]:
    return [str(layout.programs / "kube-scheduler"), *_own_access(layout, "kube-scheduler")]


def _own_access(layout: Layout, name: str) -> list[str]:
    kubeconfig = layout.kubeconfig(name)
    certificates = Certificates(layout.certificates)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--tls-cert-file={certificates.certificate(name)}",
        f"--tls-private-key-file={certificates.key(name)}",
        "--bind-address=127.0.0.1",
        # There is one of each.
        "--leader-elect=false",
    ]
