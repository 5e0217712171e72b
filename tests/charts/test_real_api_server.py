"""A real API server takes what is rendered: it looks further than any schema does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.charts import rendered
from tests.charts.combinations import COMBINATIONS, Combination
from tests.charts.helm_program import NAMESPACE
from tests.charts.manifests import Manifest, of_kind, workload
from tests.cluster.api_server import ApiServer
from tests.cluster.client import ApiError, collection
from tests.cluster.conftest import RULES

pytestmark = pytest.mark.cluster

# Without their definitions, which belong to others, the server knows nothing of them.
_CUSTOM = ("SecurityContextConstraints", "SecretProviderClass", "PodMonitor")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for name in ("runtime-sensor", "loaded", "mine", "default"):
            metadata = {"name": name, "namespace": NAMESPACE}
            server.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        yield server


def _try(server: ApiServer, manifest: Manifest) -> None:
    """Creates it as far as the server would, and no further; raises ApiError."""
    server.admin.post(f"{collection(manifest)}?dryRun=All&fieldValidation=Strict", manifest)


@pytest.mark.parametrize("one", COMBINATIONS, ids=lambda one: one.name)
def test_it_is_taken(one: Combination, server: ApiServer) -> None:
    refused = []
    for manifest in rendered.manifests(one):
        if manifest["kind"] in (*_CUSTOM, "ServiceAccount"):
            continue
        try:
            _try(server, manifest)
        except ApiError as error:
            refused.append(str(error))
    assert refused == []


@pytest.mark.parametrize(
    ("name", "level", "taken"),
    [
        ("deployment", "restricted", True),
        ("deployment with everything around it", "restricted", True),
        ("deployment with AWS", "restricted", True),
        ("defaults", "privileged", True),
        ("defaults", "baseline", False),
    ],
)
def test_pod_security(name: str, level: str, taken: bool, server: ApiServer) -> None:
    """As docs/install/permissions.md says, by the admission of the server itself."""
    namespace = f"{level}-{name.replace(' ', '-').lower()}"
    labels = {"pod-security.kubernetes.io/enforce": level}
    server.admin.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    )
    template = workload(rendered.manifests(name))["spec"]["template"]
    account = template["spec"]["serviceAccountName"]
    metadata = {"name": account, "namespace": namespace}
    server.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": "a", "namespace": namespace}}
    if taken:
        _try(server, pod)
    else:
        with pytest.raises(ApiError, match="violates PodSecurity"):
            _try(server, pod)


def test_what_no_schema_sees_is_refused(server: ApiServer) -> None:
    broken: dict[str, Any] = workload(rendered.manifests("seed's SYS_ADMIN"))
    context = broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    context["privileged"], context["allowPrivilegeEscalation"] = True, False
    with pytest.raises(ApiError, match="allowPrivilegeEscalation"):
        _try(server, broken)


def test_the_rules_are_those_with_which_the_sensor_is_shown_to_work() -> None:
    """Everything in tests/cluster runs with exactly these."""
    (role,) = of_kind(rendered.manifests("defaults"), "ClusterRole")
    assert role["rules"] == list(RULES)
