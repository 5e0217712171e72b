"""Sockets of container runtimes: found, not escaped from, lost and found again; and what misbehaves there."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from sensor.model.container import ContainerIdentity
from sensor.node.identify.cri import cache, channel, source
from sensor.node.identify.cri.answers import LABELS_MAX
from sensor.node.identify.cri.connection import Connection, Speaker
from sensor.node.identify.cri.counters import CriCounters
from sensor.node.identify.cri.source import CriMetadata
from sensor.node.identify.roots import open_folder
from tests.clock import PATIENCE, in_time, until
from tests.cluster.cri_proto import api_pb2 as api
from tests.unit.cri_server import UID, CriServer, hex_id

CONTAINERD = "run/containerd/containerd.sock"


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Callable[..., CriMetadata]]:
    made: list[CriMetadata] = []

    def make(path: str | None = None) -> CriMetadata:
        made.append(CriMetadata(str(tmp_path), path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def found(asked: CriMetadata, container_id: str, runtime: str = "containerd") -> bool:
    return asked.lookup(ContainerIdentity(container_id, runtime)) is not None


class TestPlaces:
    @pytest.mark.parametrize(
        ("path", "runtime"),
        [
            (CONTAINERD, "containerd"),
            ("run/k3s/containerd/containerd.sock", "containerd"),
            ("var/snap/microk8s/common/run/containerd.sock", "containerd"),
            ("run/k0s/containerd.sock", "containerd"),
            ("run/crio/crio.sock", "cri-o"),
            ("run/cri-dockerd.sock", "docker"),
            ("run/cri-dockerd.sock", "containerd"),  # of a bare id in a pod
            (CONTAINERD, "unknown"),
        ],
    )
    def test_known(self, tmp_path: Path, asking: Callable[..., CriMetadata], path: str, runtime: str) -> None:
        with CriServer(tmp_path / path) as server:
            assert found(asking(), server.pod(1), runtime)

    @pytest.mark.parametrize("given", ["/srv/own.sock", "unix:///srv/own.sock"])
    def test_given(self, tmp_path: Path, asking: Callable[..., CriMetadata], given: str) -> None:
        with CriServer(tmp_path / "srv/own.sock") as server, CriServer(tmp_path / CONTAINERD) as other:
            assert found(asking(given), server.pod(1), "cri-o")
            assert not other.calls

    def test_given_and_absent_is_said_once(
        self, asking: Callable[..., CriMetadata], caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = asking("/srv/own.sock")
        assert not found(asked, hex_id(1)) and not found(asked, hex_id(2))
        assert [record.message for record in caplog.records] == [
            (
                "--cri-socket: found no socket at /srv/own.sock on the host, expected that of containerd,"
                " CRI-O or cri-dockerd; it is used as soon as it is there"
            )
        ]

    def test_a_path_longer_than_sun_path(self, tmp_path: Path, asking: Callable[..., CriMetadata]) -> None:
        with CriServer(tmp_path / CONTAINERD) as server:
            deep = tmp_path / ("d" * 100) / ("e" * 100)
            deep.mkdir(parents=True)
            (tmp_path / CONTAINERD).rename(deep / "own.sock")
            assert found(asking(f"/{'d' * 100}/{'e' * 100}/own.sock"), server.pod(1))

    def test_a_link_stays_below_the_hosts_root(
        self, tmp_path: Path, asking: Callable[..., CriMetadata]
    ) -> None:
        # /var/run is a link to /run, on the host: seen from elsewhere it must not lead to our own /run.
        with CriServer(tmp_path / CONTAINERD) as server:
            (tmp_path / "var").mkdir()
            (tmp_path / "var/run").symlink_to("/run")
            assert found(asking("/var/run/containerd/containerd.sock"), server.pod(1))

    def test_a_link_does_not_lead_out(
        self,
        tmp_path: Path,
        tmp_path_factory: pytest.TempPathFactory,
        asking: Callable[..., CriMetadata],
    ) -> None:
        outside = tmp_path_factory.mktemp("outside")
        with CriServer(outside / "own.sock") as server:
            (tmp_path / CONTAINERD).parent.mkdir(parents=True)
            (tmp_path / CONTAINERD).symlink_to(outside / "own.sock")
            assert not found(asking(), server.pod(1))
            (tmp_path / "run/crio").symlink_to("../../../../../../../.." + str(outside))
            assert not found(asking("/run/crio/own.sock"), server.pod(1))
            assert not server.calls

    def test_one_socket_by_two_paths_is_asked_once(
        self, tmp_path: Path, asking: Callable[..., CriMetadata]
    ) -> None:
        with CriServer(tmp_path / CONTAINERD) as server:
            (tmp_path / "run/k3s/containerd").mkdir(parents=True)
            (tmp_path / "run/k3s/containerd/containerd.sock").symlink_to("/run/containerd/containerd.sock")
            server.pod(1)
            assert len(asking().running() or ()) == 1

    def test_what_is_no_socket(self, tmp_path: Path, asking: Callable[..., CriMetadata]) -> None:
        (tmp_path / CONTAINERD).parent.mkdir(parents=True)
        os.mkfifo(tmp_path / CONTAINERD)
        (tmp_path / "run/crio/crio.sock").mkdir(parents=True)
        assert not found(asking(), hex_id(1), "unknown")

    def test_nothing_heavy_is_imported_without_a_socket(self, tmp_path: Path) -> None:
        program = (
            "import sys\n"
            "from sensor.model.container import ContainerIdentity\n"
            "from sensor.node.identify.cri.source import CriMetadata\n"
            f"source = CriMetadata({str(tmp_path)!r})\n"
            "source.start()\n"
            "assert source.lookup(ContainerIdentity('a' * 64, 'containerd')) is None\n"
            "assert not {'grpc', 'google.protobuf', 'ssl'} & set(sys.modules), sorted(sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class TestComingAndGoing:
    def test_one_that_comes_later(self, tmp_path: Path, asking: Callable[..., CriMetadata]) -> None:
        asked = asking()
        assert not found(asked, hex_id(1))
        with CriServer(tmp_path / CONTAINERD) as server:
            assert found(asked, server.pod(1))

    def test_a_restart_is_no_loss(
        self, tmp_path: Path, asking: Callable[..., CriMetadata], caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = asking()
        with CriServer(tmp_path / CONTAINERD) as server:
            assert found(asked, server.pod(1))
        with CriServer(tmp_path / CONTAINERD) as server:
            assert found(
                asked, server.pod(2)
            )  # the call that finds the old connection lost is made once more
        assert asked.counters.reconnects == 1
        assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == []

    def test_an_outage_is_said_once(
        self, tmp_path: Path, asking: Callable[..., CriMetadata], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="sensor")
        asked = asking()
        with CriServer(tmp_path / CONTAINERD) as server:
            assert found(asked, server.pod(1))
        with in_time():
            assert not any(found(asked, hex_id(number)) for number in range(2, 100))
        assert found(asked, hex_id(1))  # remembered
        with CriServer(tmp_path / CONTAINERD) as server:
            assert found(asked, server.pod(200))
        assert [record.message.split(" (")[0] for record in caplog.records] == [
            "container runtime 'containerd' 'v2.1.0' at /run/containerd/containerd.sock found",
            "the container runtime at /run/containerd/containerd.sock does not answer",
            "container runtime 'containerd' 'v2.1.0' at /run/containerd/containerd.sock is back",
        ]

    def test_a_socket_that_nobody_listens_on(
        self, tmp_path: Path, asking: Callable[..., CriMetadata]
    ) -> None:
        (tmp_path / CONTAINERD).parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(tmp_path / CONTAINERD))
        asked = asking()
        with in_time():
            assert not any(found(asked, hex_id(number)) for number in range(100))
        assert asked.counters.calls.total() <= 2 * 1 + 2  # left alone in between
        (tmp_path / CONTAINERD).unlink()
        with CriServer(tmp_path / CONTAINERD) as server:  # made anew: tried at once
            assert found(asked, server.pod(1))

    def test_dockers_containerd_has_no_cri(
        self, tmp_path: Path, asking: Callable[..., CriMetadata], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="sensor")
        asked = asking()
        with (
            CriServer(tmp_path / CONTAINERD, package="v0") as docker,
            CriServer(tmp_path / "run/cri-dockerd.sock", "docker") as server,
        ):
            assert all(found(asked, server.pod(number)) for number in range(20))
            assert docker.calls.total() == 0
        said = [record.message for record in caplog.records if "Docker" in record.message]
        assert said == [
            (
                "found no Container Runtime Interface at /run/containerd/containerd.sock: normal beside"
                " Docker, whose containerd has it switched off; names are taken from elsewhere"
            )
        ]
        assert asked.counters.calls["Version", "unimplemented"] == len(channel.VERSIONS)

    def test_closing_leaves_nothing_open(self, tmp_path: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with CriServer(tmp_path / "run/crio/crio.sock", "cri-o", "1.34.0") as server:
            asked = CriMetadata(str(tmp_path))
            asked.start()
            assert found(asked, server.pod(1), "cri-o")
            until(lambda: server.readers == 1)
            asked.close()
            assert not found(asked, server.pod(2), "cri-o")
            assert asked.running() is None
            until(lambda: server.readers == 0)
        del asked
        gc.collect()
        until(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)  # gRPC's own poller stays
        assert not [thread for thread in threading.enumerate() if thread.name == "runtime-events"]


class TestHostileAnswers:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[CriServer]:
        with CriServer(tmp_path / CONTAINERD) as server:
            yield server

    def test_huge_labels(self, server: CriServer, asking: Callable[..., CriMetadata]) -> None:
        many = {f"key-{number}": "v" for number in range(10_000)}
        one = server.pod(1, many | {"long": "x" * 1_000_000, "y" * 5000: "v", "line": "a\nb", "\x1b[2J": "v"})
        told = asking().lookup(ContainerIdentity(one, "containerd"))
        assert told is not None and told.pod_labels is not None
        assert 0 < len(told.pod_labels) <= LABELS_MAX
        assert all(key.startswith("key-") for key in told.pod_labels)

    def test_texts_that_are_none(self, server: CriServer, asking: Callable[..., CriMetadata]) -> None:
        one = server.pod(1)
        told = server.containers[one]
        told.metadata.name = "web\x1b[2J"
        told.image.image = told.image.user_specified_image = "x" * 5000
        told.image_ref = "\n"
        del told.labels["io.kubernetes.pod.uid"]
        server.sandboxes[told.pod_sandbox_id].metadata.uid = "\u202e" + UID
        answer = asking().lookup(ContainerIdentity(one, "containerd"))
        assert answer is not None
        assert (answer.name, answer.image.name, answer.pod_uid) == (None, None, None)

    def test_an_answer_for_another(self, server: CriServer, asking: Callable[..., CriMetadata]) -> None:
        asked = asking()
        assert asked.running() == ()  # the next is asked for by its id
        server.pod(7)
        other = api.ListContainersResponse(containers=[server.containers[hex_id(7)]])
        server.answers["ListContainers"] = other.SerializeToString()
        assert not found(asked, hex_id(1))

    @pytest.mark.parametrize(
        "junk", [b"\xff" * 100, b"\x0a\x05\x0a\x03\xff\xfe\xfd", b"\x0a\xff\xff\xff\xff\x0f"]
    )
    def test_no_message(self, server: CriServer, asking: Callable[..., CriMetadata], junk: bytes) -> None:
        server.answers["ListContainers"] = junk
        asked = asking()
        assert not found(asked, hex_id(1)) and asked.running() is None
        assert asked.counters.calls["ListContainers", "undecodable"] >= 2

    def test_a_list_that_cannot_be_decoded_costs_only_the_list(
        self, server: CriServer, asking: Callable[..., CriMetadata]
    ) -> None:
        server.answers["ListPodSandbox"] = b"\x0a\x05\x0a\x03\xff\xfe\xfd"
        told = asking().lookup(ContainerIdentity(server.pod(1), "containerd"))
        assert told is not None and told.pod_name == "web-1" and told.pod_labels is None

    def test_100_000_containers(self, server: CriServer, asking: Callable[..., CriMetadata]) -> None:
        one = server.containers[server.pod(1)]
        many = api.ListContainersResponse()
        for number in range(100_000):
            many.containers.add(
                id=hex_id(number), state=api.CONTAINER_RUNNING, pod_sandbox_id=one.pod_sandbox_id
            )
        server.answers["ListContainers"] = many.SerializeToString()
        asked = asking()
        with in_time():
            running = asked.running()
        assert running is not None and len(running) == cache.CONTAINERS_MAX
        assert asked.counters.containers == cache.CONTAINERS_MAX
        assert asked.counters.cut == 100_000 - cache.CONTAINERS_MAX

    def test_larger_than_the_limit(self, server: CriServer, asking: Callable[..., CriMetadata]) -> None:
        one = server.pod(1)
        server.answers["ListPodSandbox"] = b"\0" * (channel.MAX_ANSWER_BYTES + 1)
        asked = asking()
        assert found(asked, one)  # its own entry is small
        assert asked.running() is None
        assert asked.counters.calls["ListPodSandbox", "resource_exhausted"] >= 2

    def test_slow(
        self, server: CriServer, asking: Callable[..., CriMetadata], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source, "LOOKUP_SECONDS", 0.2)
        server.delays["ListContainers"] = threading.Event()
        asked = asking()
        with in_time():  # after the first it is left alone for a while
            assert not any(found(asked, hex_id(number)) for number in range(200))
        server.delays.pop("ListContainers").set()
        one = server.pod(1)
        until(lambda: found(asked, one))

    def test_a_server_that_never_speaks(
        self, tmp_path: Path, asking: Callable[..., CriMetadata], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source, "LOOKUP_SECONDS", 0.2)
        (tmp_path / "run/crio").mkdir(parents=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
            mute.bind(str(tmp_path / "run/crio/crio.sock"))
            mute.listen(64)
            asked = asking()
            with in_time():
                assert not found(asked, hex_id(1), "cri-o")

    @pytest.mark.parametrize("status", [one for one in grpc.StatusCode if one is not grpc.StatusCode.OK])
    def test_any_status(
        self, server: CriServer, asking: Callable[..., CriMetadata], status: grpc.StatusCode
    ) -> None:
        server.failures["ListContainers"] = status
        asked = asking()
        assert not found(asked, hex_id(1))
        assert asked.counters.calls["ListContainers", status.name.lower()] >= 1

    def test_who_speaks_is_quoted(
        self, tmp_path: Path, asking: Callable[..., CriMetadata], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="sensor")
        with CriServer(tmp_path / "run/crio/crio.sock", "cri-o\n\x1b[2J", "9" * 10_000) as server:
            assert found(asking(), server.pod(1), "cri-o")
        (said,) = [record.message for record in caplog.records if "crio" in record.message]
        assert said.isprintable() and len(said) < 250


@pytest.mark.parametrize(
    ("name", "version", "bears"),
    [
        ("containerd", "1.6.20~ds1", False),
        ("containerd", "v1.7.24", False),
        ("containerd", "v1.7.23-k3s2", False),
        ("containerd", "v2.0.0", False),
        ("containerd", "2.4.2", False),
        ("containerd", "10.1.0", False),
        ("cri-o", "1.33.9", False),
        ("cri-o", "1.34.0", True),
        ("containerd", "", False),
        ("containerd", "9" * 5000 + ".1", False),
        ("docker", "24.0.7", True),
    ],
)
def test_whose_events_may_be_read(name: str, version: str, bears: bool) -> None:
    assert Speaker(name, version).bears_readers is bears


def test_many_threads_ask_one_connection(tmp_path: Path) -> None:
    with CriServer(tmp_path / CONTAINERD) as server:
        connection = Connection(open_folder(str(tmp_path)), "/" + CONTAINERD, CriCounters())
        deadline = time.monotonic() + PATIENCE
        got: list[object] = []

        def ask() -> None:
            got.append(connection.call(lambda opened, left: opened.containers(left), deadline))

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.close()
        assert len(got) == 16 and None not in got
        assert server.calls["Version"] == 1
