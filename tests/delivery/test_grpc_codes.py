"""Each code that a gRPC call can fail with, with and without RetryInfo."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sensor.receiver.faults import GRPC_CODES
from tests.delivery.conftest import Sensor
from tests.delivery.world import Container, Holder, World, containers
from tests.receiver_process import Receiver

LATER = 0.2
"""Seconds that RetryInfo asks for."""


@dataclass(frozen=True, slots=True)
class Code:
    """``cause`` and ``cure`` are words of the line that is logged."""

    name: str
    cause: str
    cure: str

    @property
    def reason(self) -> str:
        return self.name.lower()


TEMPORARY = (
    Code("CANCELLED", "cancelled on the way", "look at the server's log"),
    Code("UNKNOWN", "the server failed", "look at the server's log"),
    Code(
        "DEADLINE_EXCEEDED",
        "did not answer in time",
        "look at its load; a firewall or network policy may drop packets",
    ),
    Code("NOT_FOUND", "does not know what is reported to", "look at --group-id"),
    Code("FAILED_PRECONDITION", "not ready for reports", "look at --group-id"),
    Code("ABORTED", "broke it off", "look at the server's log"),
    Code("UNIMPLEMENTED", "nobody there takes runtime reports", "is --upstream the gRPC address"),
    Code("INTERNAL", "a proxy between that does not speak gRPC", "look at the server's log"),
    Code("UNAVAILABLE", "cannot take reports now", "look at the server's log"),
    Code("DATA_LOSS", "lost data", "look at the server's log"),
)
REFUSED = (
    Code("UNAUTHENTICATED", "does not know the token", "into SNYK_TOKEN or the file of --token-file"),
    Code("PERMISSION_DENIED", "lacks the permission 'AppRisk edit'", "give it to the role"),
)
INVALID = (
    Code("INVALID_ARGUMENT", "does not take these states", "older than the sensor, update it"),
    Code("ALREADY_EXISTS", "there already", "look at the server's log"),
)
TOO_LARGE = (
    Code("OUT_OF_RANGE", "larger than it takes", "take larger requests"),
    Code("RESOURCE_EXHAUSTED", "larger than it takes", "take larger requests"),
)
# With RetryInfo whatever it is may pass later, but for a token that is refused.
PUT_OFF = (
    *TEMPORARY,
    *INVALID,
    Code("OUT_OF_RANGE", "the server failed", "look at the server's log"),
    Code("RESOURCE_EXHAUSTED", "takes no more for now", "it is tried again later"),
)


def test_every_code_is_tested() -> None:
    plain = {one.name for one in (*TEMPORARY, *REFUSED, *INVALID, *TOO_LARGE)}
    assert plain == {one.name for one in (*PUT_OFF, *REFUSED)} == set(GRPC_CODES)


@pytest.fixture
def world(sensor: Sensor, receiver: Receiver) -> World:
    return sensor(receiver, "grpc")


def named(code: Code) -> str:
    return code.name


@pytest.mark.parametrize("code", TEMPORARY, ids=named)
def test_temporary(world: World, code: Code) -> None:
    world.fault({"grpc_code": code.name})
    world.write(*containers("a", "b", "c"))
    world.start()
    line = world.said(code.cause, code.cure)
    assert world.address in line and "next try in" in line
    world.failed(code.reason, times=3)
    world.write(Container("a", ("requests", "yaml")), Container("b", ended=True))
    assert world.held() == []

    world.heal()
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.counts.retries >= 2 and not world.counts.set_aside
    assert world.lines() == [line]  # once, not with each try


@pytest.mark.parametrize("code", PUT_OFF, ids=named)
def test_retry_info(world: World, code: Code) -> None:
    world.fault({"grpc_code": code.name}, times=1, retry_info=LATER)
    world.write(*containers("a", "b"))
    world.start()
    world.said(code.cause, code.cure, f"next try in {LATER:.1f} s")
    world.arrived()

    first, second = world.tries
    assert second.asked - first.answered >= LATER
    assert first.batch == second.batch
    counts = world.counts
    assert counts.batches == {code.reason: 1, "accepted": 1} and counts.retries == 1
    assert not counts.set_aside and not counts.splits


@pytest.mark.parametrize("code", REFUSED, ids=named)
@pytest.mark.parametrize("retry_info", [None, LATER], ids=["plain", "retry_info"])
def test_refused(world: World, spare: Holder, code: Code, retry_info: float | None) -> None:
    world.fault({"grpc_code": code.name}, retry_info=retry_info)
    world.write(*containers("a", "b"))
    world.start()
    world.said(code.cause, code.cure, "nothing is sent there meanwhile", "goes on by itself")
    assert world.counts.refused == 1
    world.write(Container("a", ended=True))
    world.heal()  # which the sensor cannot know: it waits for another token
    world.settle()
    assert len(world.tries) == 1 and world.held() == []

    world.use_token(spare.token)
    world.arrived()
    world.said("the token is accepted", level=20)
    assert world.counts.refused == 0 and world.counts.batches == {code.reason: 1, "accepted": 2}


@pytest.mark.parametrize("code", [*INVALID, *TOO_LARGE], ids=named)
def test_set_aside(world: World, code: Code) -> None:
    world.fault({"grpc_code": code.name}, times=3)  # the batch, its first half, and of that the first
    world.write(*containers("a", "b", "c", "d"))
    world.start()
    world.said("container " + Container("a").id, code.cause, code.cure, "until it changes")
    world.arrived("a")

    assert [len(one.batch.states) for one in world.tries[:3]] == [4, 2, 1]
    counts = world.counts
    assert counts.batches[code.reason] == 3
    assert counts.set_aside == {code.reason: 1} and counts.splits == 2
    assert world.outbox.counts().set_aside == 1

    world.write(Container("a", ("requests", "yaml")))
    world.arrived()
    assert world.outbox.counts().set_aside == 0


def test_what_was_set_aside_is_tried_again_after_a_restart(world: World) -> None:
    world.fault({"grpc_code": "INVALID_ARGUMENT"}, times=3)
    world.write(*containers("a", "b", "c", "d"))
    world.start()
    world.arrived("a")

    world.end()
    world.restart()
    world.start()
    world.arrived()
