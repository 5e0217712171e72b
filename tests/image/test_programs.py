"""Each program starts in the image with a read-only root; the unprivileged ones as nobody in particular."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.clock import PATIENCE
from tests.ground.sensor import free_port, get
from tests.image.storage import NODE_CAPABILITIES, Image, node_options, scratch_folder

pytestmark = pytest.mark.containers

_LOADED = {"pkg:pypi/aiohttp", "pkg:pypi/grpcio", "pkg:pypi/runtime-sensor"}


def test_names_its_programs_without_any_right(image: Image) -> None:
    told = image.run("--help", options=["--cap-drop=all"]).stdout
    for program in ("node", "receiver", "doctor"):
        assert f"\n    {program} " in told


def test_without_a_command_it_explains_itself(image: Image) -> None:
    assert image.run().stdout.startswith("usage: runtime-sensor")


def test_runs_as_nobody_in_particular(image: Image) -> None:
    with image.running("receiver", "--data-dir=/dev/shm/receiver", options=["--cap-drop=all"]) as container:
        pid = image.podman("inspect", "--format={{.State.Pid}}", container).stdout.strip()
        status = Path(f"/proc/{pid}/status").read_text()
    assert "\nUid:\t65532\t65532\t65532\t65532\n" in status
    assert "\nCapPrm:\t0000000000000000\n" in status


def test_receiver_answers(image: Image) -> None:
    http, grpc = free_port(), free_port()
    arguments = [f"--http-address=127.0.0.1:{http}", f"--grpc-address=127.0.0.1:{grpc}", "--data-dir=/data"]
    with scratch_folder() as data:
        options = ["--cap-drop=all", f"--volume={data}:/data"]
        with image.running("receiver", *arguments, options=options) as container:
            page = _until_answered(image, container, f"127.0.0.1:{http}/")
        assert "<title>" in page
        assert any(Path(data).iterdir()), "it keeps nothing"


def test_doctor_finds_all_it_needs(image: Image) -> None:
    done = image.run("doctor", "--json", options=node_options(*NODE_CAPABILITIES))
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["bcc"]["found"] == "0.26.0 (/usr/lib/python3/dist-packages/bcc/__init__.py)"
    assert findings["hook"]["status"] == "ok"
    assert "our own open came back" in findings["hook"]["found"]


def test_what_is_imported_late_is_there(image: Image) -> None:
    """With a kubeconfig, with SENTRY_DSN, with an upstream; and what needs the system's libraries."""
    late = (
        "kubernetes.config.kube_config, sentry_sdk, grpc, google.rpc.status_pb2, urllib3, sqlite3, lzma, bz2"
    )
    code = f"import {late}, ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"
    done = image.run("-I", "-c", code, options=["--entrypoint=/usr/bin/python3"])
    assert int(done.stdout) > 100, "no authority is trusted"


_NOTHING_WRITABLE = (*node_options(*NODE_CAPABILITIES), "--mount=type=tmpfs,destination=/dev/shm,ro=true")


def test_doctor_names_the_folders_that_it_tried_where_none_can_be_written(image: Image) -> None:
    done = image.run("doctor", "--json", options=_NOTHING_WRITABLE, check=False)
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    for folder in ("/dev/shm (TMPDIR)", "/tmp", "/var/tmp"):
        assert f"{folder}: Read-only file system" in findings["temporary folder"]["found"]
    assert findings["temporary folder"]["status"] == findings["hook"]["status"] == "fail"
    assert "--tmpfs /tmp" in findings["temporary folder"]["cure"]


def test_what_doctor_advises_for_that_helps(image: Image) -> None:
    done = image.run("doctor", "--json", options=[*_NOTHING_WRITABLE, "--tmpfs=/tmp:size=1m,noexec"])
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["temporary folder"]["found"] == "/tmp can be written"
    assert "our own open came back" in findings["hook"]["found"]


@pytest.mark.parametrize("missing", ["BPF", "PERFMON", "SYS_PTRACE"])
def test_doctor_names_the_capability_that_is_missing(image: Image, missing: str) -> None:
    held = [name for name in NODE_CAPABILITIES if name != missing]
    done = image.run("doctor", options=node_options(*held), check=False)
    assert done.returncode == 1
    assert f"FAIL  CAP_{missing}: not held" in done.stdout


def test_node_sees_what_another_container_loads(image: Image) -> None:
    """The other one is of the same image: a Python application as any."""
    port = free_port()
    arguments = ["--output=jsonl", "--kubernetes=off", f"--metrics-address=127.0.0.1:{port}"]
    with image.running("node", *arguments, options=node_options(*NODE_CAPABILITIES)) as container:
        _until_answered(image, container, f"127.0.0.1:{port}/readyz")
        with image.running("receiver", "--data-dir=/dev/shm/receiver") as application:
            deadline = time.monotonic() + 2 * PATIENCE
            while not (purls := _purls(image, container, application)) >= _LOADED:
                assert time.monotonic() < deadline, f"found {purls}"
                time.sleep(0.5)
        image.podman("stop", "--time=20", container)
        status = image.podman("inspect", "--format={{.State.ExitCode}}", container).stdout.strip()
    assert status == "0"


def _purls(image: Image, node: str, application: str) -> set[str]:
    """What ``node`` has told of ``application``, without versions."""
    states = [json.loads(line) for line in image.podman("logs", node).stdout.splitlines() if line[:1] == "{"]
    of_it = [state["packages"] for state in states if state.get("container", {}).get("id") == application]
    return {package["purl"].partition("@")[0] for packages in of_it for package in packages}


def _until_answered(image: Image, container: str, address: str) -> str:
    deadline = time.monotonic() + 3 * PATIENCE
    while True:
        try:
            return get(address)
        except OSError as error:
            if time.monotonic() > deadline:
                logs = image.podman("logs", container)
                pytest.fail(f"{address}: {error}\n{logs.stdout}{logs.stderr}")
        time.sleep(0.2)
