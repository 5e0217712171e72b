"""The Secrets that the driver makes of mounted files: `secretObjects` of a SecretProviderClass.

Made with the first volume that has them, changed by rotation, gone with the last. The real driver leaves the
going to the garbage collector, by owners; what is seen is the same.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence

from tests.cluster.client import ApiError, Client, Json, path_of

MANAGED = {"secrets-store.csi.k8s.io/managed": "true"}
"""Label of those that are the driver's own."""


def secrets(namespace: str, asked: Sequence[Json], files: Mapping[str, bytes]) -> list[Json]:
    """One for each of ``asked`` (``secretObjects``) whose files are all mounted; the others are told."""
    return [_secret(namespace, each, files) for each in asked if _are_mounted(each, files)]


def _are_mounted(asked: Json, files: Mapping[str, bytes]) -> bool:
    missing = [each["objectName"] for each in asked["data"] if each["objectName"] not in files]
    for name in missing:
        print(f"secrets store: file matching objectName {name} not found in the pod", flush=True)
    return not missing


def _secret(namespace: str, asked: Json, files: Mapping[str, bytes]) -> Json:
    labels = {**asked.get("labels", {}), **MANAGED}
    data = {each["key"]: base64.b64encode(files[each["objectName"]]).decode() for each in asked["data"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": asked["secretName"], "namespace": namespace, "labels": labels},
        "type": asked["type"],
        "data": data,
    }


def make(admin: Client, secret: Json) -> None:
    """Where there is none of this name: one of somebody else is left as it is."""
    try:
        admin.create(secret)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise


def change(admin: Client, secret: Json) -> None:
    """Its content, where it is there."""
    with contextlib.suppress(ApiError):
        admin.patch(path_of(secret), {"data": secret["data"]})


def remove(admin: Client, secret: Json) -> None:
    """Where it is the driver's own."""
    with contextlib.suppress(ApiError):
        if (admin.get(path_of(secret))["metadata"].get("labels") or {}).items() >= MANAGED.items():
            admin.delete(secret)
