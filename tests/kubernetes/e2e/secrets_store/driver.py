"""The driver on the node: its sockets, and what a kubelet asks there.

A kubelet looks for plugins in a folder, asks each its name, and speaks CSI at the address that it was told:
k8s.io/kubernetes, pkg/kubelet/pluginmanager. The driver lives in this process, where the secrets are; on the
node are its sockets and its mounts, which go away with the node.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn

import grpc
from google.protobuf.wrappers_pb2 import BoolValue

from tests.ground.problem import GroundError
from tests.kubernetes.e2e.secrets_store.mounts import MountError, Mounts
from tests.kubernetes.e2e.secrets_store.objects import DRIVER
from tests.kubernetes.e2e.secrets_store.proto import (
    csi_pb2,
    csi_pb2_grpc,
    registration_pb2,
    registration_pb2_grpc,
)
from tests.kubernetes.layout import NODE

_CSI = "/var/lib/kubelet/plugins/csi-secrets-store/csi.sock"
_REGISTRATION = f"/var/lib/kubelet/plugins_registry/{DRIVER}-reg.sock"


@contextmanager
def running(mounts: Mounts) -> Iterator[None]:
    """On the node while it lasts; a kubelet notices within a second or two."""
    server = grpc.server(ThreadPoolExecutor(4, thread_name_prefix="secrets-store"))
    csi_pb2_grpc.add_IdentityServicer_to_server(_Identity(), server)
    csi_pb2_grpc.add_NodeServicer_to_server(_Node(mounts), server)
    registration_pb2_grpc.add_RegistrationServicer_to_server(_Registration(), server)
    sockets = [mounts.on_machine(path) for path in (_CSI, _REGISTRATION)]
    for socket in sockets:
        socket.parent.mkdir(parents=True, exist_ok=True)
        server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield
    finally:
        server.stop(grace=5).wait()
        for socket in sockets:
            socket.unlink(missing_ok=True)


class _Registration(registration_pb2_grpc.RegistrationServicer):
    def GetInfo(
        self, request: registration_pb2.InfoRequest, context: grpc.ServicerContext
    ) -> registration_pb2.PluginInfo:
        return registration_pb2.PluginInfo(
            type="CSIPlugin", name=DRIVER, endpoint=_CSI, supported_versions=["1.0.0"]
        )

    def NotifyRegistrationStatus(
        self, request: registration_pb2.RegistrationStatus, context: grpc.ServicerContext
    ) -> registration_pb2.RegistrationStatusResponse:
        if not request.plugin_registered:
            print(f"secrets store: the kubelet does not take the driver: {request.error}", flush=True)
        return registration_pb2.RegistrationStatusResponse()


class _Identity(csi_pb2_grpc.IdentityServicer):
    def GetPluginInfo(
        self, request: csi_pb2.GetPluginInfoRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetPluginInfoResponse:
        return csi_pb2.GetPluginInfoResponse(name=DRIVER, vendor_version="0.0.0")

    def GetPluginCapabilities(
        self, request: csi_pb2.GetPluginCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.GetPluginCapabilitiesResponse:
        return csi_pb2.GetPluginCapabilitiesResponse()

    def Probe(self, request: csi_pb2.ProbeRequest, context: grpc.ServicerContext) -> csi_pb2.ProbeResponse:
        return csi_pb2.ProbeResponse(ready=BoolValue(value=True))


class _Node(csi_pb2_grpc.NodeServicer):
    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts

    def NodeGetInfo(
        self, request: csi_pb2.NodeGetInfoRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetInfoResponse:
        return csi_pb2.NodeGetInfoResponse(node_id=NODE)

    def NodeGetCapabilities(
        self, request: csi_pb2.NodeGetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeGetCapabilitiesResponse:
        return csi_pb2.NodeGetCapabilitiesResponse()

    def NodePublishVolume(
        self, request: csi_pb2.NodePublishVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodePublishVolumeResponse:
        if not request.readonly:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Readonly is not true in request")
        try:
            self._mounts.mount(request.target_path, dict(request.volume_context))
        except (MountError, GroundError, OSError) as error:
            _fail(context, str(error))
        return csi_pb2.NodePublishVolumeResponse()

    def NodeUnpublishVolume(
        self, request: csi_pb2.NodeUnpublishVolumeRequest, context: grpc.ServicerContext
    ) -> csi_pb2.NodeUnpublishVolumeResponse:
        try:
            self._mounts.unmount(request.target_path)
        except (GroundError, OSError) as error:
            _fail(context, str(error))
        return csi_pb2.NodeUnpublishVolumeResponse()


def _fail(context: grpc.ServicerContext, text: str) -> NoReturn:
    """As Go's gRPC answers for an error without a code."""
    context.abort(grpc.StatusCode.UNKNOWN, text)
