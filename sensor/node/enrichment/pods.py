"""This node's pods, as the API server tells: a source of names, and of what runs."""

from __future__ import annotations

from collections.abc import Callable

from sensor.config.kube import KubeSettings
from sensor.kube.connect import connect
from sensor.kube.counters import KubeCounters
from sensor.kube.owners import Owners
from sensor.kube.pod_store import KnownPod, PodStore
from sensor.kube.pod_watch import PodWatch
from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.model.image_reference import digest_of, image_name
from sensor.model.pod import Pod, PodContainer
from sensor.node.enrichment.owner_requests import OwnerRequests


class Pods:
    """Follows the pods of ``node`` from :meth:`start` on. Raises :class:`sensor.kube.errors.KubeError`."""

    def __init__(self, settings: KubeSettings, node: str) -> None:
        self.counters = KubeCounters()
        api = connect(settings, node, counters=self.counters)
        self.owners = Owners(api)
        self.requests = OwnerRequests(self.owners, self._owned)
        self.store = PodStore(on_change=self._changed)
        self._watch = PodWatch(api, self.store, node)
        self._version = 0
        self._running: tuple[int, tuple[ContainerIdentity, ...]] = (-1, ())
        self.on_change: Callable[[Pod], object] = lambda pod: None
        """Called with a pod that is new, different, gone, or whose workload is known now, by our threads;
        must not wait."""

    def start(self) -> None:
        self._watch.start()
        self.requests.start()

    def stop(self, timeout: float) -> None:
        if self._watch.is_alive():
            self._watch.stop(timeout / 2)
            self.requests.stop(timeout / 2)

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        """Return what the API server has told of a container, by its id, else of its pod. Never raises and
        never waits: an owner that is not known yet is asked for, and :attr:`on_change` called when it is."""
        known = self._known(identity)
        if known is None:
            return None
        pod = known.pod
        container = next((one for one in pod.containers if one.id == identity.id), None)
        workload = self.owners.at_hand(pod)
        if workload is None:
            self.requests.ask(pod)
        return ContainerMetadata(
            name=container.name if container else None,
            image=_image(container) if container else Image(),
            namespace=pod.namespace,
            pod_name=pod.name,
            pod_uid=pod.uid,
            workload=workload,
            pod_labels=pod.labels,
        )

    def declared_image(self, container: ContainerMetadata) -> str | None:
        """Return the image that the author of the pod wrote for a container that others have named.

        The API server knows the container's id only when the kubelet has written it, seconds later.
        """
        known = None if container.pod_uid is None else self.store.by_uid(container.pod_uid)
        if known is None:
            return None
        images = (one.image.name for one in known.pod.containers if one.name == container.name)
        return image_name(next(images, None))

    def running(self) -> tuple[ContainerIdentity, ...] | None:
        """Return the containers that run, ``None`` until all pods of the node were listed once."""
        if not self.store.synced:
            return None
        version = self._version  # read first: what changes meanwhile is looked at the next time
        if self._running[0] != version:
            self._running = version, tuple(_running(self.store.pods()))
        return self._running[1]

    def _known(self, identity: ContainerIdentity) -> KnownPod | None:
        """The cgroup's word on the pod's uid counts: a pod's status may name any container as its own."""
        by_id = self.store.by_container(identity.id)
        uid = identity.pod_uid
        if uid is None or (by_id is not None and uid in (by_id.pod.uid, by_id.pod.static_uid)):
            return by_id
        return self.store.by_uid(uid) or by_id

    def _owned(self, pod: Pod) -> None:
        self.on_change(pod)

    def _changed(self, known: KnownPod) -> None:
        self._version += 1
        if known.gone_at is None and not known.pod.is_ended and self.owners.at_hand(known.pod) is None:
            self.requests.ask(known.pod)  # ahead: its containers are about to start
        self.on_change(known.pod)


def _image(container: PodContainer) -> Image:
    name, digest = container.image.name, container.image.digest
    return Image(image_name(name), digest or digest_of(name))


def _running(pods: tuple[KnownPod, ...]) -> list[ContainerIdentity]:
    return [
        ContainerIdentity(container.id, container.runtime or "unknown", pod.static_uid or pod.uid)
        for pod in (known.pod for known in pods)
        for container in pod.containers
        if container.is_running and container.id is not None
    ]
