"""Where everything of the cluster is, and by which names and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

NAME = "runtime-sensor-cluster"
"""Of the state folder and of the cgroup; there is one cluster on a machine."""
NODE = "node-1"
DOMAIN = "cluster.local"
LINK = "rs-cluster"
"""The machine's end of the cable to the node."""
MACHINE_ADDRESS = "10.199.0.1"
NODE_ADDRESS = "10.199.0.2"
LINK_PREFIX = 30
POD_NETWORK = IPv4Network("10.199.1.0/24")
SERVICE_NETWORK = IPv4Network("10.199.2.0/24")
API_SERVICE_ADDRESS = str(SERVICE_NETWORK[1])
"""Of the Service ``kubernetes``: the first of the network."""
API_PORT = 6443
API_URL = f"https://{NODE_ADDRESS}:{API_PORT}"
SOCKET = "/run/containerd/containerd.sock"
"""As seen on the node, where a real node has it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The state folder. It has to be below /var/lib, which the node sees in part (``machine.sh``)."""

    root: Path = Path("/var/lib", NAME)

    @property
    def programs(self) -> Path:
        """One name for each program that was built."""
        return self.root / "programs"

    @property
    def logs(self) -> Path:
        """A file of each program: what it wrote."""
        return self.root / "logs"

    @property
    def processes(self) -> Path:
        """A file of each program: its process."""
        return self.root / "processes"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    @property
    def configuration(self) -> Path:
        return self.root / "configuration"

    @property
    def kernel(self) -> Path:
        """Files that are shown to the kubelet in place of the kernel's settings of the same name."""
        return self.root / "kernel"

    @property
    def var(self) -> Path:
        """The node's /var."""
        return self.root / "node/var"

    @property
    def tmp(self) -> Path:
        """The node's /tmp."""
        return self.root / "node/tmp"

    @property
    def is_there(self) -> bool:
        return self.root.exists()

    def kubeconfig(self, user: str = "admin") -> Path:
        """Of a component by its name, or the administrator's."""
        return self.configuration / f"{user}.kubeconfig"

    def make(self) -> None:
        """Makes the folders. The keys below are root's alone."""
        self.root.mkdir(mode=0o700)
        for folder in (self.programs, self.logs, self.processes, self.certificates, self.configuration):
            folder.mkdir()
        self.kernel.mkdir()
        (self.var / "lib" / NAME).mkdir(parents=True)
        for name in ("lib/containerd", "lib/kubelet", "log/pods", "log/containers"):
            (self.var / name).mkdir(parents=True)
        for folder in (self.tmp, self.var / "tmp"):
            folder.mkdir()
            folder.chmod(0o1777)
        (self.var / "run").symlink_to("/run")
