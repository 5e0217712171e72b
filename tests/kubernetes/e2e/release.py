"""A release of the chart in the cluster: what people do with it, and what is seen of it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from tests.cluster.client import Json
from tests.ground.problem import GroundError
from tests.kubernetes.e2e.stage import Stage
from tests.kubernetes.workloads import is_ready

READY_SECONDS = 60.0
GONE_SECONDS = 90.0
_KINDS = (
    "/api/v1/namespaces/{namespace}/configmaps",
    "/api/v1/namespaces/{namespace}/pods",
    "/api/v1/namespaces/{namespace}/secrets",
    "/api/v1/namespaces/{namespace}/serviceaccounts",
    "/apis/apps/v1/namespaces/{namespace}/controllerrevisions",
    "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "/apis/apps/v1/namespaces/{namespace}/deployments",
    "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
)


@dataclass(frozen=True, slots=True)
class Release:
    """Of the chart of ``stage``, called ``name``, in ``namespace``."""

    stage: Stage
    name: str
    namespace: str

    def install(self, *options: str) -> str:
        """``helm install`` with ``options``; what it says. Raises GroundError, as all of helm does."""
        where = ("-n", self.namespace, self.stage.chart)
        return self.stage.helm("install", self.name, *self.stage.beside, *options, *where)

    def upgrade(self, *options: str) -> str:
        """``helm upgrade --install`` with ``options``, which stand alone: former ones are forgotten."""
        where = ("-n", self.namespace, self.stage.chart)
        return self.stage.helm("upgrade", "--install", self.name, *self.stage.beside, *options, *where)

    def uninstall(self) -> None:
        self.stage.helm("uninstall", self.name, "-n", self.namespace)

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """All wanted pods are there, new and ready; AssertionError with their states if not."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert time.monotonic() < deadline, f"not ready after {seconds:.0f} s:\n{self.states()}"
            time.sleep(0.2)

    def is_ready(self) -> bool:
        """The workload is rolled out, and neither a former one of the other kind nor a former pod is left."""
        found = self.workloads()
        if len(found) != 1 or not _is_rolled_out(found[0]):
            return False
        return all(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in self.pods())

    def workloads(self) -> list[Json]:
        """Its DaemonSet or its Deployment; both for a moment while one takes the other's place."""
        found: list[Json] = []
        for kind in ("DaemonSet", "Deployment"):
            path = f"/apis/apps/v1/namespaces/{self.namespace}/{kind.lower()}s"
            listed = self.stage.client.get(path, labelSelector=self._selector())["items"]
            found += [{**each, "kind": kind} for each in listed]  # which the items of a list do not say
        return found

    def pods(self) -> list[Json]:
        """Of the workload, those that are about to end included."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        selector = f"{self._selector()},app.kubernetes.io/name=runtime-sensor"
        items: list[Json] = self.stage.client.get(path, labelSelector=selector)["items"]
        return items

    def pod(self) -> Json:
        """The only one, as the cluster has one node."""
        pods = self.pods()
        assert len(pods) == 1, f"expected one pod, found {[pod['metadata']['name'] for pod in pods]}"
        return pods[0]

    def log(self) -> str:
        """Of its pod's container, and, if that was restarted, of the one before."""
        name = self.pod()["metadata"]["name"]
        text = self.stage.kubectl("logs", name, "-n", self.namespace)
        with contextlib.suppress(GroundError):  # it was not restarted
            text += self.stage.kubectl("logs", name, "-n", self.namespace, "--previous")
        return text

    def restart(self) -> None:
        """Another pod in place of this one, until it is ready."""
        self.stage.kubectl("delete", "pod", self.pod()["metadata"]["name"], "-n", self.namespace)
        self.wait_until_ready()

    def doctor(self) -> str:
        """What it says in the running pod. Raises GroundError if it finds something that is needed."""
        name = self.pod()["metadata"]["name"]
        return self.stage.kubectl("exec", name, "-n", self.namespace, "--", "runtime-sensor", "doctor")

    def metrics(self) -> str:
        """Of its only pod, as Prometheus reads them."""
        pod = f"/api/v1/namespaces/{self.namespace}/pods/{self.pod()['metadata']['name']}:9090"
        return self.stage.kubectl("get", "--raw", f"{pod}/proxy/metrics")

    def objects(self) -> set[str]:
        """Names of all that a chart makes, with where they are."""
        found = set()
        for kind in _KINDS:
            path = kind.format(namespace=self.namespace)
            found |= {f"{path}/{each['metadata']['name']}" for each in self.stage.client.get(path)["items"]}
        return found

    def wait_until_gone(self, before: set[str]) -> None:
        """No object is left that was not there ``before``."""
        deadline = time.monotonic() + GONE_SECONDS
        while left := self.objects() - before:
            assert time.monotonic() < deadline, f"left: {sorted(left)}"
            time.sleep(0.2)

    def states(self) -> str:
        """For people: how its pods are, and the last events."""
        states = [
            f"{pod['metadata']['name']}: ready: {is_ready(pod)}: {pod['status'].get('containerStatuses')}"
            for pod in self.pods()
        ]
        events = self.stage.client.get(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return "\n".join([*states, *(f"{each['reason']}: {each.get('message')}" for each in events[-10:])])

    def _selector(self) -> str:
        return f"app.kubernetes.io/instance={self.name}"


def _is_rolled_out(workload: Json) -> bool:
    """A DaemonSet or a Deployment; their statuses name the same things differently."""
    status = workload["status"]
    wanted = status.get("desiredNumberScheduled", workload["spec"].get("replicas", 0))
    updated = status.get("updatedNumberScheduled", status.get("updatedReplicas"))
    ready = status.get("numberReady", status.get("readyReplicas"))
    observed = status.get("observedGeneration") == workload["metadata"]["generation"]
    return bool(wanted and observed and updated == ready == wanted)
