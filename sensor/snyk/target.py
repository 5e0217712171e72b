"""The address that is delivered to, and the way there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sensor.config.upstream import UpstreamSettings
from sensor.snyk.proxy import Proxy, proxy_for


@dataclass(frozen=True, slots=True)
class Target:
    """``transport`` is ``grpc`` or ``https``."""

    host: str
    port: int
    transport: str = "grpc"
    tls: bool = True
    proxy: Proxy | None = None

    @property
    def address(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def described(self) -> str:
        return f"{self.address} through the proxy {self.proxy.address}" if self.proxy else self.address

    @property
    def first_hop(self) -> tuple[str, int]:
        """What is connected to by TCP."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @property
    def first_hop_named(self) -> str:
        """For people."""
        return f"the proxy {self.proxy.address}" if self.proxy else self.address


def target_of(settings: UpstreamSettings, environment: Mapping[str, str] = os.environ) -> Target:
    """Raises :class:`sensor.config.texts.SettingsError` where a proxy's variable holds no proxy."""
    host, port = settings.address
    proxy = proxy_for(host, port, tls=not settings.plaintext, environment=environment)
    return Target(host, port, settings.transport, not settings.plaintext, proxy)
