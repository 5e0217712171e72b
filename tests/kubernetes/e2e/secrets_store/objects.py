"""What the driver's chart makes in a cluster: the kind SecretProviderClass, and the driver's CSIDriver."""

from __future__ import annotations

import time

from tests.clock import PATIENCE
from tests.cluster.client import ApiError, Client, Json

DRIVER = "secrets-store.csi.k8s.io"
GROUP = "secrets-store.csi.x-k8s.io"
_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "object", "additionalProperties": _TEXT}


def install(admin: Client) -> None:
    """Returns when the API server serves the kind. Raises ApiError."""
    for thing in (_definition(), _csi_driver()):
        try:
            admin.create(thing)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    deadline = time.monotonic() + PATIENCE
    while admin.status_of(f"/apis/{GROUP}/v1/secretproviderclasses") != 200:
        assert time.monotonic() < deadline, "the API server does not serve secretproviderclasses"
        time.sleep(0.1)


def remove(admin: Client) -> None:
    """With all that is of the kind. Raises ApiError."""
    for thing in (_definition(), _csi_driver()):
        try:
            admin.delete(thing)
        except ApiError as error:
            if error.status != 404:
                raise


def _definition() -> Json:
    """With the fields that the driver publishes for v1: the API server drops all others."""
    data = _object({"key": _TEXT, "objectName": _TEXT})
    made = _object(
        {"secretName": _TEXT, "type": _TEXT, "labels": _TEXTS, "annotations": _TEXTS, "data": _list(data)}
    )
    spec = _object({"provider": _TEXT, "parameters": _TEXTS, "secretObjects": _list(made)})
    status = _object({"byPod": _list(_object({"id": _TEXT, "namespace": _TEXT}))})
    schema = _object({"apiVersion": _TEXT, "kind": _TEXT, "metadata": {"type": "object"}})
    schema["properties"] |= {"spec": spec, "status": status}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "SecretProviderClass", "plural": "secretproviderclasses"}
    names |= {"singular": "secretproviderclass", "listKind": "SecretProviderClassList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"secretproviderclasses.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _csi_driver() -> Json:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"podInfoOnMount": True, "attachRequired": False, "volumeLifecycleModes": ["Ephemeral"]},
    }


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}
