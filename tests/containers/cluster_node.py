"""A node of a cluster as its sensor sees it: containers, their runtime, an API server, a receiver with TLS.

The containers are real; runtime and API server are the tests' own, and tell of each container what a kubelet
would have made of it. The sensor is started as in a pod: by a service account's files and variables.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensor.kube.in_cluster import SERVICE_ACCOUNT
from tests.clock import HANGS, PATIENCE
from tests.cluster.cri_proto import api_pb2 as api
from tests.containers.crowd import container_id, pod_uid
from tests.delivery import certificates
from tests.ground.sensor import COMMAND, free_port, get
from tests.receiver_process import Receiver
from tests.unit import kube_server
from tests.unit.cri_server import CriServer, hex_id
from tests.unit.kube_server import NODE

# Files below /run as a pod has them, and our process in its place.
_IN_POD = 'mount -t overlay overlay -o "lowerdir=$1:/run" /run && shift && exec "$@"'
_LABELS = {
    "app.kubernetes.io/name": "orders",
    "app.kubernetes.io/instance": "shop-orders",
    "app.kubernetes.io/part-of": "shop",
    "pod-template-hash": "5d9c7b8f6",
}


@dataclass(frozen=True, slots=True)
class Account:
    """What a pod is given: ``run`` has the service account's files, as /run has them."""

    run: Path
    environment: Mapping[str, str]


@contextlib.contextmanager
def runtime(path: Path, count: int) -> Iterator[CriServer]:
    """A containerd with a pod for each container of a crowd of ``count``, listening on ``path``."""
    server = CriServer(path)
    for number in range(1, count + 1):
        assert server.pod(number, labels=_LABELS) == container_id(number)
        told = {
            "io.kubernetes.pod.name": _pod_name(number),
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.pod.uid": pod_uid(number),
        }
        sandbox = server.sandboxes[hex_id(1_000_000 + number)]
        sandbox.metadata.CopyFrom(
            api.PodSandboxMetadata(name=_pod_name(number), uid=pod_uid(number), namespace="shop")
        )
        for described in (sandbox, server.containers[container_id(number)]):
            described.labels.update(told)
    with server:
        yield server


@contextlib.contextmanager
def api_server(folder: Path, count: int) -> Iterator[Account]:
    """An API server with a pod for each container of a crowd of ``count``, of a Deployment for each four."""
    authority = kube_server.Authority()
    with kube_server.kube_server(authority) as server:
        for number in range(1, count + 1):
            server.put(_pod(number))
        for number in range(count // 4 + 1):
            server.objects[f"/apis/apps/v1/namespaces/shop/replicasets/{_set_name(number)}"] = {
                "kind": "ReplicaSet",
                "metadata": {
                    "name": _set_name(number),
                    "uid": f"set-{number}",
                    "ownerReferences": [
                        kube_server.owned("Deployment", f"orders-{number}", f"deployment-{number}")
                    ],
                },
            }
        mounted = folder / SERVICE_ACCOUNT.relative_to("/var/run")
        mounted.mkdir(parents=True)
        environment = kube_server.service_account(mounted, server, authority)
        yield Account(folder, environment)


@contextlib.contextmanager
def receiver(folder: Path) -> Iterator[tuple[Receiver, Sequence[str]]]:
    """A receiver with TLS, and the options with which a sensor delivers to it."""
    authority = certificates.Authority(folder)
    certificate, key = authority.files(folder)
    started = Receiver(folder / "receiver", certificate=certificate, key=key, authority=authority.bundle)
    with started:
        options = ("--upstream", f"localhost:{started.grpc_port}", "--token-file", str(started.token_file))
        yield started, (*options, "--ca-bundle", str(authority.bundle))


class Agent:
    """``with Agent(…) as agent``: the sensor of a node, just started. ``account`` puts it into a pod."""

    def __init__(self, log: Path, *options: str, account: Account | None = None, bytecode: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        command = [str(COMMAND), "node", "--metrics-address", self.address, "--node-name", NODE, *options]
        # As installed: with the bytecode that tests do without otherwise.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if account is not None:
            environment |= account.environment
            command = ["unshare", "--mount", "sh", "-c", _IN_POD, "sh", str(account.run), *command]
        self._command = ["setpriv", "--pdeathsig", "TERM", "--", *command]
        self._environment = environment
        self._log = log

    def __enter__(self) -> Agent:
        self.started_at = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> float:
        """Seconds from the start until /readyz says so."""
        self.wait_until(self._is_ready, "ready")
        return time.monotonic() - self.started_at

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + HANGS
        while not condition():
            assert self._process.poll() is None, f"it ended before it was {what}:\n{self.log()}"
            assert time.monotonic() < end, f"it is not {what}:\n{self.log()}"
            time.sleep(0.01)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _is_ready(self) -> bool:
        try:
            get(f"{self.address}/readyz")
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
        return True


def _pod_name(number: int) -> str:
    return f"{_set_name(number // 4)}-{number:05x}"


def _set_name(number: int) -> str:
    return f"orders-{number}-5d9c7b8f6"


def _pod(number: int) -> dict[str, Any]:
    owner = kube_server.owned("ReplicaSet", _set_name(number // 4), f"set-{number // 4}")
    made = kube_server.pod_json(
        _pod_name(number), pod_uid(number), metadata__labels=_LABELS, metadata__ownerReferences=[owner]
    )
    (told,) = made["status"]["containerStatuses"]
    told["containerID"] = f"containerd://{container_id(number)}"
    # What the sensor does not look at, and has to read: a real pod has some 8 KiB.
    made["metadata"]["managedFields"] *= 60
    return made
