"""A gRPC channel to one Unix socket, and the methods of the Container Runtime Interface that we call.

Every call and message is bounded. Answers are decoded here and not by gRPC, so that one that cannot be
decoded is an error of its own and does not end a stream. Importing this module costs some 12 MiB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, TypeVar

from sensor.deferred_imports import UNUSED, deferred
from sensor.node.identify.cri.counters import CriCounters

with deferred(*UNUSED):
    from google.protobuf.message import DecodeError, Message

    from sensor.node.identify.cri.proto import cri_pb2 as cri

MAX_ANSWER_BYTES = 16 << 20
"""As in kubelet (``maxMsgSize`` of its CRI client): with a list that it cannot read no node works."""

VERSIONS = ("v1", "v1alpha2")
"""Packages of the interface. The older one, all that containerd has before 1.6 and CRI-O before 1.20, is the
same on the wire in all that we use."""

UNDECODABLE = "undecodable"
_DETAIL_LENGTH = 200

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.http2.bdp_probe", 0),
    # A channel that is made anew connects anew, without the back-off of the one before.
    ("grpc.use_local_subchannel_pool", 1),
    # gRPC would send the socket's path, percent-encoded, which some servers refuse as a host's name.
    ("grpc.default_authority", "localhost"),
    ("grpc.primary_user_agent", "runtime-sensor"),
)

A = TypeVar("A", bound=Message)


class CriError(Exception):
    """A call without an answer. ``code`` is gRPC's status in lower case, or :data:`UNDECODABLE`."""

    def __init__(self, code: str, detail: str = "") -> None:
        detail = (detail if detail.isprintable() else ascii(detail)[1:-1])[:_DETAIL_LENGTH]
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class Channel:
    """To the socket at ``address`` (``unix:…``). Thread-safe. Timeouts: seconds. Methods raise CriError."""

    def __init__(self, address: str, counters: CriCounters) -> None:
        self._grpc = _load_grpc()
        self._channel = self._grpc.insecure_channel(address, _OPTIONS)
        self._counters = counters
        self._version = VERSIONS[0]

    def version(self, timeout: float) -> cri.VersionResponse:
        """Return who answers. Settles which version of the interface is spoken: call it first."""
        for version in VERSIONS:
            self._version = version
            try:
                return self._call(
                    "Version", cri.VersionRequest(version=version), cri.VersionResponse, timeout
                )
            except CriError as error:
                if error.code != "unimplemented" or version == VERSIONS[-1]:
                    raise
        raise AssertionError

    def containers(self, timeout: float, container_id: str = "") -> cri.ListContainersResponse:
        """Return all containers, or the one of this id, running or not."""
        request = cri.ListContainersRequest()
        if container_id:
            request.filter.id = container_id
        return self._call("ListContainers", request, cri.ListContainersResponse, timeout)

    def sandboxes(self, timeout: float, sandbox_id: str = "") -> cri.ListPodSandboxResponse:
        """Return all pods' sandboxes, or the one of this id, ready or not."""
        request = cri.ListPodSandboxRequest()
        if sandbox_id:
            request.filter.id = sandbox_id
        return self._call("ListPodSandbox", request, cri.ListPodSandboxResponse, timeout)

    def image(self, timeout: float, name: str) -> cri.Image:
        """Return the image of an id or a name; empty if there is none."""
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=name))
        return self._call("ImageStatus", request, cri.ImageStatusResponse, timeout, "ImageService").image

    def events(self) -> EventCall:
        """Open the stream of what happens to containers."""
        path = f"/runtime.{self._version}.RuntimeService/GetContainerEvents"
        stream = self._channel.unary_stream(path)
        request = cri.GetEventsRequest().SerializeToString()
        try:
            return EventCall(self._grpc, stream(request), self._counters)
        except ValueError:
            raise _closed() from None

    def close(self) -> None:
        """Calls under way end with an error."""
        self._channel.close()

    def _call(
        self, method: str, request: Message, answer: type[A], timeout: float, service: str = "RuntimeService"
    ) -> A:
        send = self._channel.unary_unary(f"/runtime.{self._version}.{service}/{method}")
        try:
            content: bytes = send(request.SerializeToString(), timeout=timeout)
            decoded = answer.FromString(content)
        except self._grpc.RpcError as error:
            failure = _error(error)
        except ValueError:  # of a closed channel
            failure = _closed()
        except DecodeError as error:
            failure = CriError(UNDECODABLE, str(error))
        else:
            self._counters.called(method, "ok")
            return decoded
        self._counters.called(method, failure.code)
        raise failure


class EventCall:
    """An open stream of events. :meth:`cancel` ends it from any thread."""

    def __init__(self, grpc_module: Any, call: Any, counters: CriCounters) -> None:
        self._grpc = grpc_module
        self._call = call
        self._counters = counters

    def __iter__(self) -> Iterator[cri.ContainerEventResponse]:
        """Yield events until the other side ends the stream. Raises CriError."""
        try:
            for content in self._call:
                try:
                    event = cri.ContainerEventResponse.FromString(content)
                except DecodeError:
                    self._counters.add("events_unusable")
                    continue
                self._counters.add("events")
                yield event
        except self._grpc.RpcError as error:
            failure = _error(error)
            self._counters.called("GetContainerEvents", failure.code)
            raise failure from None
        self._counters.called("GetContainerEvents", "ok")

    def cancel(self) -> None:
        self._call.cancel()


def _error(error: Any) -> CriError:
    return CriError(error.code().name.lower(), error.details() or "")


def _closed() -> CriError:
    return CriError("cancelled", "the connection was closed")


def _load_grpc() -> Any:
    """Import gRPC. Its core reads these variables once, and would write to standard error by itself."""
    os.environ["GRPC_VERBOSITY"] = "NONE"
    os.environ.pop("GRPC_TRACE", None)
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    with deferred(*UNUSED):
        import grpc  # noqa: PLC0415 - after the variables

    return grpc
