"""The gRPC channel to one upstream, which all its destinations share.

Most of what a channel costs is its copy of the trusted authorities, 1.3 MiB: one for each of up to 64 groups
would be more than the agent may use in all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sensor.config.texts import SettingsError
from sensor.deferred_imports import UNUSED, deferred
from sensor.delivery.destination import Temporary
from sensor.snyk.target import Target
from sensor.snyk.trust import Trust

if TYPE_CHECKING:
    import grpc

MAX_REQUEST_BYTES = 4 << 20
_MAX_RESPONSE_BYTES = 1 << 20
# https://github.com/grpc/grpc/blob/master/include/grpc/impl/channel_arg_names.h
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_receive_message_length", _MAX_RESPONSE_BYTES),
    # Further tries are the uploader's, who knows when.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # Load balancers and NAT forget idle connections silently after 350 s or so: ours ends before.
    ("grpc.client_idle_timeout_ms", 240_000),
    # No pings at all: servers hang up on more than one in five minutes, no call of ours lasts that long, and
    # a connection that died in between is found by the deadline of the call.
    ("grpc.http2.bdp_probe", 0),
    # A channel that is made anew connects anew, without the back-off of the one before.
    ("grpc.use_local_subchannel_pool", 1),
)

Report = Callable[..., Any]


@dataclass(slots=True)
class _Open:
    channel: grpc.Channel
    report: Report
    trust_version: int
    users: int = 0
    retired: bool = False


class SharedChannel:
    """Any thread may use it. gRPC is loaded, and its threads are started, with the first call."""

    def __init__(self, target: Target, trust: Trust, user_agent: str) -> None:
        self._target = target
        self._trust = trust
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._current: _Open | None = None
        self._holders = 0

    @contextmanager
    def report(self) -> Iterator[Report]:
        """The method Report of a channel that is open, connected or about to. It takes and gives bytes.

        Raises :class:`Temporary` where the system's authorities have gone and no others are named.
        """
        version = self._trust.version
        with self._lock:
            if self._current is None or self._current.trust_version != version:
                self._retire()
                self._current = self._opened(version)
            current = self._current
            current.users += 1
        try:
            yield current.report
        finally:
            with self._lock:
                current.users -= 1
                self._close_if_done(current)

    def renew(self, report: Report) -> None:
        """Whoever calls next connects anew, because ``report`` failed for its connection: gRPC itself would
        wait for up to two minutes, on top of our own back-off, and try for ever in between."""
        with self._lock:
            if self._current is not None and self._current.report is report:
                self._retire()

    def hold(self) -> None:
        """Counts who needs the channel, see :meth:`release`."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """The last who needed it closes it."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._retire()

    def _retire(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.retired = True
            self._close_if_done(current)

    def _close_if_done(self, current: _Open) -> None:
        """Others may be in the middle of a call, which closing would cut."""
        if current.retired and current.users == 0:
            current.channel.close()

    def _opened(self, trust_version: int) -> _Open:
        try:
            return self._open(trust_version)
        except SettingsError as error:
            problem = str(error)
        raise Temporary(f"cannot deliver to {self._target.described}: {problem}", reason="no_authorities")

    def _open(self, trust_version: int) -> _Open:
        grpc = load_grpc()
        with deferred(*UNUSED):
            from sensor.snyk.proto.v1 import reports_pb2 as wire  # noqa: PLC0415 - late, as gRPC is

        method = wire.DESCRIPTOR.services_by_name["RuntimeReports"].methods_by_name["Report"]
        options = (*_OPTIONS, ("grpc.primary_user_agent", self._user_agent), *_proxy_options(self._target))
        address = f"dns:///{self._target.address}"
        if self._target.tls:
            credentials = grpc.ssl_channel_credentials(self._trust.pem())
            channel = grpc.secure_channel(address, credentials, options, grpc.Compression.Gzip)
        else:
            channel = grpc.insecure_channel(address, options, grpc.Compression.Gzip)
        report = channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")
        return _Open(channel, report, trust_version)


def _proxy_options(target: Target) -> list[tuple[str, Any]]:
    """The proxy's password goes as a header, because gRPC reads addresses with ``@`` in it wrongly."""
    if target.proxy is None:
        return [("grpc.enable_http_proxy", 0)]
    options: list[tuple[str, Any]] = [("grpc.http_proxy", f"http://{target.proxy.address}")]
    if target.proxy.authorization:
        options.append(("grpc.http_connect_headers", f"Proxy-Authorization:{target.proxy.authorization}"))
    return options


def load_grpc() -> Any:
    """Import gRPC: 10 MiB, which an agent without it does not spend.

    Its core reads these variables once, when it is loaded. It would write to standard error by itself, with
    GRPC_TRACE every header and so the token; and it would prefer ``no_grpc_proxy`` to our rules.
    """
    os.environ["GRPC_VERBOSITY"] = "NONE"
    os.environ.pop("GRPC_TRACE", None)
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    os.environ["no_grpc_proxy"] = ""  # noqa: SIM112 - its name is in lower case
    with deferred(*UNUSED):
        import grpc  # noqa: PLC0415 - see above

    return grpc
