"""What a kubelet says to its container runtime: CRI v1 over gRPC, on one channel for all threads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from tests.cluster.cri_proto import api_pb2 as api
from tests.cluster.cri_proto import api_pb2_grpc as api_grpc
from tests.ground.problem import GroundError

_TIMEOUT = 120.0
# The socket goes away and comes back in tests: no wait of seconds for the channel to notice.
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
)


class CriError(GroundError):
    """The runtime refused; ``code`` is that of gRPC."""

    def __init__(self, call: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{call}: {code.name}: {details}")
        self.code = code


class CriClient:
    """Safe to be used from many threads at once. Every call raises CriError."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.insecure_channel(f"unix:{socket}", options=_OPTIONS)
        self._runtime = api_grpc.RuntimeServiceStub(self._channel)
        self._images = api_grpc.ImageServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def version(self, timeout: float = 1) -> str:
        """Name and version of the runtime."""
        answer = _call(self._runtime.Version, api.VersionRequest(), timeout)
        return f"{answer.runtime_name} {answer.runtime_version}"

    def run_sandbox(self, config: api.PodSandboxConfig, handler: str = "") -> str:
        """Starts a pod's sandbox and returns its id; without ``handler`` by the default runtime."""
        request = api.RunPodSandboxRequest(config=config, runtime_handler=handler)
        answer = _call(self._runtime.RunPodSandbox, request)
        return str(answer.pod_sandbox_id)

    def stop_sandbox(self, sandbox: str) -> None:
        """Ends the sandbox and its containers; one that is gone already is no error."""
        _call(self._runtime.StopPodSandbox, api.StopPodSandboxRequest(pod_sandbox_id=sandbox))

    def remove_sandbox(self, sandbox: str) -> None:
        _call(self._runtime.RemovePodSandbox, api.RemovePodSandboxRequest(pod_sandbox_id=sandbox))

    def create(self, sandbox: str, config: api.ContainerConfig, sandbox_config: api.PodSandboxConfig) -> str:
        """Makes a container and returns its id; ``start`` runs it."""
        request = api.CreateContainerRequest(
            pod_sandbox_id=sandbox, config=config, sandbox_config=sandbox_config
        )
        return str(_call(self._runtime.CreateContainer, request).container_id)

    def start(self, container: str) -> None:
        _call(self._runtime.StartContainer, api.StartContainerRequest(container_id=container))

    def stop(self, container: str, grace: int = 0) -> None:
        """Sends SIGTERM, and SIGKILL after ``grace`` seconds."""
        _call(self._runtime.StopContainer, api.StopContainerRequest(container_id=container, timeout=grace))

    def remove(self, container: str) -> None:
        _call(self._runtime.RemoveContainer, api.RemoveContainerRequest(container_id=container))

    def status(self, container: str) -> api.ContainerStatus:
        request = api.ContainerStatusRequest(container_id=container)
        answer: api.ContainerStatusResponse = _call(self._runtime.ContainerStatus, request)
        return answer.status

    def pid(self, container: str) -> int:
        """First process of a container, as the runtime's verbose status tells it; 0 when it has ended."""
        request = api.ContainerStatusRequest(container_id=container, verbose=True)
        return _pid(_call(self._runtime.ContainerStatus, request).info)

    def sandbox_status(self, sandbox: str) -> api.PodSandboxStatus:
        request = api.PodSandboxStatusRequest(pod_sandbox_id=sandbox)
        answer: api.PodSandboxStatusResponse = _call(self._runtime.PodSandboxStatus, request)
        return answer.status

    def sandbox_pid(self, sandbox: str) -> int:
        """Process of the sandbox's pause program."""
        request = api.PodSandboxStatusRequest(pod_sandbox_id=sandbox, verbose=True)
        return _pid(_call(self._runtime.PodSandboxStatus, request).info)

    def containers(self) -> list[api.Container]:
        return list(_call(self._runtime.ListContainers, api.ListContainersRequest()).containers)

    def sandboxes(self) -> list[api.PodSandbox]:
        return list(_call(self._runtime.ListPodSandbox, api.ListPodSandboxRequest()).items)

    def image(self, name: str) -> api.Image | None:
        """What the runtime knows of the image ``name`` (or id), None when it has none."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=name))
        answer = _call(self._images.ImageStatus, request)
        return answer.image if answer.HasField("image") else None


def _call(method: Callable[..., Any], request: Any, timeout: float = _TIMEOUT) -> Any:
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        name = type(request).__name__.removesuffix("Request")
        raise CriError(name, error.code(), error.details() or "no reason given") from None


def _pid(info: Any) -> int:
    return int(json.loads(info["info"]).get("pid", 0))
