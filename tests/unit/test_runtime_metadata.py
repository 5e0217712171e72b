"""Names and images from files and sockets as the runtimes make them, and from ones that misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.node.identify.engine_api import EngineApi
from sensor.node.identify.image_reference import image_name, manifest_digest, repository
from sensor.node.identify.metadata import RuntimeMetadata, runtime_metadata
from sensor.node.identify.roots import open_folder
from sensor.node.identify.runc import RuncStates
from sensor.node.identify.unix_http import UnixHttp
from sensor.node.identify.untrusted import ANSWER_MAX, text
from tests.clock import PATIENCE, in_time

A = "a" * 64
IMAGE_ID = "1" * 64
DIGEST = "sha256:" + "d" * 64
UID = "6f1f3c52-77e5-4d3f-9b1c-5a1f5a0e9c11"
POD = ContainerMetadata(
    name="web",
    image=Image("registry.example/shop/web:1.2", DIGEST),
    namespace="shop",
    pod_name="web-7d4b9c-x2x",
    pod_uid=UID,
)
STORAGE = "var/lib/containers/storage"


def write(root: Path, path: str, content: Any) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def identity(runtime: str, container_id: str = A) -> ContainerIdentity:
    return ContainerIdentity(container_id, runtime)


def look_up(root: Path, runtime: str, container_id: str = A) -> ContainerMetadata:
    return runtime_metadata(str(root)).lookup(identity(runtime, container_id))


class TestOciBundles:
    CRI: ClassVar = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.image-name": f"registry.example/shop/web:1.2@{DIGEST}",
        "io.kubernetes.cri.sandbox-name": "web-7d4b9c-x2x",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-uid": UID,
    }

    @pytest.mark.parametrize(
        "state", ["run/containerd", "run/k3s/containerd", "var/snap/microk8s/common/run/containerd"]
    )
    def test_containerd(self, tmp_path: Path, state: str) -> None:
        path = f"{state}/io.containerd.runtime.v2.task/k8s.io/{A}/config.json"
        write(tmp_path, path, {"annotations": self.CRI})
        assert look_up(tmp_path, "containerd") == ContainerMetadata(
            "web", Image("registry.example/shop/web:1.2", DIGEST), "shop", "web-7d4b9c-x2x", UID
        )

    def test_crio(self, tmp_path: Path) -> None:
        annotations = {
            "io.kubernetes.container.name": "web",
            "io.kubernetes.pod.name": "web-7d4b9c-x2x",
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.pod.uid": UID,
            "io.kubernetes.cri-o.ImageName": "registry.example/shop/web:1.2",
            "io.kubernetes.cri-o.ImageRef": f"registry.example/shop/web@{DIGEST}",
        }
        path = f"run/containers/storage/overlay-containers/{A}/userdata/config.json"
        write(tmp_path, path, {"annotations": annotations})
        assert look_up(tmp_path, "cri-o") == POD

    def test_runc(self, tmp_path: Path) -> None:
        write(tmp_path, "run/runc/web/state.json", {"config": {"labels": ["x", "bundle=/srv/bundle"]}})
        write(tmp_path, "srv/bundle/config.json", {"annotations": self.CRI})
        assert look_up(tmp_path, "runc", "web").pod_name == "web-7d4b9c-x2x"

    def test_runc_under_the_cgroup_of_a_pod(self, tmp_path: Path) -> None:
        write(tmp_path, f"run/runc/{A}/state.json", {"config": {"labels": ["bundle=/srv/bundle"]}})
        write(tmp_path, "srv/bundle/config.json", {"annotations": self.CRI})
        assert look_up(tmp_path, "containerd").namespace == "shop"

    def test_runc_without_annotations(self, tmp_path: Path) -> None:
        write(tmp_path, "run/runc/web/state.json", {"config": {"labels": ["bundle=/srv/bundle"]}})
        write(tmp_path, "srv/bundle/config.json", {"ociVersion": "1.0.2"})
        assert look_up(tmp_path, "runc", "web") == ContainerMetadata()

    def test_a_link_on_the_host_stays_below_its_root(self, tmp_path: Path) -> None:
        # /var/run is a link to /run: seen from elsewhere it must not lead to our own /run.
        write(tmp_path, f"real/k8s.io/{A}/config.json", {"annotations": self.CRI})
        (tmp_path / "run/containerd").mkdir(parents=True)
        (tmp_path / "run/containerd/io.containerd.runtime.v2.task").symlink_to("/real")
        assert look_up(tmp_path, "containerd").name == "web"

    @pytest.mark.parametrize("unsafe", ["..", "../../etc", "a/b", "x\n", ""])
    def test_an_unsafe_id(self, tmp_path: Path, unsafe: str) -> None:
        assert look_up(tmp_path, "unknown", unsafe) == ContainerMetadata()
        assert not RuncStates(open_folder(str(tmp_path))).exists(unsafe)

    @pytest.mark.parametrize(
        "junk",
        [
            b"",
            b"\xff\xfe",
            b"[" * 100_000,
            b"null",
            b"[]",
            b'{"annotations": 5}',
            b'{"annotations": {"io.kubernetes.cri.container-name": {"a": 1}}}',
            b'{"annotations": {"io.kubernetes.cri.container-name": "a\\nb\\u001b[2J"}}',
            b'{"annotations": {"io.kubernetes.cri.container-name": "\\ud800"}}',
            b'{"annotations": {"io.kubernetes.cri.container-name": "' + b"x" * 5000 + b'"}}',
            b'{"annotations": {"io.kubernetes.cri.container-name": "web"}, "x": "'
            + b"x" * ANSWER_MAX
            + b'"}',
        ],
    )
    def test_junk(self, tmp_path: Path, junk: bytes) -> None:
        write(tmp_path, f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/config.json", junk)
        assert look_up(tmp_path, "containerd") == ContainerMetadata()

    @pytest.mark.parametrize("labels", [5, None, {}, ["bundle=relative"], [5, None], ["bundle="]])
    def test_junk_of_runc(self, tmp_path: Path, labels: Any) -> None:
        write(tmp_path, "run/runc/web/state.json", {"config": {"labels": labels}})
        states = RuncStates(open_folder(str(tmp_path)))
        assert states.exists("web")
        assert states.bundle("web") is None
        assert not states.exists("other")


class TestPodmanStorage:
    def containers(self, root: Path, **record: Any) -> None:
        more = {"image-name": "localhost/shop/web:1.2", "image-id": IMAGE_ID, "name": "web"}
        known = {"id": A, "names": ["web"], "image": IMAGE_ID, "metadata": json.dumps(more)}
        write(root, f"{STORAGE}/overlay-containers/containers.json", [known | record])
        images = [{"id": IMAGE_ID, "digest": DIGEST, "names": ["localhost/shop/web:1.2"]}]
        write(root, f"{STORAGE}/overlay-images/images.json", images)

    def test_name_and_image(self, tmp_path: Path) -> None:
        self.containers(tmp_path)
        expected = ContainerMetadata("web", Image("localhost/shop/web:1.2", DIGEST))
        assert look_up(tmp_path, "podman") == expected

    def test_of_crio_the_image_only(self, tmp_path: Path) -> None:
        self.containers(tmp_path, names=["k8s_web_web-7d4b9c_shop_0"])
        found = look_up(tmp_path, "cri-o")
        assert (found.name, found.image.digest) == (None, DIGEST)

    def test_without_an_image(self, tmp_path: Path) -> None:
        self.containers(tmp_path, image="", metadata='{"image-name":"","name":"web"}')
        assert look_up(tmp_path, "podman") == ContainerMetadata("web")

    @pytest.mark.parametrize("metadata", ["", "{", "[]", 5, None, "\ud800"])
    def test_junk(self, tmp_path: Path, metadata: Any) -> None:
        self.containers(tmp_path, metadata=metadata, names=[5], image=[])
        assert look_up(tmp_path, "podman") == ContainerMetadata()

    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        now = [0.0]
        metadata = RuntimeMetadata(runtime_metadata(str(tmp_path))._sources, lambda: now[0])
        write(tmp_path, f"{STORAGE}/overlay-containers/containers.json", [])
        assert metadata.lookup(identity("podman")).name is None
        self.containers(tmp_path)
        now[0] = 1.0
        assert metadata.lookup(identity("podman")).name == "web"


class Server:
    """A real server on a unix socket: what each GET of a target is answered with, byte by byte."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.asked: list[str] = []
        self.answers: dict[str, bytes] = {}
        self.behave: Callable[[socket.socket, bytes], None] = lambda client, answer: client.sendall(answer)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, target: str, content: Any, status: str = "200 OK") -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.answers[target] = head.encode() + body

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                method, target, _ = client.recv(65536).split(b" ", 2)
                assert method == b"GET"
                self.asked.append(target.decode())
                missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                self.behave(client, self.answers.get(target.decode(), missing))


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "run/docker.sock")
    yield server
    server.close()


class TestEngineApi:
    CONTAINER: ClassVar = {
        "Id": A,
        "Name": "/shop-web-1",
        "Image": f"sha256:{IMAGE_ID}",
        "Config": {"Image": "registry.example:5000/shop/web:1.2", "Labels": {"com.example": "x"}},
    }
    IMAGE: ClassVar = {
        "RepoTags": ["registry.example:5000/shop/web:1.2"],
        "RepoDigests": [f"mirror.example/web@sha256:{'e' * 64}", f"registry.example:5000/shop/web@{DIGEST}"],
    }

    def test_docker(self, tmp_path: Path, docker: Server) -> None:
        docker.answer(f"/containers/{A}/json", self.CONTAINER)
        docker.answer(f"/images/sha256:{IMAGE_ID}/json", self.IMAGE)
        expected = ContainerMetadata("shop-web-1", Image("registry.example:5000/shop/web:1.2", DIGEST))
        assert look_up(tmp_path, "docker") == expected

    def test_a_pod_of_docker_by_bare_id(self, tmp_path: Path, docker: Server) -> None:
        labels = {
            "io.kubernetes.container.name": "web",
            "io.kubernetes.pod.name": "web-7d4b9c-x2x",
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.pod.uid": UID,
        }
        config = {"Image": f"sha256:{IMAGE_ID}", "Labels": labels}
        docker.answer(f"/containers/{A}/json", self.CONTAINER | {"Config": config})
        image = {"RepoTags": ["registry.example/shop/web:1.2"], "RepoDigests": [f"x/web@{DIGEST}"]}
        docker.answer(f"/images/sha256:{IMAGE_ID}/json", image)
        in_pod = ContainerIdentity(A, "containerd", UID)
        assert runtime_metadata(str(tmp_path)).lookup(in_pod) == POD

    def test_without_its_image(self, tmp_path: Path, docker: Server) -> None:
        docker.answer(f"/containers/{A}/json", self.CONTAINER | {"Image": "sha256:../../x"})
        found = look_up(tmp_path, "docker")
        assert found.image == Image("registry.example:5000/shop/web:1.2", None)
        assert docker.asked == [f"/containers/{A}/json"]

    def test_podman(self, tmp_path: Path) -> None:
        server = Server(tmp_path / "run/podman/podman.sock")
        server.answer(f"/containers/{A}/json", self.CONTAINER | {"Name": "web"})
        assert look_up(tmp_path, "podman").name == "web"
        server.close()

    def test_only_what_is_surely_an_id_is_asked_for(self, tmp_path: Path, docker: Server) -> None:
        for container_id in ("web", "../info", "A" * 64, A[:-1], f"{A[:-1]}/", f"{A[:-2]}\r\n"):
            assert look_up(tmp_path, "docker", container_id) == ContainerMetadata()
        assert docker.asked == []

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nnot json",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/9 2000 x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n{}",
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n{}",
            b'HTTP/1.1 500 E\r\n\r\n{"Id": "' + A.encode() + b'", "Name": "/web"}',
            b'HTTP/1.1 200 OK\r\n\r\n{"Id": "' + b"f" * 64 + b'", "Name": "/web"}',
            b'HTTP/1.1 200 OK\r\n\r\n{"Id": "' + A.encode() + b'", "Name": ["x"], "Config": 7, "Image": {}}',
            b'HTTP/1.1 200 OK\r\n\r\n{"Id": "' + A.encode() + b'", "Name": "' + b"x" * ANSWER_MAX + b'"}',
        ],
    )
    def test_junk(self, tmp_path: Path, docker: Server, answer: bytes) -> None:
        docker.answers[f"/containers/{A}/json"] = answer
        assert look_up(tmp_path, "docker") == ContainerMetadata()

    def test_a_server_that_trickles_is_cut_off_and_left_alone(self, tmp_path: Path, docker: Server) -> None:
        def trickle(client: socket.socket, answer: bytes) -> None:
            for byte in answer:
                client.sendall(bytes([byte]))
                time.sleep(0.2)

        docker.behave = trickle
        docker.answer(f"/containers/{A}/json", self.CONTAINER)
        now = [0.0]
        http = UnixHttp(str(tmp_path / "run/docker.sock"), timeout=1.0, clock=lambda: now[0])
        with in_time():
            assert http.get_json(f"/containers/{A}/json") is None
        assert http.get_json(f"/containers/{A}/json") is None
        assert len(docker.asked) == 1
        docker.behave = lambda client, answer: client.sendall(answer)
        now[0] = 31.0
        http._timeout = PATIENCE
        assert http.get_json(f"/containers/{A}/json") == self.CONTAINER

    def test_no_server(self, tmp_path: Path) -> None:
        assert EngineApi(str(tmp_path)).lookup(identity("docker")) is None
        assert EngineApi("/" + "x" * 200).lookup(identity("docker")) is None


class Source:
    """Knows what it is given, from the ``after``-th question on."""

    def __init__(self, known: ContainerMetadata | None, after: int = 0) -> None:
        self.known, self.after, self.asked = known, after, 0

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        self.asked += 1
        return self.known if self.asked > self.after else None


class TestRuntimeMetadata:
    def test_gaps_are_filled_by_later_sources(self) -> None:
        first, second = Source(ContainerMetadata(name="web")), Source(POD)
        assert RuntimeMetadata((first, second)).lookup(identity("docker")) == POD

    def test_the_first_source_wins(self) -> None:
        first = Source(ContainerMetadata(name="a", image=Image("x")))
        found = RuntimeMetadata((first, Source(POD))).lookup(identity("docker"))
        assert (found.name, found.image) == ("a", Image("x", DIGEST))

    def test_the_pod_that_the_cgroup_named(self) -> None:
        known = ContainerIdentity(A, "containerd", UID)
        assert RuntimeMetadata(()).lookup(known) == ContainerMetadata(pod_uid=UID)

    def test_asked_once_when_complete(self) -> None:
        source = Source(POD)
        metadata = RuntimeMetadata((source,))
        for _ in range(3):
            assert metadata.lookup(identity("docker")) == POD
        assert source.asked == 1
        assert metadata.next_retry(identity("docker")) is None
        assert (metadata.counters.asked, metadata.counters.answered) == (1, 1)

    def test_backs_off_and_gives_up(self) -> None:
        now, source = [100.0], Source(None)
        metadata = RuntimeMetadata((source,), lambda: now[0])
        waits = []
        metadata.lookup(identity("docker"))
        while (retry := metadata.next_retry(identity("docker"))) is not None:
            waits.append(retry - now[0])
            now[0] = retry - 0.001
            metadata.lookup(identity("docker"))
            now[0] = retry
            metadata.lookup(identity("docker"))
        assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        assert source.asked == 10
        assert metadata.counters.given_up == 1

    def test_comes_later(self) -> None:
        now = [0.0]
        metadata = RuntimeMetadata((Source(POD, after=1),), lambda: now[0])
        assert metadata.lookup(identity("docker")) == ContainerMetadata()
        assert metadata.next_retry(identity("docker")) == 1.0
        now[0] = 1.0
        assert metadata.lookup(identity("docker")) == POD

    def test_what_the_pods_author_wrote_counts_before_what_a_runtime_says(self) -> None:
        declared = RuntimeMetadata((Source(POD),), declared_image=lambda found: f"{found.name}:1")
        assert declared.lookup(identity("docker")).image == Image("web:1", DIGEST)
        unknown = RuntimeMetadata((Source(POD),), declared_image=lambda _: None)
        assert unknown.lookup(identity("docker")) == POD

    def test_a_digest_is_asked_for_again(self) -> None:
        """The runtime may just be starting; but a report need not wait for it."""
        now = [0.0]
        metadata = RuntimeMetadata((Source(replace(POD, image=Image("x"))),), lambda: now[0])
        container = identity("docker")
        states = []
        while True:
            metadata.lookup(container)
            states.append((metadata.is_enough(container), metadata.is_settled(container)))
            if (retry := metadata.next_retry(container)) is None:
                break
            now[0] = retry
        assert states == [(False, False), *[(True, False)] * 8, (True, True)]
        assert (metadata.counters.answered, metadata.counters.given_up) == (1, 0)

    def test_a_pods_owner_is_asked_for_until_it_is_told(self) -> None:
        """A pod that does not change brings no news of it, and filters may wait for it."""
        now = [0.0]
        source = Source(replace(POD, pod_uid="uid", workload=None))
        metadata = RuntimeMetadata((source,), lambda: now[0], in_cluster=True)
        container = identity("docker")
        for _ in range(2000):  # more than a float's exponent has room for
            metadata.lookup(container)
            retry = metadata.next_retry(container)
            assert retry is not None and now[0] < retry <= now[0] + 60
            now[0] = retry
        assert metadata.is_settled(container)
        assert (metadata.counters.answered, metadata.counters.given_up) == (1, 0)
        source.known = replace(POD, pod_uid="uid", workload=Workload("CronJob", "nightly"))
        assert metadata.lookup(container).workload == Workload("CronJob", "nightly")
        assert metadata.next_retry(container) is None

    def test_bounded_and_forgotten(self) -> None:
        source = Source(POD)
        metadata = RuntimeMetadata((source,))
        for number in range(3000):
            metadata.lookup(identity("docker", f"{number:064x}"))
        assert len(metadata._known) == 2048
        metadata.forget(identity("docker", f"{2999:064x}"))
        assert metadata.next_retry(identity("docker", f"{2999:064x}")) is None
        assert len(metadata._known) == 2047


class TestImageReference:
    @pytest.mark.parametrize(
        ("reference", "name", "digest", "repo"),
        [
            ("nginx", "docker.io/library/nginx:latest", None, "docker.io/library/nginx"),
            ("r.example:5000/a/b", "r.example:5000/a/b:latest", None, "r.example:5000/a/b"),
            (f"r.example:5000/a/b:1@{DIGEST}", "r.example:5000/a/b:1", DIGEST, "r.example:5000/a/b"),
            (f"a/b@{DIGEST}", f"docker.io/a/b@{DIGEST}", DIGEST, "docker.io/a/b"),
            (f"a/b@{DIGEST}0", f"a/b@{DIGEST}0", None, "a/b"),
            ("r.example:5000/A/b:1", "r.example:5000/A/b:1", None, "r.example:5000/A/b"),
            (f"sha256:{IMAGE_ID}", None, None, "sha256"),
        ],
    )
    def test_parts(self, reference: str, name: str | None, digest: str | None, repo: str) -> None:
        assert (image_name(reference), manifest_digest(reference)) == (name, digest)
        assert repository(reference) == repo

    def test_a_bare_image_id(self) -> None:
        assert image_name(IMAGE_ID) is None

    def test_merge_keeps_what_is_known(self) -> None:
        assert POD.or_else(ContainerMetadata("x", Image("y", "z"), "n", "p", "u")) == POD
        assert ContainerMetadata().or_else(POD) == POD

    @pytest.mark.parametrize("value", ["", None, 5, [], "a\n", "\x1b", "x" * 1025, "\u202e"])
    def test_no_text(self, value: Any) -> None:
        assert text(value) is None
