"""Cgroup paths as runtimes, drivers and distributions write them, and as an attacker might."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sensor.model.container import ContainerIdentity
from sensor.node.identify.cgroup import identify_cgroup, is_runc_id, parse_proc_cgroup, read_cgroup_path
from tests.clock import at_little_cost

A = "3f4c1d0e5b6a79880716253443526170f0e1d2c3b4a5968778695a4b3c2d1e0f"
B = "b" * 64
UID = "6f1f3c52-77e5-4d3f-9b1c-5a1f5a0e9c11"
UID_ = UID.replace("-", "_")
MIRROR = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
TASK = "9781c248059748b096f6ab5b0a2e3a52"

POD_SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice"
BEST_EFFORT = f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice"
GUARANTEED = f"/kubepods.slice/kubepods-pod{UID_}.slice"
KIND = (
    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
    f"/kubelet-kubepods-burstable-pod{UID_}.slice"
)
USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"

CONTAINERS = [
    # containerd, systemd driver
    (f"{POD_SLICE}/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"{BEST_EFFORT}/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"{GUARANTEED}/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"/kubepods.slice/kubepods-pod{MIRROR}.slice/cri-containerd-{A}.scope", "containerd", A, MIRROR),
    (f"{POD_SLICE}/cri-containerd-{A}.scope/init.scope", "containerd", A, UID),
    (f"{POD_SLICE}/cri-containerd-{A}.scope/system.slice/nginx.service", "containerd", A, UID),
    (f"…/kubepods-burstable-pod{UID_}.slice/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"…/cri-containerd-{A}.scope", "containerd", A, None),
    (f"…/cri-containerd-{A}.scope/a/b/c", "containerd", A, None),
    # containerd whose driver is not the kubelet's
    (f"/kubepods-burstable-pod{UID_}.slice:cri-containerd:{A}", "containerd", A, UID),
    (f"/kubepods-pod{UID_}.slice:cri-containerd:{A}", "containerd", A, UID),
    (
        f"/system.slice/containerd.service/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
        "containerd",
        A,
        UID,
    ),
    (f"/kubelet-kubepods-burstable-pod{UID_}.slice:cri-containerd:{A}", "containerd", A, UID),
    # cgroupfs driver
    (f"/kubepods/burstable/pod{UID}/{A}", "containerd", A, UID),
    (f"/kubepods/besteffort/pod{UID}/{A}", "containerd", A, UID),
    (f"/kubepods/pod{UID}/{A}", "containerd", A, UID),
    (f"/kubepods/burstable/pod{MIRROR}/{A}", "containerd", A, MIRROR),
    (f"/kubepods/burstable/pod{UID}/{A}/nested/deeper", "containerd", A, UID),
    (f"…/pod{UID}/{A}", "containerd", A, UID),
    (f"{POD_SLICE}/{A}", "containerd", A, UID),
    (f"/kubelet/kubepods/burstable/pod{UID}/{A}", "containerd", A, UID),
    # containerd alone: ctr, nerdctl
    (f"/k8s.io/{A}", "containerd", A, None),
    (f"/default/{A}", "containerd", A, None),
    ("/default/web-1", "containerd", "web-1", None),
    (f"/system.slice/nerdctl-{A}.scope", "containerd", A, None),
    (f"{USER}/nerdctl-{A}.scope", "containerd", A, None),
    (f"/system.slice:nerdctl:{A}", "containerd", A, None),
    # k3s, microk8s, kind
    (f"/system.slice/k3s.service/kubepods/burstable/pod{UID}/{A}", "containerd", A, UID),
    (f"/kubepods/besteffort/pod{UID}/{A}/init", "containerd", A, UID),
    (f"{KIND}/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"/docker/{B}{KIND}/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"/system.slice/docker-{B}.scope{KIND}/cri-containerd-{A}.scope", "containerd", A, UID),
    (f"/docker/{B}/kubelet/kubepods/burstable/pod{UID}/{A}", "containerd", A, UID),
    # CRI-O
    (f"{POD_SLICE}/crio-{A}.scope", "cri-o", A, UID),
    (f"{GUARANTEED}/crio-{A}.scope/container", "cri-o", A, UID),
    (f"/kubepods/burstable/pod{UID}/crio-{A}", "cri-o", A, UID),
    (f"/kubepods.slice/kubepods-pod{MIRROR}.slice/crio-{A}.scope", "cri-o", A, MIRROR),
    (f"/kubepods-burstable-pod{UID_}.slice:crio:{A}", "cri-o", A, UID),
    # Docker
    (f"/docker/{A}", "docker", A, None),
    (f"/docker/{A}/init.scope", "docker", A, None),
    (f"/system.slice/docker-{A}.scope", "docker", A, None),
    (f"/system.slice/docker-{A}.scope/system.slice/sshd.service", "docker", A, None),
    (f"{USER}/docker-{A}.scope", "docker", A, None),
    (f"{POD_SLICE}/docker-{A}.scope", "docker", A, UID),
    (f"/system.slice:docker:{A}", "docker", A, None),
    (f"/moby/{A}", "docker", A, None),
    (f"/ecs/{TASK}/{A}", "docker", A, None),
    (f"/ecstasks.slice/ecstasks-{TASK}.slice/docker-{A}.scope", "docker", A, None),
    # Docker in Docker, and in a pod: the innermost container, in the pod around it
    (f"/docker/{B}/docker/{A}", "docker", A, None),
    (f"{POD_SLICE}/cri-containerd-{B}.scope/docker/{A}", "docker", A, UID),
    # podman
    (f"/machine.slice/libpod-{A}.scope", "podman", A, None),
    (f"/machine.slice/libpod-{A}.scope/container", "podman", A, None),
    (f"/machine.slice/libpod-{A}.scope/container/init.scope", "podman", A, None),
    (f"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope", "podman", A, None),
    (f"{USER}/libpod-{A}.scope/container", "podman", A, None),
    (f"/libpod_parent/libpod-{A}", "podman", A, None),
    (f"/libpod_parent/libpod-{A}/container", "podman", A, None),
    (f"/libpod_parent/{B}/libpod-{A}", "podman", A, None),
    (f"/system.slice/web.service/libpod-payload-{A}", "podman", A, None),
    (f"/machine.slice:libpod:{A}", "podman", A, None),
    # runc alone
    ("/system.slice/runc-web.scope", "runc", "web", None),
    ("/user.slice/runc-my_app+1.2-x.scope", "runc", "my_app+1.2-x", None),
    ("/:runc:web", "runc", "web", None),
    # others
    (f"/ecs/{TASK}/{TASK}-2531612879", "unknown", f"{TASK}-2531612879", None),
    ("/garden/8ebb7e5a-3cd2-4d1b-6c1c-b3b1", "unknown", "8ebb7e5a-3cd2-4d1b-6c1c-b3b1", None),
    (f"/system.slice/garden.service/garden/good/{UID}", "unknown", UID, None),
    ("/docker/buildkit/ev2zj4o1kq0yxmtjlz6m1b3xq", "unknown", "ev2zj4o1kq0yxmtjlz6m1b3xq", None),
    ("/system.slice:docker:ev2zj4o1kq0yxmtjlz6m1b3xq", "unknown", "ev2zj4o1kq0yxmtjlz6m1b3xq", None),
    ("/lxc.payload.web01/system.slice/cron.service", "unknown", "web01", None),
    ("/lxc/web01", "unknown", "web01", None),
    ("/lxc/101/ns/init.scope", "unknown", "101", None),
    (f"/batch.slice/{A}", "unknown", A, None),
]

NO_CONTAINERS = [
    "",
    "/",
    "…",
    "…/",
    "//",
    "/init.scope",
    "/system.slice",
    "/system.slice/nginx.service",
    "/system.slice/docker.service",
    "/system.slice/containerd.service",
    "/system.slice/system-getty.slice/getty@tty1.service",
    "/user.slice/user-1000.slice/session-3.scope",
    "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-terminal.scope",
    "/kubepods.slice",
    "/kubepods/burstable",
    POD_SLICE,
    f"/kubepods/burstable/pod{UID}",
    "/kubelet.slice/kubelet.service",
    # monitors beside containers
    f"{POD_SLICE}/crio-conmon-{A}.scope",
    f"/kubepods/burstable/pod{UID}/crio-conmon-{A}",
    f"/machine.slice/libpod-conmon-{A}.scope",
    f"/libpod_parent/libpod-conmon-{A}",
    f"/libpod_parent/{B}/libpod-conmon-{A}",
    "/libpod_parent/conmon",
    f"/libpod_parent/{B}",
    "/system.slice/web.service/supervisor",
    "/lxc.monitor.web01",
    "/lxc",
    "/default",
    "/docker",
    "/system.slice/lxc/web01",
    "/system.slice/default/web01",
    # look-alikes
    f"/system.slice/notdocker-{A}.scope",
    f"/system.slice/docker-{A}.scope.d",
    f"/system.slice/docker-{A}.service",
    f"/system.slice/docker-{A[:-1]}.scope",
    f"/system.slice/docker-{A}0.scope",
    f"/system.slice/docker-{A.upper()}.scope",
    f"/system.slice/docker-{A}.scope\n",
    f"/system.slice/x\ndocker-{A}.scope",
    f"/docker/{A[:-1]}",
    f"/docker/{A[:12]}",
    f"/docker/{A}\n",
    f"/docker/x{A}",
    f"/xcri-containerd-{A}.scope",
    f"/cri-containerd-{A}",
    f"/kubepods/burstable/pod{UID}/{A[:-1]}",
    f"/system.slice/docker-{'٣' * 64}.scope",
    "/system.slice/runc-.scope",
    "/system.slice/runc-a b.scope",
    "/:runc:",
    # junk
    "\0",
    "/\udce9\udcff/\udc80",
    f"/docker/{A[:-1]}\udcff",
    "/" + "a" * 10_000,
    "/" + "docker-" * 2_000,
    "/a" * 10_000,
    f"/docker-{A}" + "0" * 10_000 + ".scope",
    "/" + "kubepods-" * 1_200 + f"pod{UID_}.slice",
]


def test_the_table_is_long_enough() -> None:
    assert len(CONTAINERS) >= 60


@pytest.mark.parametrize(("path", "runtime", "container_id", "pod_uid"), CONTAINERS)
def test_container(path: str, runtime: str, container_id: str, pod_uid: str | None) -> None:
    assert identify_cgroup(path) == ContainerIdentity(container_id, runtime, pod_uid)


@pytest.mark.parametrize("path", NO_CONTAINERS)
def test_no_container(path: str) -> None:
    assert identify_cgroup(path) is None


@pytest.mark.parametrize("nested", ["a" * 300, "docker-" + A, f"notdocker-{B}.scope", "x\n", "\udcff", "…"])
def test_what_is_nested_in_a_container_belongs_to_it(nested: str) -> None:
    assert identify_cgroup(f"/docker/{A}/{nested}") == ContainerIdentity(A, "docker")


def test_hostile_paths_cost_little() -> None:
    hostile = [path for path in NO_CONTAINERS if len(path) > 1_000] + [
        "/kubepods-" + "a-" * 120 + "podx"
    ] * 50
    with at_little_cost():
        for path in hostile * 20:
            identify_cgroup(path)


class TestPlainRunc:
    def test_a_name_counts_only_when_runc_knows_it(self) -> None:
        assert identify_cgroup("/web") is None
        assert identify_cgroup("/web", lambda name: name == "web") == ContainerIdentity("web", "runc")
        assert identify_cgroup("/web", lambda name: name == "other") is None

    def test_nested_and_below_another_cgroup(self) -> None:
        known = {"web"}.__contains__
        assert identify_cgroup("/jobs/web/init.scope", known) == ContainerIdentity("web", "runc")

    def test_a_pod_around_is_kept(self) -> None:
        found = identify_cgroup(f"/kubepods/burstable/pod{UID}/web", {"web"}.__contains__)
        assert found == ContainerIdentity("web", "runc", UID)

    def test_unsafe_names_are_never_asked_for(self) -> None:
        asked: list[str] = []

        def remember(name: str) -> bool:
            asked.append(name)
            return True

        assert identify_cgroup("/../…/./a b/x\n/\udcff", remember) is None
        assert asked == []

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\n", "é", "x" * 1025])
    def test_no_id(self, name: str) -> None:
        assert not is_runc_id(name)

    @pytest.mark.parametrize("name", ["a", "...", "a.b-c_d+e", "x" * 1024])
    def test_id(self, name: str) -> None:
        assert is_runc_id(name)


class TestProcCgroup:
    def test_v2(self) -> None:
        assert parse_proc_cgroup("0::/system.slice/a.scope\n") == "/system.slice/a.scope"

    def test_v1_takes_the_memory_controller(self) -> None:
        content = "12:pids:/p\n8:cpu,cpuacct:/c\n4:memory:/m\n1:name=systemd:/s\n0::/u\n"
        assert parse_proc_cgroup(content) == "/m"

    def test_then_pids_then_v2(self) -> None:
        assert parse_proc_cgroup("12:pids:/p\n1:name=systemd:/s\n0::/u\n") == "/p"
        assert parse_proc_cgroup("1:name=systemd:/s\n0::/u\n") == "/u"

    def test_controllers_of_one_hierarchy(self) -> None:
        assert parse_proc_cgroup("3:cpu,memory:/m\n") == "/m"

    def test_colons_in_names(self) -> None:
        assert parse_proc_cgroup(f"4:memory:/x.slice:docker:{A}\n") == f"/x.slice:docker:{A}"

    def test_a_removed_cgroup(self) -> None:
        assert parse_proc_cgroup(f"0::/docker/{A} (deleted)\n") == f"/docker/{A}"

    def test_from_inside_a_cgroup_namespace(self) -> None:
        assert parse_proc_cgroup(f"0::/../../docker-{A}.scope/..x\n") == f"…/docker-{A}.scope/..x"
        assert parse_proc_cgroup("0::/..\n") == "…"
        assert parse_proc_cgroup("0::/..x/y\n") == "/..x/y"

    @pytest.mark.parametrize("junk", ["", "\n", "0", "0:", "0::", ":::", "0::relative", "\0", "4:memory"])
    def test_junk(self, junk: str) -> None:
        assert parse_proc_cgroup(junk) is None

    def test_this_process(self) -> None:
        path = read_cgroup_path(os.getpid())
        assert path is not None
        assert path[0] in "/…"
        assert path.lstrip("…") in Path("/proc/self/cgroup").read_text(encoding="utf-8")

    def test_no_process(self) -> None:
        assert read_cgroup_path(0) is None
