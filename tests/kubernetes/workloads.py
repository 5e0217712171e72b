"""Things to run on the node: their manifests, and waiting for them.

The images are of :mod:`tests.cluster.images`: what they run is the machine's, mounted read-only by each pod.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tests.cluster.client import ApiError, Client, Json, path_of
from tests.cluster.images import python_image
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.images import import_built

IMAGE = "docker.io/library/python-of-the-machine:test"
SECONDS = 120.0
"""For what takes a few, on a machine that is busy."""
Found = TypeVar("Found")


def give_image(cluster: Cluster) -> None:
    import_built(cluster.layout, python_image({"demo-package": "1.2.3"}, {}, "kubernetes"), IMAGE)


def template(name: str, command: Sequence[str], **spec: Any) -> Json:
    """A pod's, with one container; fields of the container are given as ``container``."""
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": list(command),
        "volumeMounts": [{"name": "usr", "mountPath": "/usr", "readOnly": True}],
        **spec.pop("container", {}),
    }
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "usr", "hostPath": {"path": "/usr"}}],
            "containers": [container],
            **spec,
        },
    }


def workload(kind: str, name: str, pod: Json, **spec: Any) -> Json:
    """A Deployment, DaemonSet or Job in the namespace ``default``."""
    selector = {} if kind == "Job" else {"selector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**selector, "template": pod, **spec},
    }


def service(name: str, port: int, **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": port}], **spec},
    }


def apply(client: Client, thing: Json) -> None:
    """Creates the object, or makes one of a former run what this one says."""
    try:
        client.create(thing)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
        client.patch(path_of(thing), thing)


def pods_of(client: Client, name: str) -> list[Json]:
    items: list[Json] = client.get("/api/v1/namespaces/default/pods", labelSelector=f"app={name}")["items"]
    return items


def ready_pod(client: Client, name: str) -> Json:
    """Waits for a pod of ``name`` that is ready."""

    def ready() -> Json | None:
        return next((pod for pod in pods_of(client, name) if is_ready(pod)), None)

    return wait_for(ready, f"a ready pod of {name}", lambda: _told(client, name))


def ended_pod(client: Client, name: str) -> Json:
    """Waits for a pod of ``name`` that ran to its end, well or not."""

    def ended() -> Json | None:
        ends = ("Succeeded", "Failed")
        return next((pod for pod in pods_of(client, name) if pod["status"]["phase"] in ends), None)

    return wait_for(ended, f"the end of a pod of {name}", lambda: _told(client, name))


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def wait_for(find: Callable[[], Found | None], what: str, told: Callable[[], str] = str) -> Found:
    """What ``find`` finds in the end; fails with what is ``told`` about it."""
    deadline = time.monotonic() + SECONDS
    while (found := find()) is None:
        assert time.monotonic() < deadline, f"{what} did not come within {SECONDS:g} s:\n{told()}"
        time.sleep(0.1)
    return found


def _told(client: Client, name: str) -> str:
    """The events and the states of its containers."""
    events = client.get("/api/v1/namespaces/default/events")["items"]
    lines = [
        f"{each['involvedObject']['name']}: {each['reason']}: {each.get('message', '')}" for each in events
    ]
    states = [str(pod["status"].get("containerStatuses")) for pod in pods_of(client, name)]
    return "\n".join([*[line for line in lines if line.startswith(name)][-10:], *states])
