"""A container runtime for tests: a real gRPC server on a Unix socket, which misbehaves on demand."""

from __future__ import annotations

import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from tests.cluster.cri_proto import api_pb2 as api

DIGEST = "sha256:" + "d" * 64
IMAGE_ID = "sha256:" + "1" * 64
UID = "6f1f3c52-77e5-4d3f-9b1c-5a1f5a0e9c11"

_END = object()


def hex_id(number: int) -> str:
    return f"{number:064x}"


class CriServer:
    """``with CriServer(path) as server``: answers from ``containers``, ``sandboxes`` and ``images``, by id.

    By method: ``answers`` are bytes to send instead, ``failures`` statuses, ``delays`` events to wait for.
    ``events`` is ``stream``, ``none`` (Unimplemented) or ``off`` (ends at once, as in CRI-O).
    """

    def __init__(
        self,
        path: Path,
        name: str = "containerd",
        version: str = "v2.1.0",
        *,
        package: str = "v1",
        events: str = "stream",
    ) -> None:
        self.path = path
        self.name, self.version, self.package, self.events = name, version, package, events
        self.containers: dict[str, api.Container] = {}
        self.sandboxes: dict[str, api.PodSandbox] = {}
        self.images: dict[str, api.Image] = {}
        self.answers: dict[str, bytes] = {}
        self.failures: dict[str, grpc.StatusCode] = {}
        self.delays: dict[str, threading.Event] = {}
        self.calls: Counter[str] = Counter()
        self._streams: list[queue.Queue[Any]] = []
        self._server: Any = None
        self._folder = -1

    def pod(self, number: int, labels: dict[str, str] | None = None, **container: Any) -> str:
        """A pod with one running container as a kubelet makes it. Returns the container's id."""
        sandbox, one = hex_id(1_000_000 + number), hex_id(number)
        told = {
            "io.kubernetes.pod.name": f"web-{number}",
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.pod.uid": UID,
        }
        self.sandboxes[sandbox] = api.PodSandbox(
            id=sandbox,
            metadata=api.PodSandboxMetadata(name=f"web-{number}", uid=UID, namespace="shop"),
            labels=(labels or {"app": "web"}) | told,
        )
        fields: dict[str, Any] = {
            "image": api.ImageSpec(image=IMAGE_ID, user_specified_image="registry.example/shop/web:1.2"),
            "image_ref": IMAGE_ID,
            "state": api.CONTAINER_RUNNING,
        }
        self.containers[one] = api.Container(
            id=one,
            pod_sandbox_id=sandbox,
            metadata=api.ContainerMetadata(name="web"),
            created_at=1_700_000_000_500_000_000,
            labels=told,
            **(fields | container),
        )
        self.images.setdefault(
            IMAGE_ID,
            api.Image(
                id=IMAGE_ID,
                repo_tags=["mirror.example/web:1.2", "registry.example/shop/web:1.2"],
                repo_digests=[f"mirror.example/web@sha256:{'e' * 64}", f"registry.example/shop/web@{DIGEST}"],
            ),
        )
        return one

    def event(self, container_id: str, kind: api.ContainerEventType.ValueType) -> api.ContainerEventResponse:
        """What the runtime tells when a container of :meth:`pod` changes."""
        told = self.containers[container_id]
        sandbox = self.sandboxes[told.pod_sandbox_id]
        status = api.ContainerStatus(
            id=told.id,
            metadata=told.metadata,
            state=told.state,
            created_at=told.created_at,
            started_at=told.created_at + 10**9,
            image=api.ImageSpec(image="mirror.example/web:1.2"),
            image_ref=f"mirror.example/web@sha256:{'e' * 64}",
            labels=told.labels,
        )
        return api.ContainerEventResponse(
            container_id=container_id,
            container_event_type=kind,
            pod_sandbox_status=api.PodSandboxStatus(
                id=sandbox.id, metadata=sandbox.metadata, labels=sandbox.labels
            ),
            containers_statuses=[status],
        )

    def emit(self, event: api.ContainerEventResponse | bytes) -> None:
        """Send an event to every reader."""
        content = event if isinstance(event, bytes) else event.SerializeToString()
        for stream in list(self._streams):
            stream.put(content)

    @property
    def readers(self) -> int:
        """Open streams of events."""
        return len(self._streams)

    def start(self) -> None:
        options = [("grpc.max_send_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(16), options=options)
        runtime = {
            name: grpc.unary_unary_rpc_method_handler(self._handler(name, answer))
            for name, answer in (
                ("Version", self._version),
                ("ListContainers", self._containers),
                ("ListPodSandbox", self._sandboxes),
            )
        }
        if self.events != "none":
            runtime["GetContainerEvents"] = grpc.unary_stream_rpc_method_handler(self._events)
        image = grpc.unary_unary_rpc_method_handler(self._handler("ImageStatus", self._image))
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(f"runtime.{self.package}.RuntimeService", runtime),
                grpc.method_handlers_generic_handler(
                    f"runtime.{self.package}.ImageService", {"ImageStatus": image}
                ),
            )
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Paths of tests are longer than sun_path.
        self._folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        assert self._server.add_insecure_port(f"unix:/proc/self/fd/{self._folder}/{self.path.name}")
        self._server.start()

    def stop(self) -> None:
        """Hang up, with GOAWAY, and take the socket away."""
        for stream in list(self._streams):
            stream.put(_END)
        for waited in self.delays.values():
            waited.set()
        self._server.stop(0).wait()
        self.path.unlink(missing_ok=True)
        os.close(self._folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _handler(self, method: str, answer: Callable[[bytes], Any]) -> Callable[[bytes, Any], bytes]:
        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls[method] += 1
            if method in self.delays:
                self.delays[method].wait(30)
            if method in self.failures:
                context.abort(self.failures[method], "on demand")
            if method in self.answers:
                return self.answers[method]
            return bytes(answer(request).SerializeToString())

        return handle

    def _version(self, request: bytes) -> Any:
        return api.VersionResponse(version="0.1.0", runtime_name=self.name, runtime_version=self.version)

    def _containers(self, request: bytes) -> Any:
        wanted = api.ListContainersRequest.FromString(request).filter.id
        self.calls["one container" if wanted else "all containers"] += 1
        return api.ListContainersResponse(containers=_chosen(self.containers, wanted))

    def _sandboxes(self, request: bytes) -> Any:
        wanted = api.ListPodSandboxRequest.FromString(request).filter.id
        return api.ListPodSandboxResponse(items=_chosen(self.sandboxes, wanted))

    def _image(self, request: bytes) -> Any:
        name = api.ImageStatusRequest.FromString(request).image.image
        return api.ImageStatusResponse(image=self.images.get(name))

    def _events(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.calls["GetContainerEvents"] += 1
        if self.events == "off":
            return
        stream: queue.Queue[Any] = queue.Queue()
        context.add_callback(lambda: stream.put(_END))
        self._streams.append(stream)
        try:
            while (content := stream.get()) is not _END:
                yield content
        finally:
            self._streams.remove(stream)


def _chosen(by_id: dict[str, Any], wanted: str) -> list[Any]:
    if not wanted:
        return list(by_id.values())
    return [by_id[wanted]] if wanted in by_id else []
