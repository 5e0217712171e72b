"""Settings of ``runtime-sensor node``."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensor.config import texts
from sensor.config.filters import EVERYTHING, Filters, filters
from sensor.config.kube import KubeSettings, kube_settings
from sensor.config.texts import Address, SettingsError
from sensor.config.upstream import UpstreamSettings, upstream_settings

OUTPUTS = ("table", "jsonl", "none")
WORKLOAD_TYPES = ("daemonset", "deployment")
OPEN_HOOKS = ("auto", "fentry", "kprobe", "raw")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What ``runtime-sensor node`` was asked for. Times are seconds."""

    workload_type: str = "daemonset"
    """``deployment`` watches the pods of a whole cluster through its API server, without capture."""
    output: str = "table"
    duration: float | None = None
    """After which it ends; ``None`` is when it is told to."""
    debounce: float = 2.0
    include_host: bool = False
    cluster: str | None = None
    node: str | None = None
    host_root: str = "auto"
    """Folder where the root of the node's file system is seen; ``auto`` sees it as process 1 does."""
    ring_bytes: int = 4 * _MIB
    open_hook: str = "auto"
    """``auto`` takes the cheapest that the kernel takes."""
    cri_socket: str | None = None
    """Of the container runtime; ``None`` looks in the usual places below ``host_root``, ``off`` asks none."""
    kube: KubeSettings | None = None
    """``None`` asks no API server."""
    filters: Filters = EVERYTHING
    state_dir: Path | None = None
    """Where the outbox is kept; ``None`` is in memory."""
    state_bytes: int = 64 * _MIB
    upstream: UpstreamSettings | None = None
    """``None`` delivers nothing over the network."""
    metrics_address: Address | None = None
    log_level: str = "info"
    log_format: str = "text"


def node_settings(
    options: Mapping[str, str | bool | None], environment: Mapping[str, str] = os.environ
) -> NodeSettings:
    """Build the settings of the node program.

    ``options`` maps an option's name, with ``_`` for ``-``, to its text, or to ``None`` where it was
    not given. Raises :class:`SettingsError`.
    """

    def text(name: str, default: str) -> str:
        value = options.get(name)
        return value if isinstance(value, str) else default

    upstream = upstream_settings(options, environment)
    output = texts.choice("--output", text("output", "none" if upstream else "table"), OUTPUTS)
    duration, address, state_dir = text("duration", ""), text("metrics_address", ""), text("state_dir", "")
    kube = kube_settings(options, environment)
    workload_type = texts.choice("--workload-type", text("workload_type", "daemonset"), WORKLOAD_TYPES)
    if workload_type == "deployment" and kube is None:
        raise SettingsError(
            "--workload-type deployment: found no API server, expected to run in a cluster or --kubeconfig"
        )
    wanted = filters(options, environment)
    if wanted.workload_types and kube is None:
        raise SettingsError(
            "--filter-workload-types: found no API server, which alone knows them, so nothing would ever be "
            "reported; expected to run in a cluster or --kubeconfig"
        )
    node = text("node_name", environment.get("NODE_NAME", ""))
    if workload_type == "daemonset" and kube is not None and kube.kubeconfig is None and not node:
        raise SettingsError(
            "--node-name: found none, expected the name of this node in the cluster: set NODE_NAME from the "
            "pod's spec.nodeName, or --kubernetes off"
        )
    return NodeSettings(
        workload_type=workload_type,
        output=output,
        duration=texts.seconds("--duration", duration, least=0.1, most=366 * texts.DAY) if duration else None,
        debounce=texts.seconds("--debounce", text("debounce", _debounce(output)), least=0, most=3600),
        include_host=options.get("include_host") is True,
        cluster=text("cluster_name", environment.get("CLUSTER_NAME", "")) or None,
        node=node or socket.gethostname() or None,
        host_root=_host_root(text("host_root", "auto")),
        ring_bytes=_ring_bytes(text("ring_size", "4")),
        open_hook=texts.choice("--open-hook", text("open_hook", "auto"), OPEN_HOOKS),
        cri_socket=text("cri_socket", "") or None,
        kube=kube,
        filters=wanted,
        state_dir=Path(state_dir) if state_dir else None,
        state_bytes=texts.number("--state-limit", text("state_limit", "64"), least=8, most=65_536) * _MIB,
        upstream=upstream,
        metrics_address=texts.address("--metrics-address", address) if address else None,
        log_level=texts.choice("--log-level", text("log_level", "info"), LOG_LEVELS),
        log_format=texts.choice("--log-format", text("log_format", "text"), LOG_FORMATS),
    )


def _host_root(found: str) -> str:
    return found if found == "auto" else texts.directory("--host-root", found)


def _debounce(output: str) -> str:
    """What is not in the outbox yet does not survive a SIGKILL, and nobody reads along: be quick."""
    return "0.5" if output == "none" else "2"


def _ring_bytes(found: str) -> int:
    """The kernel takes a power of two of pages only (ringbuf_map_alloc())."""
    mib = int(found) if found.isdecimal() and len(found) < 5 else 0
    if not 1 <= mib <= 1024 or mib & (mib - 1):
        raise SettingsError(f"--ring-size: found {found!r}, expected MiB as a power of two from 1 to 1024")
    return mib * _MIB
