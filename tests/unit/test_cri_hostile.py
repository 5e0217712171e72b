"""A container runtime that restarts behind several names, and a connection that is closed meanwhile."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sensor.node.identify.cri.channel import Channel, CriError
from sensor.node.identify.cri.counters import CriCounters
from sensor.node.identify.cri.source import CriMetadata
from tests.unit.cri_server import CriServer

SOCKET = "run/containerd/containerd.sock"
LINK = "run/k3s/containerd/containerd.sock"


def test_one_socket_by_two_paths_is_asked_once_after_a_restart_too(tmp_path: Path) -> None:
    (tmp_path / LINK).parent.mkdir(parents=True)
    (tmp_path / LINK).symlink_to(f"/{SOCKET}")
    with closing(CriMetadata(str(tmp_path))) as source:
        for _ in range(3):
            with CriServer(tmp_path / SOCKET) as server:
                server.pod(1)
                assert len(source.running() or ()) == 1
                assert server.calls["ListContainers"] == 1


def test_a_link_that_becomes_a_runtime_of_its_own_is_asked(tmp_path: Path) -> None:
    (tmp_path / LINK).parent.mkdir(parents=True)
    (tmp_path / LINK).symlink_to(f"/{SOCKET}")
    with closing(CriMetadata(str(tmp_path))) as source, CriServer(tmp_path / SOCKET) as server:
        server.pod(1)
        assert len(source.running() or ()) == 1
        (tmp_path / LINK).unlink()
        with CriServer(tmp_path / LINK) as other:
            other.pod(2)
            assert len(source.running() or ()) == 2


def test_a_stream_of_a_connection_that_was_closed(tmp_path: Path) -> None:
    with CriServer(tmp_path / SOCKET) as server:
        channel = Channel(f"unix:/proc/self/fd/{server._folder}/containerd.sock", CriCounters())
        channel.version(2.0)
        channel.close()
        with pytest.raises(CriError, match="was closed"):
            channel.events()
