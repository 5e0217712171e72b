"""Waiting for the parts of the cluster."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

import urllib3

from tests.cluster.client import ApiError, Client
from tests.kubernetes.layout import NODE
from tests.kubernetes.problem import KubernetesError
from tests.kubernetes.process import Process

READY_SECONDS = 180.0
_POLL_SECONDS = 0.05


def wait_until(done: Callable[[], bool], what: str, *needed: Process) -> None:
    """Asks ``done`` again and again; KubernetesError when one of ``needed`` ends or it takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not done():
        for process in needed:
            process.require()
        if time.monotonic() > deadline:
            logs = "\n".join(f"{each.log}:\n{each.last_lines(5)}" for each in needed)
            raise KubernetesError(f"{what}: not after {READY_SECONDS:.0f} s; expected less than 60\n{logs}")
        time.sleep(_POLL_SECONDS)


def ends_well(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def server_is_ready(client: Client) -> bool:
    """Roles written, caches filled."""
    try:
        return client.status_of("/readyz") == 200
    except urllib3.exceptions.HTTPError:
        return False


def node_is_ready(client: Client) -> bool:
    try:
        node = client.get(f"/api/v1/nodes/{NODE}")
    except ApiError:
        return False  # not registered yet
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def pods_are_admitted(client: Client) -> bool:
    """A pod needs the namespace's service account and the authority's certificate, which controllers make."""
    things = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
    return all(client.status_of(f"/api/v1/namespaces/default/{thing}") == 200 for thing in things)
