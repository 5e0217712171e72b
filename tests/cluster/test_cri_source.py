"""What our client of container runtimes learns from a real containerd."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.model.image_reference import image_name
from sensor.node.identify.cri.source import CriMetadata
from tests.cluster.cri_pod import ContainerSpec, importing
from tests.cluster.images import LocalImage, Origin
from tests.cluster.runtime import CriRuntime

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def runtime() -> Iterator[CriRuntime]:
    with CriRuntime() as runtime:
        yield runtime


@pytest.fixture
def source(runtime: CriRuntime) -> Iterator[CriMetadata]:
    source = CriMetadata("/", str(runtime.socket))
    source.start()
    yield source
    source.close()


@pytest.fixture(scope="module")
def image(runtime: CriRuntime) -> LocalImage:
    return runtime.image("registry.example.com:5000/team/app:1.2", {"six": "1.16.0"})


def identity(container_id: str) -> ContainerIdentity:
    return ContainerIdentity(container_id, "containerd")


def test_every_container_of_a_pod(runtime: CriRuntime, source: CriMetadata, image: LocalImage) -> None:
    app, mesh = (ContainerSpec(name, image, importing("six")) for name in ("app", "mesh"))
    init = ContainerSpec("init", image, ("python3", "-c", "pass"))
    labels = {"app.kubernetes.io/name": "web", "tier": ""}
    with runtime.pod("web", app, mesh, namespace="shop", init_containers=(init,), labels=labels) as pod:
        pod.add_container(ContainerSpec("debug", image, importing("json"), target="app"))
        for name, container_id in pod.containers.items():
            assert source.lookup(identity(container_id)) == ContainerMetadata(
                name=name,
                image=Image(image.name, image.digest),
                namespace="shop",
                pod_name="web",
                pod_uid=pod.uid,
                pod_labels=labels,
            )
        sandbox = source.lookup(identity(pod.sandbox_id))
        assert sandbox is not None and sandbox.is_sandbox and sandbox.pod_uid == pod.uid
        running = source.running()
        assert running is not None
        assert {one.metadata.name: one.id for one in running} == {
            name: pod.containers[name] for name in ("app", "mesh", "debug")
        }
        created = {one.created_at for one in running}
        assert all(moment is not None and 0 < time.time() - moment < 60 for moment in created)
    assert source.running() == ()


@pytest.mark.parametrize(
    ("name", "origin"),
    [("my-app", Origin.PULLED), ("acme/web:2", Origin.LOADED), ("quay.io/a/b", Origin.PULLED_BY_DIGEST)],
)
def test_images(runtime: CriRuntime, source: CriMetadata, name: str, origin: Origin) -> None:
    image = runtime.image(name, origin=origin)
    with runtime.pod("named", ContainerSpec("app", image, importing("json"))) as pod:
        found = source.lookup(identity(pod.containers["app"]))
    assert found is not None
    assert found.image == Image(image_name(image.name), None if origin is Origin.LOADED else image.digest)


def test_pods_that_end_at_once(runtime: CriRuntime, source: CriMetadata, image: LocalImage) -> None:
    container = ContainerSpec("app", image, importing("six", seconds=0.1))

    def short(number: int) -> tuple[str, ContainerMetadata | None]:
        with runtime.pod(f"short-{number}", container, labels={"number": str(number)}) as pod:
            return pod.uid, source.lookup(identity(pod.containers["app"]))

    with ThreadPoolExecutor(4) as pool:
        for number, (uid, found) in enumerate(pool.map(short, range(24))):
            assert found is not None
            assert (found.pod_name, found.pod_uid) == (f"short-{number}", uid)
            assert found.pod_labels == {"number": str(number)}
            assert found.image == Image(image.name, image.digest)


def test_containerd_restarts(runtime: CriRuntime, source: CriMetadata, image: LocalImage) -> None:
    container = ContainerSpec("app", image, importing("six"))
    with runtime.pod("before", container) as before:
        assert source.lookup(identity(before.containers["app"])) is not None
        runtime.stop()
        assert source.running() is None
        assert source.lookup(identity("f" * 64)) is None
        assert source.lookup(identity(before.containers["app"])) is not None
        runtime.start()
        with runtime.pod("after", container) as after:
            found = source.lookup(identity(after.containers["app"]))
            assert found is not None and found.pod_name == "after"
            assert len(source.running() or ()) == 2


def test_an_idle_source_asks_nothing(runtime: CriRuntime, source: CriMetadata) -> None:
    assert source.running() == ()
    calls = source.counters.calls.total()
    threading.Event().wait(0.5)
    assert source.counters.calls.total() == calls
