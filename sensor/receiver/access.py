"""Which requests over HTTP are let in: the name they were sent to, the token, its permission, its rate."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

from sensor.receiver import auth, jsonapi
from sensor.receiver.auth import Holder, Tokens
from sensor.receiver.lru import Lru

HOLDER = web.RequestKey("holder", Holder)
_MINUTE = 60.0

# Method (None: any) and how the path starts, the first that matches; any one of the permissions is enough.
_NEEDED: tuple[tuple[str | None, str, tuple[str, ...]], ...] = (
    (None, "/healthz", ()),
    (None, "/control/", (auth.CONTROL,)),
    (None, "/v2/kubernetes-upstream/", (auth.PUBLISH, auth.REPORT)),
    (None, "/hidden/orgs/", (auth.PUBLISH,)),
    (None, "/rest/self", auth.PERMISSIONS),
    ("PUT", "/api/sboms", (auth.SBOM,)),
    ("POST", "/api/sboms", (auth.SBOM,)),
)
_REST = {
    ("GET", "container_images"): auth.READ_IMAGES,
    ("GET", "projects"): auth.READ_PROJECTS,
    ("GET", "targets"): auth.READ_PROJECTS,
    ("DELETE", "projects"): auth.DELETE_PROJECTS,
    ("DELETE", "targets"): auth.DELETE_PROJECTS,
}


class Rate:
    """``allowed`` requests a minute of each token; who sends more is refused until quiet for a minute."""

    def __init__(self, allowed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._counted: Lru[bytes, tuple[float, int]] = Lru(10_000)
        self._refused: Lru[bytes, float] = Lru(10_000)

    def allows(self, holder: Holder) -> bool:
        now = self._clock()
        last = self._refused.get(holder.id)
        if last is not None and now - last < _MINUTE:
            self._refused.put(holder.id, now)
            return False
        since, count = self._counted.get(holder.id) or (now, 0)
        if last is not None or now - since >= _MINUTE:
            since, count = now, 0
            self._refused.discard(holder.id)
        self._counted.put(holder.id, (since, count + 1))
        if count < self._allowed:
            return True
        self._refused.put(holder.id, now)
        return False


class Access:
    """``host`` is what the address was bound to. On a loopback address the page needs no token: who
    reaches it is on this machine."""

    def __init__(self, host: str, tokens: Tokens, rate: Rate) -> None:
        self._local = is_loopback(host)
        self._host = host.lower()
        self._tokens = tokens
        self._rate = rate

    def check(self, request: web.Request) -> None:
        """Raise :class:`sensor.receiver.jsonapi.Failure` where the request is not let in."""
        self._check_host(request)
        _check_site(request)
        needed = self._needed(request)
        if not needed:
            return
        holder = self._tokens.holder(request.headers.get("Authorization", ""))
        if holder is None:
            raise jsonapi.unauthorized()
        request[HOLDER] = holder
        if request.path.startswith("/rest/") and not self._rate.allows(holder):
            raise jsonapi.Failure(
                429,
                "Too Many Requests",
                "found more requests than are allowed in a minute; wait a minute without any",
                headers={"Retry-After": "60"},
            )
        if not holder.may(*needed):
            raise jsonapi.forbidden(needed[0])

    def _check_host(self, request: web.Request) -> None:
        """A page from elsewhere must not reach us by a name of its own that it has pointed at loopback."""
        if not self._local:
            return
        host = _name(request.headers.get("Host", ""))
        if host != self._host and not is_loopback(host):
            raise jsonapi.Failure(
                421, "Misdirected Request", f"Host: found {host[:255]!r}, expected localhost or {self._host}"
            )

    def _needed(self, request: web.Request) -> tuple[str, ...]:
        path = request.rel_url.path_safe  # as routes are found: a slash inside of a name is not one between
        for method, start, permissions in _NEEDED:
            if path.startswith(start) and method in (None, request.method):
                return permissions
        if path.startswith("/rest/"):
            return (_REST.get((request.method, _collection(path)), auth.READ_PROJECTS),)
        return () if self._local else (auth.VIEW,)


def _check_site(request: web.Request) -> None:
    """A browser adds the token to what any page makes it send. A link may lead here; nothing else may."""
    link = request.method in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if not link and not same_origin(request):
        raise jsonapi.Failure(403, "Forbidden", "this was sent by a page of another site")


def same_origin(request: web.Request) -> bool:
    """False for what another site made a browser send: https://www.w3.org/TR/fetch-metadata/

    A program that is no browser sends neither header. A browser sends the first to loopback and over
    TLS only.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("Host", "")


def _name(host: str) -> str:
    """Of a Host header, the port left out; ``""`` where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    if host in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _collection(path: str) -> str:
    """``projects`` of ``/rest/orgs/ORG/projects/ID``."""
    parts = path.split("/")
    return parts[4] if len(parts) > 4 else ""
