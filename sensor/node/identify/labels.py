"""The labels and annotations by which Kubernetes' runtimes tell whose container it is."""

from __future__ import annotations

from typing import Any

from sensor.model.container import ContainerMetadata
from sensor.node.identify.image_reference import image
from sensor.node.identify.untrusted import field, text

# containerd: pkg/cri/annotations; CRI-O and the Docker shims: kubelet's own label names.
_NAME = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name")
_NAMESPACE = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")
_POD_NAME = ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
_POD_UID = ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid")
_IMAGE_NAME = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName")
_IMAGE_REFERENCE = ("io.kubernetes.cri-o.ImageRef", "io.kubernetes.cri-o.Image")


def metadata_of(labels: Any) -> ContainerMetadata:
    """Return what labels or annotations tell; junk tells nothing."""
    references = (_first(labels, (key,)) for key in _IMAGE_REFERENCE)
    return ContainerMetadata(
        name=_first(labels, _NAME),
        image=image(_first(labels, _IMAGE_NAME), *references),
        namespace=_first(labels, _NAMESPACE),
        pod_name=_first(labels, _POD_NAME),
        pod_uid=_first(labels, _POD_UID),
    )


def _first(labels: Any, keys: tuple[str, ...]) -> str | None:
    values = (text(field(labels, key)) for key in keys)
    return next((value for value in values if value is not None), None)
