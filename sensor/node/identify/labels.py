"""The labels and annotations by which Kubernetes' runtimes tell whose container it is.

- containerd, annotations of the bundle (``internal/cri/annotations``; the pod's uid since 1.6.11 and 1.7):
  all but the pod's labels and the image's digest. ``image-name`` is what the pod's author wrote since 2.1
  (containerd#10747); before, a name that containerd has for the image, with a tag where one has it.
- CRI-O, annotations of the bundle (``internal/annotations``, ``internal/factory/container``): the
  container's CRI labels, and the image: ``Image`` is what the kubelet asked for (a reference with a digest,
  or an id), ``ImageName`` some name of it, ``ImageRef`` its id, ``ImageRepoDigests`` its digests with commas
  between them. ``Labels`` of a sandbox are the pod's.
- Docker below cri-dockerd: labels; a sandbox has the pod's labels among its own, and the pod's annotations
  with a prefix (``core/labels.go``).

The kubelet and the runtimes write theirs after those that the pod's author chose, so nobody's label stands
for them.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from typing import Any

from sensor.model.container import ContainerMetadata
from sensor.node.identify.image_reference import image
from sensor.node.identify.untrusted import field, parse_json, text

_NAME = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name")
_NAMESPACE = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")
_POD_NAME = ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
_POD_UID = ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid")
_IMAGE_NAME = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image")
_IMAGE_REFERENCE = ("io.kubernetes.cri-o.Image", "io.kubernetes.cri-o.ImageRef")
_REPO_DIGESTS = "io.kubernetes.cri-o.ImageRepoDigests"

_DOCKER_TYPE = "io.kubernetes.docker.type"
_TYPES = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType", _DOCKER_TYPE)
_SANDBOX_TYPES = frozenset({"sandbox", "podsandbox"})
_SANDBOX_ID = ("io.kubernetes.cri-o.SandboxID", "io.kubernetes.sandbox.id")
_CRIO_LABELS = "io.kubernetes.cri-o.Labels"

_NOT_THE_PODS = ("io.kubernetes.", "annotation.")
_LABELS_MAX = 128  # nobody writes as many; the API server bounds all metadata of a pod to 256 KiB
_REPO_DIGESTS_MAX = 1 << 16  # characters


def metadata_of(labels: Any) -> ContainerMetadata:
    """Return what labels or annotations tell; junk tells nothing."""
    is_sandbox = _is_sandbox(labels)
    references = (_first(labels, (key,)) for key in _IMAGE_REFERENCE)
    return ContainerMetadata(
        name=_first(labels, _NAME),
        image=image(_first(labels, _IMAGE_NAME), *references, _repo_digests(labels)),
        namespace=_first(labels, _NAMESPACE),
        pod_name=_first(labels, _POD_NAME),
        pod_uid=_first(labels, _POD_UID),
        pod_labels=_pod_labels(labels) if is_sandbox else None,
        is_sandbox=is_sandbox,
    )


def sandbox_of(labels: Any) -> str | None:
    """Return the id of the sandbox whose labels are the pod's, where the container's own are not."""
    return None if _is_sandbox(labels) else _first(labels, _SANDBOX_ID)


def _is_sandbox(labels: Any) -> bool:
    """Runtimes can be told to pass a pod's annotations on. One that says otherwise than the runtime's own
    must not hide a container."""
    types = [value for key in _TYPES if (value := text(field(labels, key))) is not None]
    return bool(types) and _SANDBOX_TYPES.issuperset(types)


def _pod_labels(labels: Any) -> Mapping[str, str] | None:
    written = field(labels, _CRIO_LABELS)
    if isinstance(written, str):
        labels = parse_json(written.encode("utf-8", "replace"))
    elif field(labels, _DOCKER_TYPE) is None:
        return None
    if not isinstance(labels, dict):
        return None
    kept = (
        (sys.intern(key), sys.intern(value))
        for key, value in labels.items()
        if text(key) and not key.startswith(_NOT_THE_PODS) and (value == "" or text(value))
    )
    return dict(itertools.islice(kept, _LABELS_MAX))


def _repo_digests(labels: Any) -> list[str]:
    written = field(labels, _REPO_DIGESTS)
    is_list = isinstance(written, str) and len(written) <= _REPO_DIGESTS_MAX
    return written.split(",") if is_list else []


def _first(labels: Any, keys: tuple[str, ...]) -> str | None:
    values = (text(field(labels, key)) for key in keys)
    return next((value for value in values if value is not None), None)
