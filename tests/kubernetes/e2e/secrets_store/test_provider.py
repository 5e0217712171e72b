"""AWS's provider says what it says to people, of what the chart really asks it for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.charts import rendered
from tests.charts.manifests import of_kind
from tests.kubernetes.e2e.secrets_store.account import ROLE, Account, Asking
from tests.kubernetes.e2e.secrets_store.provider import ProviderError, files

_NAME = "snyk-runtime-sensor-secret"
_LABELS = {"topology.kubernetes.io/region": "eu-west-1"}
_ASKING = Asking("ns", "runtime-sensor", {ROLE: "arn:aws:iam::1:role/a"}, _LABELS)
_WHOLE = json.dumps({"snykToken": "t", "groupsScopes": "[]"})


def _parameters(name: str) -> dict[str, str]:
    (found,) = of_kind(rendered.manifests(name), "SecretProviderClass")
    parameters: dict[str, str] = found["spec"]["parameters"]
    return parameters


def test_the_secret_is_mounted_whole_and_by_the_keys_that_are_asked_for() -> None:
    alone = json.dumps({"snykToken": "t"})
    assert files(_parameters("seed's AWS"), Account({_NAME: alone}), _ASKING) == {
        _NAME: alone.encode(),
        "snykToken": b"t",
    }
    whole = files(_parameters("AWS with groupsScopes"), Account({_NAME: _WHOLE}), _ASKING)
    assert whole.keys() == {_NAME, "snykToken", "groupsScopes"}


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ('{"snyktoken": "t"}', "JMES Path - snykToken for object alias - snykToken does not point"),
        ('{"snykToken": "t"}', "JMES Path - groupsScopes for object alias - groupsScopes does not point"),
        ('{"snykToken": "t", "groupsScopes": []}', "path:groupsScopes. Only string is allowed"),
        ("t", f"Invalid JSON used with jmesPath in secret: {_NAME}"),
        (None, f"eu-west-1: Failed fetching secret {_NAME}: ResourceNotFoundException"),
    ],
)
def test_a_key_that_is_asked_for_and_missing_keeps_all_from_being_mounted(
    secret: str | None, said: str
) -> None:
    account = Account({_NAME: secret} if secret else {})
    with pytest.raises(ProviderError, match=said):
        files(_parameters("AWS with groupsScopes"), account, _ASKING)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "failed to retrieve region from node"),
        ({"region": "eu-west-1", "failoverRegion": "eu-west-1"}, "failover region cannot be the same"),
        ({"region": "eu-central-1"}, "eu-central-1: Failed fetching secret"),
        ({"region": "eu-west-1", "usePodIdentity": "yes"}, "failed to parse usePodIdentity value"),
        ({"region": "eu-west-1", "objects": "- objectName: a"}, "Must use objectType"),
        ({"region": "eu-west-1", "objects": "no list"}, "Failed to load SecretProviderClass"),
    ],
)
def test_wrong_parameters_are_named(parameters: Mapping[str, str], said: str) -> None:
    asked = {**_parameters("seed's AWS"), **parameters}
    with pytest.raises(ProviderError, match=said):
        files(asked, Account({_NAME: _WHOLE}), replace(_ASKING, node_labels={}))


def test_the_role_is_the_annotations_or_that_of_pod_identity() -> None:
    account, nobody = Account({_NAME: _WHOLE}), replace(_ASKING, annotations={})
    with pytest.raises(ProviderError, match="An IAM role must be associated with service account runtime-"):
        files(_parameters("seed's AWS"), account, nobody)
    by_identity = {**_parameters("seed's AWS"), "usePodIdentity": "true"}
    with pytest.raises(ProviderError, match="no EKS Pod Identity association found"):
        files(by_identity, account, _ASKING)
    account.associations.add("ns/runtime-sensor")
    assert "snykToken" in files(by_identity, account, nobody)
