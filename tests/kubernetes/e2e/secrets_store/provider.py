"""AWS's provider: what it makes of a SecretProviderClass' parameters.

github.com/aws/secrets-store-csi-driver-provider-aws, README.md; the errors are in its words, as people meet
them in events. Only what Secrets Manager has is here, one region, and of JMESPath the names of fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.kubernetes.e2e.secrets_store.account import ROLE, Account, Asking, AwsError

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_REGION_LABEL = "topology.kubernetes.io/region"
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ProviderError(Exception):
    """Why nothing is mounted, as the provider says it."""


def files(parameters: Mapping[str, str], account: Account, asking: Asking) -> dict[str, bytes]:
    """Name to content of all files of the volume; all, or ProviderError.

    A secret is mounted whole, and each field that ``jmesPath`` names beside it.
    """
    region = _region(parameters, asking)
    _authenticate(parameters, account, asking, region)
    made: dict[str, bytes] = {}
    for described in _described(parameters.get("objects", "")):
        for name, content in _files(described, account, region):
            if name in made:
                raise ProviderError(f"found duplicate object alias {name}")
            made[name] = content
    return made


def _region(parameters: Mapping[str, str], asking: Asking) -> str:
    region = parameters.get("region") or asking.node_labels.get(_REGION_LABEL, "")
    if not region:
        raise ProviderError("failed to retrieve region from node. error Region not found")
    if parameters.get("failoverRegion") == region:
        raise ProviderError(f"{region}: failover region cannot be the same as the primary region")
    return region


def _authenticate(parameters: Mapping[str, str], account: Account, asking: Asking, region: str) -> None:
    asked = parameters.get("usePodIdentity", "false")
    if asked not in _TRUE + _FALSE:
        wrong = f'strconv.ParseBool: parsing "{asked}": invalid syntax'
        raise ProviderError(f"failed to parse usePodIdentity value, error: {wrong}")
    who = f"service account {asking.service_account} (namespace: {asking.namespace})"
    if asked in _TRUE:
        if f"{asking.namespace}/{asking.service_account}" not in account.associations:
            raise ProviderError(f"{region}: no EKS Pod Identity association found for {who}")
    elif not asking.annotations.get(ROLE):
        raise ProviderError(f"{region}: An IAM role must be associated with {who}")


def _described(objects: str) -> list[Mapping[str, Any]]:
    """The entries of ``objects``, which is YAML in a text."""
    try:
        found = yaml.safe_load(objects)
    except yaml.YAMLError as error:
        raise ProviderError(f"Failed to load SecretProviderClass: {error}") from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ProviderError("Failed to load SecretProviderClass: expected a list of objects")
    return found


def _files(described: Mapping[str, Any], account: Account, region: str) -> Iterator[tuple[str, bytes]]:
    name = described.get("objectName")
    if not name:
        raise ProviderError("Object name must be specified")
    if not (kind := described.get("objectType")):
        raise ProviderError(f"Must use objectType when a full ARN is not specified: {name}")
    if kind != "secretsmanager":
        raise ProviderError(f"Invalid objectType: {kind}")
    try:
        secret = account.secret(name, region)
    except AwsError as error:
        raise ProviderError(f"{region}: Failed fetching secret {name}: {error}") from error
    yield (described.get("objectAlias") or name).replace("/", "_"), secret.encode()
    yield from _fields(described.get("jmesPath") or [], name, secret)


def _fields(entries: list[Mapping[str, str]], name: str, secret: str) -> Iterator[tuple[str, bytes]]:
    if not entries:
        return
    try:
        content = json.loads(secret)
    except ValueError as error:
        raise ProviderError(f"Invalid JSON used with jmesPath in secret: {name}.") from error
    for entry in entries:
        path, alias = entry.get("path", ""), entry.get("objectAlias", "")
        if not path:
            raise ProviderError("Path must be specified for JMES object")
        if not alias:
            raise ProviderError("Object alias must be specified for JMES object")
        if not _FIELD.fullmatch(path):
            raise ProviderError(f"Invalid JMES Path: {path}.")
        value = content.get(path) if isinstance(content, dict) else None
        if value is None:
            raise ProviderError(
                f"JMES Path - {path} for object alias - {alias} does not point to a valid object."
            )
        if not isinstance(value, str):
            raise ProviderError(f"Invalid JMES search result type for path:{path}. Only string is allowed.")
        yield alias, value.encode()
