"""A release of the chart from its installation to its removal, and what is checked of it on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.client import Client, Json
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.helm import Helm
from tests.kubernetes.workloads import apply, is_ready

_READY_SECONDS = 60.0
_GONE_SECONDS = 90.0
_KINDS = (
    "/api/v1/namespaces/{namespace}/configmaps",
    "/api/v1/namespaces/{namespace}/pods",
    "/api/v1/namespaces/{namespace}/secrets",
    "/api/v1/namespaces/{namespace}/serviceaccounts",
    "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "/apis/apps/v1/namespaces/{namespace}/deployments",
    "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
)


@dataclass(frozen=True, slots=True)
class Release:
    """``chart`` installed as ``name`` into ``namespace``, with the options of ``settings``."""

    helm: Helm
    client: Client
    chart: Path
    name: str
    namespace: str
    settings: Sequence[str]

    def run(self, checks: Checks, at_work: Callable[[Checks], None]) -> None:
        """Installs, upgrades, rolls back, uninstalls; ``at_work`` checks it once it is installed."""
        before = self._objects()
        with checks.check(f"helm installs {self.chart.name}"):
            self.helm("install", self.name, str(self.chart), *self._options())
        with checks.check(f"the DaemonSet is ready within {_READY_SECONDS:.0f} s"):
            self.wait_until_ready()
        with checks.check("no container of it was restarted"):
            self._assert_no_restarts()
        at_work(checks)
        with checks.check("helm test: doctor finds all that node needs"):
            self.helm("test", self.name, "--namespace", self.namespace)
        with checks.check("helm upgrades it to other resources"):
            resources = ("--set", "sensor.resources.limits.memory=768Mi")
            self.helm("upgrade", "--install", self.name, str(self.chart), *self._options(), *resources)
            self.wait_until_ready()
            assert self._memory_limits() == {"768Mi"}, f"found the limits {self._memory_limits()}"
        with checks.check("helm rolls it back"):
            self.helm("rollback", self.name, "1", "--namespace", self.namespace)
            self.wait_until_ready()
            assert "768Mi" not in self._memory_limits()
        with checks.check("helm uninstalls it, and no object is left"):
            self.helm("uninstall", self.name, "--namespace", self.namespace)
            self._wait_until_gone(before)

    def wait_until_ready(self) -> None:
        """All wanted pods are there, new and ready; AssertionError with their states if not."""
        deadline = time.monotonic() + _READY_SECONDS
        while not all(_is_rolled_out(each) for each in self._daemonsets()) or not self._daemonsets():
            assert time.monotonic() < deadline, f"not ready after {_READY_SECONDS:.0f} s:\n{self._states()}"
            time.sleep(0.2)

    def pods(self) -> list[Json]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        items: list[Json] = self.client.get(path, labelSelector=self._selector())["items"]
        return items

    def _options(self) -> tuple[str, ...]:
        return ("--namespace", self.namespace, *self.settings)

    def _selector(self) -> str:
        return f"app.kubernetes.io/instance={self.name}"

    def _daemonsets(self) -> list[Json]:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/daemonsets"
        items: list[Json] = self.client.get(path, labelSelector=self._selector())["items"]
        return items

    def _memory_limits(self) -> set[str]:
        return {
            container["resources"]["limits"]["memory"]
            for daemonset in self._daemonsets()
            for container in daemonset["spec"]["template"]["spec"]["containers"]
        }

    def _assert_no_restarts(self) -> None:
        counts = {
            status["name"]: status["restartCount"]
            for pod in self.pods()
            for status in pod["status"]["containerStatuses"]
        }
        assert not any(counts.values()), f"found the restarts {counts}"

    def _states(self) -> str:
        states = [
            f"{pod['metadata']['name']}: ready: {is_ready(pod)}: {pod['status'].get('containerStatuses')}"
            for pod in self.pods()
        ]
        events = self.client.get(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return "\n".join([*states, *(f"{each['reason']}: {each.get('message')}" for each in events[-10:])])

    def _objects(self) -> set[str]:
        """Names of all that a chart makes, with where they are."""
        found = set()
        for kind in _KINDS:
            path = kind.format(namespace=self.namespace)
            found |= {f"{path}/{each['metadata']['name']}" for each in self.client.get(path)["items"]}
        return found

    def _wait_until_gone(self, before: set[str]) -> None:
        deadline = time.monotonic() + _GONE_SECONDS
        while left := self._objects() - before:
            assert time.monotonic() < deadline, f"left: {sorted(left)}"
            time.sleep(0.2)


def make_namespace(client: Client, name: str, token: str) -> None:
    """With the secret that the seed's users make, under the chart's own default name."""
    metadata = {"name": "snyk-secret", "namespace": name}
    for thing in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"snykToken": token}},
    ):
        apply(client, thing)


def _is_rolled_out(daemonset: Json) -> bool:
    status = daemonset["status"]
    wanted = status.get("desiredNumberScheduled", 0)
    return bool(
        wanted
        and status.get("observedGeneration") == daemonset["metadata"]["generation"]
        and status.get("updatedNumberScheduled") == status.get("numberReady") == wanted
    )
