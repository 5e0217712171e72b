"""OpenShift: by its own privileged SCC, as documented, or by one of exactly what the pod asks for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts import rendered
from tests.charts.manifests import Manifest, container, of_kind, pod_spec


def _scc(found: list[Manifest]) -> Manifest:
    (scc,) = of_kind(found, "SecurityContextConstraints")
    return scc


@pytest.mark.parametrize("name", ["SCC", "SCC, privileged", "SCC and AWS", "deployment on OpenShift"])
def test_the_scc_allows_what_the_pod_asks_for_and_nothing_else(name: str) -> None:
    found = rendered.manifests(name)
    spec, context = pod_spec(found), container(found)["securityContext"]
    scc = _scc(found)
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert scc["allowHostPID"] is bool(spec.get("hostPID"))
    assert scc["allowedCapabilities"] == context.get("capabilities", {}).get("add", [])
    assert set(scc["volumes"]) == kinds | {"projected"}
    assert scc["allowHostDirVolumePlugin"] is ("hostPath" in kinds)
    assert scc["allowPrivilegedContainer"] is bool(context.get("privileged"))
    assert scc["readOnlyRootFilesystem"] is True
    assert not any(scc[key] for key in ("allowHostIPC", "allowHostNetwork", "allowHostPorts"))
    assert scc["seccompProfiles"] == ["runtime/default"]


def test_the_service_account_may_use_it() -> None:
    found = rendered.manifests("SCC")
    (role,), (binding,) = of_kind(found, "Role"), of_kind(found, "RoleBinding")
    assert role["rules"] == [
        {
            "apiGroups": ["security.openshift.io"],
            "resources": ["securitycontextconstraints"],
            "resourceNames": [_scc(found)["metadata"]["name"]],
            "verbs": ["use"],
        }
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == pod_spec(found)["serviceAccountName"]
    assert not of_kind(rendered.manifests("SCC without its role"), "Role", "RoleBinding")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("seed's OpenShift", {"type": "spc_t"}),
        ("SCC", {"type": "spc_t"}),
        ("defaults", None),
        ("SELinux", {"type": "super_t", "level": "s0"}),
        ("deployment on OpenShift", None),
    ],
)
def test_containers_files_can_be_read_under_selinux(name: str, options: Any) -> None:
    assert pod_spec(rendered.manifests(name))["securityContext"].get("seLinuxOptions") == options


def test_the_documented_command_is_told_where_there_is_no_scc_of_ours() -> None:
    assert not of_kind(rendered.manifests("seed's OpenShift"), "SecurityContextConstraints", "Role")
    assert pod_spec(rendered.manifests("seed's OpenShift"))["serviceAccountName"] == "runtime-sensor"
