"""The API server by its settings."""

from __future__ import annotations

from sensor import __version__
from sensor.config.kube import KubeSettings
from sensor.kube.access import AccessSource
from sensor.kube.api_server import ApiServer
from sensor.kube.counters import KubeCounters
from sensor.kube.in_cluster import InCluster
from sensor.kube.kubeconfig import Kubeconfig


def connect(
    settings: KubeSettings, node: str | None = None, *, counters: KubeCounters | None = None
) -> ApiServer:
    """Return the API server that the kubeconfig names, else that of our cluster. Connects to nothing.

    ``node`` is told in the user agent. Raises :class:`sensor.kube.errors.Unconfigured` with the cure.
    """
    source: AccessSource
    source = Kubeconfig(settings.kubeconfig, settings.context) if settings.kubeconfig else InCluster()
    printable = "".join(c for c in node or "" if c.isascii() and c.isprintable() and c not in "()\\")
    agent = f"runtime-sensor/{__version__}{f' ({printable[:253]})' if printable else ''}"
    return ApiServer(source, agent, counters=counters)
