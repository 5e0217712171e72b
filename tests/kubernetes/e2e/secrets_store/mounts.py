"""The volumes of pods: what the driver does when it is asked for one, and at each rotation.

sigs.k8s.io/secrets-store-csi-driver, pkg/secrets-store/nodeserver.go and pkg/rotation. Its errors are in its
words, as the kubelet puts them into the events of pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tests.cluster.client import ApiError, Client, Json
from tests.ground.problem import run
from tests.kubernetes.e2e.secrets_store import provider, synced, volume
from tests.kubernetes.e2e.secrets_store.account import Account, Asking
from tests.kubernetes.e2e.secrets_store.objects import GROUP
from tests.kubernetes.layout import NODE
from tests.kubernetes.machine import Machine

_POD = "csi.storage.k8s.io"


class MountError(Exception):
    """Why a volume cannot be had, as the kubelet is told."""


@dataclass(frozen=True, slots=True)
class _Mounted:
    """``target`` is its path on the node, ``context`` what the kubelet said of the pod and of the volume."""

    target: str
    context: Mapping[str, str]
    secrets: tuple[Json, ...]


class Mounts:
    """Of one node. Safe to be used by many threads."""

    def __init__(self, machine: Machine, admin: Client, account: Account) -> None:
        self._machine = machine
        self._admin = admin
        self._account = account
        self._lock = Lock()
        self._mounted: dict[str, _Mounted] = {}

    def on_machine(self, path: str) -> Path:
        """How a path of the node is reached from here, its mounts included."""
        return Path(f"/proc/{self._machine.holder.pid}/root{path}")

    def mount(self, target: str, context: Mapping[str, str]) -> None:
        """A volume at ``target``; nothing where there is one. Raises MountError, GroundError, OSError."""
        with self._lock:
            if target in self._mounted:
                return
            files, asked = self._content(context)
            folder = self.on_machine(target)
            folder.mkdir(exist_ok=True)
            run(self._machine.inside(["mount", "-t", "tmpfs", "tmpfs", target]))
            volume.write(folder, files)
            made = synced.secrets(context[f"{_POD}/pod.namespace"], asked, files)
            for secret in made:
                synced.make(self._admin, secret)
            self._mounted[target] = _Mounted(target, context, tuple(made))

    def unmount(self, target: str) -> None:
        """Also what is not there, as the kubelet asks until it is answered. Raises GroundError, OSError."""
        with self._lock:
            mounted = self._mounted.pop(target, None)
            folder = self.on_machine(target)
            if mounted is not None:
                run(self._machine.inside(["umount", target]))
            if folder.is_dir():
                folder.rmdir()
            for secret in mounted.secrets if mounted else ():
                if not self._has(secret):
                    synced.remove(self._admin, secret)

    def rotate(self) -> None:
        """Every volume as AWS has it now, and its Secrets. Raises MountError at the first that fails."""
        with self._lock:
            for mounted in self._mounted.values():
                files, asked = self._content(mounted.context)
                volume.write(self.on_machine(mounted.target), files)
                for secret in synced.secrets(mounted.context[f"{_POD}/pod.namespace"], asked, files):
                    synced.change(self._admin, secret)

    def _has(self, secret: Json) -> bool:
        names = [each["metadata"] for mounted in self._mounted.values() for each in mounted.secrets]
        return secret["metadata"] in names

    def _content(self, context: Mapping[str, str]) -> tuple[dict[str, bytes], list[Json]]:
        """The files of a volume, and what Secrets are asked for."""
        namespace, pod = context[f"{_POD}/pod.namespace"], context[f"{_POD}/pod.name"]
        name = context.get("secretProviderClass")
        if not name:
            raise MountError("secretProviderClass is not set")
        try:
            path = f"/apis/{GROUP}/v1/namespaces/{namespace}/secretproviderclasses/{name}"
            spec = self._admin.get(path)["spec"]
            asking = self._asking(namespace, context[f"{_POD}/serviceAccount.name"])
        except ApiError as error:
            raise MountError(
                f"failed to get secretproviderclass {namespace}/{name}, error: {error}"
            ) from error
        if spec.get("provider") != "aws":
            raise MountError(f"provider not found: provider {spec.get('provider')!r}")
        try:
            return provider.files(spec["parameters"], self._account, asking), spec.get("secretObjects", [])
        except provider.ProviderError as error:
            raise MountError(
                f"failed to mount secrets store objects for pod {namespace}/{pod}, "
                f"err: rpc error: code = Unknown desc = {error}"
            ) from error

    def _asking(self, namespace: str, account: str) -> Asking:
        found = self._admin.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
        node = self._admin.get(f"/api/v1/nodes/{NODE}")
        annotations = found["metadata"].get("annotations", {})
        return Asking(namespace, account, annotations, node["metadata"]["labels"])
