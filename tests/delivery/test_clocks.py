"""Nodes whose clock is two days off: everything arrives, it is said, and lives as long as all else."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensor.snyk import grpc_client, https_client, https_exchange
from tests.clock import PATIENCE
from tests.delivery.certificates import Authority
from tests.delivery.conftest import Sensor
from tests.delivery.world import TRANSPORTS, Container, Holder, Time, World, containers, write_tokens
from tests.receiver_process import Receiver

DAYS = 2 * 86_400.0
SKEWS = (DAYS, -DAYS)
EXPIRE_HOURS = "0.005"


def ahead_or_behind(seconds: float) -> str:
    return "ahead" if seconds > 0 else "behind"


@pytest.mark.parametrize("skew", SKEWS, ids=ahead_or_behind)
def test_clock_that_is_off(
    sensor: Sensor, receiver: Receiver, transport: str, skew: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(ahead=skew)
    # Not time.time() itself: gRPC takes its deadlines from it, and compares them with the kernel's.
    wrong = SimpleNamespace(**{**vars(time), "time": clock.wall})
    for module in (grpc_client, https_client, https_exchange):
        monkeypatch.setattr(module, "time", wrong)
    world = sensor(receiver, transport, time=clock)
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()
    world.said(f"2.0 days {ahead_or_behind(skew)}", world.address, "NTP")
    said = world.lines()
    assert len(said) == 1

    world.write(Container("a", ("requests", "yaml")), Container("b", ended=True))
    world.arrived()
    assert world.lines() == said  # not with each batch
    assert world.counts.batches == {"accepted": 2}
    for row in rows(world):
        assert abs(row["received_at"] - time.time()) < 60
        if transport == "grpc":
            assert abs(row["observed_at"] - row["received_at"] - skew) < 60
            assert abs(row["observed_here"] - time.time()) < 60


@pytest.mark.parametrize("skew", SKEWS, ids=ahead_or_behind)
def test_clock_that_is_set_right(sensor: Sensor, receiver: Receiver, transport: str, skew: float) -> None:
    """What is newer holds, though its times are older."""
    world = sensor(receiver, transport, time=Time(ahead=skew))
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()
    world.fault({"cut": "before"})
    world.write(Container("b", ended=True), Container("c"))  # queued by the clock that is wrong
    world.failed("unavailable" if transport == "grpc" else "reset")
    world.time.ahead = 0.0
    world.write(Container("a", ("requests", "yaml")))
    world.heal()
    world.arrived()

    world.end()
    world.restart()
    world.start()
    world.write(Container("a", ("requests", "yaml"), ended=True))
    world.arrived()


@pytest.mark.parametrize("skew", SKEWS, ids=ahead_or_behind)
def test_clock_that_goes_wrong_as_the_outbox_is_lost(sensor: Sensor, receiver: Receiver, skew: float) -> None:
    """Another sender, whose generations and times say nothing beside those before: ages do."""
    world = sensor(receiver, "grpc")
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()
    world.end()
    assert world.plan.state_dir is not None
    for path in world.plan.state_dir.iterdir():
        path.unlink()

    world.time.ahead = skew
    world.restart()
    world.write(Container("a", ("requests", "yaml")))
    del world.states["b"]  # ended meanwhile, which nobody saw
    world.uploader.snapshot_now()
    world.start()
    world.states["b"] = Container("b", ended=True)
    world.arrived()


@pytest.fixture
def forgetful(authority: Authority, holder: Holder, tmp_path: Path) -> Iterator[Receiver]:
    """Keeps for 18 s what is kept for 48 hours."""
    folder = tmp_path / "forgetful"
    folder.mkdir()
    certificate, key = authority.files(folder)
    with Receiver(
        folder,
        certificate=certificate,
        key=key,
        authority=authority.bundle,
        tokens=write_tokens(folder / "tokens.json", holder),
        arguments=["--expire-after", EXPIRE_HOURS],
    ) as receiver:
        yield receiver


def test_expiry_goes_by_the_receivers_clock(sensor: Sensor, forgetful: Receiver, tmp_path: Path) -> None:
    """Not at once what seems two days old, nor never what seems to come."""
    worlds = [
        sensor(forgetful, transport, time=Time(ahead=skew), state_dir=tmp_path / f"{transport}{skew}")
        for transport, skew in itertools.product(TRANSPORTS, SKEWS)
    ]
    early = sensor(forgetful, "grpc", state_dir=tmp_path / "early")
    for world in (*worlds, early):
        world.write(*containers("a"))
        world.start()
        world.arrived()

    age(early)
    early.until(lambda: not early.held(), "what has not been reported for long to go")
    for world in worlds:
        world.arrived()  # the sweep has left it
        age(world)
    early.until(lambda: not any(world.held() for world in worlds), "all to go")


def rows(world: World) -> list[dict[str, float]]:
    return [row for row in world.receiver.containers() if row["group_id"] == world.group]


def age(world: World) -> None:
    """Let the time of expiry pass for what ``world`` has reported."""
    with closing(sqlite3.connect(world.receiver.database, timeout=PATIENCE)) as database, database:
        database.execute(
            "UPDATE container SET received_at = received_at - ? WHERE group_id = ?",
            (float(EXPIRE_HOURS) * 3600, world.group),
        )
