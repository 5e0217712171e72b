"""The values of Snyk's chart keep their names, defaults and meanings, and its faults are not repeated."""

from __future__ import annotations

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.charts import rendered
from tests.charts.helm_program import template
from tests.charts.manifests import Manifest, container, of_kind, parse, pod_spec, workload

# As published in snyk/runtime-sensor, helm/runtime-sensor/values.yaml, and its documentation.
_DEFAULTS: dict[str, Any] = {
    "nameOverride": "",
    "fullnameOverride": "",
    "clusterName": "dev",
    "snykGroupId": "ffffffff-ffff-ffff-ffff-fffffffffffff",
    "snykAPIBaseURL": "api.snyk.io:443",
    "debug": "false",
    "secretName": "snyk-secret",
    "secretProvider": "none",
    "tolerations": [],
    "imagePullSecret": "",
    "workloadType": "daemonset",
    "sensor.filters.workloadTypes": [],
    "sensor.filters.namespaces": [],
    "sensor.filters.podLabels": [],
    "sensor.resources.requests.memory": "512Mi",
    "sensor.resources.requests.cpu": "100m",
    "sensor.resources.limits.memory": "1024Mi",
    "sensor.resources.limits.cpu": "500m",
    "sensor.serviceAccount.create": True,
    "sensor.serviceAccount.annotations": {},
    "sensor.podAnnotations": {},
    "sensor.podLabels": {},
    "sensor.extraArgs": [],
    "role.create": True,
    "clusterRole.create": True,
    "securityContext.privileged": False,
}


@pytest.mark.parametrize("path", _DEFAULTS)
def test_defaults(path: str) -> None:
    found = yaml.safe_load((rendered.CHART / "values.yaml").read_text())
    for key in path.split("."):
        found = found[key]
    assert found == _DEFAULTS[path]


def _env(name: str) -> dict[str, Any]:
    found = container(rendered.manifests(name))["env"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in found}


def _args(name: str) -> list[str]:
    return list(container(rendered.manifests(name))["args"])


def test_what_was_typed_reaches_the_program() -> None:
    env = _env("seed")
    assert env["CLUSTER_NAME"] == "prod"
    assert env["SNYK_GROUP_ID"] == "12345678-1234-1234-1234-123456789abc"
    assert env["SNYK_API_BASE_URL"] == "api.snyk.io:443"
    assert env["GROUPS_SCOPES"]["secretKeyRef"] == {"name": "s", "key": "groupsScopes", "optional": True}
    assert _env("seed's region")["SNYK_API_BASE_URL"] == "api.eu.snyk.io:443"
    assert "--log-level=info" in _args("defaults")
    assert {"--log-level=debug"} <= {*_args("debug as text")} & {*_args("debug as truth")}
    assert _args("arguments")[-2:] == ["--plaintext", "--ring-size=8"]


def test_filters_reach_the_program() -> None:
    assert not [name for name in _env("defaults") if name.startswith("FILTER_")]
    assert _env("filter by kind")["FILTER_WORKLOAD_TYPES"] == "deployment,cronjob"
    assert _env("filter by namespace")["FILTER_NAMESPACES"] == "shop,team-*"
    assert _env("filter by labels, a list")["FILTER_POD_LABELS"] == "tier=web,app.kubernetes.io/name=a"
    assert _env("filter by labels, a map")["FILTER_POD_LABELS"] == "tier=web"


def test_the_token_is_the_key_snyk_token_of_the_secret() -> None:
    found = rendered.manifests("seed")
    (volume,) = [each for each in pod_spec(found)["volumes"] if "secret" in each]
    assert volume["secret"]["secretName"] == "s"
    assert volume["secret"]["items"] == [{"key": "snykToken", "path": "snykToken"}]
    mounts = {each["name"]: each["mountPath"] for each in container(found)["volumeMounts"]}
    assert _env("seed")["SNYK_TOKEN_FILE"] == f"{mounts[volume['name']]}/snykToken"


def _parameters(name: str) -> tuple[Manifest, list[Any]]:
    (found,) = of_kind(rendered.manifests(name), "SecretProviderClass")
    (asked,) = yaml.safe_load(found["spec"]["parameters"]["objects"])
    return found, [each["path"] for each in asked["jmesPath"]]


def test_a_secret_in_aws_with_snyk_token_alone_is_enough() -> None:
    found, keys = _parameters("seed's AWS")
    assert keys == ["snykToken"]
    (synced,) = found["spec"]["secretObjects"]
    assert synced["secretName"] == "snyk-runtime-sensor-secret"
    assert synced["data"] == [{"key": "snykToken", "objectName": "snykToken"}]
    spec = pod_spec(rendered.manifests("seed's AWS"))
    (volume,) = [each for each in spec["volumes"] if "csi" in each]
    assert volume["csi"]["volumeAttributes"]["secretProviderClass"] == found["metadata"]["name"]
    assert found["metadata"]["name"].endswith("-aws-secrets")
    assert not [each for each in spec["volumes"] if "secret" in each]


@pytest.mark.parametrize("name", ["seed's AWS", "deployment with AWS", "AWS with groupsScopes"])
def test_what_comes_from_aws_is_read_from_the_volume(name: str) -> None:
    """A file changes with the driver's rotation, a variable with the pod; and the Secret may never come."""
    found = rendered.manifests(name)
    (volume,) = [each for each in pod_spec(found)["volumes"] if "csi" in each]
    (folder,) = [
        each["mountPath"] for each in container(found)["volumeMounts"] if each["name"] == volume["name"]
    ]
    _, asked = _parameters(name)
    env = _env(name)
    assert env["SNYK_TOKEN_FILE"] == f"{folder}/snykToken"
    assert "snykToken" in asked
    files = [each for each in _args(name) if each.startswith("--groups-scopes-file")]
    assert files == ([f"--groups-scopes-file={folder}/groupsScopes"] if "groupsScopes" in asked else [])
    assert not [each for each in env.values() if "secretKeyRef" in str(each)]
    # Nothing narrows the modes of its files: AWS's provider lets all in the pod read them.
    assert "filePermission" not in str(of_kind(found, "SecretProviderClass"))


def test_groups_scopes_are_asked_of_aws_where_they_are_there() -> None:
    found, keys = _parameters("AWS with groupsScopes")
    assert keys == ["snykToken", "groupsScopes"]
    assert [each["key"] for each in found["spec"]["secretObjects"][0]["data"]] == keys


def test_the_role_and_the_region_are_the_providers_defaults_unless_named() -> None:
    def named(name: str) -> dict[str, str]:
        parameters = _parameters(name)[0]["spec"]["parameters"]
        return {key: value for key, value in parameters.items() if key != "objects"}

    assert named("seed's AWS") == {}
    # All parameters are texts.
    assert named("AWS by Pod Identity, in regions") == {
        "usePodIdentity": "true",
        "region": "eu-west-1",
        "failoverRegion": "eu-central-1",
    }


def test_state_on_the_node_is_asked_for_and_of_one_release() -> None:
    def state(found: list[Manifest]) -> Any:
        (volume,) = [each for each in pod_spec(found)["volumes"] if each["name"] == "state"]
        return volume

    assert "emptyDir" in state(rendered.manifests("defaults"))
    on_node = state(rendered.manifests("state on the node"))["hostPath"]
    assert on_node["path"] == "/var/lib/runtime-sensor/snyk-runtime-sensor-my-runtime-sensor"
    assert on_node["type"] == "DirectoryOrCreate"


def test_no_tolerations_means_all() -> None:
    assert pod_spec(rendered.manifests("defaults"))["tolerations"] == [{"operator": "Exists"}]
    assert pod_spec(rendered.manifests("tolerations"))["tolerations"][0]["key"] == "gpu"


def test_the_one_pod_of_a_cluster_leaves_a_node_that_has_died() -> None:
    """Kubernetes drives it off by a taint NoExecute, after five minutes, unless it tolerates all."""
    (found,) = pod_spec(rendered.manifests("deployment"))["tolerations"]
    assert found == {"operator": "Exists", "effect": "NoSchedule"}


def test_images() -> None:
    def image(name: str) -> str:
        return str(container(rendered.manifests(name))["image"])

    version = yaml.safe_load((rendered.CHART / "Chart.yaml").read_text())["appVersion"]
    assert image("defaults") == f"runtime-sensor:{version}"
    assert image("tag") == "registry.example/team/sensor:v1.2.3"
    assert image("digest") == f"runtime-sensor:{version}@sha256:{'4b' * 32}"


def test_service_accounts() -> None:
    def account(name: str) -> str:
        return str(pod_spec(rendered.manifests(name))["serviceAccountName"])

    # As in `oc adm policy … :runtime-sensor` and `eksctl create iamserviceaccount --name runtime-sensor`.
    assert account("defaults") == account("release that does not name the chart") == "runtime-sensor"
    assert account("own service account") == "mine"
    assert account("the namespace's service account") == "default"
    assert not of_kind(rendered.manifests("own service account"), "ServiceAccount")


def test_two_releases_share_no_object() -> None:
    values = {"openshift.enabled": True, "networkPolicy.enabled": True, "secretProvider": "aws"}
    first, second, third = (
        _identities(parse(template(rendered.CHART, {**values, **more}, release=release, namespace=namespace)))
        for release, namespace, more in (
            ("runtime-sensor", "a", {}),
            ("runtime-sensor", "b", {}),
            ("second", "a", {"sensor.serviceAccount.name": "second"}),
        )
    )
    assert not first & second
    assert not first & third


def _identities(found: list[Manifest]) -> set[tuple[str, str, str]]:
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in found}


_ALSO_NAMED = (
    "release that is called as the chart",
    "deployment that is called as the chart",
    "release that is called as its nameOverride",
)
_OTHERS = (
    *("defaults", "deployment", "name", "full name", "pod's annotations and labels"),
    *("release that does not name the chart", "release of digits"),
)


def test_selectors_choose_the_pods_of_one_release() -> None:
    named = [workload(rendered.manifests(name))["spec"] for name in (*_ALSO_NAMED, *_OTHERS)]
    for one in named:
        chosen, own = one["selector"]["matchLabels"].items(), _release(one)
        assert chosen <= one["template"]["metadata"]["labels"].items()
        for other in named:
            if _release(other) != own:
                assert not chosen <= other["template"]["metadata"]["labels"].items(), (own, _release(other))


def _release(spec: Manifest) -> tuple[str, str]:
    labels = spec["template"]["metadata"]["labels"]
    return labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/name"]


@pytest.mark.parametrize("name", _ALSO_NAMED)
def test_a_workload_that_snyks_chart_names_so_too_has_the_selector_that_it_has_there(name: str) -> None:
    """Kubernetes never changes one. From snyk/runtime-sensor, helm/runtime-sensor/templates."""
    found = workload(rendered.manifests(name))
    called = found["metadata"]["name"]
    expected = {"app.kubernetes.io/name": called, "control-plane": "runtime-sensor"}
    assert found["spec"]["selector"]["matchLabels"] == expected


def test_labels_of_ones_own_do_not_bring_a_pod_under_another_release() -> None:
    labels = {"control-plane": "runtime-sensor", "app.kubernetes.io/instance": "other", "team": "a"}
    text = template(rendered.CHART, {"sensor.podLabels": labels})
    found = workload(parse(text))["spec"]["template"]["metadata"]["labels"]
    assert found["team"] == "a"
    assert "control-plane" not in found
    assert found["app.kubernetes.io/instance"] == "my-runtime-sensor"


def test_another_certificate_makes_new_pods() -> None:
    def annotations(name: str) -> dict[str, str]:
        found: dict[str, str] = workload(rendered.manifests(name))["spec"]["template"]["metadata"][
            "annotations"
        ]
        return found

    assert annotations("defaults")["checksum/config"] != annotations("certificates")["checksum/config"]


def test_probes_ask_what_the_program_serves() -> None:
    found = container(rendered.manifests("IPv6"))
    assert "--metrics-address=[::]:9191" in found["args"]
    assert found["ports"] == [{"name": "metrics", "containerPort": 9191}]
    paths = {probe: found[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")}
    assert paths["readiness"] == {"path": "/readyz", "port": "metrics"}
    assert paths["startup"] == paths["liveness"] == {"path": "/healthz", "port": "metrics"}


def test_the_network_policy_lets_out_what_is_needed() -> None:
    def ports(name: str) -> list[list[int]]:
        (found,) = of_kind(rendered.manifests(name), "NetworkPolicy")
        return [[port["port"] for port in rule["ports"]] for rule in found["spec"]["egress"]]

    assert ports("network policy") == [[53, 53], [443, 6443], [443]]
    assert ports("network policy through a proxy") == [[53, 53], [443, 6443], [3128]]
    assert ports("network policy on OpenShift") == [[53, 53, 5353, 5353], [443, 6443], [443]]
    assert ports("network policy, narrow") == [[53, 53], [443], [443], [8443]]


def test_the_api_server_is_never_behind_the_proxy() -> None:
    env = _env("proxy")
    assert env["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert env["NO_PROXY"] == "$(KUBERNETES_SERVICE_HOST),kubernetes.default.svc,10.0.0.0/8"
