"""What is read back, or given, on the sensor's side: states as JSON, the outbox's file, scopes."""

from __future__ import annotations

import functools
import json
import logging
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sensor.config.texts import SettingsError
from sensor.config.upstream import scopes
from sensor.delivery.container_json import MalformedState, from_json, to_json
from sensor.delivery.outbox import Outbox, Routed
from sensor.delivery.scopes import Router, destinations
from sensor.model.container import ContainerIdentity
from tests.fuzz.target import Target
from tests.unit.reports import METADATA, report, use

_MIB = 1 << 20


def _state(data: bytes) -> None:
    try:
        found = from_json(json.loads(data))
    except (MalformedState, RecursionError) as error:
        _check(error)
    except ValueError:  # no JSON
        return
    else:
        again = from_json(json.loads(json.dumps(to_json(found))))
        assert to_json(again) == to_json(found)


def _scopes(data: bytes) -> None:
    try:
        found = scopes(data.decode("utf-8", "replace"))
        destinations(found, "group")
    except SettingsError as error:
        _check(error)
        return
    route = Router(found, "group")
    for namespace in ("default", "a" * 63, "kube-system"):
        one = report(metadata=replace(METADATA, namespace=namespace))
        assert route(one) in {"group", *(scope.group_id for scope in found)}
        route.held_until(one)


def _check(error: Exception) -> None:
    assert str(error)


def _directory() -> tempfile.TemporaryDirectory[str]:
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-outbox-", dir=memory if memory.is_dir() else None)


@functools.cache
def _file() -> bytes:
    """An outbox of eight containers."""
    with _directory() as folder:
        with closing(Outbox(Path(folder))) as outbox:
            for number in range(8):
                identity = ContainerIdentity(f"{number:064x}", "containerd")
                one = report(*(use(f"p{index}") for index in range(number)), container=identity)
                outbox.write([Routed("g", identity.id, one)], {"position": "5"})
        return Path(folder, "outbox.db").read_bytes()


def _outbox(data: bytes) -> None:
    """``data`` is places, three bytes each, and bits to turn over there; without any, the file ends."""
    content = bytearray(_file())
    for change in range(0, len(data) - 3, 4):
        place, bits = int.from_bytes(data[change : change + 3]) % len(content), data[change + 3]
        if bits:
            content[place] ^= bits
        else:
            del content[place + 1 :]
    logging.disable(logging.CRITICAL)  # each damage is said
    try:
        with _directory() as folder:
            Path(folder, "outbox.db").write_bytes(content)
            _used(Path(folder))
    finally:
        logging.disable(logging.NOTSET)


def _used(folder: Path) -> None:
    with closing(Outbox(folder)) as outbox:
        for remembered in outbox.remembered():
            assert remembered.report.container.id
        outbox.pending("g", 100, _MIB)
        outbox.mark("position")
        one = report(use("new"), container=ContainerIdentity("f" * 64, "containerd"))
        outbox.write([Routed("g", "f" * 64, one)])
        assert "f" * 64 in outbox.running("g")
        outbox.counts()


TARGETS: tuple[Target, ...] = (
    Target("delivery_state", "sensor.delivery.container_json", _state),
    Target("delivery_scopes", "sensor.config.upstream", _scopes),
    Target("delivery_outbox", "sensor.delivery.outbox_packing", _outbox),
)
