"""From a real outbox to a destination that answers as told: what is sent when, and what becomes of it."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sensor.config.texts import Address
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.destination import (
    Batch,
    Invalid,
    PermissionDenied,
    Receipt,
    Rejection,
    Temporary,
    TooLarge,
    Unauthenticated,
)
from sensor.delivery.outbox import Outbox, OutboxError, Routed
from sensor.delivery.uploader import SAME_FOR, Uploader
from sensor.model.container import ContainerIdentity
from sensor.model.package import PackageUse
from sensor.model.report import ContainerReport
from tests.clock import PATIENCE
from tests.unit.reports import DAY, report, use

SETTINGS = UpstreamSettings(Address("localhost", 1), batch_containers=4, batch_interval=2.0)
DOWN = Temporary("connection refused", reason="unavailable")


class Script:
    """A destination that does with each batch what the next of ``answers`` says, and takes it after that."""

    def __init__(self) -> None:
        self.answers: list[Exception | Receipt | Callable[[Batch], Receipt]] = []
        self.always: Callable[[Batch], Receipt] | None = None
        self.batches: list[Batch] = []
        self.times: list[float] = []
        self.timeouts: list[float] = []
        self.changed = False
        self.closed = 0
        self.clock: Callable[[], float] = lambda: 0.0

    def send(self, batch: Batch, timeout: float) -> Receipt:
        self.batches.append(batch)
        self.times.append(self.clock())
        self.timeouts.append(timeout)
        self.changed = False
        answer = self.answers.pop(0) if self.answers else self.always or Receipt(sent_bytes=100)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Receipt) else answer(batch)

    def credentials_changed(self) -> bool:
        return self.changed

    def close(self) -> None:
        self.closed += 1

    def keys(self, number: int = -1) -> list[str]:
        return [state.key for state in self.batches[number].states]

    def delivered(self) -> set[str]:
        return {state.key for batch in self.batches for state in batch.states}


class World:
    """An uploader whose time only passes when it waits."""

    def __init__(self, settings: UpstreamSettings = SETTINGS) -> None:
        self.now = 1000.0
        self.outbox = Outbox(None, clock=self.wall, monotonic=lambda: self.now)
        self.script = Script()
        self.script.clock = lambda: self.now
        self.uploader = Uploader(
            *("g", self.outbox, self.script, settings),
            cluster="east",
            node="node-1",
            clock=self.wall,
            monotonic=lambda: self.now,
            chance=random.Random(3),
        )
        self.run(6)  # the spread of the start

    def wall(self) -> float:
        return DAY + self.now

    def write(self, *indexes: int, uses: tuple[PackageUse, ...] = (), end: bool = False) -> None:
        self.outbox.write([self.routed(index, *uses, end=end) for index in indexes])

    def routed(self, index: int, *uses: PackageUse, end: bool = False) -> Routed:
        one = number(index, *uses)
        if end:
            one = replace(one, deployed=False, ended_at=self.wall())
        return Routed("g", one.container.id, one)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            wait = self.uploader.step()
            assert wait >= 0
            if self.now + max(wait, 1e-3) > end:
                self.now = end
                return
            self.now += max(wait, 1e-3)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.outbox.close()


def number(index: int, *uses: PackageUse) -> ContainerReport:
    return report(*uses, container=ContainerIdentity(key(index), "containerd"))


def key(index: int) -> str:
    return hashlib.sha256(str(index).encode()).hexdigest()


def test_a_change_is_sent_when_the_interval_is_over(world: World) -> None:
    world.write(1)
    begun = world.now
    world.run(1)
    world.write(2)
    world.run(20)
    (batch,) = world.script.batches
    assert 2 <= world.script.times[0] - begun < 2.5
    assert world.script.keys() == [key(1), key(2)]
    assert (batch.cluster, batch.node, batch.sender_id) == ("east", "node-1", world.outbox.sender_id)
    assert batch.sent_at == DAY + world.script.times[0]
    assert batch.running is None
    assert world.outbox.unsent("g") == 0
    counts = world.uploader.counts()
    assert (counts.requests, counts.batches, counts.states, counts.sent_bytes) == (1, {"accepted": 1}, 2, 100)


def test_a_full_batch_goes_at_once_and_the_rest_waits(world: World) -> None:
    world.write(*range(5))
    world.run(0.5)
    assert [len(batch.states) for batch in world.script.batches] == [4]
    world.run(3)
    assert [len(batch.states) for batch in world.script.batches] == [4, 1]


def test_a_batch_is_full_in_bytes_too() -> None:
    world = World(replace(SETTINGS, batch_containers=1000, batch_bytes=16 << 10, batch_interval=3600))
    world.write(*range(20), uses=(use(path="/" + "x" * 2000),))
    world.run(1)
    sent = [len(batch.states) for batch in world.script.batches]
    assert sent[0] < 10
    assert 20 - sum(sent) < 10
    world.outbox.close()


def test_a_temporary_failure_is_tried_with_the_same_batch_and_newer_states_follow(world: World) -> None:
    world.script.answers = [DOWN, DOWN]
    world.write(1)
    world.run(2.5)
    world.write(1, 2, uses=(use(),))
    world.run(30)
    ids = [batch.id for batch in world.script.batches]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert [len(batch.states) for batch in world.script.batches] == [1, 1, 1, 2]
    assert len(world.script.batches[-1].states[0].report.packages) == 1
    counts = world.uploader.counts()
    assert (counts.retries, counts.batches) == (2, {"unavailable": 2, "accepted": 2})


def test_a_batch_that_failed_for_long_is_made_anew_of_the_latest_states(world: World) -> None:
    world.script.answers = [DOWN] * 40
    world.write(1)
    world.run(3)
    world.write(1, uses=(use(),))
    world.run(SAME_FOR + 61)
    first, last = world.script.batches[0], world.script.batches[-1]
    assert first.id != last.id
    assert len(last.states[0].report.packages) == 1
    assert last.sent_at > first.sent_at


def test_tries_become_rarer_and_never_stop(world: World) -> None:
    world.script.answers = [DOWN] * 10_000
    world.write(1)
    world.run(3600)
    waits = [
        after - before for before, after in zip(world.script.times, world.script.times[1:], strict=False)
    ]
    assert max(waits) <= 21
    assert max(waits) > 14
    assert 270 < len(waits) < 540
    world.script.answers = []
    world.run(21)
    assert world.outbox.unsent("g") == 0


def test_after_a_success_tries_are_close_again(world: World) -> None:
    for index in range(5):
        world.script.answers = [DOWN] * 8
        world.write(index)
        world.run(300)
        first, second = world.script.times[-9:-7]
        assert second - first <= 1.1
        assert world.outbox.unsent("g") == 0


@pytest.mark.parametrize("asked", [7.0, 200.0])
def test_the_wait_that_is_asked_for_is_kept(world: World, asked: float) -> None:
    world.script.answers = [Temporary("busy", reason="http_429", retry_after=asked)]
    world.write(1)
    world.run(asked + 60)
    first, second = world.script.times
    assert asked <= second - first <= asked * 1.25 + 1


def test_no_more_requests_than_allowed() -> None:
    world = World(replace(SETTINGS, batch_containers=1, requests_per_minute=6))
    world.write(*range(100))
    world.run(10)
    at_once = len(world.script.batches)
    assert 60 <= at_once <= 62  # ten minutes' worth is caught up with
    world.run(60)
    assert len(world.script.batches) - at_once in (6, 7)
    world.outbox.close()


def poison(*bad: int, error: type[Invalid] | type[TooLarge] = Invalid) -> Callable[[Batch], Receipt]:
    keys = {key(index) for index in bad}

    def answer(batch: Batch) -> Receipt:
        if any(state.key in keys for state in batch.states):
            raise error("found a name of 9 MiB, expected less", reason="invalid_argument")
        return Receipt()

    return answer


@pytest.mark.parametrize("error", [Invalid, TooLarge])
def test_what_is_not_taken_is_found_and_set_aside(
    world: World, caplog: pytest.LogCaptureFixture, error: type[Invalid] | type[TooLarge]
) -> None:
    world.script.always = poison(2, 6, error=error)
    world.write(*range(8))
    world.run(60)
    counts = world.uploader.counts()
    assert (counts.states, counts.set_aside) == (6, {"invalid_argument": 2})
    assert counts.splits > 0
    assert world.outbox.unsent("g") == 0
    assert world.outbox.counts().set_aside == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert key(2) in said[0] and "found a name of 9 MiB" in said[0]
    requests = counts.requests
    world.uploader.snapshot_now()
    world.run(60)
    assert world.uploader.counts().set_aside == {"invalid_argument": 2}  # not tried again
    assert world.uploader.counts().requests > requests
    world.script.always = None
    world.write(2, uses=(use(),))
    world.run(5)
    assert world.script.keys() == [key(2)]  # until it changes


def test_after_too_large_smaller_batches_are_sent_until_the_next_snapshot(world: World) -> None:
    def answer(batch: Batch) -> Receipt:
        if len(batch.states) > 2:
            raise TooLarge("larger than 4 MiB", reason="too_large")
        return Receipt()

    world.script.always = answer
    world.write(*range(12))
    world.run(10)
    assert [len(batch.states) for batch in world.script.batches] == [4, 2, 2, 2, 2, 2, 2]
    world.script.always = None
    world.uploader.snapshot_now()
    world.run(10)
    assert len(world.script.batches[7].states) == 4


def test_what_the_other_side_rejects_of_a_batch_is_set_aside(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.script.answers = [
        Receipt(rejected=(Rejection(1, "no image"), Rejection(99, "x"), Rejection(-1, "x")))
    ]
    world.write(1, 2, 3)
    world.run(5)
    counts = world.uploader.counts()
    assert (counts.states, counts.set_aside) == (2, {"rejected": 1})
    assert world.outbox.unsent("g") == 0
    assert f"container {key(2)} was not taken" in caplog.text and "no image" in caplog.text


DENIED = PermissionDenied(
    "found a token without AppRisk edit, expected one with it: give its role that permission",
    reason="permission_denied",
    permission="AppRisk edit",
)


def test_a_refused_token_stops_the_sending_until_another_is_there(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.script.answers = [DENIED] * 9
    world.write(1)
    world.run(600)
    assert len(world.script.batches) == 1
    assert world.uploader.counts().refused == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "AppRisk edit" in record.message and "1 states wait" in record.message
    world.script.answers = []
    world.script.changed = True
    with caplog.at_level(logging.INFO):
        world.run(1.5)
    assert world.outbox.unsent("g") == 0
    assert world.uploader.counts().refused == 0
    assert "the token is accepted" in caplog.text


def test_a_refused_token_is_tried_now_and_then(world: World, caplog: pytest.LogCaptureFixture) -> None:
    unknown = Unauthenticated("the token is not known: make a new one", reason="unauthenticated")
    world.script.answers = [unknown] * 5
    world.write(1)
    world.run(3600 + 600)
    assert len(world.script.batches) in (5, 6)
    assert len(caplog.records) == 1  # said once
    world.run(1000)
    assert world.outbox.unsent("g") == 0


def test_a_missing_permission_is_named_even_if_the_text_does_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.script.answers = [PermissionDenied("no", reason="permission_denied", permission="AppRisk edit")]
    world.write(1)
    world.run(5)
    assert "lacks the permission AppRisk edit" in caplog.text


def test_a_probe_that_does_not_come_through_leaves_it_refused(world: World) -> None:
    world.script.answers = [DENIED, DOWN, DOWN]
    world.write(1)
    world.run(1100)
    assert len(world.script.batches) >= 3
    world.run(100)
    assert world.uploader.counts().refused == 0
    assert world.outbox.unsent("g") == 0


def test_a_snapshot_ends_with_what_runs(world: World) -> None:
    world.write(*range(10))
    world.run(10)
    sent = len(world.script.batches)
    world.write(3, end=True)
    world.run(7200)
    assert world.uploader.counts().snapshots == 0  # the first one is asked for
    assert len(world.script.batches) == sent + 1
    world.uploader.snapshot_now()
    world.run(5)
    batches = world.script.batches[sent + 1 :]
    assert [len(batch.states) for batch in batches] == [4, 4, 1]
    assert [batch.running is None for batch in batches] == [True, True, False]
    assert set(batches[-1].running or ()) == {key(index) for index in range(10)} - {key(3)}
    world.run(3600 * 1.2)
    assert world.uploader.counts().snapshots == 2
    world.run(3600 * 8)
    assert world.uploader.counts().snapshots in (9, 10, 11)


def test_ends_in_a_batch_stand_for_nothing_that_runs(world: World) -> None:
    world.write(1, 2)
    world.run(5)
    world.write(11, 12, 13, end=True)
    world.run(0.5)  # they wait for longer, so they go first
    world.uploader.snapshot_now()
    world.run(1)
    first, last = world.script.batches[-2:]
    assert (len(first.states), first.running) == (4, None)
    assert len(last.states) == 1 and set(last.running or ()) == {key(1), key(2)}


def test_a_snapshot_that_is_asked_for_during_another_follows_it(world: World) -> None:
    def answer(_batch: Batch) -> Receipt:
        if not world.uploader.counts().snapshots:
            world.uploader.snapshot_now()
        return Receipt()

    world.script.always = answer
    world.uploader.snapshot_now()
    world.run(5)
    assert world.uploader.counts().snapshots == 2


def test_a_node_without_containers_says_so(world: World) -> None:
    world.uploader.snapshot_now()
    world.run(1)
    (batch,) = world.script.batches
    assert (batch.states, batch.running) == ((), ())


def test_a_snapshot_that_fails_is_still_one(world: World) -> None:
    world.write(1, 2)
    world.run(5)
    world.script.answers = [DOWN] * 60
    world.uploader.snapshot_now()
    world.run(900)
    world.script.answers = []
    world.run(61)
    assert world.script.batches[-1].running is not None
    assert len(world.script.batches[-1].states) == 2
    assert world.uploader.counts().snapshots == 1


def test_a_snapshot_that_could_not_be_begun_is_begun_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_destination: str) -> int:
        raise OutboxError("cannot keep states: disk I/O error")

    world.write(1)
    world.run(5)
    with monkeypatch.context() as broken:
        broken.setattr(world.outbox, "resend", fails)
        world.uploader.snapshot_now()
        world.write(2)
        world.run(20)
    assert world.outbox.unsent("g") == 0  # all else is sent meanwhile
    assert world.uploader.counts().snapshots == 0
    world.run(60)
    assert world.uploader.counts().snapshots == 1


def test_a_list_of_what_runs_that_is_not_taken_blocks_nothing(world: World) -> None:
    def answer(batch: Batch) -> Receipt:
        if batch.running is not None:
            raise Invalid("no snapshots here", reason="invalid_argument")
        return Receipt()

    world.script.always = answer
    world.write(1, 2)
    world.uploader.snapshot_now()
    world.run(30)
    assert world.outbox.counts().set_aside == 0
    assert world.outbox.unsent("g") == 0
    world.write(3)
    world.run(5)
    assert world.script.keys() == [key(3)]


def test_what_runs_is_not_said_of_an_outbox_that_lost_states(world: World) -> None:
    world.write(1, 2)
    world.uploader.snapshot_now()
    world.run(5)
    assert world.script.batches[-1].running is not None
    world.outbox._storage.connection.execute("UPDATE state SET checksum = 1")
    world.write(3)
    world.write(1, end=True)  # meets the damage
    world.run(7200)
    after = [batch for batch in world.script.batches if batch.sender_id == world.outbox.sender_id]
    assert after and all(batch.running is None for batch in after)
    world.uploader.snapshot_now()
    world.run(5)
    assert world.script.batches[-1].running is not None


def test_a_defect_of_a_destination_is_counted_and_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.script.answers = [RuntimeError("boom"), KeyError("x")]
    world.write(1)
    world.run(20)
    assert world.outbox.unsent("g") == 0
    assert world.uploader.counts().batches == {"failed": 2, "accepted": 1}
    assert "boom" in caplog.text


def test_an_outage_is_told_at_once_then_once_a_minute_and_its_end(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.script.answers = [DOWN] * 10_000
    world.write(1, 2)
    with caplog.at_level(logging.INFO):
        world.run(3600)
        first, *further = [record.getMessage() for record in caplog.records]
        assert "connection refused (next try in" in first
        assert 30 <= len(further) <= 60
        assert "nothing arrives for" in further[-1] and "2 states wait" in further[-1]
        world.script.answers = []
        world.run(61)
    assert "states arrive again after 59min" in caplog.text or "after 1h" in caplog.text


def test_of_many_that_are_not_taken_a_few_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.script.always = poison(*range(60))
    world.write(*range(60))
    world.run(20)
    assert world.uploader.counts().set_aside == {"invalid_argument": 60}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 10 and "further ones are counted" in said[-1]
    world.run(60)
    world.write(1, uses=(use(),))
    world.run(5)
    assert len(caplog.records) == 11


def test_nodes_do_not_start_together() -> None:
    begun = set()
    for seed in range(20):
        outbox = Outbox(None)
        script = Script()
        made = Uploader("g", outbox, script, SETTINGS, monotonic=lambda: 0.0, chance=random.Random(seed))
        begun.add(round(made.step(), 1))
        outbox.close()
    assert len(begun) > 12
    assert max(begun) <= 5


def started(tmp_path: Path, settings: UpstreamSettings = SETTINGS) -> tuple[Outbox, Script, Uploader]:
    outbox, script = Outbox(tmp_path), Script()
    made = Uploader("g", outbox, script, settings)
    made.start()
    return outbox, script, made


def test_stop_sends_what_is_left_without_waiting(tmp_path: Path) -> None:
    outbox, script, made = started(tmp_path, replace(SETTINGS, batch_interval=3600))
    outbox.write([Routed("g", key(index), number(index)) for index in range(10)])
    assert made.stop(20)
    assert not made.is_alive()
    assert len(script.delivered()) == 10
    assert script.closed == 1
    outbox.close()


def test_what_is_held_until_its_group_is_known_has_not_arrived(tmp_path: Path) -> None:
    outbox, script, made = started(tmp_path)
    outbox.write([Routed("g", key(1), number(1), held_until=time.time() + 60)])
    assert not made.stop(20)
    assert not made.is_alive()
    assert script.batches == []
    outbox.close()


def test_stop_tries_again_within_its_deadline(tmp_path: Path) -> None:
    outbox, script, made = started(tmp_path)
    script.answers = [DOWN]
    outbox.write([Routed("g", key(1), number(1))])
    assert made.stop(20)
    assert len(script.batches) == 2
    assert max(script.timeouts) <= 20
    outbox.close()


@pytest.mark.parametrize(
    "error", [DENIED, Temporary("down", reason="unavailable", retry_after=100.0)], ids=["refused", "later"]
)
def test_stop_does_not_wait_for_what_will_not_come(tmp_path: Path, error: Exception) -> None:
    outbox, script, made = started(tmp_path)
    script.answers = [error] * 100
    outbox.write([Routed("g", key(1), number(1))])
    assert not made.stop(30)
    assert len(script.batches) == 1
    outbox.close()


def test_stop_keeps_to_its_deadline(tmp_path: Path) -> None:
    outbox, script, made = started(tmp_path)
    stuck = threading.Event()

    def answer(_batch: Batch) -> Receipt:
        stuck.wait(script.timeouts[-1])
        raise DOWN

    script.always = answer
    outbox.write([Routed("g", key(1), number(1))])
    assert not made.stop(0.3)
    made.join(PATIENCE)
    assert not made.is_alive()
    assert script.timeouts[0] <= 0.31
    outbox.close()


def test_one_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    with_nothing = Outbox(tmp_path)
    assert Uploader("g", with_nothing, Script(), SETTINGS).stop(1)
    with_nothing.close()
