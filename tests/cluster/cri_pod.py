"""Pods as a kubelet (1.30) asks its container runtime for them.

Labels and annotations are those of kubelet's ``kuberuntime/labels.go``. The pods are in the machine's
network, so that no network plug-in is needed; all else of a sandbox is real.
"""

from __future__ import annotations

import hashlib
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.cgroups import Driver, Qos, pod_parent
from tests.cluster.cri_proto import api_pb2 as api
from tests.cluster.images import LocalImage

IMPORTED = "imported"
_POD = "io.kubernetes.pod"
_CONTAINER = "io.kubernetes.container"
_CONFIG = "kubernetes.io/config"
# Kubelet: cm/helpers_linux.go (MinShares) and qos/policy.go; a request of 0.1 CPUs stands for all others.
_SHARES = {Qos.GUARANTEED: 102, Qos.BURSTABLE: 102, Qos.BESTEFFORT: 2}
_OOM = {Qos.GUARANTEED: -997, Qos.BURSTABLE: 999, Qos.BESTEFFORT: 1000}
_MACHINE = ("/usr",)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """``command`` and ``args`` take the place of the image's ENTRYPOINT and CMD where they are given.

    ``mounts`` are folders of this machine by their path in the container, read-only. ``is_sidecar`` is for
    init containers: one that is started, and not waited for (restartPolicy Always). ``target`` is for
    ephemeral containers: the one whose processes it sees (targetContainerName).
    """

    name: str
    image: LocalImage
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    is_sidecar: bool = False
    target: str | None = None


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod as it has come to a kubelet; see ``static_uid`` for one out of a file."""

    name: str
    containers: tuple[ContainerSpec, ...]
    namespace: str = "default"
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    init_containers: tuple[ContainerSpec, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    qos: Qos = Qos.BURSTABLE
    driver: Driver = Driver.CGROUPFS
    is_static: bool = False

    @property
    def cgroup_parent(self) -> str:
        return pod_parent(self.uid, self.qos, self.driver)


def static_uid(manifest: str) -> str:
    """The uid that a kubelet gives a static pod: 32 hexadecimal digits (``config/common.go``)."""
    return hashlib.md5(manifest.encode(), usedforsecurity=False).hexdigest()


def importing(*modules: str, seconds: float | None = None) -> tuple[str, ...]:
    """A command that imports ``modules``, says IMPORTED, and lives for ``seconds``, or until it is ended."""
    stay = "signal.pause()" if seconds is None else f"time.sleep({seconds})"
    end = "signal.signal(signal.SIGTERM, lambda *_: sys.exit())"
    imports = ", ".join(["signal", "sys", "time", *modules])
    return ("python3", "-c", f"import {imports}; {end}; print({IMPORTED!r}, flush=True); {stay}")


def sandbox_config(spec: PodSpec, logs: Path) -> api.PodSandboxConfig:
    """``generatePodSandboxConfig`` of a kubelet; ``logs`` is the folder of the pod's logs."""
    source = "file" if spec.is_static else "api"
    annotations = {f"{_CONFIG}.seen": _now(), f"{_CONFIG}.source": source, **spec.annotations}
    if spec.is_static:
        annotations[f"{_CONFIG}.hash"] = spec.uid
    return api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(name=spec.name, uid=spec.uid, namespace=spec.namespace, attempt=0),
        log_directory=str(logs),
        dns_config=api.DNSConfig(),
        labels={**spec.labels, **_pod_labels(spec)},
        annotations=annotations,
        linux=api.LinuxPodSandboxConfig(
            cgroup_parent=spec.cgroup_parent,
            security_context=api.LinuxSandboxSecurityContext(
                namespace_options=_namespaces(),
                seccomp=api.SecurityProfile(profile_type=api.SecurityProfile.RuntimeDefault),
            ),
        ),
    )


def container_config(
    spec: PodSpec, container: ContainerSpec, restarts: int, target_id: str = ""
) -> api.ContainerConfig:
    """``generateContainerConfig`` of a kubelet.

    ``restarts`` is the restart count, ``target_id`` the id of the container's ``target``.
    """
    mounts = {path: Path(path) for path in _MACHINE if container.image.needs_machine}
    return api.ContainerConfig(
        metadata=api.ContainerMetadata(name=container.name, attempt=restarts),
        # The id, for which a kubelet has asked before; the name is beside it since Kubernetes 1.28.
        image=api.ImageSpec(image=container.image.config_digest, user_specified_image=container.image.name),
        command=container.command,
        args=container.args,
        envs=[api.KeyValue(key=key, value=value) for key, value in _environment(container).items()],
        mounts=[
            api.Mount(container_path=path, host_path=str(source), readonly=True)
            for path, source in (mounts | dict(container.mounts)).items()
        ],
        labels={**_pod_labels(spec), f"{_CONTAINER}.name": container.name},
        annotations=_container_annotations(container, restarts),
        log_path=f"{container.name}/{restarts}.log",
        linux=api.LinuxContainerConfig(
            resources=api.LinuxContainerResources(cpu_shares=_SHARES[spec.qos], oom_score_adj=_OOM[spec.qos]),
            security_context=api.LinuxContainerSecurityContext(namespace_options=_namespaces(target_id)),
        ),
    )


def _container_annotations(container: ContainerSpec, restarts: int) -> dict[str, str]:
    return {
        f"{_CONTAINER}.hash": f"{zlib.crc32(repr(container).encode()):x}",
        f"{_CONTAINER}.restartCount": str(restarts),
        f"{_CONTAINER}.terminationMessagePath": "/dev/termination-log",
        f"{_CONTAINER}.terminationMessagePolicy": "File",
        f"{_POD}.terminationGracePeriod": "30",
    }


def _environment(container: ContainerSpec) -> dict[str, str]:
    service = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    return {**service, **container.env}


def _namespaces(target_id: str = "") -> api.NamespaceOption:
    pid = api.TARGET if target_id else api.CONTAINER
    return api.NamespaceOption(network=api.NODE, pid=pid, ipc=api.POD, target_id=target_id)


def _pod_labels(spec: PodSpec) -> dict[str, str]:
    return {f"{_POD}.name": spec.name, f"{_POD}.namespace": spec.namespace, f"{_POD}.uid": spec.uid}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime())
