"""Which proxy leads to the API server, by the rules of client-go.

HTTPS_PROXY, unless NO_PROXY names the host; never for loopback.
https://pkg.go.dev/golang.org/x/net/http/httpproxy
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def proxy_for(host: str, port: int, environment: Mapping[str, str]) -> str | None:
    """Return the proxy's URL for an ``https`` address, which may hold a password; ``None``: go directly."""
    proxy = _value("HTTPS_PROXY", environment)
    if not proxy or _is_loopback(host):
        return None
    listed = _value("NO_PROXY", environment).replace(",", " ").split()
    if any(_covers(rule.lower(), host.lower(), port) for rule in listed):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _value(name: str, environment: Mapping[str, str]) -> str:
    return (environment.get(name) or environment.get(name.lower()) or "").strip()


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _covers(rule: str, host: str, port: int) -> bool:
    """``*``; ``example.com`` with all below it; ``.example.com`` or ``*.example.com``, only what is below it;
    an address; ``10.0.0.0/8``; each but the block with ``:port``."""
    if rule == "*":
        return True
    address = _address(host)
    if "/" in rule:
        return address is not None and _in_block(address, rule)
    if _address(rule) is None:
        rule, colon, wanted = rule.rpartition(":") if ":" in rule else (rule, "", "")
        if colon and wanted != str(port):
            return False
    if address is not None:
        return _address(rule) == address
    name = rule.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _in_block(address: ipaddress.IPv4Address | ipaddress.IPv6Address, block: str) -> bool:
    try:
        return address in ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False
