"""Which proxy leads to an address, by the environment variables that curl and many others follow.

There is no standard; the rules here are curl's (https://everything.curl.dev/usingcurl/proxies/env.html), with
the CIDR blocks of Go (https://pkg.go.dev/golang.org/x/net/http/httpproxy). They are applied here, once, for
both transports, whose libraries follow different ones.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from sensor.config.texts import SettingsError


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy that is asked to CONNECT. ``user`` is ``name:password``, never shown."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """``host:port``, fit for logs."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization`` (RFC 7617)."""
        return None if self.user is None else "Basic " + base64.b64encode(self.user.encode()).decode()


def proxy_for(
    host: str, port: int, *, tls: bool, environment: Mapping[str, str] = os.environ
) -> Proxy | None:
    """Return the proxy that leads to ``host``, ``None`` where it is reached directly.

    HTTPS_PROXY (HTTP_PROXY for plaintext), else ALL_PROXY, unless NO_PROXY names ``host``. A name in lower
    case comes before the same in upper case, and hides it when empty. Raises :class:`SettingsError`.
    """
    for name in ("https_proxy" if tls else "http_proxy", "all_proxy"):
        found, variable = _value(name, environment)
        if found:
            excluded, _ = _value("no_proxy", environment)
            return None if _is_excluded(host, port, excluded) else _parse(found, variable)
    return None


def _value(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    # HTTP_PROXY in upper case is what a CGI server makes of a header "Proxy:"; none runs this program.
    for variable in (name, name.upper()):
        if variable in environment:
            return environment[variable].strip(), variable
    return "", name


def _parse(found: str, variable: str) -> Proxy:
    """Never shows ``found``: it may hold a password."""
    expected = "expected http://HOST:PORT, with USER:PASSWORD@ before the host if the proxy asks for it"
    if "://" not in found:
        found = "http://" + found
    try:
        url = urlsplit(found)
        host, port = url.hostname, url.port
    except ValueError:
        raise SettingsError(f"{variable}: found no address of a proxy, {expected}") from None
    if url.scheme.lower() != "http":
        raise SettingsError(
            f"{variable}: found a proxy that speaks {url.scheme[:10]!r}, {expected}; "
            "what goes through it is TLS from end to end all the same"
        )
    if not host or not host.isprintable() or url.path not in ("", "/") or " " in found:
        raise SettingsError(f"{variable}: found no host of a proxy, {expected}")
    user = None
    if url.username is not None:
        user = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return Proxy(host, port or 80, user)


def _is_excluded(host: str, port: int, listed: str) -> bool:
    return any(_matches(host.lower().rstrip("."), port, one) for one in listed.replace(",", " ").split())


def _matches(host: str, port: int, rule: str) -> bool:
    """``*``; ``example.com`` or ``.example.com``, with all below it; ``10.0.0.0/8``; each with ``:port``."""
    if rule == "*":
        return True
    rule, wanted_port = _split_port(rule.lower())
    if wanted_port not in (None, port):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = rule.removeprefix("*").lstrip(".").rstrip(".")
        return bool(name) and (host == name or host.endswith("." + name))
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False


def _split_port(rule: str) -> tuple[str, int | None]:
    if rule.startswith("["):
        inside, _, after = rule[1:].partition("]")
        return inside, int(after[1:]) if after[1:].isdecimal() else None
    name, colon, number = rule.rpartition(":")
    if colon and ":" not in name and number.isdecimal():
        return name, int(number)
    return rule, None
