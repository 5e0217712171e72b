"""The node does what a node does: workloads run, and are reached, by the ways that people use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.client import Client, Json
from tests.cluster.images import python_image
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Kubectl
from tests.kubernetes.layout import NAME, NODE, POD_NETWORK
from tests.kubernetes.problem import KubernetesError
from tests.kubernetes.programs import KUBERNETES
from tests.kubernetes.runc import missing_capabilities
from tests.kubernetes.workloads import ended_pod, ready_pod, service, template, wait_for, workload

pytestmark = pytest.mark.kubernetes

_SERVE = ("python3", "-m", "http.server", "--directory", "/usr/share/python3", "8080")
_READY = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
_ASK = """
import json, ssl, sys, urllib.error, urllib.request
secrets = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=secrets + "ca.crt")
def status(path):
    request = urllib.request.Request("https://kubernetes.default.svc" + path)
    request.add_header("Authorization", "Bearer " + open(secrets + "token").read())
    try:
        return urllib.request.urlopen(request, context=context, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps({path: status(path) for path in sys.argv[1:]}))
"""


def test_the_node_is_ready_and_of_the_pinned_version(client: Client, kubectl: Kubectl) -> None:
    node = client.get(f"/api/v1/nodes/{NODE}")
    info = node["status"]["nodeInfo"]
    assert info["kubeletVersion"] == client.get("/version")["gitVersion"] == KUBERNETES.version()
    assert info["containerRuntimeVersion"].startswith("containerd://")
    assert f"{NODE} " in kubectl("get", "nodes") and " Ready " in kubectl("get", "nodes")


def test_a_deployment_runs_and_is_found_by_name_and_by_address(client: Client) -> None:
    client.create(workload("Deployment", "web", template("web", _SERVE, container=_READY), replicas=2))
    client.create(service("web", 8080))
    client.create(service("web-each", 8080, clusterIP="None", selector={"app": "web"}))
    pod = ready_pod(client, "web")
    assert pod["spec"]["nodeName"] == NODE
    assert pod["status"]["podIP"] in [str(address) for address in POD_NETWORK]
    addresses = ("http://web", "http://web-each:8080")
    ask = f"from urllib.request import urlopen as o; [o(each, timeout=20) for each in {addresses}]"
    client.create(
        workload("Job", "asks", template("asks", ["python3", "-c", ask], restartPolicy="OnFailure"))
    )
    assert ended_pod(client, "asks")["status"]["phase"] == "Succeeded"


def test_a_daemonset_runs_on_the_node_with_what_the_node_has(client: Client, kubectl: Kubectl) -> None:
    show = (
        "from pathlib import Path as P; import time;print(len(list(P('/proc').glob('[0-9]*'))), flush=True)"
    )
    command = ["python3", "-c", f"{show};time.sleep(3600)"]
    security = {"readOnlyRootFilesystem": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = template("agent", command, hostPID=True, container={"securityContext": security})
    client.create(workload("DaemonSet", "agent", pod))
    name = ready_pod(client, "agent")["metadata"]["name"]
    seen = wait_for(lambda: kubectl("logs", name).strip() or None, "the log")
    assert int(seen) > 20, "with hostPID it sees the machine's processes"
    assert kubectl("exec", name, "--", "python3", "-c", "print(6 * 7)") == "42\n"
    assert kubectl("exec", name, "--", "sh", "-c", "touch /x 2>&1 || true").strip().endswith("file system")


def test_a_job_completes(client: Client, kubectl: Kubectl) -> None:
    client.create(workload("Job", "once", template("once", ["python3", "-V"], restartPolicy="Never")))

    def complete() -> Json | None:
        job = client.get("/apis/batch/v1/namespaces/default/jobs/once")
        return job if job["status"].get("succeeded") == 1 else None

    wait_for(complete, "the job's end")
    assert kubectl("logs", "job/once").startswith("Python 3.")


def test_a_service_account_has_the_rights_of_its_role_and_no_more(client: Client, kubectl: Kubectl) -> None:
    metadata = {"name": "reader", "namespace": "default"}
    client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    kubectl("create", "role", "reader", "--verb=list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
    allowed, refused = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/secrets"
    command = ["python3", "-c", _ASK, allowed, refused]
    pod = template("reader", command, restartPolicy="Never", serviceAccountName="reader")
    client.create(workload("Job", "reader", pod, backoffLimit=0))
    name = ended_pod(client, "reader")["metadata"]["name"]
    assert json.loads(kubectl("logs", name)) == {allowed: 200, refused: 403}


def test_limits_are_those_of_the_pods_cgroup(client: Client) -> None:
    limits = {"resources": {"limits": {"cpu": "500m", "memory": "128Mi"}}}
    pod = template("limited", ["sleep", "3600"], container=limits)
    client.create(workload("Deployment", "limited", pod))
    uid = ready_pod(client, "limited")["metadata"]["uid"]
    pod_cgroup = f"{NAME}/kubepods/pod{uid}"
    of_v1 = Path("/sys/fs/cgroup/memory", pod_cgroup, "memory.limit_in_bytes")
    of_v2 = Path("/sys/fs/cgroup", pod_cgroup, "memory.max")
    limit = of_v1 if of_v1.exists() else of_v2
    assert int(limit.read_text()) == 128 << 20


def test_a_pod_with_a_wrong_command_says_so(client: Client) -> None:
    pod = template("broken", ["/usr/bin/no-such-program"], restartPolicy="Never")
    client.create(workload("Job", "broken", pod, backoffLimit=0))
    [status] = ended_pod(client, "broken")["status"]["containerStatuses"]
    assert "no-such-program" in status["state"]["terminated"]["message"]


def test_an_archive_is_imported_under_the_name_that_pods_use(
    client: Client, cluster: Cluster, tmp_path: Path, kubectl: Kubectl
) -> None:
    built = python_image({"other-package": "4.5.6"}, {}, "archive")
    archive = tmp_path / "image.tar"
    archive.write_bytes(built.archive(("some.registry/other:name",)))
    cluster.import_archive(archive, "other-image:dev")
    show = "from importlib.metadata import version as v; print(v('other-package'))"
    container = {"image": "other-image:dev", "imagePullPolicy": "IfNotPresent"}
    pod = template("imported", ["python3", "-c", show], container=container, restartPolicy="Never")
    client.create(workload("Job", "imported", pod, backoffLimit=0))
    assert ended_pod(client, "imported")["status"]["phase"] == "Succeeded"
    assert kubectl("logs", "job/imported") == "4.5.6\n"


def test_no_archive_and_no_image_are_told_apart(cluster: Cluster, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"nothing of the kind")
    with pytest.raises(KubernetesError, match="expected an uncompressed archive"):
        cluster.import_archive(archive)
    with pytest.raises(KubernetesError, match="No such file"):
        cluster.import_archive(tmp_path / "absent.tar")


def test_a_pod_may_ask_for_every_capability_even_where_the_machine_lacks_some(
    client: Client, kubectl: Kubectl
) -> None:
    asked = {"BPF": 39, "PERFMON": 38, "SYS_PTRACE": 19, "SYS_RESOURCE": 24}
    security = {"securityContext": {"capabilities": {"drop": ["ALL"], "add": list(asked)}}}
    pod = template("capable", ["sleep", "3600"], container=security)
    client.create(workload("Deployment", "capable", pod))
    name = ready_pod(client, "capable")["metadata"]["name"]
    status = kubectl("exec", name, "--", "cat", "/proc/self/status")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    missing = missing_capabilities()
    assert effective == sum(1 << number for each, number in asked.items() if f"CAP_{each}" not in missing)
