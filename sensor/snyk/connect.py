"""From settings to a destination."""

from __future__ import annotations

import logging
import threading
import weakref
from pathlib import Path

from sensor import __version__
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.destination import Destination
from sensor.snyk.target import Target, target_of
from sensor.snyk.token import Token
from sensor.snyk.trust import Trust
from sensor.snyk.upstream import Upstream

log = logging.getLogger(__name__)

# Destinations of one upstream share the trusted authorities: 1.3 MiB for each of up to 64 groups otherwise.
_upstreams: weakref.WeakValueDictionary[tuple[Target, Path | None, str], Upstream] = (
    weakref.WeakValueDictionary()
)
_lock = threading.Lock()


def connect(
    settings: UpstreamSettings, group_id: str, token: Token, version: str = __version__
) -> Destination:
    """Return the destination for the containers of ``group_id``, by the transport of ``settings``.

    Connects with the first batch, not before. To be called after the last fork(): gRPC starts threads.
    Raises :class:`sensor.config.texts.SettingsError` where no certificates to trust are found, or a proxy's
    variable holds no proxy.
    """
    upstream = _upstream(settings, version)
    if settings.transport == "grpc":
        from sensor.snyk.grpc_client import GrpcDestination  # noqa: PLC0415 - one of both costs memory

        return GrpcDestination(upstream, token, group_id)
    from sensor.snyk.https_client import HttpsDestination  # noqa: PLC0415

    return HttpsDestination(upstream, token, group_id)


def _upstream(settings: UpstreamSettings, version: str) -> Upstream:
    target = target_of(settings)
    key = (target, settings.ca_bundle, version)
    with _lock:
        upstream = _upstreams.get(key)
        if upstream is None:
            upstream = _upstreams[key] = Upstream(target, Trust(settings.ca_bundle), version)
            if not target.tls:
                log.warning(
                    "--plaintext: the token and all reports go to %s for everybody on the way to read",
                    target.described,
                )
        return upstream
