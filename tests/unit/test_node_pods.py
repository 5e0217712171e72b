"""Whose container it is by the API server's word, without one: what was told is put into the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor.config.filters import Filters
from sensor.config.kube import KubeSettings
from sensor.config.node import NodeSettings, node_settings
from sensor.config.texts import SettingsError
from sensor.kube.errors import KubeError
from sensor.model.container import ContainerIdentity, Image, Workload
from sensor.model.pod import Pod, PodContainer
from sensor.node.enrichment.pods import Pods
from sensor.node.enrichment.sources import Sources

ID = "3f" * 32
KUBECONFIG = """\
{apiVersion: v1, kind: Config, current-context: c,
 clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}],
 users: [{name: u, user: {}}],
 contexts: [{name: c, context: {cluster: c, user: u}}]}
"""


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)
    return Pods(KubeSettings(kubeconfig), "node-1")


def a_pod(name: str, *ids: str, static_uid: str | None = None) -> Pod:
    containers = tuple(PodContainer("app", Image("app:1"), id=one, is_running=True) for one in ids)
    return Pod(f"uid-{name}", "shop", name, containers=containers, static_uid=static_uid)


def test_a_status_does_not_make_a_container_another_pods(pods: Pods) -> None:
    pods.store.put(a_pod("web", ID))
    pods.store.put(a_pod("forged", ID))  # told later
    found = pods.lookup(ContainerIdentity(ID, "containerd", "uid-web"))
    assert found is not None
    assert (found.pod_name, found.name, found.workload) == ("web", "app", Workload("Pod", "web"))


def test_a_container_whose_status_is_not_written_yet_is_its_cgroups_pods(pods: Pods) -> None:
    pods.store.put(a_pod("web"))
    pods.store.put(a_pod("etcd", static_uid="b5f1"))
    for uid, name in (("uid-web", "web"), ("b5f1", "etcd")):
        found = pods.lookup(ContainerIdentity(ID, "containerd", uid))
        assert found is not None and (found.pod_name, found.name) == (name, None)


def test_a_static_pods_container_that_was_restarted_keeps_its_name(pods: Pods) -> None:
    pods.store.put(a_pod("etcd", ID, static_uid="b5f1"))
    pods.store.put(a_pod("etcd", "4a" * 32, static_uid="b5f1"))
    found = pods.lookup(ContainerIdentity(ID, "containerd", "b5f1"))
    assert found is not None and (found.pod_name, found.name) == ("etcd", "app")


@pytest.mark.parametrize("uid", [None, "not-told-yet", "b5f1"])
def test_else_its_id_tells(pods: Pods, uid: str | None) -> None:
    pods.store.put(a_pod("etcd", ID, static_uid="b5f1"))
    found = pods.lookup(ContainerIdentity(ID, "containerd", uid))
    assert found is not None and (found.pod_name, found.name) == ("etcd", "app")


def test_a_filter_of_workloads_needs_an_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would ever be reported, and nobody would be told."""
    with pytest.raises(SettingsError, match="--filter-workload-types: found no API server"):
        node_settings({}, {"FILTER_WORKLOAD_TYPES": "job"})
    assert node_settings({}, {"FILTER_NAMESPACES": "shop"}).kube is None
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    unusable = KubeSettings()
    with pytest.raises(KubeError):
        Sources(NodeSettings(kube=unusable, filters=Filters(workload_types=frozenset({"job"}))))
    assert Sources(NodeSettings(kube=unusable, filters=Filters(namespaces=("shop",)))).pods is None
