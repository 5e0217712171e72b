"""What runs on the node: containerd, kubelet, kube-proxy. Their configuration, and their command lines."""

from __future__ import annotations

import json
from typing import Any

from tests.kubernetes import runc
from tests.kubernetes.certificates import Certificates
from tests.kubernetes.layout import DOMAIN, NAME, NODE, NODE_ADDRESS, POD_NETWORK, SOCKET, Layout
from tests.kubernetes.machine import most_open_files

PAUSE = "registry.k8s.io/pause:3.10"
CNI_PROGRAMS = "/usr/lib/cni"
"""Where Debian's containernetworking-plugins has them."""
_CONTAINERD = """\
version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true  # lowering it needs CAP_SYS_RESOURCE, which a container or a CI machine lacks
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_programs}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"""


def write_configuration(layout: Layout) -> None:
    """The files that the command lines below name."""
    folder = layout.configuration
    (folder / "cni").mkdir()
    (folder / "cni/10-pods.conflist").write_text(json.dumps(_cni(), indent=1))
    (folder / "containerd.toml").write_text(
        _CONTAINERD.format(
            socket=SOCKET,
            pause=PAUSE,
            cni_programs=CNI_PROGRAMS,
            cni=folder / "cni",
            runc=runc.program(layout),
        )
    )
    # Pods that want the machine's own resolver get none: what they are to find is in the cluster.
    (folder / "resolv.conf").write_text(f"nameserver {NODE_ADDRESS}\n")
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(layout), indent=1))
    (folder / "kube-proxy.json").write_text(json.dumps(_kube_proxy(layout), indent=1))


def containerd(layout: Layout) -> list[str]:
    return ["containerd", "--config", str(layout.configuration / "containerd.toml")]


def kubelet(layout: Layout) -> list[str]:
    return [
        str(layout.programs / "kubelet"),
        f"--config={layout.configuration / 'kubelet.json'}",
        f"--kubeconfig={layout.kubeconfig('kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
    ]


def kube_proxy(layout: Layout) -> list[str]:
    return [
        str(layout.programs / "kube-proxy"),
        f"--config={layout.configuration / 'kube-proxy.json'}",
        f"--hostname-override={NODE}",
    ]


def _cni() -> dict[str, Any]:
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": str(POD_NETWORK)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{**bridge, "ipam": ipam}, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _kubelet(layout: Layout) -> dict[str, Any]:
    certificates = Certificates(layout.certificates)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        # No systemd of the machine is asked. The root keeps the cluster's pods apart from all else here.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "failSwapOn": False,
        "failCgroupV1": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates.ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificates.certificate("kubelet-server")),
        "tlsPrivateKeyFile": str(certificates.key("kubelet-server")),
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": DOMAIN,
        # Its place of old is in /usr, which is the machine's.
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "resolvConf": str(layout.configuration / "resolv.conf"),
        # Images come from files, not from a registry: none may be thrown away, and how full the machine's
        # disk is says nothing about the cluster.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        # Both want CAP_SYS_RESOURCE beyond these.
        "oomScoreAdj": 0,
        "maxOpenFiles": most_open_files(),
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("kube-proxy"))},
        "clusterCIDR": str(POD_NETWORK),
        "oomScoreAdj": 0,
        # Settings of the whole machine, read-only in a network namespace: left as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
