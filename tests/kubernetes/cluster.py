"""Brings the cluster up, tells how it is, and takes it down."""

from __future__ import annotations

import shutil
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clock import PATIENCE
from tests.cluster.client import Client
from tests.kubernetes import cgroup, control_plane, dns_server, images, node, programs
from tests.kubernetes.certificates import Certificates, write_kubeconfigs
from tests.kubernetes.layout import API_URL, NAME, Layout
from tests.kubernetes.machine import Machine
from tests.kubernetes.problem import KubernetesError
from tests.kubernetes.process import Process
from tests.kubernetes.readiness import (
    ends_well,
    node_is_ready,
    pods_are_admitted,
    server_is_ready,
    wait_until,
)

_ETCD_HEALTH = f"import urllib.request; urllib.request.urlopen('{control_plane.ETCD_URL}/health', timeout=5)"
PROGRAMS = (
    "machine",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "dns",
)
"""In the order in which they are started."""


class Cluster:
    """The one cluster of this machine, whoever brought it up; root's alone.

    ``kubeconfig``  of the administrator, also good outside of the node
    """

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self.machine = Machine(self.layout)
        self.kubeconfig = self.layout.kubeconfig()

    def up(self) -> None:
        """Returns when the node is ready. What cannot be brought up is taken down again.

        Raises KubernetesError, BuildError, GroundError.
        """
        with _alone():
            self._refuse_what_is_left()
            programs.require_installed(Path(node.CNI_PROGRAMS))
            self.layout.make()
            try:
                self._start()
            except BaseException:
                self._keep_logs()
                self._take_down()
                raise

    def down(self) -> bool:
        """Ends and removes all of the cluster, whatever state it is in; False if there was nothing."""
        with _alone():
            found = self.layout.is_there or bool(cgroup.folders())
            self._take_down()
        return found

    def status(self) -> dict[str, int | None]:
        """Process ids of the programs by name, None for one that does not run."""
        return {name: Process(self.layout, name).pid for name in PROGRAMS}

    @property
    def is_up(self) -> bool:
        return all(self.status().values())

    def client(self) -> Client:
        """The administrator's, to be closed by the caller."""
        certificates = Certificates(self.layout.certificates)
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.certificate("admin"), certificates.key("admin"))
        return Client(API_URL, context)

    def import_archive(self, archive: Path, name: str | None = None) -> None:
        """See :func:`tests.kubernetes.images.import_archive`."""
        images.import_archive(self.layout, archive, name)

    def _start(self) -> None:
        layout, say = self.layout, _Progress()
        say("programs")
        programs.install(layout)
        Certificates(layout.certificates).make()
        write_kubeconfigs(layout)
        node.write_configuration(layout)
        say("network and mount namespace")
        self.machine.make()
        say("etcd, containerd, kube-apiserver")
        etcd = self._run("etcd", control_plane.etcd(layout))
        containerd = self._run("containerd", node.containerd(layout))
        # Else the API server finds nobody at the first attempt, and waits before the next.
        health = self.machine.inside([sys.executable, "-c", _ETCD_HEALTH], mounts=False)
        wait_until(lambda: ends_well(health), "etcd's answer", etcd)
        server = self._run("kube-apiserver", control_plane.apiserver(layout))
        version = self.machine.inside(["ctr", "version"])
        wait_until(lambda: ends_well(version), "containerd's answer", containerd)
        images.import_pause(layout)
        with self.client() as client:
            wait_until(lambda: server_is_ready(client), "kube-apiserver's readiness", server, etcd)
            say("kubelet, kube-proxy, kube-scheduler, kube-controller-manager, name server")
            self._start_clients(client)
        say("ready")

    def _start_clients(self, admin: Client) -> None:
        """What works with the API server, and has to have done its first work."""
        layout = self.layout
        kubelet = self._run("kubelet", node.kubelet(layout))
        manager = self._run("kube-controller-manager", control_plane.controller_manager(layout))
        self._run("kube-scheduler", control_plane.scheduler(layout))
        self._run("kube-proxy", node.kube_proxy(layout))
        dns_server.grant(admin)
        # It is this repository's, which may lie where the node sees something else.
        Process(layout, "dns").start(self.machine.inside(dns_server.command(layout), mounts=False))
        wait_until(lambda: node_is_ready(admin), "the node's readiness", kubelet)
        wait_until(lambda: pods_are_admitted(admin), "the first service account", manager)

    def _run(self, name: str, command: list[str]) -> Process:
        process = Process(self.layout, name)
        process.start(self.machine.inside(command))
        return process

    def _refuse_what_is_left(self) -> None:
        if self.is_up:
            raise KubernetesError("the cluster is up already; `down` takes it down")
        if self.layout.is_there or cgroup.folders():
            raise KubernetesError("a former cluster has left something; take it away with `down` first")

    def _keep_logs(self) -> None:
        kept = Path("build/cluster-logs")
        if self.layout.logs.is_dir():
            shutil.copytree(self.layout.logs, kept, dirs_exist_ok=True)
            print(f"cluster: it could not be brought up; logs are in {kept.resolve()}", file=sys.stderr)

    def _take_down(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while cgroup.folders():
            cgroup.remove()
            if time.monotonic() > deadline:
                raise KubernetesError(f"processes of the cluster do not end: {cgroup.processes()}")
            time.sleep(0.05)
        self.machine.remove()
        if self.layout.is_there:
            shutil.rmtree(self.layout.root)


class _Progress:
    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        seconds = time.monotonic() - self._started
        print(f"[cluster {seconds:4.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time brings up or takes down, by a name that the kernel forgets with the process."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0{NAME}")
        except OSError as error:
            raise KubernetesError(
                "another process brings the cluster up or takes it down; wait for its end"
            ) from error
        yield
