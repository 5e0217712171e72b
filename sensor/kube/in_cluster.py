"""The access of a pod: its service account's files and two variables of the environment.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/. Read here rather than with the library
``kubernetes``, which costs 21 MiB on every node.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from sensor.kube.access import Access, Address
from sensor.kube.errors import KubeError, Unconfigured
from sensor.kube.proxy import proxy_for

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MOST_TOKEN = 64 << 10
_MOST_AUTHORITIES = 4 << 20
_LOOK_AGAIN = 60.0


class InCluster:
    """The kubelet renews the token well before it expires, by another file behind the same path, so a change
    of the file is a change of the token. Files are read again each minute even so: time stamps may be too
    coarse to show a change."""

    def __init__(self, environment: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> None:
        """Raises :class:`Unconfigured`."""
        host, port = _server(environment)
        self._url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._proxy = proxy_for(host, port, environment)
        self._token = _File(folder / "token", _MOST_TOKEN)
        self._authorities = _File(folder / "ca.crt", _MOST_AUTHORITIES)
        self._lock = threading.Lock()
        self.current()

    def current(self, *, refused: bool = False) -> Access:
        with self._lock:
            token = self._token.content(afresh=refused).strip()
            authorities = self._authorities.content()
        if not token or not token.isascii() or not token.isprintable():
            raise Unconfigured(
                f"the token file {str(self._token.path)!r} holds no token: expected one line of ASCII; "
                "the kubelet writes it where the pod has automountServiceAccountToken",
                reason="token",
            )
        return Access(Address(self._url, authorities, proxy=self._proxy), f"Bearer {token}")


def _server(environment: Mapping[str, str]) -> tuple[str, int]:
    host = environment.get("KUBERNETES_SERVICE_HOST", "").strip("[] ")
    port = environment.get("KUBERNETES_SERVICE_PORT_HTTPS") or environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port.isdecimal() or not 0 < int(port[:9]) < 65_536:
        raise Unconfigured(
            f"found KUBERNETES_SERVICE_HOST={host!r} and KUBERNETES_SERVICE_PORT={port!r}: expected an "
            "address and a port, as every pod has them; outside of a cluster name a file with --kubeconfig",
            reason="environment",
        )
    return host, int(port)


class _File:
    """A small text that is read again when its file changes."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self._most = most
        self._seen: tuple[int, int, int] | None = None
        self._read_at = 0.0
        self._content = ""

    def content(self, *, afresh: bool = False) -> str:
        """What was there last, where the file cannot be read any more. Raises :class:`KubeError`."""
        try:
            found = os.stat(self.path)
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if afresh or seen != self._seen or time.monotonic() - self._read_at > _LOOK_AGAIN:
                self._content = self._read()
                self._seen, self._read_at = seen, time.monotonic()
        except (OSError, UnicodeError) as error:
            if not self._content:
                raise self._unreadable(error) from None
        return self._content

    def _read(self) -> str:
        # O_NONBLOCK: a pipe in place of the file must not hold us.
        with open(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            return file.read(self._most).decode("ascii", "strict")

    def _unreadable(self, error: Exception) -> KubeError:
        why = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        return Unconfigured(
            f"cannot read {str(self.path)!r} of the service account: {why}; expected what the kubelet mounts "
            "where the pod has automountServiceAccountToken",
            reason="service_account",
        )
