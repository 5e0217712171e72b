"""A stand-in for the kubelet: pods of the API server that run in a real container runtime.

What it does not do: watch, probe, mount, restart by itself. It writes a pod's status in the order in which a
kubelet does, and at once, where a kubelet takes up to a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from tests.cluster import objects
from tests.cluster.api_server import ApiServer
from tests.cluster.client import ApiError, Json
from tests.cluster.cri_pod import ContainerSpec, PodSpec
from tests.cluster.running_pod import RunningPod
from tests.cluster.runtime import CriRuntime
from tests.cluster.workloads import ensure_namespace

CLUSTER = "test"
_STATIC_UID = "kubernetes.io/config.hash"


class Node:
    """``name`` is a node of the cluster of ``server``; it has the pods that ``run`` makes. Any thread may."""

    def __init__(self, server: ApiServer, runtime: CriRuntime, name: str) -> None:
        self.server = server
        self.runtime = runtime
        self.name = name
        self._object = server.admin.create(objects.node(name))
        self._namespaces: set[str] = set()

    def run(self, spec: PodSpec, owner: Json | None = None) -> NodePod:
        """Makes the pod and starts it, init containers first, to their end. Raises GroundError, ApiError.

        ``owner`` is the object that controls it. ``spec.uid`` counts for nothing: the API server gives one.
        The pod of a static one is called NAME-NODE, as a kubelet calls it.
        """
        pod = self.place(spec, owner)
        try:
            pod.start()
        except BaseException:
            pod.delete()
            raise
        return pod

    def place(self, spec: PodSpec, owner: Json | None = None) -> NodePod:
        """As :meth:`run`, but nothing runs yet."""
        if spec.namespace not in self._namespaces:
            ensure_namespace(self.server.admin, spec.namespace)
            self._namespaces.add(spec.namespace)
        made = self.server.admin.create(self._manifest(spec, owner))
        return NodePod(self, spec, made)

    def _manifest(self, spec: PodSpec, owner: Json | None) -> Json:
        fields: dict[str, Any] = {
            "containers": [_declared(each) for each in spec.containers],
            "init": [_declared(each) for each in spec.init_containers],
            "labels": spec.labels,
        }
        if spec.is_static:
            return objects.mirror_pod(spec.name, self._object, spec.namespace, **fields)
        policy = "Never" if owner is not None and owner["kind"] == "Job" else "Always"
        return objects.pod(
            spec.name, spec.namespace, node=self.name, owner=owner, restartPolicy=policy, **fields
        )


class NodePod:
    """``uid`` is the API server's, ``containers`` has the newest id of each container by name, and ``ids``
    those of former runs as well. One thread at a time. ``with`` deletes it at the end."""

    def __init__(self, node: Node, spec: PodSpec, made: Json) -> None:
        self.spec = spec
        self.name: str = made["metadata"]["name"]
        self.uid: str = made["metadata"]["uid"]
        self.ids: dict[str, str] = {}
        self._node = node
        self._object = made
        self._statuses: dict[str, Json] = {}
        self._running: RunningPod | None = None

    @property
    def containers(self) -> dict[str, str]:
        return self.running.containers

    @property
    def running(self) -> RunningPod:
        """The pod as the runtime has it."""
        assert self._running is not None, f"pod {self.name} was not started"
        return self._running

    def start(self) -> None:
        own_uid = self._object["metadata"].get("annotations", {}).get(_STATIC_UID, self.uid)
        bare = dataclasses.replace(self.spec, name=self.name, uid=own_uid, containers=(), init_containers=())
        self._running = self._node.runtime.run_pod(bare)
        for container in self.spec.init_containers:
            self.start_container(container)
            if not container.is_sidecar:
                self.wait(container.name)
        for container in self.spec.containers:
            self.start_container(container)

    def start_container(self, container: ContainerSpec) -> str:
        """Starts one of the pod's containers, perhaps once more; returns its id."""
        container_id = self.running.add_container(container)
        self.ids[container_id] = container.name
        image_id = self.running.status(container.name).image_ref
        full_id = f"containerd://{container_id}"
        self._statuses[container.name] = objects.container_status(_declared(container), full_id, image_id)
        self._write()
        return container_id

    def start_ephemeral(self, container: ContainerSpec) -> str:
        """Adds an ephemeral container to the pod, by its own subresource, and starts it."""
        declared = {**_declared(container), "targetContainerName": container.target}
        self._object = self._node.server.admin.add_ephemeral(self._object, declared)
        return self.start_container(container)

    def wait(self, name: str, timeout: float = 60) -> int:
        """Waits for a container's end and writes it; returns the exit status."""
        code = self.running.wait(name, timeout)
        self._ended(name, code)
        self._write()
        return code

    def stop_container(self, name: str) -> None:
        """Ends one container; the pod goes on."""
        self.running.stop_container(name)
        self.wait(name)

    def end(self) -> None:
        """Ends all containers and the sandbox. The pod stays in the API server."""
        self.running.stop()
        for name in self._statuses:
            if "running" in self._statuses[name]["state"]:
                self._ended(name, self.running.wait(name))
        self._write()

    def leave(self) -> None:
        """The runtime forgets the pod; the API server still has it."""
        if self._running is not None:
            self._running.remove()

    def delete(self) -> None:
        """Ends it wherever it is; may be called again."""
        self.leave()
        try:
            self._node.server.admin.delete(self._object)
        except ApiError as error:
            if error.status != 404:
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()

    def _ended(self, name: str, code: int) -> None:
        status = self._statuses[name]
        ended = objects.terminated(status["containerID"], code)
        self._statuses[name] = {**status, "ready": False, "started": False, "state": ended}

    def _write(self) -> None:
        status: Json = {"phase": self._phase(), "startTime": objects.STARTED_AT}
        for field, declared in _statuses_of(self._object["spec"]):
            status[field] = [
                self._statuses.get(each["name"]) or objects.container_status(each, None) for each in declared
            ]
        self._node.server.admin.set_status(self._object, status)

    def _phase(self) -> str:
        states = [self._statuses.get(each.name, {}).get("state", {}) for each in self.spec.containers]
        if all("terminated" in state for state in states):
            return "Succeeded"
        return "Running" if all(states) else "Pending"


def _statuses_of(spec: Json) -> Iterator[tuple[str, list[Json]]]:
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        if spec.get(kind):
            yield f"{kind.removesuffix('s')}Statuses", spec[kind]


def _declared(container: ContainerSpec) -> Json:
    fields = {"command": list(container.command)} if container.command else {}
    make = objects.sidecar if container.is_sidecar else objects.container
    return make(container.name, container.image.name, **fields)
