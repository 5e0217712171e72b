"""What the sensor may do on a node and in the cluster: what it needs, and nothing else."""

from __future__ import annotations

import pytest

from tests.charts import rendered
from tests.charts.manifests import container, of_kind, pod_spec, workload

_NEEDED = {"BPF", "PERFMON", "SYS_RESOURCE", "DAC_READ_SEARCH", "SYS_PTRACE", "SYS_NICE"}


def _added(name: str) -> list[str]:
    return list(container(rendered.manifests(name))["securityContext"]["capabilities"]["add"])


def test_capabilities_are_exactly_the_needed_ones() -> None:
    context = container(rendered.manifests("defaults"))["securityContext"]
    assert set(context["capabilities"]["add"]) == _NEEDED
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert "privileged" not in context


def test_capabilities_that_are_asked_for_are_added() -> None:
    assert set(_added("seed's SYS_ADMIN")) == _NEEDED | {"SYS_ADMIN"}
    assert len(_added("seed's SYS_ADMIN")) == len(_NEEDED) + 1
    assert set(_added("no more capabilities")) == _NEEDED
    assert set(_added("capabilities omitted")) == _NEEDED - {"SYS_NICE", "SYS_RESOURCE"}


def test_privileged_is_privileged_and_nothing_beside() -> None:
    context = container(rendered.manifests("seed's privileged"))["securityContext"]
    assert context["privileged"] is True
    assert "capabilities" not in context


def test_a_deployment_is_one_pod_without_any_right_on_the_node() -> None:
    found = rendered.manifests("deployment")
    spec, context = pod_spec(found), container(found)["securityContext"]
    assert workload(found)["kind"] == "Deployment"
    assert workload(found)["spec"]["replicas"] == 1
    assert not [each for each in spec["volumes"] if "hostPath" in each]
    assert "hostPID" not in spec
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "--workload-type=deployment" in container(found)["args"]
    privileged = rendered.manifests("deployment privileged, which means nothing there")
    assert container(privileged)["securityContext"] == context


def test_no_folder_of_the_node_is_mounted_but_the_one_for_state() -> None:
    for name in ("defaults", "SCC", "seed's privileged", "state on the node"):
        volumes = pod_spec(rendered.manifests(name))["volumes"]
        paths = [each["hostPath"]["path"] for each in volumes if "hostPath" in each]
        state = "/var/lib/runtime-sensor/snyk-runtime-sensor-my-runtime-sensor"
        assert paths == ([state] if name == "state on the node" else [])


@pytest.mark.parametrize("name", ["defaults", "deployment", "certificates", "AWS with groupsScopes"])
def test_what_can_be_written_to_is_the_state_and_the_folder_for_temporary_files(name: str) -> None:
    mounts = container(rendered.manifests(name))["volumeMounts"]
    writable = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
    assert writable == {"/var/lib/runtime-sensor", "/tmp"}


def test_rights_are_those_that_are_used() -> None:
    (role,) = of_kind(rendered.manifests("defaults"), "ClusterRole")
    assert {(r["apiGroups"][0], r["resources"][0], *r["verbs"]) for r in role["rules"]} == {
        ("", "pods", "list", "watch"),
        ("apps", "replicasets", "get"),
        ("batch", "jobs", "get"),
        ("", "replicationcontrollers", "get"),
    }
    assert not of_kind(rendered.manifests("no rights"), "ClusterRole", "ClusterRoleBinding")


def test_seccomp_is_the_runtimes_own_by_default() -> None:
    for name in ("defaults", "deployment", "seed's SYS_ADMIN"):
        found = pod_spec(rendered.manifests(name))["securityContext"]
        assert found["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(("version", "as_field"), [("v1.29.0", False), ("v1.30.0-eks-036c24b", True)])
def test_apparmor_by_the_form_of_the_version(version: str, as_field: bool) -> None:
    found = rendered.manifests("defaults", version)
    annotations = workload(found)["spec"]["template"]["metadata"]["annotations"]
    context = container(found)["securityContext"]
    key = "container.apparmor.security.beta.kubernetes.io/runtime-sensor"
    assert (annotations.get(key) == "unconfined") is not as_field
    assert (context.get("appArmorProfile") == {"type": "Unconfined"}) is as_field
