"""The stream of a runtime's events: a real gRPC server on a Unix socket."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.node.identify.cri import answers, cache, connection, events
from sensor.node.identify.cri.proto import cri_pb2
from sensor.node.identify.cri.source import CriMetadata
from tests.clock import HANGS, PATIENCE, in_time, until
from tests.cluster.cri_proto import api_pb2 as api
from tests.unit.cri_server import DIGEST, IMAGE_ID, UID, CriServer, hex_id

SOCKET = "run/crio/crio.sock"
CREATED, STARTED = api.CONTAINER_CREATED_EVENT, api.CONTAINER_STARTED_EVENT
STOPPED, DELETED = api.CONTAINER_STOPPED_EVENT, api.CONTAINER_DELETED_EVENT

Told = tuple[ContainerMetadata, str, bool]


class Listening:
    """A source whose stream is read, and what it told."""

    def __init__(self, root: Path) -> None:
        self.told: queue.Queue[Told] = queue.Queue()
        self.source = CriMetadata(str(root), on_container=self.take)
        self.fail = False

    def take(self, metadata: ContainerMetadata, container_id: str, running: bool) -> None:
        if self.fail:
            self.fail = False
            raise RuntimeError("a defect")
        self.told.put((metadata, container_id, running))

    def lookup(self, container_id: str) -> ContainerMetadata | None:
        return self.source.lookup(ContainerIdentity(container_id, "cri-o"))


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    listening = Listening(tmp_path)
    yield listening
    listening.source.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(connection, "LONGEST_PAUSE", 0.1)


def connected(server: CriServer, listening: Listening) -> None:
    listening.source.start()
    until(lambda: server.readers == 1)


def test_started_stopped_and_deleted(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one = server.pod(1)
        for kind in (CREATED, STARTED, STOPPED, DELETED):
            server.emit(server.event(one, kind))
        told = [listening.told.get(timeout=PATIENCE) for _ in range(3)]
        assert [(container_id, running) for _, container_id, running in told] == [
            (one, True),
            (one, False),
            (one, False),
        ]
        assert told[0][0] == ContainerMetadata(
            name="web",
            image=Image("mirror.example/web:1.2", "sha256:" + "e" * 64),
            namespace="shop",
            pod_name="web-1",
            pod_uid=UID,
            pod_labels={"app": "web"},
        )
        assert listening.source.counters.events == 4


def test_one_that_was_removed_before_it_was_looked_up(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one = server.pod(1)
        server.emit(server.event(one, STARTED))
        server.emit(server.event(one, DELETED))
        server.containers.clear()
        server.sandboxes.clear()
        until(lambda: listening.told.qsize() == 2)
        found = listening.lookup(one)
        assert found is not None
        assert (found.pod_name, found.pod_labels) == ("web-1", {"app": "web"})
        assert found.image == Image("mirror.example/web:1.2", "sha256:" + "e" * 64)


def test_a_list_knows_better_what_was_written(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one = server.pod(1)
        server.emit(server.event(one, STARTED))
        listening.told.get(timeout=PATIENCE)
        found = listening.lookup(one)
        assert found is not None and found.image == Image("registry.example/shop/web:1.2", DIGEST)
        (running,) = listening.source.running() or ()
        assert running.started_at == 1_700_000_001.5
        server.emit(server.event(one, STOPPED))
        listening.told.get(timeout=PATIENCE)
        found = listening.lookup(one)
        assert found is not None and found.image == Image("registry.example/shop/web:1.2", DIGEST)


def test_an_image_that_was_removed_has_the_events_name(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one = server.pod(1, image=api.ImageSpec(image=IMAGE_ID))
        server.emit(server.event(one, STARTED))
        listening.told.get(timeout=PATIENCE)
        server.images.clear()
        found = listening.lookup(one)  # asks: the list knows its id only
        assert found is not None and server.calls["ImageStatus"] == 1
        assert found.image == Image("mirror.example/web:1.2", "sha256:" + "e" * 64)


def test_what_was_deleted_is_forgotten(
    tmp_path: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "GONE_SECONDS", 0.0)
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one, two = server.pod(1), server.pod(2)
        for event in (server.event(one, STARTED), server.event(two, STARTED)):
            server.emit(event)
        deleted = server.event(one, DELETED)
        del deleted.containers_statuses[:]
        server.emit(deleted)
        server.emit(server.event(two, STOPPED))
        told = [listening.told.get(timeout=PATIENCE)[1:] for _ in range(4)]
        assert told == [(one, True), (two, True), (one, False), (two, False)]
        assert listening.source.counters.containers == 1


def test_sandboxes_are_no_containers(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one = server.pod(1)
        event = server.event(one, STARTED)
        event.container_id = event.pod_sandbox_status.id
        server.emit(event)
        server.emit(server.event(one, STARTED))
        assert listening.told.get(timeout=PATIENCE)[1] == one
        assert listening.told.empty()


def test_what_is_no_event_does_not_end_the_stream(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        one = server.pod(1)
        server.emit(b"\xff" * 50)
        server.emit(api.ContainerEventResponse())
        server.emit(api.ContainerEventResponse(container_id=hex_id(9)))
        server.emit(server.event(one, STARTED))
        assert listening.told.get(timeout=PATIENCE)[1] == one
        assert listening.source.counters.events_unusable == 1
        assert server.calls["GetContainerEvents"] == 1


def test_too_large_an_event_costs_the_stream_not_the_reader(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        server.emit(b"\0" * (17 << 20))
        until(lambda: server.calls["GetContainerEvents"] == 2 and server.readers == 1)
        one = server.pod(1)
        server.emit(server.event(one, STARTED))
        assert listening.told.get(timeout=PATIENCE)[1] == one


def test_a_defect_of_ours_costs_one_event(
    tmp_path: Path, listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        connected(server, listening)
        listening.fail = True
        server.emit(server.event(server.pod(1), STARTED))
        until(lambda: listening.source.counters.failures == 1)
        until(lambda: server.calls["GetContainerEvents"] == 2 and server.readers == 1)
        two = server.pod(2)
        server.emit(server.event(two, STARTED))
        assert listening.told.get(timeout=PATIENCE)[1] == two
        assert "a defect" in caplog.text


@pytest.mark.parametrize("version", ["1.7.24", "v2.1.0"])
def test_containerd_is_never_held_up(
    tmp_path: Path, listening: Listening, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    caplog.set_level(logging.INFO, logger="sensor")
    with CriServer(tmp_path / SOCKET, "containerd", version) as server:
        listening.source.start()
        until(lambda: "bears no reader" in caplog.text)
        assert server.calls["GetContainerEvents"] == 0
        assert listening.lookup(server.pod(1)) is not None


def test_the_runtime_restarts(tmp_path: Path, listening: Listening) -> None:
    for number in range(3):
        with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
            connected(server, listening)
            one = server.pod(number)
            server.emit(server.event(one, STARTED))
            assert listening.told.get(timeout=PATIENCE)[1] == one
        until(lambda: listening.source.counters.streams == 0)
    assert listening.source.counters.reconnects == 2


def test_a_stream_that_is_ended_again_and_again(tmp_path: Path, listening: Listening) -> None:
    with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
        server.failures["Version"] = grpc.StatusCode.INTERNAL
        begin = time.monotonic()
        listening.source.start()
        until(lambda: server.calls["Version"] >= 20)
        assert time.monotonic() - begin > 0.5  # it rests in between
        del server.failures["Version"]
        until(lambda: server.readers == 1)


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        (("1.34.0", "none"), (0, "has no stream of events")),
        (("1.34.0", "off"), (1, "ends its stream of events")),
        (("1.33.9", "stream"), (0, "bears no reader")),
    ],
)
def test_without_a_stream_it_is_asked(
    tmp_path: Path,
    listening: Listening,
    caplog: pytest.LogCaptureFixture,
    runtime: tuple[str, str],
    expected: tuple[int, str],
) -> None:
    version, kind = runtime
    calls, said = expected
    caplog.set_level(logging.INFO, logger="sensor")
    with CriServer(tmp_path / SOCKET, "cri-o", version, events=kind) as server:
        listening.source.start()
        until(lambda: said in caplog.text)
        assert server.calls["GetContainerEvents"] == calls
        assert listening.lookup(server.pod(1)) is not None
        with in_time():
            listening.source.close(HANGS)


class TestBounds:
    def container(self, number: int, server: CriServer) -> None:
        server.emit(server.event(server.pod(number), STARTED))

    def test_the_oldest_go(
        self, tmp_path: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "CONTAINERS_MAX", 40)
        monkeypatch.setattr(cache, "SANDBOXES_MAX", 20)
        with CriServer(tmp_path / SOCKET, "cri-o", "1.34.0") as server:
            connected(server, listening)
            for number in range(60):
                self.container(number, server)
                listening.told.get(timeout=PATIENCE)
            assert (listening.source.counters.containers, listening.source.counters.sandboxes) == (40, 20)

    def test_what_was_removed_is_forgotten_after_a_while(self, tmp_path: Path) -> None:
        now = [100.0]
        kept = cache.Cache(lambda: now[0])
        server = CriServer(tmp_path / "never-started")
        for number in range(10):
            server.pod(number)
        pods = [cri_pb2.PodSandbox(id=one) for one in server.sandboxes]
        containers = [cri_pb2.Container(id=one) for one in server.containers]
        kept.add(map(answers.container, containers), map(answers.pod_sandbox, pods))
        kept.listed({hex_id(0)}, {hex_id(1_000_000)})
        now[0] += cache.GONE_SECONDS - 1
        kept.add((), ())
        assert kept.sizes == (10, 10)
        kept.listed({hex_id(0)}, {hex_id(1_000_000)})
        now[0] += 2
        kept.add((), ())
        assert kept.sizes == (1, 1) and kept.container(hex_id(0)) is not None

    def test_names_of_images_are_not_believed_for_ever(self) -> None:
        now = [100.0]
        kept = cache.Cache(lambda: now[0])
        for number in range(cache.IMAGES_MAX + 1):
            kept.add_image(f"image-{number}", answers.ImageNames((f"web:{number}",)))
        assert kept.image("image-0") is None
        assert kept.image("image-1") == answers.ImageNames(("web:1",))
        now[0] += cache.IMAGE_SECONDS
        assert kept.image("image-1") is None

    def test_an_image_without_names_is_soon_asked_for_again(self) -> None:
        now = [100.0]
        kept = cache.Cache(lambda: now[0])
        kept.add_image("image", answers.ImageNames())
        assert kept.image("image") == answers.ImageNames()
        now[0] += cache.NAMELESS_SECONDS
        assert kept.image("image") is None
