"""The programs of Kubernetes that the cluster runs: built once, in a cache outside the repository.

``python -m tests.kubernetes.programs`` builds what is missing, which takes minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.cluster.build import KUBE_APISERVER, BuildError, GoProgram
from tests.kubernetes.layout import Layout
from tests.kubernetes.problem import KubernetesError

KUBERNETES = GoProgram("kubernetes", Path(__file__).parent / "commands")
NAMES = ("kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
"""What KUBERNETES is called to be one of them."""
_INSTALLED = {
    "containerd": "containerd",
    "ctr": "containerd",
    "etcd": "etcd-server",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "runc": "runc",
    "unshare": "util-linux",
}
_CNI = ("bridge", "host-local", "loopback", "portmap")


def main() -> int:
    """Builds what is missing and prints the paths."""
    try:
        print(KUBE_APISERVER.path(), KUBERNETES.path(), sep="\n")
    except BuildError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


def install(layout: Layout) -> None:
    """Gives each its name in the state folder; builds what is missing first. Raises BuildError."""
    wanted = {"kube-apiserver": KUBE_APISERVER.path(), **dict.fromkeys(NAMES, KUBERNETES.path())}
    for name, program in wanted.items():
        try:
            os.link(program, layout.programs / name)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(program, layout.programs / name)


def require_installed(cni_programs: Path) -> None:
    """KubernetesError that names every package which is missing."""
    missing = {package for program, package in _INSTALLED.items() if shutil.which(program) is None}
    if any(not (cni_programs / name).is_file() for name in _CNI):
        missing.add("containernetworking-plugins")
    if missing:
        raise KubernetesError(
            f"packages of the distribution are missing: {' '.join(sorted(missing))}; run `make setup`"
        )


if __name__ == "__main__":
    sys.exit(main())
