"""The node's network and mount namespace, and the cable between it and the machine.

The namespaces live as long as a process in them: the holder, started first. All that is made within, mounts,
interfaces, firewall rules and kernel settings of the network, goes away with the last of them.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path

from tests.clock import PATIENCE
from tests.ground.problem import GroundError, run
from tests.kubernetes.layout import (
    LINK,
    LINK_PREFIX,
    MACHINE_ADDRESS,
    NODE_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)
from tests.kubernetes.problem import KubernetesError
from tests.kubernetes.process import Process

_SCRIPT = Path(__file__).with_name("machine.sh")
# What a kubelet wants (cm/container_manager_linux.go, setupKernelTunables).
_KERNEL = {
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
    "kernel.keys.root_maxkeys": 1_000_000,
    "kernel.keys.root_maxbytes": 25_000_000,
}


class Machine:
    """``make`` before anything else of the cluster; ``remove`` once no process of it is left."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.holder = Process(layout, "machine")

    def make(self) -> None:
        """The namespaces, and the cable. Raises KubernetesError, GroundError."""
        _refuse_taken_addresses()
        for name, value in _KERNEL.items():
            (self._layout.kernel / name).write_text(f"{value}\n")
        script = self._layout.configuration / _SCRIPT.name
        script.write_bytes(_SCRIPT.read_bytes())
        # unshare replaces itself by the script, and the script by what holds the namespaces: one process id.
        namespaces = ("unshare", "--mount", "--net", "--propagation", "private")
        self.holder.start([*namespaces, "/bin/sh", str(script), str(self._layout.root)])
        self._wait()
        self._connect()

    def inside(self, command: Sequence[str], *, mounts: bool = True) -> list[str]:
        """``command`` as it is run on the node; without ``mounts`` it sees the machine's files."""
        target = ("--target", str(self.holder.pid), "--net")
        return ["nsenter", *target, *(["--mount"] if mounts else []), "--", *command]

    def remove(self) -> None:
        """The cable goes with the node's end of it, which the kernel takes away later: so by name."""
        try:
            run(["ip", "link", "delete", LINK])
        except GroundError:
            return  # it is gone

    def _wait(self) -> None:
        ready = self._layout.processes / "ready"
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            self.holder.require()
            if time.monotonic() > deadline:
                raise KubernetesError(f"the node's namespaces are not ready:\n{self.holder.last_lines()}")
            time.sleep(0.02)

    def _connect(self) -> None:
        holder = str(self.holder.pid)
        run(["ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", holder])
        run(["ip", "address", "add", f"{MACHINE_ADDRESS}/{LINK_PREFIX}", "dev", LINK])
        run(["ip", "link", "set", LINK, "up"])
        run(self.inside(["ip", "address", "add", f"{NODE_ADDRESS}/{LINK_PREFIX}", "dev", "eth0"]))
        run(self.inside(["ip", "link", "set", "eth0", "up"]))
        # The API server and kube-proxy look for a default route; the machine forwards nothing of it.
        run(self.inside(["ip", "route", "add", "default", "via", MACHINE_ADDRESS]))
        for network in (POD_NETWORK, SERVICE_NETWORK):
            run(["ip", "route", "add", str(network), "via", NODE_ADDRESS])


def most_open_files() -> int:
    """What a program here may raise its limit to; more needs CAP_SYS_RESOURCE."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _refuse_taken_addresses() -> None:
    first = ".".join(NODE_ADDRESS.split(".")[:2])
    routes = run(["ip", "-4", "route", "show", "table", "all"])
    taken = [line for line in routes.splitlines() if f" {first}." in f" {line}"]
    if taken:
        raise KubernetesError(
            f"this machine has routes to {first}.*, which the cluster wants for itself; remove them, "
            "or `python -m tests.kubernetes down` if they are a former cluster's:\n" + "\n".join(taken)
        )
