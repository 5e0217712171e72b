"""Pods as a cluster has them, in a real API server: their size, what owns them, and how they change."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.cluster import objects
from tests.cluster.client import Client, path_of

Json = dict[str, Any]

WORKERS = 8
REPLICAS = 4
NAMESPACES = 50
NODES = 200
SIDECAR_EVERY = 4  # one pod in so many has a second container

_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


def container(name: str, image: str) -> Json:
    """A container with the fields that a chart of these days fills."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10}
    return objects.container(
        name,
        image,
        ports=[{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        env=[{"name": f"SETTING_{number}", "value": f"value-of-the-setting-{number}"} for number in range(12)]
        + [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        resources=_RESOURCES,
        livenessProbe=probe,
        readinessProbe=probe,
        securityContext={"readOnlyRootFilesystem": True, "runAsNonRoot": True, "runAsUser": 1000},
        volumeMounts=[
            {"name": "config", "mountPath": "/etc/app"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    )


def pod(name: str, namespace: str, node: str, owner: Json, number: int) -> Json:
    """With ``managedFields`` and defaults, which the API server adds, some 7 KiB."""
    app = owner["metadata"]["name"]
    containers = [container("app", f"registry.example.com/team/{app}:1.{number % 7}.0")]
    if number % SIDECAR_EVERY == 0:
        containers.append(container("proxy", "registry.example.com/mesh/proxy:2.1"))
    labels = {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{namespace}-{app}",
        "app.kubernetes.io/version": f"1.{number % 7}.0",
        "app.kubernetes.io/part-of": "shop",
        "pod-template-hash": "5d9c7b8f6",
    }
    return objects.pod(
        name,
        namespace,
        node=node,
        owner=owner,
        containers=containers,
        labels=labels,
        annotations={"checksum/config": f"{number:064x}", "prometheus.io/scrape": "true"},
        volumes=[{"name": "config", "configMap": {"name": app}}, {"name": "tmp", "emptyDir": {}}],
        tolerations=[
            {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute"}
            for why in ("not-ready", "unreachable")
        ],
    )


def status(pod_object: Json, generation: int = 0) -> Json:
    """All containers run, since their start number ``generation``."""
    name = pod_object["metadata"]["name"]
    ids = {
        each["name"]: objects.container_id(f"{name}/{each['name']}/{generation}")
        for each in pod_object["spec"]["containers"]
    }
    found = objects.running(pod_object, ids)
    moment = objects.STARTED_AT
    found["conditions"] = [
        {"type": kind, "status": "True", "lastTransitionTime": moment}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready", "PodReadyToStartContainers")
    ]
    return found | {"hostIP": "10.0.0.7", "podIP": "10.1.2.3", "qosClass": "Burstable"}


def containers(pods: Sequence[Json]) -> int:
    return sum(len(one["spec"]["containers"]) for one in pods)


def populate(admin: Client, count: int) -> list[Json]:
    """Make ``count`` running pods over Deployments of :data:`REPLICAS`; return them as it has them."""
    spaces = [f"team-{number}" for number in range(NAMESPACES)]
    with ThreadPoolExecutor(WORKERS) as workers:
        list(workers.map(lambda name: admin.create(objects.namespace(name)), spaces))
        apps = [(f"app-{number}", spaces[number % NAMESPACES]) for number in range(-(-count // REPLICAS))]
        owners = list(workers.map(lambda app: _replica_set(admin, *app), apps))
        return list(
            workers.map(lambda number: _placed(admin, owners[number // REPLICAS], number), range(count))
        )


def _replica_set(admin: Client, name: str, namespace: str) -> Json:
    deployment = admin.create(objects.workload("Deployment", name, namespace))
    return admin.create(objects.workload("ReplicaSet", f"{name}-5d9c7b8f6", namespace, deployment))


def _placed(admin: Client, owner: Json, number: int) -> Json:
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    return start(admin, pod(f"{name}-{number:05x}", namespace, f"node-{number % NODES}", owner, number))


def start(admin: Client, manifest: Json) -> Json:
    """Create the pod, then let its containers run, as scheduler and kubelet do: two events of a watch."""
    made = admin.create(manifest)
    return admin.set_status(made, status(made))


def size(pod_object: Json) -> int:
    """Bytes of its JSON."""
    return len(json.dumps(pod_object, separators=(",", ":")))


class Changes(threading.Thread):
    """Changes pods ``rate`` times a second: of three one container is started anew, one pod is replaced by
    another, and one gets a new label."""

    def __init__(self, admin: Client, pods: list[Json], rate: float) -> None:
        super().__init__(name="changes", daemon=True)
        self._admin = admin
        self.pods = pods
        self._rate = rate
        self._stopping = threading.Event()
        self.done = 0

    def run(self) -> None:
        began = time.monotonic()
        for number in itertools.count():
            if self._stopping.wait(max(0.0, began + number / self._rate - time.monotonic())):
                return
            self._change(number)
            self.done += 1

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _change(self, number: int) -> None:
        place = number * 7919 % len(self.pods)
        one = self.pods[place]
        if number % 3 == 0:
            self._admin.set_status(one, status(one, generation=number + 1))
        elif number % 3 == 1:
            self.pods[place] = self._replace(one, number)
        else:
            self._admin.patch(path_of(one), {"metadata": {"labels": {"revision": str(number)}}})

    def _replace(self, one: Json, number: int) -> Json:
        metadata = one["metadata"]
        self._admin.delete(one)
        new: Mapping[str, Any] = {
            **{name: metadata[name] for name in ("namespace", "labels", "annotations", "ownerReferences")},
            "name": f"{metadata['name'][:200]}-r{number}",
        }
        spec = {name: value for name, value in one["spec"].items() if name not in ("serviceAccount",)}
        return start(self._admin, {"apiVersion": "v1", "kind": "Pod", "metadata": dict(new), "spec": spec})


def samples(exposition: str, name: str) -> Iterator[tuple[str, float]]:
    """Labels as written and value of each sample of a metric, in the text form of Prometheus."""
    for line in exposition.splitlines():
        head, _, value = line.rpartition(" ")
        if head == name or head.startswith(f"{name}{{"):
            yield head[len(name) :], float(value)
