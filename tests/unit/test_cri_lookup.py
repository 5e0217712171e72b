"""Names, images and pods from a container runtime: a real gRPC server on a Unix socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.node.identify.cri import answers, runtime
from sensor.node.identify.cri.proto import cri_pb2
from sensor.node.identify.cri.source import CriMetadata
from tests.cluster.cri_proto import api_pb2 as api
from tests.unit.cri_server import DIGEST, IMAGE_ID, UID, CriServer, hex_id

SOCKET = "run/containerd/containerd.sock"
WEB = Image("registry.example/shop/web:1.2", DIGEST)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CriServer]:
    with CriServer(tmp_path / SOCKET) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Iterator[CriMetadata]:
    source = CriMetadata(str(tmp_path))
    yield source
    source.close()


def identity(container_id: str, runtime: str = "containerd") -> ContainerIdentity:
    return ContainerIdentity(container_id, runtime)


class TestLookup:
    def test_a_container_of_a_pod(self, server: CriServer, source: CriMetadata) -> None:
        one = server.pod(1, {"app": "web", "tier": "", "io.kubernetes.pod.terminationGracePeriod": "30"})
        assert source.lookup(identity(one)) == ContainerMetadata(
            name="web",
            image=WEB,
            namespace="shop",
            pod_name="web-1",
            pod_uid=UID,
            pod_labels={"app": "web", "tier": ""},
        )

    def test_a_sandbox(self, server: CriServer, source: CriMetadata) -> None:
        server.pod(1)
        found = source.lookup(identity(hex_id(1_000_001)))
        assert found == ContainerMetadata(
            namespace="shop", pod_name="web-1", pod_uid=UID, pod_labels={"app": "web"}, is_sandbox=True
        )

    def test_a_container_that_has_ended(self, server: CriServer, source: CriMetadata) -> None:
        one = server.pod(1, state=api.CONTAINER_EXITED)
        assert source.lookup(identity(one)) is not None

    def test_one_that_is_not_there_yet(self, server: CriServer, source: CriMetadata) -> None:
        assert source.lookup(identity(hex_id(1))) is None
        server.pod(1)
        found = source.lookup(identity(hex_id(1)))  # at once: not only with the next list of all
        assert found is not None and found.pod_name == "web-1" and found.pod_labels == {"app": "web"}

    def test_one_that_was_removed_since(self, server: CriServer, source: CriMetadata) -> None:
        one, other = server.pod(1), server.pod(2)
        assert source.lookup(identity(one)) is not None
        server.containers.clear()
        server.sandboxes.clear()
        found = source.lookup(identity(other))
        assert found is not None and found.pod_name == "web-2"

    def test_a_sandbox_gone_before_its_container(self, server: CriServer, source: CriMetadata) -> None:
        one = server.pod(1)
        server.sandboxes.clear()
        found = source.lookup(identity(one))
        assert found is not None
        assert (found.pod_name, found.namespace, found.pod_uid) == ("web-1", "shop", UID)
        assert found.pod_labels is None

    @pytest.mark.parametrize("other", ["podman", "runc", "host", "cri-o"])
    def test_others_containers_are_not_asked_for(
        self, server: CriServer, source: CriMetadata, other: str
    ) -> None:
        one = server.pod(1)
        assert source.lookup(identity(one, other)) is None
        assert not server.calls

    @pytest.mark.parametrize(
        "junk", ["", "a", "A" * 64, "g" * 64, "a" * 65, "../" + "a" * 61, "a" * 63 + "\n"]
    )
    def test_what_no_runtime_gives_as_an_id_is_not_asked_for(
        self, server: CriServer, source: CriMetadata, junk: str
    ) -> None:
        assert source.lookup(identity(junk)) is None
        assert not server.calls

    def test_the_older_interface(self, tmp_path: Path, source: CriMetadata) -> None:
        with CriServer(tmp_path / SOCKET, version="1.5.9", package="v1alpha2") as server:
            found = source.lookup(identity(server.pod(1)))
            assert found is not None and found.image == WEB

    def test_500_short_pods_cost_few_calls(self, server: CriServer, source: CriMetadata) -> None:
        begin = time.monotonic()
        for number in range(500):
            found = source.lookup(identity(server.pod(number)))
            assert found is not None and found.pod_name == f"web-{number}" and found.image == WEB
            if number >= 5:  # each is gone before the next but five comes
                del server.containers[hex_id(number - 5)], server.sandboxes[hex_id(1_000_000 + number - 5)]
        seconds = time.monotonic() - begin
        assert server.calls["all containers"] <= seconds / runtime.LIST_SECONDS + 1
        assert server.calls["ImageStatus"] == 1
        assert server.calls["ListContainers"] + server.calls["ListPodSandbox"] <= 1002

    def test_many_threads_ask_once(self, server: CriServer, source: CriMetadata) -> None:
        server.delays["ListContainers"] = threading.Event()
        there = [identity(server.pod(number)) for number in range(16)]
        with ThreadPoolExecutor(16) as pool:
            found = pool.map(source.lookup, there)
            server.delays["ListContainers"].set()
            assert [one and one.pod_name for one in found] == [f"web-{number}" for number in range(16)]
        assert server.calls["ListContainers"] == 1

    def test_500_at_once_cost_one_list(self, server: CriServer, source: CriMetadata) -> None:
        there = [server.pod(number) for number in range(500)]
        assert all(source.lookup(identity(one)) for one in there)
        calls = source.counters.calls
        assert calls == {
            ("Version", "ok"): 1,
            ("ListContainers", "ok"): 1,
            ("ListPodSandbox", "ok"): 1,
            ("ImageStatus", "ok"): 1,
        }
        assert (source.counters.containers, source.counters.sandboxes) == (500, 500)


class TestImages:
    """By what containerd, CRI-O and cri-dockerd answer, see answers.py."""

    def image(self, server: CriServer, source: CriMetadata, **container: Any) -> Image:
        found = source.lookup(identity(server.pod(1, **container)))
        assert found is not None
        return found.image

    def test_containerd_does_not_know_what_was_written(self, server: CriServer, source: CriMetadata) -> None:
        told = self.image(server, source, image=api.ImageSpec(image=IMAGE_ID))
        assert told == Image("mirror.example/web:1.2", "sha256:" + "e" * 64)

    def test_crio(self, server: CriServer, source: CriMetadata) -> None:
        reference = f"registry.example/shop/web@{DIGEST}"
        spec = api.ImageSpec(image="registry.example/shop/web:1.2")
        assert self.image(server, source, image=spec, image_ref=reference) == WEB
        assert server.calls["ImageStatus"] == 0

    def test_cri_dockerd(self, server: CriServer, source: CriMetadata) -> None:
        reference = f"docker-pullable://registry.example/shop/web@{DIGEST}"
        spec = api.ImageSpec(image="registry.example/shop/web:1.2")
        assert self.image(server, source, image=spec, image_ref=reference) == WEB

    def test_written_with_a_digest(self, server: CriServer, source: CriMetadata) -> None:
        written = f"shop/web:1.2@{DIGEST}"
        spec = api.ImageSpec(image=IMAGE_ID, user_specified_image=written)
        assert self.image(server, source, image=spec) == Image("docker.io/shop/web:1.2", DIGEST)
        assert server.calls["ImageStatus"] == 0

    def test_made_here_so_without_a_digest(self, server: CriServer, source: CriMetadata) -> None:
        server.images[IMAGE_ID] = api.Image(id=IMAGE_ID, repo_tags=["localhost/web:dev"])
        told = self.image(server, source, image=api.ImageSpec(image=IMAGE_ID))
        assert told == Image("localhost/web:dev", None)

    def test_pulled_by_digest_alone(self, server: CriServer, source: CriMetadata) -> None:
        only = f"registry.example/shop/web@{DIGEST}"
        server.images[IMAGE_ID] = api.Image(id=IMAGE_ID, repo_digests=[only])
        assert self.image(server, source, image=api.ImageSpec(image=IMAGE_ID)) == Image(only, DIGEST)

    def test_removed(self, server: CriServer, source: CriMetadata) -> None:
        server.images[IMAGE_ID] = api.Image()
        assert self.image(server, source) == Image("registry.example/shop/web:1.2", None)

    def test_the_image_service_fails(self, server: CriServer, source: CriMetadata) -> None:
        server.failures["ImageStatus"] = grpc.StatusCode.INTERNAL
        assert self.image(server, source) == Image("registry.example/shop/web:1.2", None)


class TestRunning:
    def test_only_what_runs(self, server: CriServer, source: CriMetadata) -> None:
        server.pod(1)
        server.pod(2, state=api.CONTAINER_EXITED)
        server.pod(3, state=api.CONTAINER_CREATED)
        told = source.running()
        assert told is not None
        (one,) = told
        assert one.id == hex_id(1) and one.metadata.image == WEB and one.created_at == 1_700_000_000.5

    def test_anew_each_time(self, server: CriServer, source: CriMetadata) -> None:
        assert source.running() == ()
        one = server.pod(1)
        assert [found.id for found in source.running() or ()] == [one]
        server.containers[one].state = api.CONTAINER_EXITED
        assert source.running() == ()

    def test_without_a_runtime(self, source: CriMetadata) -> None:
        assert source.running() is None

    def test_one_that_does_not_tell(self, server: CriServer, source: CriMetadata) -> None:
        assert source.running() == ()
        server.failures["ListPodSandbox"] = grpc.StatusCode.INTERNAL
        assert source.running() is None

    def test_two_runtimes(self, tmp_path: Path, server: CriServer, source: CriMetadata) -> None:
        server.pod(1)
        with CriServer(tmp_path / "run/crio/crio.sock", "cri-o", "1.31.0") as crio:
            crio.pod(2)
            assert {one.id for one in source.running() or ()} == {hex_id(1), hex_id(2)}
        assert source.running() is None  # one of them had told before

    def test_a_socket_without_a_runtime_does_not_matter(
        self, tmp_path: Path, server: CriServer, source: CriMetadata
    ) -> None:
        server.pod(1)
        with CriServer(tmp_path / "run/crio/crio.sock", package="v0"):
            assert len(source.running() or ()) == 1


def test_the_numbers_are_those_of_the_interface() -> None:
    assert cri_pb2.CONTAINER_RUNNING == answers.RUNNING == api.CONTAINER_RUNNING
