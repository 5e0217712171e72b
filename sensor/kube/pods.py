"""A pod's JSON -> :class:`sensor.model.pod.Pod`, of which little is kept. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/. Whoever may write a
pod's status decides what is in it, so any value may be of any type and length: what does not fit is left
out and counted.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from sensor.model.container import Image
from sensor.model.pod import OwnerReference, Pod, PodContainer

MIRROR = "kubernetes.io/config.mirror"
STATIC_UID = "kubernetes.io/config.hash"
"""Annotations of the kubelet: https://kubernetes.io/docs/reference/labels-annotations-taints/"""
MOST_CONTAINERS = 512
MOST_LABELS = 64
_NAME = 253  # a DNS subdomain, RFC 1123
_LABEL_NAME, _LABEL_VALUE = 253 + 1 + 63, 63
_IMAGE = 1024
_KINDS_OF_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_CONTAINER_ID = re.compile(r"([a-z][a-z0-9-]{0,31})://([0-9A-Za-z][0-9A-Za-z_.-]{0,127})")
# The digest of a manifest stands behind the repository; alone it is that of the image's configuration.
_DIGEST = re.compile(r".*@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})", re.DOTALL)
_UID = re.compile(r"[0-9A-Za-z-]{1,64}")

Dropped = Counter[str]


def pod(document: object, dropped: Dropped | None = None) -> Pod | None:
    """Return ``None`` for what is no pod. ``dropped`` counts what was left out: ``pod``, ``container``,
    ``label``, ``owner``."""
    dropped = Dropped() if dropped is None else dropped
    metadata, spec, status = (_object(document, name) for name in ("metadata", "spec", "status"))
    uid, namespace, name = _uid(metadata), _text(metadata, "namespace"), _text(metadata, "name")
    if uid is None or namespace is None or name is None:
        dropped["pod"] += 1
        return None
    annotations = _object(metadata, "annotations")
    is_mirror = MIRROR in annotations
    return Pod(
        uid=uid,
        namespace=sys.intern(namespace),
        name=name,
        node=_interned(_text(spec, "nodeName")),
        labels=_labels(metadata.get("labels"), dropped),
        owner=owner_of(metadata, dropped),
        is_mirror=is_mirror,
        is_ended=_text(status, "phase") in ("Succeeded", "Failed"),
        static_uid=_uid(annotations, STATIC_UID) if is_mirror else None,
        containers=tuple(_containers(spec, status, dropped)),
    )


def owner_of(metadata: dict[str, object], dropped: Dropped | None = None) -> OwnerReference | None:
    """The owner that manages an object; others only keep the garbage collector away."""
    for one in _list(metadata, "ownerReferences")[:64]:
        if isinstance(one, dict) and one.get("controller") is True:
            version, kind, name = (_text(one, field) for field in ("apiVersion", "kind", "name"))
            uid = _uid(one)
            if version is None or kind is None or name is None or uid is None:
                if dropped is not None:
                    dropped["owner"] += 1
                return None
            return OwnerReference(sys.intern(version), sys.intern(kind), sys.intern(name), sys.intern(uid))
    return None


def _containers(
    spec: dict[str, object], status: dict[str, object], dropped: Dropped
) -> Iterator[PodContainer]:
    room = MOST_CONTAINERS
    for kind in _KINDS_OF_CONTAINERS:
        # containerStatuses, initContainerStatuses, ephemeralContainerStatuses
        listed = _list(status, f"{kind.removesuffix('s')}Statuses")
        states = {name: one for one in listed[:room] if (name := _text(one, "name")) is not None}
        for one in _list(spec, kind):
            name = _text(one, "name")
            if name is None or room == 0:
                dropped["container"] += 1
                continue
            room -= 1
            yield _container(name, _text(one, "image", _IMAGE), states.get(name))


def _container(name: str, image: str | None, status: object) -> PodContainer:
    runtime, container_id = None, None
    if found := _CONTAINER_ID.fullmatch(_text(status, "containerID") or ""):
        runtime, container_id = sys.intern(found[1]), found[2]
    digest = _DIGEST.fullmatch(_text(status, "imageID", _IMAGE) or "")
    state = _object(status, "state")
    return PodContainer(
        name=sys.intern(name),
        image=Image(_interned(image), _interned(digest[1] if digest else None)),
        id=container_id,
        runtime=runtime,
        is_running=isinstance(state.get("running"), dict),
        started_at=_started_at(state),
    )


def _started_at(state: dict[str, object]) -> float | None:
    for phase in ("running", "terminated"):
        written = _text(_object(state, phase), "startedAt", 40)
        if written is not None and written.endswith("Z"):
            try:
                return datetime.fromisoformat(written).timestamp()
            except (ValueError, OverflowError):
                return None
    return None


def _labels(found: object, dropped: Dropped) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    labels: dict[str, str] = {}
    for name, value in found.items():
        fits = 0 < len(name) <= _LABEL_NAME and isinstance(value, str) and len(value) <= _LABEL_VALUE
        if not fits or len(labels) == MOST_LABELS or not (name + value).isprintable():
            dropped["label"] += 1
            continue
        labels[sys.intern(name)] = sys.intern(value)
    return labels


def _object(parent: object, name: str) -> dict[str, object]:
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def _list(parent: dict[str, object], name: str) -> list[object]:
    found = parent.get(name)
    return found if isinstance(found, list) else []


def _text(parent: object, name: str, most: int = _NAME) -> str | None:
    """What is a text, not empty, of one line and not longer than ``most``."""
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= most and found.isprintable() else None


def _uid(parent: dict[str, object], name: str = "uid") -> str | None:
    found = _text(parent, name)
    return found if found is not None and _UID.fullmatch(found) else None


def _interned(text: str | None) -> str | None:
    """Thousands of pods share few of these texts."""
    return None if text is None else sys.intern(text)
