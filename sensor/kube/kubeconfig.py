"""The access that a kubeconfig describes: contexts, certificates, tokens, credential plug-ins."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sensor.kube.access import Access, Address
from sensor.kube.errors import Unconfigured
from sensor.kube.proxy import proxy_for

_AGAIN_AFTER = 10.0
_LOOK_AGAIN = 60.0
_MOST_AUTHORITIES = 4 << 20


class Kubeconfig:
    """Where it leads to a token it is read again each minute, since that may be in a file beside it, and
    after a refusal, at most every 10 s, since it may mean that a program is run."""

    def __init__(self, path: Path, context: str | None, environment: Mapping[str, str] = os.environ) -> None:
        """Raises :class:`Unconfigured`."""
        self._path = path
        self._context = context
        self._environment = environment
        self._lock = threading.Lock()
        self._access = self._load()
        self._loaded_at = time.monotonic()

    def current(self, *, refused: bool = False) -> Access:
        with self._lock:
            age = time.monotonic() - self._loaded_at
            if age > (_AGAIN_AFTER if refused else _LOOK_AGAIN) and self._access.authorization:
                self._access, self._loaded_at = self._load(), time.monotonic()
            return self._access

    def _load(self) -> Access:
        configuration = self._parsed()
        url = str(configuration.host or "").rstrip("/")
        host, port = self._checked(url)
        keys = configuration.api_key
        authorization = keys.get("BearerToken") or keys.get("authorization")
        address = Address(
            url,
            authorities=_text(configuration.ssl_ca_cert),
            certificate=configuration.cert_file,
            key=configuration.key_file,
            server_name=configuration.tls_server_name,
            verify=bool(configuration.verify_ssl),
            proxy=configuration.proxy or proxy_for(host, port, self._environment),
        )
        return Access(address, authorization)

    def _parsed(self) -> Any:
        # Late: 21 MiB that a node's agent, in its cluster, must not pay.
        from kubernetes.client import Configuration  # noqa: PLC0415
        from kubernetes.config import kube_config  # noqa: PLC0415

        configuration = Configuration()
        configuration.proxy = None  # it is of the environment here, by rules that are not client-go's
        try:
            load: Any = kube_config.load_kube_config
            load(str(self._path), self._context, client_configuration=configuration, persist_config=False)
        except Exception as error:  # noqa: BLE001 - the library lets pass whatever YAML and base64 raise
            # The type alone: texts of the YAML parser quote the file, which holds secrets.
            said = str(error) if type(error).__name__ == "ConfigException" else type(error).__name__
            raise self._unusable(said[:300]) from None
        return configuration

    def _checked(self, url: str) -> tuple[str, int]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise self._unusable("its server is no URL") from None
        if parts.scheme not in ("https", "http") or not host or parts.username is not None:
            raise self._unusable("its server is no URL of https, or holds a password")
        if parts.scheme == "http" and host not in ("127.0.0.1", "::1", "localhost"):
            raise self._unusable("its server speaks plain HTTP and is not on this machine")
        return host, port or (443 if parts.scheme == "https" else 80)

    def _unusable(self, why: str) -> Unconfigured:
        named = f" with the context {self._context!r}" if self._context else ""
        return Unconfigured(
            f"cannot use the kubeconfig {str(self._path)!r}{named}: {why}; expected a file that "
            f"`kubectl --kubeconfig {self._path} get pods` works with",
            reason="kubeconfig",
        )


def _text(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(_MOST_AUTHORITIES)
    except OSError as error:
        raise Unconfigured(
            f"cannot read the authorities {path!r} that the kubeconfig names: {error.strerror}; expected a "
            "PEM file",
            reason="kubeconfig",
        ) from None
