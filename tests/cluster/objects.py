"""Manifests as raw JSON: pods of all kinds, what owns them, the status that a kubelet writes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

STARTED_AT = "2026-01-01T00:00:00Z"
_ROLLOUT = "argoproj.io/v1alpha1"
_DEPLOYMENT_CONFIG = "apps.openshift.io/v1"
_API_VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "ReplicationController": "v1",
    "Rollout": _ROLLOUT,
    "DeploymentConfig": _DEPLOYMENT_CONFIG,
}


def namespace(name: str) -> Json:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def node(name: str) -> Json:
    """A node that is ready; pods may name a node that does not exist, too."""
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"conditions": [ready]},
    }


def container(name: str, image: str = "example.com/app:1", **fields: Any) -> Json:
    """A container of a pod's spec."""
    return {"name": name, "image": image, **fields}


def sidecar(name: str, image: str = "example.com/sidecar:1", **fields: Any) -> Json:
    """A sidecar as Kubernetes 1.28 knows it: an init container that is restarted always."""
    return container(name, image, restartPolicy="Always", **fields)


def pod(
    name: str,
    namespace: str = "default",
    *,
    node: str = "node-1",
    owner: Json | None = None,
    containers: Sequence[Json] = (),
    init: Sequence[Json] = (),
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Json:
    """A pod placed on ``node``; ``owner`` is the object, as the server returned it, that controls it.

    ``init`` holds init containers and sidecars; ephemeral ones come by ``Client.add_ephemeral``. ``spec``
    are further fields of the pod's spec (``hostNetwork=True``).
    """
    metadata: Json = {"name": name, "namespace": namespace, "labels": dict(labels or {})}
    if annotations:
        metadata["annotations"] = dict(annotations)
    if owner is not None:
        metadata["ownerReferences"] = [owner_reference(owner)]
    content: Json = {"nodeName": node, "containers": list(containers) or [container("main")], **spec}
    if init:
        content["initContainers"] = list(init)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": content}


def mirror_pod(name: str, node_object: Json, namespace: str = "kube-system", **fields: Any) -> Json:
    """What a kubelet puts into the API for a static pod of its own: NAME-NODE, owned by the node."""
    host = node_object["metadata"]["name"]
    made = pod(f"{name}-{host}", namespace, node=host, owner=node_object, **fields)
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    made["metadata"]["annotations"] = {
        "kubernetes.io/config.hash": digest,
        "kubernetes.io/config.mirror": digest,
        "kubernetes.io/config.seen": STARTED_AT,
        "kubernetes.io/config.source": "file",
    }
    # The kubelet's reference has no blockOwnerDeletion: mirror pods never hold up the removal of their node.
    made["metadata"]["ownerReferences"][0].pop("blockOwnerDeletion", None)
    return made


def owner_reference(owner: Json, *, controller: bool = True) -> Json:
    """A reference to ``owner`` as the server returned it, its uid included."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def workload(kind: str, name: str, namespace: str = "default", owner: Json | None = None) -> Json:
    """A workload of any kind that owns pods or other workloads, built-in or a custom resource."""
    metadata: Json = {"name": name, "namespace": namespace}
    if owner is not None:
        metadata["ownerReferences"] = [owner_reference(owner)]
    return {
        "apiVersion": _API_VERSIONS[kind],
        "kind": kind,
        "metadata": metadata,
        "spec": _workload_spec(kind, name),
    }


def _workload_spec(kind: str, name: str) -> Json:
    labels = {"app": name}
    template: Json = {"metadata": {"labels": labels}, "spec": {"containers": [container("main")]}}
    if kind in ("Job", "CronJob"):
        template["spec"]["restartPolicy"] = "Never"
        job: Json = {"template": {"spec": template["spec"]}}
        return job if kind == "Job" else {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}
    if kind in ("ReplicationController", "DeploymentConfig"):
        return {"replicas": 1, "selector": labels, "template": template}
    spec: Json = {"selector": {"matchLabels": labels}, "template": template}
    return {**spec, "serviceName": name} if kind == "StatefulSet" else spec


def custom_kinds() -> list[Json]:
    """The definitions that let the API server take a Rollout (Argo) and a DeploymentConfig (OpenShift)."""
    return [custom_kind("Rollout", _ROLLOUT), custom_kind("DeploymentConfig", _DEPLOYMENT_CONFIG)]


def custom_kind(kind: str, api_version: str) -> Json:
    """A CustomResourceDefinition, namespaced, with a schema that takes anything."""
    group, version = api_version.split("/")
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": anything},
                }
            ],
        },
    }


def running(pod_object: Json, ids: Mapping[str, str], image_ids: Mapping[str, str] | None = None) -> Json:
    """The status of a pod whose containers of ``ids`` run; the others wait.

    ``ids`` maps container names to their ids with the runtime's scheme (``containerd://64 hex digits``),
    ``image_ids`` to what a runtime says of the image (``docker.io/library/app@sha256:...``).
    """
    spec = pod_object["spec"]
    fields = {
        "containerStatuses": spec["containers"],
        "initContainerStatuses": spec.get("initContainers", []),
        "ephemeralContainerStatuses": spec.get("ephemeralContainers", []),
    }
    status: Json = {"phase": "Running" if ids else "Pending", "startTime": STARTED_AT}
    for field, declared in fields.items():
        if declared:
            status[field] = [
                container_status(each, ids.get(each["name"]), (image_ids or {}).get(each["name"]))
                for each in declared
            ]
    return status


def container_status(
    declared: Json, container_id: str | None, image_id: str | None = None, state: Json | None = None
) -> Json:
    """One entry of ``containerStatuses``; waiting without ``container_id``, else running or in ``state``."""
    begun = container_id is not None
    now = {"running": {"startedAt": STARTED_AT}} if begun else {"waiting": {"reason": "ContainerCreating"}}
    return {
        "name": declared["name"],
        "image": declared["image"],
        "imageID": (image_id or image_id_of(declared["image"])) if begun else "",
        "containerID": container_id or "",
        "ready": begun,
        "started": begun,
        "restartCount": 0,
        "state": state or now,
    }


def terminated(container_id: str, exit_code: int = 0) -> Json:
    """A state for :func:`container_status`: this container has ended."""
    return {
        "terminated": {
            "containerID": container_id,
            "exitCode": exit_code,
            "reason": "Completed" if exit_code == 0 else "Error",
            "startedAt": STARTED_AT,
            "finishedAt": STARTED_AT,
        }
    }


def container_id(seed: str, runtime: str = "containerd") -> str:
    """An id as a runtime makes them, always the same for ``seed``."""
    return f"{runtime}://{hashlib.sha256(seed.encode()).hexdigest()}"


def image_id_of(image: str) -> str:
    """A repository with a digest, always the same for ``image``, in the form of containerd's imageID."""
    path, slash, last = image.partition("@")[0].rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"
