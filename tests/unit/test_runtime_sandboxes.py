"""What bundles and engines tell of pods: sandboxes, the pods' own labels, images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.node.identify.engine_api import EngineApi
from sensor.node.identify.labels import metadata_of, sandbox_of
from sensor.node.identify.metadata import runtime_metadata
from tests.unit.test_runtime_metadata import Server, write

A, SANDBOX, IMAGE_ID = "a" * 64, "b" * 64, "1" * 64
DIGEST, OTHER = "sha256:" + "d" * 64, "sha256:" + "e" * 64
UID = "4fe556a4-0bd7-45be-966f-46e2cbf4c4ac"
OF_POD = {
    "io.kubernetes.pod.name": "web-7d4b9c-x2x",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": UID,
}
LABELS = {"app": "web", "example.org/tier": ""}

# https://github.com/containerd/containerd/pull/7735
CONTAINERD = {
    "io.kubernetes.cri.container-name": "test-pod-9240",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.image-name": "mirror.gcr.io/library/alpine:latest",
    "io.kubernetes.cri.sandbox-id": "08880aefad635b5735451d8e933536ca4d715378f3bd94cd35bc8cab77884095",
    "io.kubernetes.cri.sandbox-name": "test-pod-9240",
    "io.kubernetes.cri.sandbox-namespace": "default",
    "io.kubernetes.cri.sandbox-uid": UID,
}
# cri-o internal/factory/container/container.go, SpecAddAnnotations
CRIO = OF_POD | {
    "io.kubernetes.container.name": "web",
    "io.kubernetes.cri-o.ContainerType": "container",
    "io.kubernetes.cri-o.Image": f"registry.example/shop/web@{DIGEST}",
    "io.kubernetes.cri-o.ImageName": "registry.example/shop/web:1.2",
    "io.kubernetes.cri-o.ImageRef": IMAGE_ID,
    "io.kubernetes.cri-o.Labels": json.dumps(OF_POD | {"io.kubernetes.container.name": "web"}),
    "io.kubernetes.cri-o.SandboxID": SANDBOX,
}
CRIO_SANDBOX = OF_POD | {
    "io.kubernetes.container.name": "POD",
    "io.kubernetes.cri-o.ContainerType": "sandbox",
    "io.kubernetes.cri-o.ImageName": "registry.k8s.io/pause:3.9",
    "io.kubernetes.cri-o.Labels": json.dumps(OF_POD | LABELS | {"io.kubernetes.container.name": "POD"}),
    "io.kubernetes.cri-o.SandboxID": SANDBOX,
}


def bundle(root: Path, container_id: str, annotations: Any, folder: str = "run") -> None:
    path = f"{folder}/containers/storage/overlay-containers/{container_id}/userdata/config.json"
    write(root, path, {"annotations": annotations})


def look_up(root: Path, runtime: str, container_id: str = A) -> ContainerMetadata:
    return runtime_metadata(str(root)).lookup(ContainerIdentity(container_id, runtime, UID))


class TestContainerd:
    PATH = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/config.json"

    def test_a_container(self, tmp_path: Path) -> None:
        write(tmp_path, self.PATH, {"annotations": CONTAINERD})
        assert look_up(tmp_path, "containerd") == ContainerMetadata(
            "test-pod-9240", Image("mirror.gcr.io/library/alpine:latest"), "default", "test-pod-9240", UID
        )

    def test_a_sandbox(self, tmp_path: Path) -> None:
        told = {key: value for key, value in CONTAINERD.items() if "sandbox" in key}
        write(tmp_path, self.PATH, {"annotations": told | {"io.kubernetes.cri.container-type": "sandbox"}})
        found = look_up(tmp_path, "containerd")
        assert (found.is_sandbox, found.pod_uid, found.pod_labels) == (True, UID, None)


class TestCrio:
    def test_a_container_has_the_labels_of_its_sandbox(self, tmp_path: Path) -> None:
        bundle(tmp_path, A, CRIO)
        bundle(tmp_path, SANDBOX, CRIO_SANDBOX)
        assert look_up(tmp_path, "cri-o") == ContainerMetadata(
            "web",
            Image("registry.example/shop/web:1.2", DIGEST),
            "shop",
            "web-7d4b9c-x2x",
            UID,
            pod_labels=LABELS,
        )

    def test_without_its_sandbox(self, tmp_path: Path) -> None:
        bundle(tmp_path, A, CRIO)
        assert look_up(tmp_path, "cri-o").pod_labels is None

    def test_a_sandbox_of_another_pod(self, tmp_path: Path) -> None:
        bundle(tmp_path, A, CRIO)
        bundle(tmp_path, SANDBOX, CRIO_SANDBOX | {"io.kubernetes.pod.uid": "other"})
        assert look_up(tmp_path, "cri-o").pod_labels is None

    def test_an_unsafe_sandbox(self, tmp_path: Path) -> None:
        bundle(tmp_path, A, CRIO | {"io.kubernetes.cri-o.SandboxID": "../../x"})
        write(tmp_path, "run/containers/x/userdata/config.json", {"annotations": CRIO_SANDBOX})
        assert look_up(tmp_path, "cri-o").pod_labels is None

    def test_a_sandbox(self, tmp_path: Path) -> None:
        bundle(tmp_path, SANDBOX, CRIO_SANDBOX, "var/lib")
        found = look_up(tmp_path, "cri-o", SANDBOX)
        assert (found.is_sandbox, found.pod_labels, found.pod_uid) == (True, LABELS, UID)

    def test_an_image_without_a_name(self) -> None:
        told = {key: value for key, value in CRIO.items() if not key.endswith("ImageName")}
        assert metadata_of(told).image == Image(f"registry.example/shop/web@{DIGEST}", DIGEST)

    @pytest.mark.parametrize("asked", [IMAGE_ID, "registry.example/shop/web:1.2"])
    def test_the_digest_in_the_repository_of_the_name(self, asked: str) -> None:
        digests = f"mirror.example/web@{OTHER},registry.example/shop/web@{DIGEST}"
        told = CRIO | {"io.kubernetes.cri-o.Image": asked, "io.kubernetes.cri-o.ImageRepoDigests": digests}
        assert metadata_of(told).image == Image("registry.example/shop/web:1.2", DIGEST)

    def test_an_id_is_no_image(self) -> None:
        told = {"io.kubernetes.cri-o.Image": IMAGE_ID, "io.kubernetes.cri-o.ImageRef": IMAGE_ID}
        assert metadata_of(told).image == Image()


class TestWhoMayTell:
    """Runtimes can be told to pass annotations of pods on: a pod must not hide by them."""

    @pytest.mark.parametrize(
        ("annotations", "spoofed"),
        [
            (CRIO, "io.kubernetes.cri.container-type"),
            (CRIO, "io.kubernetes.docker.type"),
            (CONTAINERD, "io.kubernetes.cri-o.ContainerType"),
        ],
    )
    @pytest.mark.parametrize("value", ["sandbox", "podsandbox"])
    def test_no_sandbox(self, annotations: dict[str, str], spoofed: str, value: str) -> None:
        assert not metadata_of(annotations | {spoofed: value}).is_sandbox

    @pytest.mark.parametrize("value", ["", "container", "SANDBOX", 5, None, ["sandbox"], {"sandbox": 1}])
    def test_no_type_of_a_sandbox(self, value: Any) -> None:
        assert not metadata_of({"io.kubernetes.cri.container-type": value}).is_sandbox

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("", None),
            ("[]", None),
            ("null", None),
            ("{", None),
            ("\ud800", None),
            ("[" * 100_000, None),
            ("{}", {}),
            ('{"a": 5, "b": null, "c": "x", "d": ["y"], "": "z"}', {"c": "x"}),
            ('{"a": "x\\ny", "b\\u001b": "x", "c": "\\ud800"}', {}),
            (json.dumps({"a": "x" * 2000, "b" * 2000: "x"}), {}),
            (json.dumps({"io.kubernetes.pod.name": "x", "annotation.x": "y", "app.kubernetes.io/name": "z"}),
             {"app.kubernetes.io/name": "z"}),
        ],
    )  # fmt: skip
    def test_labels_that_are_none(self, written: str, expected: Any) -> None:
        assert metadata_of(CRIO_SANDBOX | {"io.kubernetes.cri-o.Labels": written}).pod_labels == expected

    def test_labels_are_bounded(self) -> None:
        written = json.dumps({f"key-{i}": "x" for i in range(10_000)})
        found = metadata_of(CRIO_SANDBOX | {"io.kubernetes.cri-o.Labels": written}).pod_labels
        assert found is not None
        assert len(found) == 128

    def test_a_containers_labels_are_not_its_pods(self) -> None:
        assert metadata_of(CRIO).pod_labels is None
        assert metadata_of({"io.kubernetes.docker.type": "container", "app": "web"}).pod_labels is None

    @pytest.mark.parametrize("junk", [None, 5, "x", [], {}, {"io.kubernetes.cri-o.SandboxID": 5}])
    def test_junk(self, junk: Any) -> None:
        assert metadata_of(junk) == ContainerMetadata()
        assert sandbox_of(junk) is None


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "run/docker.sock")
    yield server
    server.close()


class TestDocker:
    OF_CONTAINER: ClassVar = OF_POD | {
        "io.kubernetes.container.name": "web",
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.sandbox.id": SANDBOX,
        "annotation.io.kubernetes.container.hash": "3f1c",
    }
    OF_SANDBOX: ClassVar = (
        OF_POD
        | LABELS
        | {
            "io.kubernetes.container.name": "POD",
            "io.kubernetes.docker.type": "podsandbox",
            "annotation.kubernetes.io/config.source": "api",
        }
    )

    def answer(
        self, server: Server, container_id: str, labels: dict[str, str], image: str = "web:1.2"
    ) -> None:
        told = {"Id": container_id, "Name": "/k8s_x", "Image": f"sha256:{IMAGE_ID}"}
        server.answer(
            f"/containers/{container_id}/json", told | {"Config": {"Image": image, "Labels": labels}}
        )

    def ask(self, root: Path, container_id: str = A, uid: str | None = UID) -> ContainerMetadata:
        found = EngineApi(str(root)).lookup(ContainerIdentity(container_id, "docker", uid))
        assert found is not None
        return found

    def test_a_container_has_the_labels_of_its_sandbox(self, tmp_path: Path, docker: Server) -> None:
        self.answer(docker, A, self.OF_CONTAINER, f"sha256:{IMAGE_ID}")
        self.answer(docker, SANDBOX, self.OF_SANDBOX)
        stored = {"RepoTags": ["shop/web:1.2"], "RepoDigests": [f"x/web@{OTHER}", f"shop/web@{DIGEST}"]}
        docker.answer(f"/images/sha256:{IMAGE_ID}/json", stored)
        found = self.ask(tmp_path)
        assert found == ContainerMetadata(
            "web",
            Image("docker.io/shop/web:1.2", DIGEST),
            "shop",
            "web-7d4b9c-x2x",
            UID,
            pod_labels=LABELS,
        )

    def test_a_sandbox(self, tmp_path: Path, docker: Server) -> None:
        self.answer(docker, SANDBOX, self.OF_SANDBOX, "registry.k8s.io/pause:3.9")
        found = self.ask(tmp_path, SANDBOX)
        assert (found.is_sandbox, found.pod_labels, found.pod_uid) == (True, LABELS, UID)

    def test_an_image_that_was_pulled_by_digest(self, tmp_path: Path, docker: Server) -> None:
        self.answer(docker, A, self.OF_CONTAINER, f"sha256:{IMAGE_ID}")
        docker.answer(
            f"/images/sha256:{IMAGE_ID}/json", {"RepoTags": [], "RepoDigests": [f"shop/web@{DIGEST}"]}
        )
        assert self.ask(tmp_path).image == Image(f"docker.io/shop/web@{DIGEST}", DIGEST)

    @pytest.mark.parametrize("sandbox", ["", "x", "../info", SANDBOX.upper(), "c" * 64])
    def test_without_its_sandbox(self, tmp_path: Path, docker: Server, sandbox: str) -> None:
        self.answer(docker, A, self.OF_CONTAINER | {"io.kubernetes.sandbox.id": sandbox})
        self.answer(docker, SANDBOX, self.OF_SANDBOX)
        assert self.ask(tmp_path).pod_labels is None
        asked = {f"/containers/{A}/json", f"/images/sha256:{IMAGE_ID}/json", f"/containers/{'c' * 64}/json"}
        assert asked.issuperset(docker.asked)

    def test_a_sandbox_of_another_pod(self, tmp_path: Path, docker: Server) -> None:
        self.answer(docker, A, self.OF_CONTAINER)
        self.answer(docker, SANDBOX, self.OF_SANDBOX | {"io.kubernetes.pod.uid": "other"})
        assert self.ask(tmp_path).pod_labels is None

    def test_an_image_outside_of_a_pod_cannot_say_that_it_is_in_one(
        self, tmp_path: Path, docker: Server
    ) -> None:
        self.answer(docker, A, self.OF_SANDBOX)
        expected = ContainerMetadata("k8s_x", Image("docker.io/library/web:1.2"))
        assert self.ask(tmp_path, uid=None) == expected
