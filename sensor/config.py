"""Settings from options and environment, checked once."""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

OUTPUTS = ("table", "jsonl")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
_MIB = 1 << 20
_DAY = 86_400.0


class SettingsError(ValueError):
    """The text names the option, what was found and what was expected."""


class Address(NamedTuple):
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What ``runtime-sensor node`` was asked for. Times are seconds."""

    output: str = "table"
    duration: float | None = None
    """After which it ends; ``None`` is when it is told to."""
    debounce: float = 2.0
    include_host: bool = False
    cluster: str | None = None
    node: str | None = None
    host_root: str = "/"
    """Where the root of the node's file system is seen: its /proc, /sys, /run and /etc are below."""
    ring_bytes: int = 8 * _MIB
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

    duration = text("duration", "")
    address = text("metrics_address", "")
    return NodeSettings(
        output=_choice("--output", text("output", "table"), OUTPUTS),
        duration=_seconds("--duration", duration, least=0.1, most=366 * _DAY) if duration else None,
        debounce=_seconds("--debounce", text("debounce", "2"), least=0, most=3600),
        include_host=options.get("include_host") is True,
        cluster=text("cluster_name", environment.get("CLUSTER_NAME", "")) or None,
        node=text("node_name", environment.get("NODE_NAME", "")) or socket.gethostname() or None,
        host_root=_directory("--host-root", text("host_root", "/")),
        ring_bytes=_ring_bytes(text("ring_size", "8")),
        metrics_address=parse_address(address) if address else None,
        log_level=_choice("--log-level", text("log_level", "info"), LOG_LEVELS),
        log_format=_choice("--log-format", text("log_format", "text"), LOG_FORMATS),
    )


def parse_address(text: str) -> Address:
    """``127.0.0.1:9102``, ``[::1]:9102``, ``:9102`` (every IPv4 address), or a name for the host."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isdecimal() or int(port) > 65_535 or (":" in host and not bracketed):
        raise SettingsError(
            f"--metrics-address: found {text!r}, expected HOST:PORT such as 127.0.0.1:9102 or [::1]:9102"
        )
    return Address(host.strip("[]") or "0.0.0.0", int(port))


def bpf_directory() -> Path:
    """Return the folder of the kernel programs' sources.

    ``RUNTIME_SENSOR_BPF_DIR`` if set, else ``bpf/`` of the checkout this module is in, else where a
    wheel puts it. Raises :class:`SettingsError` where none of them holds ``events.h``.
    """
    named = os.environ.get("RUNTIME_SENSOR_BPF_DIR")
    installed = Path(sys.prefix, "share/runtime-sensor/bpf")
    tried = [Path(named)] if named else [Path(__file__).parents[1] / "bpf", installed]
    for folder in tried:
        if (folder / "events.h").is_file():
            return folder
    raise SettingsError(
        f"found no kernel programs in {' or '.join(map(str, tried))}; "
        "expected events.h there: install the sensor anew, or set RUNTIME_SENSOR_BPF_DIR to the folder bpf/"
    )


def _choice(option: str, found: str, choices: tuple[str, ...]) -> str:
    if found not in choices:
        raise SettingsError(f"{option}: found {found!r}, expected one of {', '.join(choices)}")
    return found


def _seconds(option: str, found: str, *, least: float, most: float) -> float:
    try:
        value = float(found)
    except ValueError:
        value = math.nan
    if not least <= value <= most:  # false for a NaN as well
        raise SettingsError(f"{option}: found {found!r}, expected seconds from {least:g} to {most:,.0f}")
    return value


def _ring_bytes(found: str) -> int:
    """The kernel takes a power of two of pages only (ringbuf_map_alloc())."""
    mib = int(found) if found.isdecimal() and len(found) < 5 else 0
    if not 1 <= mib <= 1024 or mib & (mib - 1):
        raise SettingsError(f"--ring-size: found {found!r}, expected MiB as a power of two from 1 to 1024")
    return mib * _MIB


def _directory(option: str, found: str) -> str:
    if not found.startswith("/") or not Path(found).is_dir():
        raise SettingsError(f"{option}: found {found!r}, expected the absolute path of a directory")
    return found
