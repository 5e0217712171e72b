"""Who is asked whose container it is: the API server, the container runtimes, and what they leave on disk."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sensor.config.node import NodeSettings
from sensor.kube.errors import KubeError
from sensor.model.pod import Pod
from sensor.node.enrichment.deployed import Teller
from sensor.node.enrichment.describe import Describer
from sensor.node.enrichment.runtime_poll import RuntimePoll
from sensor.node.identify.cri.source import CriMetadata
from sensor.node.identify.metadata import RuntimeMetadata, runtime_metadata
from sensor.node.inventory import Inventory

if TYPE_CHECKING:
    from sensor.node.enrichment.pods import Pods

log = logging.getLogger(__name__)


class Sources:
    """Asks nobody before :meth:`start`. Raises :class:`KubeError` where a kubeconfig was named, or a filter
    needs workloads, and no API server can be asked; OSError if ``host_root`` cannot be opened.

    ``host_root`` is where the node's root folder is seen. ``pods`` is ``None`` without an API server, ``cri``
    where no runtime is to be asked.
    """

    def __init__(self, settings: NodeSettings, host_root: str = "/") -> None:
        self.pods = _pods(settings)
        self.cri: CriMetadata | None = None
        self.poll: RuntimePoll | None = None
        if settings.cri_socket != "off":
            self.cri = CriMetadata(host_root, settings.cri_socket)
            self.poll = RuntimePoll(self.cri)
        before = () if self.pods is None else (self.pods,)
        declared = None if self.pods is None else self.pods.declared_image
        self.metadata: RuntimeMetadata = runtime_metadata(host_root, before, self.cri, declared)

    @property
    def tellers(self) -> tuple[Teller, ...]:
        """Who tells what runs at first hand."""
        return () if self.poll is None else (self.poll.running,)

    @property
    def hearsay(self) -> Teller | None:
        """Who tells it where they do not: the API server hears of it later, or not while it is away."""
        return None if self.pods is None else self.pods.running

    def start(self, inventory: Inventory, describer: Describer) -> None:
        """From now on ``describer`` hears what the API server says anew of containers that are held."""
        if self.pods is not None:
            self.pods.on_change = lambda pod: _refresh(pod, inventory, describer)
            self.pods.start()
        if self.cri is not None:
            self.cri.start()
        if self.poll is not None:
            self.poll.start()

    def stop(self, timeout: float) -> None:
        if self.pods is not None:
            self.pods.stop(timeout)
        if self.poll is not None:
            self.poll.stop(timeout)
        if self.cri is not None:
            self.cri.close(timeout)


def _pods(settings: NodeSettings) -> Pods | None:
    if settings.kube is None:
        return None
    from sensor.node.enrichment.pods import Pods  # noqa: PLC0415 - 3 MiB that a node without Kubernetes does not need

    try:
        return Pods(settings.kube, settings.node or "")
    except KubeError as error:
        if settings.kube.kubeconfig is not None or settings.filters.workload_types:
            raise  # or nothing would ever be reported
        # In a pod without a service account: what the runtime knows is still worth a report.
        log.warning("no API server is asked, so workloads stay unknown: %s", error)
        return None


def _refresh(pod: Pod, inventory: Inventory, describer: Describer) -> None:
    held = {
        container for uid in (pod.uid, pod.static_uid) if uid for container in inventory.containers_of(uid)
    }
    for container in pod.containers:
        known = inventory.identity(container.id) if container.id else None
        if known is not None:
            held.add(known)
    for known in held:
        describer.refresh(known)
