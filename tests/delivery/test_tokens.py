"""Tokens that are wrong, lack a permission, change, or cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.delivery.conftest import Sensor
from tests.delivery.world import TRANSPORTS, Container, Holder, World, containers, secret, write_tokens
from tests.receiver_process import Receiver

UNKNOWN = ("does not know the token", "into SNYK_TOKEN or the file of --token-file")
MISSING = {"grpc": "AppRisk edit", "https": "Publish Kubernetes Resources"}
STOPPED = ("nothing is sent there meanwhile, 2 states wait", "goes on by itself when the token changes")
CODES = {
    "unknown": {"grpc": "unauthenticated", "https": "http_401"},
    "missing": {"grpc": "permission_denied", "https": "http_403"},
}


def test_wrong_token(sensor: Sensor, receiver: Receiver, holder: Holder, transport: str) -> None:
    world = sensor(receiver, transport)
    world.use_token(secret())
    line = refused(world, CODES["unknown"][transport], *UNKNOWN)
    world.use_token(secret())  # another one that is wrong: the same line is not said again
    world.failed(CODES["unknown"][transport], times=2)

    world.use_token(holder.token)
    accepted(world)
    assert world.lines() == [line]


def test_missing_permission(
    sensor: Sensor, receiver: Receiver, powerless: Holder, holder: Holder, transport: str
) -> None:
    world = sensor(receiver, transport)
    world.use_token(powerless.token)
    permission = MISSING[transport]
    refused(world, CODES["missing"][transport], f"lacks the permission {permission!r}", "give it to the role")
    world.use_token(holder.token)
    accepted(world)


def test_missing_group(
    sensor: Sensor, receiver: Receiver, elsewhere: Holder, holder: Holder, transport: str
) -> None:
    world = sensor(receiver, transport)
    world.use_token(elsewhere.token)
    refused(
        world, CODES["missing"][transport], f"lacks the permission {MISSING[transport]!r}", repr(world.group)
    )
    world.use_token(holder.token)
    accepted(world)


def test_permission_that_is_given_later(
    sensor: Sensor, receiver: Receiver, holders: tuple[Holder, ...], tmp_path: Path
) -> None:
    """The token stays as it is: it is tried again, seldom."""
    one = Holder(permissions=("view",))
    tokens = receiver.tokens
    assert tokens is not None
    write_tokens(tokens, *holders, one)
    worlds = [sensor(receiver, transport, state_dir=tmp_path / transport) for transport in TRANSPORTS]
    known(receiver, one, worlds[0])
    for world in worlds:
        world.use_token(one.token)
        permission = MISSING[world.transport]
        refused(
            world, CODES["missing"][world.transport], f"lacks the permission {permission!r}", "every 15 min"
        )
    write_tokens(tokens, *holders, Holder(one.token, permissions=(*one.permissions, "AppRisk edit")))

    def quarter_of_an_hour_later() -> bool:
        for world in worlds:
            world.time.passed += 900
        return not any(world.counts.refused for world in worlds)

    worlds[0].until(quarter_of_an_hour_later, "the token to be tried again")
    for world in worlds:
        accepted(world)


def emptied(path: Path) -> None:
    path.write_text("")


def removed(path: Path) -> None:
    path.unlink()


def garbled(path: Path) -> None:
    path.write_bytes(b"\x00\xff\n\x1b[2J")


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [(emptied, "is empty"), (removed, "cannot read the token file"), (garbled, "not ASCII")],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_token_file_that_cannot_be_used(
    *,
    sensor: Sensor,
    receiver: Receiver,
    spare: Holder,
    transport: str,
    spoil: Callable[[Path], None],
    cause: str,
) -> None:
    """Secrets are written in steps: the last token that was whole is used meanwhile."""
    world = sensor(receiver, transport)
    world.write(*containers("a"))
    world.start()
    world.arrived()
    spoil(world.plan.token_file)
    world.write(*containers("b"))
    world.said(cause, "the last token stays in use until the file holds another")
    world.arrived()
    assert len(world.lines()) == 1

    world.use_token(spare.token)
    world.write(Container("a", ended=True))
    world.arrived()
    assert world.counts.batches == {"accepted": 3}


def known(receiver: Receiver, holder: Holder, world: World) -> None:
    """Wait until the receiver has read its tokens anew."""
    headers = {"Authorization": f"token {holder.token}"}
    path = "/rest/self?version=2024-04-22"
    world.until(lambda: receiver.call("GET", path, headers=headers)[0] == 200, "the token to be known")


def refused(world: World, reason: str, *words: str) -> str:
    world.write(*containers("a", "b"))
    world.start()
    line = world.said("cannot deliver to", world.address, *words, *STOPPED, level=40)
    assert world.counts.refused == 1 and world.counts.batches == {reason: 1}
    world.settle()
    assert len(world.tries) == 1 and world.held() == []
    world.write(Container("a", ended=True), Container("c"))
    return line


def accepted(world: World) -> None:
    world.arrived()
    world.said("the token is accepted", level=20)
    assert world.counts.refused == 0 and not world.counts.set_aside
