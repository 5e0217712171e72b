"""A cluster's pods become states: what is new, what ended, what filters leave out, after a restart."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from sensor.config.filters import EVERYTHING, Filters
from sensor.delivery.outbox import Outbox
from sensor.delivery.outbox_sink import OutboxSink
from sensor.delivery.sink import SinkClosed, SinkError
from sensor.kube.access import AccessSource
from sensor.kube.api_server import ApiServer
from sensor.kube.counters import KubeCounters
from sensor.kube.owners import Owners
from sensor.kube.pod_store import PodStore
from sensor.model.container import Image, Workload
from sensor.model.pod import OwnerReference, Pod, PodContainer
from sensor.model.report import ContainerReport, Coverage
from sensor.node.deployment import ledger as ledger_module
from sensor.node.deployment import metrics
from sensor.node.deployment import reporter as reporter_module
from sensor.node.deployment.ledger import Counts, Ledger
from sensor.node.deployment.reporter import PodReporter
from sensor.node.metrics import kube as kube_metrics
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry
from tests.clock import PATIENCE
from tests.unit.kube_server import NODE, TOKEN, Authority, KubeServer, kube_server, owned, pod_json
from tests.unit.test_reporter import Memory

START = 1_700_000_000.0
DIGEST = "sha256:" + "ab" * 32
SHOP = Filters(namespaces=("shop",))
DEPLOYMENTS = Filters(workload_types=frozenset({"deployment"}))


def container(name: str = "web", number: int = 1, **changes: Any) -> PodContainer:
    one = PodContainer(
        name=name,
        image=Image("acme/web:2", DIGEST),
        id=f"{name}-{number}".encode().hex().ljust(64, "0"),
        runtime="containerd",
        is_running=True,
        started_at=START,
    )
    return replace(one, **changes)


def pod(name: str = "web-5d9c", *containers: PodContainer, **changes: Any) -> Pod:
    one = Pod(
        uid=f"uid-of-{name}",
        namespace="shop",
        name=name,
        node="node-1",
        labels={"app": "web"},
        owner=OwnerReference("apps/v1", "ReplicaSet", "web", "uid-of-web"),
        containers=containers or (container(),),
    )
    return replace(one, **changes)


class Cluster:
    """Pods and what they belong to, a sink, and a ledger and reporter between them."""

    def __init__(
        self, filters: Filters = EVERYTHING, sink: Any = None, left: Iterable[ContainerReport] = ()
    ) -> None:
        self.pods: dict[str, Pod] = {}
        self.workload: Workload | None = Workload("Deployment", "web")
        self.sink = sink or Memory()
        self.ledger = Ledger("east", filters, self.pods.get, lambda pod: self.workload)
        self.reporter = PodReporter(self.ledger, self.sink, Health(), debounce=0.0)
        self.stop = threading.Event()
        self.is_listed = False
        self.reporter.is_listed = lambda: self.is_listed
        self.reporter.remembered = lambda: left
        self.ledger.restore(report.container.id for report in left)

    def put(self, *pods: Pod) -> None:
        for one in pods:
            self.pods[one.uid] = one
            self.reporter.changed(one.uid)

    def remove(self, one: Pod) -> None:
        del self.pods[one.uid]
        self.reporter.changed(one.uid)

    def told(self) -> list[ContainerReport]:
        """What a round delivers."""
        before = len(self.sink.delivered)
        self.reporter.round(self.stop)
        return list(self.sink.delivered[before:])


def brief(reports: Iterable[ContainerReport]) -> list[tuple[str | None, str | None, bool]]:
    return [(one.metadata.pod_name, one.metadata.name, one.deployed) for one in reports]


def test_a_running_container_is_deployed_with_all_that_is_known() -> None:
    cluster = Cluster()
    cluster.put(pod())
    (report,) = cluster.told()
    assert (report.cluster, report.node, report.deployed, report.ended_at) == ("east", "node-1", True, None)
    assert (report.container.runtime, report.container.pod_uid) == ("containerd", "uid-of-web-5d9c")
    assert report.metadata.image == Image("docker.io/acme/web:2", DIGEST)
    assert report.metadata.workload == Workload("Deployment", "web")
    assert report.first_seen == START
    assert report.packages == ()


def test_nothing_is_known_of_packages_so_coverage_is_partial() -> None:
    cluster = Cluster()
    cluster.put(pod())
    (report,) = cluster.told()
    assert (report.coverage, report.coverage_reasons) == (Coverage.PARTIAL, ("packages_not_watched",))


def test_init_sidecar_and_ephemeral_containers_too_but_only_those_that_run() -> None:
    cluster = Cluster()
    cluster.put(
        pod(
            "web",
            container("init", is_running=False),
            container("sidecar"),
            container("waiting", id=None, is_running=False, started_at=None),
            container("web"),
            container("debug"),
        )
    )
    assert brief(cluster.told()) == [("web", name, True) for name in ("sidecar", "web", "debug")]


def test_a_digest_in_the_spec_is_one_where_the_status_has_none() -> None:
    cluster = Cluster()
    cluster.put(pod("web", container(image=Image(f"acme/web@{DIGEST}"))))
    assert cluster.told()[0].metadata.image == Image(f"docker.io/acme/web@{DIGEST}", DIGEST)


def test_what_changes_nothing_of_the_state_is_not_told_again() -> None:
    cluster = Cluster()
    cluster.put(pod())
    cluster.told()
    cluster.put(pod(labels={"app": "web", "rev": "2"}))
    assert cluster.told() == []


def test_a_container_that_is_started_anew_ends_and_another_begins() -> None:
    cluster = Cluster()
    cluster.put(pod("web", container("web", 1), container("sidecar")))
    cluster.told()
    cluster.put(pod("web", container("web", 2, started_at=START + 60), container("sidecar")))
    end, begin = cluster.told()
    assert (end.deployed, end.container.id) == (False, container("web", 1).id)
    assert end.ended_at is not None and end.ended_at == pytest.approx(time.time(), abs=10)
    assert end.metadata.workload == Workload("Deployment", "web")
    assert (begin.deployed, begin.container.id, begin.first_seen) == (
        True,
        container("web", 2).id,
        START + 60,
    )


@pytest.mark.parametrize("how", ["deleted", "phase", "containers"])
def test_a_pod_that_ends_ends_its_containers(how: str) -> None:
    cluster = Cluster()
    one = pod("web", container("web"), container("sidecar"))
    cluster.put(one)
    cluster.told()
    if how == "deleted":
        cluster.remove(one)
    elif how == "phase":
        cluster.put(replace(one, is_ended=True))
    else:
        cluster.put(replace(one, containers=()))
    assert brief(cluster.told()) == [("web", "web", False), ("web", "sidecar", False)]
    assert cluster.ledger.counts().containers == 0


def test_what_came_and_went_between_two_looks_is_nothing() -> None:
    cluster = Cluster()
    one = pod()
    cluster.put(one)
    cluster.remove(one)
    assert cluster.told() == []
    assert cluster.ledger.counts() == Counts(0, 0, 0, 0)


def test_an_end_before_the_start_is_at_the_start() -> None:
    """The API server's clock is ahead of ours."""
    cluster = Cluster()
    one = pod("web", container(started_at=time.time() + 3600))
    cluster.put(one)
    cluster.told()
    cluster.remove(one)
    (end,) = cluster.told()
    assert end.ended_at == end.first_seen


def test_a_start_that_nobody_tells_is_when_it_was_first_seen_and_stays() -> None:
    cluster = Cluster()
    cluster.put(pod("web", container(started_at=None)))
    (report,) = cluster.told()
    assert report.first_seen == pytest.approx(time.time(), abs=10)
    cluster.put(pod("web", container(started_at=None), labels={}))
    assert cluster.told() == []


def test_filtered_out_pods_are_not_told() -> None:
    cluster = Cluster(SHOP)
    cluster.put(pod(), pod("other", namespace="other"))
    assert brief(cluster.told()) == [("web-5d9c", "web", True)]
    assert cluster.ledger.counts() == Counts(reported=1, filtered_out=1, waiting=0, containers=1)


def test_a_pod_whose_labels_leave_the_filter_ends() -> None:
    cluster = Cluster(Filters(pod_labels=(("app", frozenset({"web"})),)))
    cluster.put(pod())
    cluster.told()
    cluster.put(pod(labels={"app": "other"}))
    assert brief(cluster.told()) == [("web-5d9c", "web", False)]
    cluster.put(pod())
    assert brief(cluster.told()) == [("web-5d9c", "web", True)]
    assert cluster.ledger.counts() == Counts(1, 0, 0, 1)


def test_a_pod_whose_workload_decides_waits_until_that_is_known() -> None:
    cluster = Cluster(DEPLOYMENTS)
    cluster.workload = None
    cluster.put(pod())
    assert cluster.told() == []
    assert cluster.ledger.counts() == Counts(0, 0, 1, 0)
    cluster.workload = Workload("Deployment", "web")
    cluster.put(pod())
    assert brief(cluster.told()) == [("web-5d9c", "web", True)]
    assert cluster.ledger.counts() == Counts(1, 0, 0, 1)


def test_a_workload_that_nobody_knows_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "ASK_AGAIN", 0.0)
    cluster = Cluster()
    cluster.workload = None
    cluster.put(pod())
    assert cluster.told() == []  # it is waited for, for a while
    assert cluster.ledger.counts() == Counts(0, 0, 1, 0)
    monkeypatch.setattr(ledger_module, "HOLD", 0.0)
    (report,) = cluster.told()
    assert report.metadata.workload is None
    cluster.workload = Workload("Deployment", "web")
    (report,) = cluster.told()
    assert report.metadata.workload == Workload("Deployment", "web")
    assert cluster.told() == []


def test_a_workload_that_was_known_stays_when_nobody_answers() -> None:
    cluster = Cluster(DEPLOYMENTS)
    cluster.put(pod())
    cluster.told()
    cluster.workload = None
    cluster.put(pod(labels={}))
    assert cluster.told() == []
    assert cluster.ledger.counts() == Counts(1, 0, 0, 1)


def test_an_earlier_run_s_containers_end_once_the_list_is_whole() -> None:
    earlier = Cluster()
    earlier.put(pod("a"), pod("b", container("web", 2)), pod("c", container("web", 3)))
    left = earlier.told()
    whole: list[int] = []
    cluster = Cluster(left=left)
    cluster.reporter.on_whole = lambda: whole.append(len(cluster.sink.delivered))
    cluster.put(pod("b", container("web", 2)))
    cluster.put(pod("c", container("web", 4)))  # another container than before
    assert all(report.deployed for report in cluster.told())
    cluster.is_listed = True
    assert brief(cluster.told()) == [("a", "web", False), ("c", "web", False)]
    assert whole == [4]  # after the ends
    losses = [True]
    cluster.reporter.lost = lambda: bool(losses and losses.pop())
    assert brief(cluster.told()) == [("b", "web", True), ("c", "web", True)]  # what ended has ended once
    assert cluster.told() == []


def test_what_an_earlier_run_left_and_the_filters_now_leave_out_ends() -> None:
    earlier = Cluster()
    earlier.put(pod(namespace="other"))
    cluster = Cluster(SHOP, left=earlier.told())
    cluster.put(pod(namespace="other"))
    cluster.is_listed = True
    assert brief(cluster.told()) == [("web-5d9c", "web", False)]


@pytest.mark.parametrize("verdict", ["in", "out", "gone"])
def test_what_an_earlier_run_left_runs_until_its_workload_is_known(verdict: str) -> None:
    earlier = Cluster()
    earlier.put(pod())
    cluster = Cluster(DEPLOYMENTS, left=earlier.told())
    cluster.workload = None
    cluster.put(pod())
    cluster.is_listed = True
    assert cluster.told() == []
    cluster.workload = Workload("Job" if verdict == "out" else "Deployment", "web")
    if verdict == "gone":
        cluster.remove(pod())
    else:
        cluster.put(pod())
    assert brief(cluster.told()) == [("web-5d9c", "web", verdict == "in")]


def test_of_what_waits_for_its_workload_no_change_is_told() -> None:
    earlier = Cluster()
    earlier.put(pod())
    cluster = Cluster(DEPLOYMENTS, left=earlier.told())
    cluster.workload = None
    cluster.put(pod())
    assert cluster.told() == []
    cluster.put(pod("web-5d9c", container(image=Image("acme/web:3", DIGEST))))
    assert cluster.told() == []


def test_what_was_not_taken_is_delivered_again() -> None:
    cluster = Cluster(sink=Memory(SinkError("full")))
    one = pod()
    cluster.put(one)
    assert cluster.told() == []
    assert cluster.reporter.failures == 1
    assert cluster.ledger.counts().containers == 0
    assert brief(cluster.told()) == [("web-5d9c", "web", True)]


def test_nothing_is_whole_before_it_has_arrived() -> None:
    cluster = Cluster(sink=Memory(SinkError("full")))
    whole: list[bool] = []
    cluster.reporter.on_whole = lambda: whole.append(True)
    cluster.put(pod())
    cluster.is_listed = True
    cluster.told()
    assert not whole
    cluster.told()
    assert whole == [True]


def test_what_was_lost_is_told_again() -> None:
    cluster = Cluster()
    cluster.put(pod("a"), pod("b"))
    cluster.is_listed = True
    cluster.told()
    whole: list[bool] = []
    cluster.reporter.on_whole = lambda: whole.append(True)
    losses = [True]
    cluster.reporter.lost = lambda: bool(losses and losses.pop())
    assert brief(cluster.told()) == [("a", "web", True), ("b", "web", True)]
    assert whole == [True]
    assert cluster.ledger.counts().containers == 2


def test_changes_are_gathered() -> None:
    cluster = Cluster()
    reporter = PodReporter(cluster.ledger, cluster.sink, Health(), debounce=60.0)
    cluster.pods["uid-of-web-5d9c"] = pod()
    reporter.changed("uid-of-web-5d9c")
    reporter.round(cluster.stop)
    assert cluster.sink.delivered == []
    assert reporter.finish(within=5) == 0
    assert brief(cluster.sink.delivered) == [("web-5d9c", "web", True)]


def test_it_ends_when_nobody_reads() -> None:
    cluster = Cluster(sink=Memory(SinkClosed("gone")))
    cluster.put(pod())
    cluster.is_listed = True
    cluster.reporter.run(cluster.stop, duration=60)
    assert cluster.reporter.finish(within=5) == 0


def test_it_ends_with_1_when_something_did_not_arrive() -> None:
    cluster = Cluster(sink=Memory(SinkError("full")))
    cluster.put(pod())
    assert cluster.reporter.finish(within=5) == 1


def outbox_sink(outbox: Outbox) -> Any:
    class Counting(OutboxSink):
        delivered: list[ContainerReport] = []  # noqa: RUF012 - one test's

        def deliver(self, reports: Sequence[ContainerReport]) -> None:
            super().deliver(reports)
            self.delivered.extend(reports)

    return Counting(outbox, lambda report: "main")


def test_after_a_restart_only_what_changed_is_sent(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    cluster = Cluster(sink=outbox_sink(outbox))
    cluster.put(*(pod(f"web-{number}", container("web", number)) for number in range(300)))
    cluster.is_listed = True
    cluster.told()
    sent = outbox.pending("main", 1000, 1 << 30)
    assert len(sent) == 300
    outbox.acknowledge("main", [(state.key, state.generation) for state in sent])
    outbox.close()

    outbox = Outbox(tmp_path)
    left = [one.report for one in outbox.remembered()]
    cluster = Cluster(sink=outbox_sink(outbox), left=left)
    cluster.put(*(pod(f"web-{number}", container("web", number)) for number in range(1, 301)))
    cluster.is_listed = True
    cluster.told()
    sent = outbox.pending("main", 1000, 1 << 30)
    assert sorted(brief(state.report for state in sent)) == [
        ("web-0", "web", False),
        ("web-300", "web", True),
    ]
    outbox.close()


def test_importing_it_loads_nothing_of_capture() -> None:
    program = (
        "import sys; import sensor.node.deployment.main; "
        "found = [name for name in sys.modules if name == 'bcc' or name.startswith(('sensor.node.capture', "
        "'sensor.node.identify', 'sensor.node.resolve', 'kubernetes'))]; sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_program_tells_a_pod_and_its_end_and_ends_in_order(tmp_path: Path) -> None:
    authority = Authority()
    with kube_server(authority) as server, running_program(server, authority, tmp_path) as program:
        server.objects["/apis/apps/v1/namespaces/shop/replicasets/web-1"] = {
            "metadata": {"uid": "rs", "ownerReferences": [owned("Deployment", "web", "d")]}
        }
        server.put(pod_json("web-1-x", metadata__ownerReferences=[owned("ReplicaSet", "web-1", "rs")]))
        assert program.stdout is not None
        told = json.loads(program.stdout.readline())
        assert (told["deployed"], told["cluster"], told["node"]) == (True, "east", NODE)
        assert told["workload"] == {"kind": "Deployment", "name": "web"}
        assert told["image"]["name"] == "docker.io/acme/orders:1"
        server.delete("uid-web-1-x")
        told = json.loads(program.stdout.readline())
        assert (told["deployed"], told["pod"]["name"]) == (False, "web-1-x")
        program.terminate()
        assert program.wait(PATIENCE) == 0


@contextlib.contextmanager
def running_program(
    server: KubeServer, authority: Authority, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "ca.crt").write_text(authority.pem)
    cluster = {"server": server.url, "certificate-authority": str(folder / "ca.crt")}
    kubeconfig = {
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    command = [
        sys.executable,
        "-m",
        "sensor.cli",
        "node",
        "--workload-type",
        "deployment",
        "--output",
        "jsonl",
    ]
    command += [
        "--debounce",
        "0",
        "--duration",
        "30",
        "--cluster-name",
        "east",
        "--kubeconfig",
        str(folder / "kubeconfig"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        try:
            yield program
        finally:
            program.kill()


METRICS_DOCUMENT = (Path(__file__).parents[2] / "docs/metrics.md").read_text()


def test_every_number_of_its_own_is_documented_and_moves() -> None:
    cluster, telemetry, refused = Cluster(SHOP), Telemetry(), PodStore(most=1)
    owners = Owners(ApiServer(cast(AccessSource, None), "test"))
    metrics.register(telemetry, cluster.ledger, cluster.reporter)
    kube_metrics.register(telemetry, KubeCounters(), refused, owners)
    refused.put(pod("a"))
    refused.put(pod("b"))
    owners.guessed = 7
    cluster.reporter.failures = 5
    cluster.put(pod("a", container(), container("sidecar")), pod("b", namespace="other"))
    cluster.told()
    read = {
        metric.name.removeprefix("runtime_sensor_"): dict(values) for metric, values in telemetry.collect()
    }
    assert read["pods"] == {(): 1} and read["pods_refused"] == {(): 1}
    assert read["pods_by_filter"] == {("in",): 1, ("out",): 1, ("unknown",): 0}
    assert read["deployed_containers"] == {(): 2}
    assert read["workloads_guessed"] == {(): 7} and read["report_failures"] == {(): 5}
    documented = set(re.findall(r"^\| `([a-z_]+?)(?:_total)?`", METRICS_DOCUMENT, re.MULTILINE))
    assert set(read) <= documented
