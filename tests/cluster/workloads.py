"""Chains of owners in a real API server, as the controllers that are not there would make them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.cluster import objects
from tests.cluster.client import ApiError, Client, Json, collection

# What stands between the workload that people know and its pods, and how the controllers name it.
_BETWEEN: dict[str, tuple[str, Callable[[str], str]]] = {
    "Deployment": ("ReplicaSet", lambda name: f"{name}-5d8f6c9b7"),
    "Rollout": ("ReplicaSet", lambda name: f"{name}-6b7c8d9f5"),
    "CronJob": ("Job", lambda name: f"{name}-29000000"),
    "DeploymentConfig": ("ReplicationController", lambda name: f"{name}-1"),
}
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "ReplicationController")
CUSTOM_KINDS = ("Rollout", "DeploymentConfig")
_SERVED_SECONDS = 20.0


def controller(admin: Client, kind: str, name: str, namespace: str = "default") -> Json:
    """Makes the workload and what stands between; returns what a pod's owner reference names.

    Custom kinds need :func:`serve_custom_kinds` first.
    """
    top = admin.create(objects.workload(kind, name, namespace))
    if kind not in _BETWEEN:
        return top
    between, named = _BETWEEN[kind]
    return admin.create(objects.workload(between, named(name), namespace, owner=top))


def workload_pod(
    admin: Client, kind: str | None, name: str, namespace: str = "default", **fields: Any
) -> Json:
    """One pod of a new workload ``name``, bare without ``kind``; ``fields`` as for ``objects.pod``."""
    if kind is None:
        return admin.create(objects.pod(name, namespace, **fields))
    owner = controller(admin, kind, name, namespace)
    return admin.create(objects.pod(f"{owner['metadata']['name']}-x7k2p", namespace, owner=owner, **fields))


def ensure_namespace(admin: Client, name: str) -> None:
    """Makes the namespace where it is missing."""
    _ensure(admin, objects.namespace(name))


def serve_custom_kinds(admin: Client) -> None:
    """Defines Rollout and DeploymentConfig; returns when the API server serves both (about a second)."""
    for definition in objects.custom_kinds():
        _ensure(admin, definition)
    for kind in CUSTOM_KINDS:
        _wait_until_served(admin, collection(objects.workload(kind, "any")))


def _ensure(admin: Client, manifest: Json) -> None:
    try:
        admin.create(manifest)
    except ApiError as error:
        if error.status != 409:
            raise


def _wait_until_served(admin: Client, path: str) -> None:
    deadline = time.monotonic() + _SERVED_SECONDS
    while admin.status_of(path) != 200:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}: still not served {_SERVED_SECONDS:.0f} s after its definition")
        time.sleep(0.05)
