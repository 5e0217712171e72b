"""Answers over https that are not as they should be: each class of status, and all that mean something."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.delivery.certificates import Authority
from tests.delivery.conftest import Sensor
from tests.delivery.way import Ways
from tests.delivery.world import Container, Holder, World, containers
from tests.receiver_process import Receiver
from tests.unit.snyk_servers import Reply, http_server

_LATER = "it is tried again"


@dataclass(frozen=True, slots=True)
class Status:
    """``cause`` and ``cure`` are words of the line that is logged."""

    code: int
    cause: str
    cure: str
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def counted(self) -> str:
        return self.reason or f"http_{self.code}"


TEMPORARY = (
    Status(
        301,
        "redirects to https://elsewhere.example/",
        "name that host",
        {"Location": "https://elsewhere.example/"},
    ),
    Status(302, "redirects to another place", "name that host in --upstream"),
    Status(404, "nobody there takes runtime results", "is --upstream the host of Snyk's API"),
    Status(405, "nobody there takes runtime results", "is --upstream the host of Snyk's API"),
    Status(407, "a proxy wants other credentials", "put USER:PASSWORD@ before its host in HTTPS_PROXY"),
    Status(408, "takes no more for now", _LATER),
    Status(418, "refuses requests, whatever is in them", "look at --upstream", reason="http_4xx"),
    Status(425, "takes no more for now", _LATER),
    Status(429, "takes no more for now", _LATER),
    Status(500, "it, or a proxy between, failed", "look at its log"),
    Status(501, "nobody there takes runtime results", "is --upstream the host of Snyk's API"),
    Status(502, "it, or a proxy between, failed", "look at its log"),
    Status(503, "it, or a proxy between, failed", "look at its log"),
    Status(504, "it, or a proxy between, failed", "look at its log"),
    Status(599, "it, or a proxy between, failed", "look at its log", reason="http_5xx"),
)
REFUSED = (
    Status(401, "does not know the token", "into SNYK_TOKEN or the file of --token-file"),
    Status(403, "lacks the permission 'AppRisk edit'", "give it to the role"),
)
SET_ASIDE = (
    Status(400, "does not take these states", "older than the sensor, update it"),
    Status(413, "larger than it takes", "take larger requests"),
    Status(422, "does not take these states", "older than the sensor, update it"),
)
WAITED_FOR = (429, 503)


@pytest.fixture
def world(sensor: Sensor, receiver: Receiver) -> World:
    return sensor(receiver, "https")


def named(status: Status) -> str:
    return str(status.code)


@pytest.mark.parametrize("status", TEMPORARY, ids=named)
def test_temporary(world: World, status: Status) -> None:
    world.fault({"status": status.code, "headers": status.headers})
    world.write(*containers("a", "b", "c"))
    world.start()
    line = world.said(status.cause, status.cure, f"it answered {status.code}")
    assert world.address in line and "next try in" in line
    world.failed(status.counted, times=3)
    world.write(Container("a", ("requests", "yaml")))
    assert world.held() == []

    world.heal()
    world.arrived()
    world.said("states arrive again", level=20)
    assert world.counts.retries >= 2 and not world.counts.set_aside
    assert world.lines() == [line]


@pytest.mark.parametrize("status", WAITED_FOR)
def test_retry_after_seconds(world: World, status: int) -> None:
    world.fault({"status": status, "headers": {"Retry-After": "1"}}, times=1)
    world.write(*containers("a"))
    world.start()
    world.said(f"it answered {status}", "next try in 1.0 s")
    world.arrived()
    first, second = world.tries
    assert second.asked - first.answered >= 1.0
    assert first.batch == second.batch


def test_retry_after_date(world: World) -> None:
    """RFC 9110, 10.2.3: a date, by the clock of the header Date, both in whole seconds."""
    at = int(time.time()) + 2
    date = email.utils.formatdate(at, usegmt=True)
    world.fault({"status": 503, "headers": {"Retry-After": date}}, times=1)
    world.write(*containers("a"))
    world.start()
    world.said("it answered 503", "look at its log")
    world.arrived()
    first, second = world.tries
    assert second.asked - first.answered >= 1.0
    assert time.time() >= at


@pytest.mark.parametrize("status", REFUSED, ids=named)
def test_refused(world: World, spare: Holder, status: Status) -> None:
    world.fault({"status": status.code})
    world.write(*containers("a", "b"))
    world.start()
    world.said(status.cause, status.cure, "nothing is sent there meanwhile", "goes on by itself")
    assert world.counts.refused == 1
    world.heal()
    world.settle()
    assert len(world.tries) == 1 and world.held() == []

    world.use_token(spare.token)
    world.arrived()
    world.said("the token is accepted", level=20)
    assert world.counts.refused == 0 and world.counts.batches == {status.counted: 1, "accepted": 1}


@pytest.mark.parametrize("status", SET_ASIDE, ids=named)
def test_set_aside(world: World, status: Status) -> None:
    world.fault({"status": status.code}, times=3)  # the batch, its first half, and of that the first
    world.write(*containers("a", "b", "c", "d"))
    world.start()
    world.said("container " + Container("a").id, status.cause, status.cure, "until it changes")
    world.arrived("a")

    counts = world.counts
    assert counts.batches[status.counted] == 3
    assert counts.set_aside == {status.counted: 1} and counts.splits == 2
    assert world.outbox.counts().set_aside == 1

    world.write(Container("a", ("requests", "yaml")))
    world.arrived()
    assert world.outbox.counts().set_aside == 0


PLACEHOLDER = ("something else answers in its place", "is --upstream the host of Snyk's API")
NO_ANSWERS = {
    "page": b"<!DOCTYPE html><title>Guest network: log in</title>",
    "garbage": random.Random(7).randbytes(500),
    "errors": b'{"errors": [{"status": "500", "title": "no"}]}',
}


@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_success_that_is_not_the_upstreams(
    *, sensor: Sensor, receiver: Receiver, authority: Authority, way: Ways, body: bytes
) -> None:
    """Nothing was stored by what says so: a login page, or a proxy."""
    reply = Reply(200, {"Connection": "close"}, body)
    with http_server(authority.certificate(), reply) as other:
        between = way(other.port)
        world = sensor(receiver, "https", port=between.port)
        world.write(*containers("a", "b"))
        world.start()
        line = world.said(*PLACEHOLDER, "it answered 200", "next try in")
        world.failed("malformed_answer", times=2)
        world.write(Container("a", ("requests", "yaml")))

        between.to = receiver.http_port
    world.arrived()
    assert world.lines() == [line] and world.counts.retries >= 1
