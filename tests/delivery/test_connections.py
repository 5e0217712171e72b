"""Connections that are cut, drip, hang, are refused, or end with the receiver; over both transports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clock import PATIENCE
from tests.delivery.certificates import Authority
from tests.delivery.conftest import Sensor
from tests.delivery.way import Ways
from tests.delivery.world import Container, Holder, containers, leaked, port_of, write_tokens
from tests.receiver_process import Receiver

CUT = ("cut by the other side or something on the way", "look at the server's log, and at firewalls")
BROKE = ("the connection broke", "it is tried again; look at the server's log")
SLOW = ("did not answer in time", "look at its load; a firewall or network policy may drop packets")


@dataclass(frozen=True, slots=True)
class Broken:
    """``words`` name cause and cure; ``stored`` is whether the receiver has the batch all the same."""

    name: str
    transport: str
    fault: Mapping[str, Any]
    reason: str
    words: tuple[str, ...]
    stored: bool = False


BROKEN = (
    Broken("before", "grpc", {"cut": "before"}, "unavailable", BROKE),
    Broken("before", "https", {"cut": "before"}, "reset", CUT),
    Broken("after", "grpc", {"cut": "after"}, "unavailable", BROKE, stored=True),
    Broken("after", "https", {"cut": "after"}, "reset", CUT, stored=True),
    Broken("half", "grpc", {"cut": "half"}, "unavailable", BROKE, stored=True),
    Broken("drip", "grpc", {"drip_bytes_per_s": 1}, "deadline_exceeded", SLOW, stored=True),
    Broken("drip", "https", {"drip_bytes_per_s": 1}, "timed_out", SLOW, stored=True),
    Broken("latency", "grpc", {"latency_ms": 60_000}, "deadline_exceeded", SLOW),
    Broken("latency", "https", {"latency_ms": 60_000}, "timed_out", SLOW),
)


def named(broken: Broken) -> str:
    return f"{broken.name}-{broken.transport}"


@pytest.mark.parametrize("broken", BROKEN, ids=named)
def test_broken(sensor: Sensor, receiver: Receiver, broken: Broken) -> None:
    world = sensor(receiver, broken.transport, patience=0.25 if broken.words == SLOW else PATIENCE)
    world.fault(broken.fault)
    world.write(*containers("a", "b", "c"))
    world.start()
    line = world.said(*broken.words)
    assert world.address in line and "next try in" in line
    world.failed(broken.reason, times=2)
    assert bool(world.held()) == broken.stored
    world.write(Container("a", ("requests", "yaml")), Container("b", ended=True), Container("d"))

    world.heal()
    world.destination.patience = PATIENCE
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.counts.retries >= 1 and not world.counts.set_aside and not world.counts.splits
    assert {one.batch.id for one in world.tries[:2]} == {world.tries[0].batch.id}


@pytest.mark.parametrize("cut", ["after", "half"])
def test_what_was_stored_is_not_stored_again(sensor: Sensor, receiver: Receiver, cut: str) -> None:
    """The answer is lost, so the same batch comes again; the receiver knows it by its id."""
    world = sensor(receiver, "grpc")
    world.fault({"cut": cut}, times=3)
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()
    assert world.counts.batches == {"unavailable": 3, "accepted": 1} and world.counts.retries == 3

    batch = world.tries[0].batch
    (stored,) = receiver.rows("SELECT received_at FROM batch WHERE id = ?", (batch.id,))
    rows = [row for row in receiver.containers() if row["group_id"] == world.group]
    assert {row["received_at"] for row in rows} == {stored["received_at"]}
    assert {row["key"]: row["generation"] for row in rows} == {
        one.key: one.generation for one in batch.states
    }


def test_half_an_answer_over_https(sensor: Sensor, receiver: Receiver) -> None:
    """Its status came whole: that is all there is to know."""
    world = sensor(receiver, "https")
    world.fault({"cut": "half"})
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()
    world.write(Container("a", ("requests", "yaml")))
    world.arrived()


def test_reset_at_once(sensor: Sensor, receiver: Receiver, way: Ways, transport: str) -> None:
    between = way(None)
    world = sensor(receiver, transport, port=between.port)
    world.write(*containers("a", "b"))
    world.start()
    line = world.said(*CUT, world.address, "next try in")
    world.failed("reset", times=3)
    world.write(Container("a", ended=True), Container("c"))

    between.to = port_of(receiver, transport)
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.lines() == [line] and world.counts.retries >= 2


@pytest.fixture(scope="module")
def mortal(
    authority: Authority, holder: Holder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("mortal")
    certificate, key = authority.files(folder)
    tokens = write_tokens(folder / "tokens.json", holder)
    with Receiver(
        folder, certificate=certificate, key=key, authority=authority.bundle, tokens=tokens
    ) as receiver:
        yield receiver
        assert not leaked(receiver.log())


@pytest.fixture
def own_receiver(mortal: Receiver) -> Receiver:
    """One that may be killed."""
    if mortal.process is None:
        mortal.start()
    return mortal


def test_refused_connection(sensor: Sensor, own_receiver: Receiver, transport: str) -> None:
    own_receiver.stop()
    world = sensor(own_receiver, transport)
    world.write(*containers("a", "b"))
    world.start()
    line = world.said(f"{world.address} refuses the connection", "is it running, and is that its port?")
    world.failed("refused", times=3)
    world.write(Container("a", ended=True), Container("c"))

    own_receiver.start()
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.lines() == [line] and world.counts.retries >= 2


@pytest.mark.parametrize(
    ("fault", "stored"),
    [({"latency_ms": 60_000}, False), ({"drip_bytes_per_s": 0.1}, True)],
    ids=["before it stores", "before it has answered"],
)
def test_killed_in_the_middle_of_a_request(
    sensor: Sensor, own_receiver: Receiver, transport: str, fault: Mapping[str, Any], stored: bool
) -> None:
    world = sensor(own_receiver, transport)
    world.write(*containers("z"))
    world.start()
    world.arrived()
    world.fault(fault)
    world.write(*containers("a", "b"))
    world.until(lambda: struck(own_receiver) > 0, "the fault to strike")
    world.until(lambda: len(world.held()) == (3 if stored else 1), "the request to be where it is to be")

    own_receiver.kill()
    world.said("cannot deliver to", world.address, "next try in")
    world.write(Container("a", ended=True), Container("c"))
    own_receiver.start()
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.counts.retries >= 1


def struck(receiver: Receiver) -> int:
    """How often the first fault has."""
    _, body = receiver.call("GET", "/control/faults")
    return int(json.loads(body)[0]["struck"])
