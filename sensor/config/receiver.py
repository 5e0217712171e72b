"""Settings of ``runtime-sensor receiver``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensor.config import texts
from sensor.config.node import LOG_FORMATS, LOG_LEVELS
from sensor.config.texts import Address, SettingsError


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Times are seconds. ``tls_certificate`` and ``tls_key`` are PEM files, both or neither set."""

    data_dir: Path
    grpc_address: Address
    http_address: Address
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tokens: Path | None = None
    """Who may do what; ``None`` makes one token that may do all, in ``data_dir``/token."""
    expire_after: float = 48 * 3600.0
    requests_per_minute: int = 1620
    """Of one token, on the REST interface."""
    log_level: str = "info"
    log_format: str = "text"


def receiver_settings(
    options: Mapping[str, str | bool | None], environment: Mapping[str, str] = os.environ
) -> ReceiverSettings:
    """As :func:`sensor.config.node.node_settings`."""

    def text(name: str, default: str) -> str:
        value = options.get(name)
        return value if isinstance(value, str) else default

    certificate, key = text("tls_certificate", ""), text("tls_key", "")
    if bool(certificate) != bool(key):
        raise SettingsError("--tls-certificate and --tls-key: found one, expected both or neither")
    tokens = text("tokens", "")
    return ReceiverSettings(
        data_dir=Path(text("data_dir", "") or _data_home(environment)),
        grpc_address=texts.address("--grpc-address", text("grpc_address", "127.0.0.1:9443")),
        http_address=texts.address("--http-address", text("http_address", "127.0.0.1:9480")),
        tls_certificate=texts.file("--tls-certificate", certificate) if certificate else None,
        tls_key=texts.file("--tls-key", key) if key else None,
        tokens=texts.file("--tokens", tokens) if tokens else None,
        expire_after=_hours("--expire-after", text("expire_after", "48")) * 3600,
        requests_per_minute=texts.number(
            "--requests-per-minute", text("requests_per_minute", "1620"), least=1, most=1_000_000
        ),
        log_level=texts.choice("--log-level", text("log_level", "info"), LOG_LEVELS),
        log_format=texts.choice("--log-format", text("log_format", "text"), LOG_FORMATS),
    )


def _hours(option: str, found: str) -> float:
    return texts.seconds(option, found, least=0.001, most=8784, unit="hours")


def _data_home(environment: Mapping[str, str]) -> Path:
    """https://specifications.freedesktop.org/basedir-spec/latest/"""
    home = environment.get("XDG_DATA_HOME") or Path(environment.get("HOME") or "/var/lib", ".local/share")
    return Path(home, "runtime-sensor/receiver")
