"""What container runtimes answer and leave behind, and cgroups' paths."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from google.protobuf.message import DecodeError

from sensor.model.container import ContainerMetadata
from sensor.node.identify import engine_api
from sensor.node.identify.cgroup import identify_cgroup, is_cut, is_runc_id, parse_proc_cgroup
from sensor.node.identify.cri.answers import LABELS_MAX
from sensor.node.identify.cri.connection import Connection, Speaker
from sensor.node.identify.cri.counters import CriCounters
from sensor.node.identify.cri.proto import cri_pb2 as cri
from sensor.node.identify.cri.runtime import Runtime
from sensor.node.identify.labels import metadata_of, sandbox_of
from sensor.node.identify.unix_http import UnixHttp
from sensor.node.identify.untrusted import parse_json
from tests.fuzz.target import Target

_ROOM = "sensor.node.identify"
_LATER = 1e9
_MOST_NAME = 1024
_PLACES = 4
_ID = "c" * 64


class _Channel:
    """Gives what it was given, whatever it is asked for."""

    def __init__(self, parts: list[bytes]) -> None:
        parts += [b""] * _PLACES
        self._containers = cri.ListContainersResponse.FromString(parts[0])
        self._sandboxes = cri.ListPodSandboxResponse.FromString(parts[1])
        self._image = cri.ImageStatusResponse.FromString(parts[2]).image
        self.event = cri.ContainerEventResponse.FromString(parts[3])

    def containers(self, _: float, __: str = "") -> cri.ListContainersResponse:
        return self._containers

    def sandboxes(self, _: float, __: str = "") -> cri.ListPodSandboxResponse:
        return self._sandboxes

    def image(self, _: float, __: str) -> cri.Image:
        return self._image


class _Connection:
    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    def call(self, ask: Callable[[Any, float], Any], _: float) -> Any:
        return ask(self._channel, 1.0)


def split(data: bytes) -> list[bytes]:
    """Answers of two bytes of length and as many bytes."""
    parts: list[bytes] = []
    while len(parts) < _PLACES and len(data) >= 2:
        size = int.from_bytes(data[:2])
        parts.append(data[2 : 2 + size])
        data = data[2 + size :]
    return parts


def _answers(data: bytes) -> None:
    try:
        channel = _Channel(split(data))
    except DecodeError:
        return
    runtime = Runtime(cast(Connection, _Connection(channel)), CriCounters())
    known = runtime.took_event(channel.event)
    if known is not None:
        _is_sane(runtime.metadata_by_now(known))
    for one in runtime.running(_LATER) or ():
        _is_sane(one.metadata)
        assert not one.metadata.is_sandbox
    for container_id in [*(one.id for one in channel.containers(0.0).containers), _ID]:
        found = runtime.lookup(container_id, _LATER)
        if found is not None:
            _is_sane(found)


def _is_sane(found: ContainerMetadata) -> None:
    labels = found.pod_labels or {}
    names = [found.name, found.namespace, found.pod_name, found.pod_uid, found.image.name, found.image.digest]
    for text in (*names, *labels, *labels.values()):
        if text is not None:
            text.encode()
            assert text.isprintable() and len(text) <= _MOST_NAME
    assert len(labels) <= LABELS_MAX


def _speaker(data: bytes) -> None:
    try:
        told = cri.VersionResponse.FromString(data)
    except DecodeError:
        return
    assert Speaker(told.runtime_name, told.runtime_version).bears_readers in (True, False)


class _Server:
    """Answers in turn with the lines it was given."""

    def __init__(self, data: bytes) -> None:
        self._lines = iter(data.split(b"\n"))

    def get_json(self, target: str) -> Any:
        assert target.isascii() and target.isprintable()
        return parse_json(next(self._lines, b""))


def _engine(data: bytes) -> None:
    """The first line is what is asked for first: the container."""
    for is_in_pod in (True, False):
        server = cast(UnixHttp, _Server(data))
        container = server.get_json("/")
        _is_sane(engine_api._metadata(server, container, is_in_pod=is_in_pod))


def _annotations(data: bytes) -> None:
    found = parse_json(data)
    _is_sane(metadata_of(found))
    sandbox = sandbox_of(found)
    assert sandbox is None or (sandbox.isprintable() and 0 < len(sandbox) <= _MOST_NAME)


@functools.cache
def _exists(name: str) -> bool:
    assert is_runc_id(name)
    return len(name) % 2 == 0


def _cgroup(data: bytes) -> None:
    path = parse_proc_cgroup(data.decode("utf-8", "surrogateescape"))
    if path is None:
        return
    is_cut(path)
    for runc_ids in (None, _exists):
        found = identify_cgroup(path, runc_ids)
        if found is None:
            continue
        assert is_runc_id(found.id) and found.id in path
        assert found.pod_uid is None or len(found.pod_uid) in (32, 36)
        assert identify_cgroup(f"{path}/init.scope", runc_ids) is not None


TARGETS: tuple[Target, ...] = (
    Target("cri_answers", f"{_ROOM}.cri", _answers),
    Target("cri_speaker", f"{_ROOM}.cri", _speaker),
    Target("engine_api", _ROOM, _engine),
    Target("runtime_labels", _ROOM, _annotations),
    Target("cgroup", _ROOM, _cgroup),
)
