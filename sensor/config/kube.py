"""How the Kubernetes API server is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensor.config import texts

MODES = ("auto", "off")


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """In the cluster, by the pod's service account, where ``kubeconfig`` is ``None``."""

    kubeconfig: Path | None = None
    context: str | None = None
    """Of the kubeconfig; ``None`` is its current one."""


def kube_settings(
    options: Mapping[str, str | bool | None], environment: Mapping[str, str]
) -> KubeSettings | None:
    """As :func:`sensor.config.node.node_settings`; ``None`` where no API server is to be asked."""

    def text(name: str) -> str:
        value = options.get(name)
        return value if isinstance(value, str) else ""

    if texts.choice("--kubernetes", text("kubernetes") or "auto", MODES) == "off":
        return None
    if text("kubeconfig"):
        return KubeSettings(texts.file("--kubeconfig", text("kubeconfig")), text("kube_context") or None)
    return KubeSettings() if environment.get("KUBERNETES_SERVICE_HOST") else None
