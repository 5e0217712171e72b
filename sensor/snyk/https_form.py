"""A batch as the upstream of Snyk's Kubernetes monitor takes it. Pure.

Field names are those of github.com/snyk/kubernetes-monitor: ``IRuntimeDataPayload``, ``IRuntimeImage``,
``IRuntimeAppPackage`` and ``IWorkloadMetadataPayload`` in src/transmitter/types.ts, filled as
src/transmitter/payload.ts (``constructRuntimeData``, ``constructWorkloadMetadata``) fills them.

The form knows no containers, only what runs under one (imageID, namespace, workloadName, workloadKind,
container): containers of a batch that are the same by these are one entry. It knows no evidence either,
only "loaded": what is merely ``bundled`` has no sign of use and stays out.

A node never takes anything back. Replicas may run on other nodes, so that a container's end is no end of
its workload, and ``DELETE /workload`` is not ours to send. What is not reported any more is dropped by
the other side, 48 hours after the last report.

Of a container whose packages nobody watches (``--workload-type deployment``) it is told that its workload
runs, and no result: an empty one would say that nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sensor.delivery.destination import Batch
from sensor.model.container import HOST_CONTAINER_ID, Image, Workload
from sensor.model.package import Evidence, Package
from sensor.model.report import ContainerReport
from sensor.snyk.text import wire_text

IDENTITY = {"type": "sysdig", "sysdigVersion": 2}
"""Which form the facts have: the only one that is public was made for Sysdig's. Who sends is said by the
header User-Agent."""

_NOT_WATCHED = "packages_not_watched"
# The upstream's own, by lower case: workloadKindMap in src/transmitter/payload.ts.
_KINDS = {
    kind.lower(): kind
    for kind in (
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "ReplicationController",
        "DeploymentConfig",
        "Pod",
        "Rollout",
    )
}


def has_results(batch: Batch) -> bool:
    """Whether there is anything for :func:`runtime_results` to tell."""
    return any(_is_watched(state.report) for state in batch.states)


def runtime_results(batch: Batch, agent_id: str, user_locator: str) -> dict[str, Any]:
    """Return the body of ``POST …/runtime-results``: what every container of ``batch`` has loaded, those
    that have ended included, for what ended within a second was loaded as well.

    ``agent_id`` names the sender, ``user_locator`` the integration in Snyk. Never raises for what a
    container may hold, see :func:`sensor.snyk.text.wire_text`.
    """
    images: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Any]]] = {}
    for state in batch.states:
        if not _is_watched(state.report):
            continue
        packages = images.setdefault(_image_key(state.report), {})
        for package in _loaded(state.report):
            packages.setdefault(tuple(package.values()), package | {"installedViaPackageManager": True})
    return {
        "identity": dict(IDENTITY),
        "target": {
            "agentId": wire_text(agent_id),
            "userLocator": wire_text(user_locator),
            "cluster": wire_text(batch.cluster),
        },
        "facts": [
            {
                "type": "loadedPackages",
                "data": [
                    {
                        "imageID": image,
                        "namespace": namespace,
                        "workloadName": name,
                        "workloadKind": kind,
                        "container": container,
                        "packages": list(packages.values()),
                    }
                    for (image, namespace, kind, name, container), packages in images.items()
                ],
            }
        ],
    }


def workloads(batch: Batch, agent_id: str, user_locator: str) -> tuple[dict[str, Any], ...]:
    """Return a body of ``POST …/workload`` for each workload of which a container of ``batch`` runs:
    that makes it Deployed.

    A node does not know labels, annotations and the whole pod; ``podSpec`` names the containers that it
    has seen. With the ``user_locator`` of Snyk's own monitor this would overwrite what that knows: the
    sensor needs an integration of its own.
    """
    running: dict[tuple[str, str, str], dict[tuple[str, str], None]] = {}
    for state in batch.states:
        if state.report.deployed:
            image, namespace, kind, name, container = _image_key(state.report)
            image = wire_text(state.report.metadata.image.name) or image
            running.setdefault((namespace, kind, name), {})[container, image] = None
    return tuple(
        {
            "workloadLocator": {
                "userLocator": wire_text(user_locator),
                "cluster": wire_text(batch.cluster),
                "namespace": namespace,
                "type": kind,
                "name": name,
            },
            "agentId": wire_text(agent_id),
            "workloadMetadata": {
                "labels": {},
                "specLabels": {},
                "annotations": {},
                "specAnnotations": {},
                "podSpec": {
                    "containers": [{"name": container, "image": image} for container, image in containers]
                },
            },
        }
        for (namespace, kind, name), containers in running.items()
    )


def image_id(image: Image) -> str:
    """``docker.io/library/shop@sha256:…`` where the digest is known, as ``imageWithDigest`` of the monitor
    and ``status.imageID`` of Kubernetes have it: the name without its tag, because the digest tells more.

    Without a digest the name as the runtime was told it: a name whose tag is cut off would mean
    ``latest``. Empty where neither is known.
    """
    if not image.digest:
        return wire_text(image.name)
    return wire_text(f"{repository(image.name)}@{image.digest}" if image.name else image.digest)


def repository(reference: str) -> str:
    """``reference`` without tag and digest; a colon before the last slash is that of a port. The grammar is
    https://github.com/distribution/reference, as ``getImageParts`` of the monitor reads it."""
    bare = reference.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    return head + slash + last.partition(":")[0]


def _is_watched(report: ContainerReport) -> bool:
    return _NOT_WATCHED not in report.coverage_reasons


def _image_key(report: ContainerReport) -> tuple[str, str, str, str, str]:
    """imageID, namespace, workloadKind, workloadName, container."""
    metadata = report.metadata
    container = metadata.name or report.container.id
    workload = _workload(report) or Workload("Container", container)
    return (
        image_id(metadata.image),
        wire_text(metadata.namespace),
        wire_text(workload.kind),
        wire_text(workload.name),
        wire_text(container),
    )


def _workload(report: ContainerReport) -> Workload | None:
    """The workload if the upstream knows its kind, else the pod, as the monitor does for pods without an
    owner and for those that a node owns. None for a container outside of Kubernetes; the node itself is
    its own."""
    if report.container.id == HOST_CONTAINER_ID:
        return Workload("Node", report.node or HOST_CONTAINER_ID)
    workload, pod = report.metadata.workload, report.metadata.pod_name
    if workload and workload.kind.lower() in _KINDS:
        return Workload(_KINDS[workload.kind.lower()], workload.name)
    return Workload("Pod", pod) if pod else workload


def _loaded(report: ContainerReport) -> Iterator[dict[str, Any]]:
    for loaded in report.packages:
        if loaded.use.evidence is not Evidence.BUNDLED:
            yield _package(loaded.use.package)


def _package(package: Package) -> dict[str, Any]:
    """Name, version and type are Snyk's: what is loaded is matched with what a scan of the image has found
    by package manager, name and version, and the scan writes those ("jaraco.functools" and "2.0.0" where
    the ecosystem has "jaraco-functools" and "2.0"). The purl is the ecosystem's own, canonical, for
    whoever reads that instead."""
    return {
        "purl": wire_text(package.purl),
        "name": wire_text(package.snyk.name),
        "version": wire_text(package.snyk.version),
        "type": wire_text(package.snyk.type),
    }
