"""The outbox's book-keeping, on real files: latest states, generations, what waits, what goes."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sensor.config.upstream import Scope
from sensor.delivery.container_json import from_json, to_json
from sensor.delivery.destination import OutgoingState
from sensor.delivery.outbox import Outbox, OutboxError, Routed
from sensor.delivery.outbox_sink import OutboxSink
from sensor.delivery.scopes import Router
from sensor.model.container import ContainerIdentity
from sensor.model.package import PackageUse
from sensor.model.report import ContainerReport, Coverage, LoadedPackage
from tests.unit.reports import DAY, METADATA, WEB, loaded, report, use

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = DAY

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", "memory"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "state" if request.param == "file" else None, clock=clock)
    assert made.durable == (request.param == "file")
    yield made
    made.close()


def routed(one: ContainerReport, destination: str = "g") -> Routed:
    return Routed(destination, one.container.id, one)


def number(index: int, *uses: PackageUse, **changes: object) -> ContainerReport:
    identity = ContainerIdentity(hashlib.sha256(str(index).encode()).hexdigest(), "containerd", WEB.pod_uid)
    return report(*uses, container=identity, **changes)


def ended(one: ContainerReport, at: float = DAY) -> ContainerReport:
    return replace(one, deployed=False, ended_at=at, observed_at=at)


def pending(outbox: Outbox, destination: str = "g") -> tuple[OutgoingState, ...]:
    return outbox.pending(destination, 1000, 100 * MIB)


def acknowledge(outbox: Outbox, *states: OutgoingState, destination: str = "g") -> None:
    outbox.acknowledge(destination, [(state.key, state.generation) for state in states])


HOST = report(
    use(),
    container=ContainerIdentity("host", "host"),
    metadata=replace(METADATA, pod_uid=None, pod_name=None, workload=None, namespace=None),
    coverage=Coverage.PARTIAL,
    coverage_reasons=("events_lost", "unasked"),
)


@pytest.mark.parametrize(
    "one",
    [
        report(),
        report(use()),
        report(*(use(f"p{index}", None if index % 3 else "1") for index in range(700))),
        report(use("ünï\ncode\x1b\u2028", path="/opt/ä\n\x00")),
        HOST,
        ended(HOST),
        report(use(), container=ContainerIdentity("3F" * 32, "podman", "no-uuid")),
        report(packages=(LoadedPackage(use(), DAY - 1e6, DAY + 1e6), LoadedPackage(use("b"), DAY, DAY - 5))),
        report(cluster=None, node=None),
    ],
)
def test_a_state_comes_back_as_it_was(outbox: Outbox, one: ContainerReport) -> None:
    outbox.write([routed(one)])
    (state,) = pending(outbox)
    assert state.report == from_json(to_json(one))
    assert state.key == one.container.id


def test_texts_that_are_no_unicode_cost_nothing(outbox: Outbox) -> None:
    outbox.write([routed(report(use("a\udcff")))])
    assert pending(outbox)[0].report.packages[0].use.package.name == "a\ufffd"


def test_a_newer_state_replaces_the_one_before(outbox: Outbox) -> None:
    outbox.write([routed(report(use()))])
    (first,) = pending(outbox)
    outbox.write([routed(report(use(), use("flask")))])
    (second,) = pending(outbox)
    assert second.generation > first.generation
    assert len(second.report.packages) == 2
    acknowledge(outbox, first)  # the older one arrived: the newer is still to be sent
    assert pending(outbox) == (second,)
    acknowledge(outbox, second)
    assert pending(outbox) == ()
    assert outbox.counts().states == 1


def test_what_is_no_news_is_not_sent_again(outbox: Outbox) -> None:
    one = report(use())
    outbox.write([routed(one)])
    (first,) = pending(outbox)
    outbox.write([routed(one), routed(replace(one, observed_at=DAY + 60))])
    assert pending(outbox) == (first,)
    acknowledge(outbox, first)
    outbox.write([routed(replace(one, observed_at=DAY + 90))])
    assert pending(outbox) == ()


def test_when_packages_were_last_seen_is_kept_and_waits_for_the_snapshot(outbox: Outbox) -> None:
    one = report(use())
    outbox.write([routed(one)])
    (first,) = pending(outbox)
    acknowledge(outbox, first)
    later = replace(one, packages=(replace(one.packages[0], last_seen=DAY + 500),))
    outbox.write([routed(later)])
    assert pending(outbox) == ()
    outbox.resend("g")
    (second,) = pending(outbox)
    assert second.report.packages[0].last_seen == DAY + 500
    assert second.generation > first.generation


@pytest.mark.parametrize(
    "changes",
    [
        {"packages": (LoadedPackage(use(), DAY - 99, DAY - 1),)},
        {"first_seen": DAY - 91},
        {"coverage": Coverage.PARTIAL, "coverage_reasons": ("events_lost",)},
        {"metadata": replace(METADATA, pod_name="other")},
        {"node": "node-2"},
        {"deployed": False, "ended_at": DAY},
    ],
)
def test_everything_else_is_news(outbox: Outbox, changes: dict[str, object]) -> None:
    outbox.write([routed(report(use()))])
    acknowledge(outbox, *pending(outbox))
    outbox.write([routed(report(use(), **changes))])
    assert len(pending(outbox)) == 1


def test_an_end_stays_until_it_has_arrived(outbox: Outbox) -> None:
    outbox.write([routed(report(use()))])
    acknowledge(outbox, *pending(outbox))
    outbox.write([routed(ended(report(use())))])
    assert outbox.running("g") == ()
    assert list(outbox.remembered()) == []
    (state,) = pending(outbox)
    assert state.report.ended_at == DAY
    assert outbox.counts().ended == 1
    acknowledge(outbox, state)
    assert outbox.counts().states == 0


def test_generations_only_grow_even_when_all_rows_are_gone(tmp_path: Path, clock: Clock) -> None:
    seen = [0]
    for _ in range(3):
        outbox = Outbox(tmp_path, clock=clock)
        outbox.write([routed(ended(report()))])
        (state,) = pending(outbox)
        assert state.generation > seen[-1]
        seen.append(state.generation)
        acknowledge(outbox, state)
        assert outbox.counts().states == 0
        outbox.close()
        clock.now -= 86_400  # a clock set back changes nothing


def test_a_start_skips_what_a_power_cut_may_take_back(tmp_path: Path, clock: Clock) -> None:
    outbox = Outbox(tmp_path, clock=clock)
    before = (tmp_path / "outbox.db").read_bytes()
    for index in range(200):
        outbox.write([routed(report(use(str(index))))])
    (lost,) = pending(outbox)
    outbox.close()
    (tmp_path / "outbox.db").write_bytes(before)
    outbox = Outbox(tmp_path, clock=clock)
    outbox.write([routed(report(use("after")))])
    assert pending(outbox)[0].generation > lost.generation
    outbox.close()


def test_a_restart_keeps_all_but_what_had_ended_and_arrived(tmp_path: Path, clock: Clock) -> None:
    outbox = Outbox(tmp_path, clock=clock)
    outbox.write([routed(number(1, use())), routed(number(2)), routed(ended(number(3)))], {"position": "7"})
    acknowledge(outbox, pending(outbox)[0])
    sender, states = outbox.sender_id, pending(outbox)
    outbox.close()
    outbox = Outbox(tmp_path, clock=clock)
    assert (outbox.sender_id, pending(outbox)) == (sender, states)
    assert outbox.mark("position") == "7"
    assert outbox.mark("other") is None
    remembered = {one.report.container.id: one for one in outbox.remembered()}
    assert set(remembered) == {number(1).container.id, number(2).container.id}
    first = remembered[number(1).container.id]
    assert first.report == from_json(to_json(number(1, use())))
    assert first.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert first.written_boottime > 0
    outbox.close()


def test_marks_are_written_with_the_states_or_not_at_all(outbox: Outbox) -> None:
    outbox.write([], {"position": "1"})
    broken = replace(report(), packages=(None,))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        outbox.write([routed(number(1)), routed(broken)], {"position": "2"})
    assert outbox.mark("position") == "1"
    assert pending(outbox) == ()
    outbox.write([routed(number(1))])  # and nothing is stuck


def test_the_oldest_change_comes_first_within_the_bounds(outbox: Outbox, clock: Clock) -> None:
    for index in range(40):
        clock.now += 1
        outbox.write([routed(number(index, use(path="/" + "x" * 1000)))])
    clock.now += 1
    outbox.write([routed(number(0, use(path="/" + "y" * 1000)))])  # still the oldest unsent change
    ids = [state.key for state in outbox.pending("g", 5, 100 * MIB)]
    assert ids == [number(index).container.id for index in range(5)]
    assert outbox.oldest_unsent("g") == DAY + 1
    assert len(outbox.pending("g", 1000, 10_000)) == 6
    assert len(outbox.pending("g", 1000, 1)) == 1  # one that is too large goes alone
    assert outbox.is_batch("g", 40, MIB) and outbox.is_batch("g", 1000, 30_000)
    assert not outbox.is_batch("g", 41, MIB)
    assert outbox.unsent("g") == 40


def test_a_snapshot_is_all_that_runs(outbox: Outbox) -> None:
    outbox.write([routed(number(index)) for index in range(300)])
    acknowledge(outbox, *pending(outbox))
    outbox.write([routed(ended(number(1)))])
    up_to = outbox.resend("g")
    assert outbox.unsent("g") == 300
    assert outbox.unsent_running("g", up_to) == 299
    outbox.write([routed(number(2, use()))])  # changed since: no part of it any more
    assert outbox.unsent_running("g", up_to) == 298
    assert len(outbox.running("g")) == 299
    assert outbox.running("other") == ()


def test_what_was_set_aside_is_sent_when_it_changes_or_after_a_start(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.write([routed(number(1)), routed(number(2))])
    for state in pending(outbox):
        outbox.set_aside("g", state.key, state.generation, "no \udcff such group " + "x" * 1000)
    outbox.resend("g")
    assert pending(outbox) == ()
    assert (outbox.counts().set_aside, outbox.counts().running) == (2, 2)
    outbox.write([routed(number(1, use()))])
    assert [state.key for state in pending(outbox)] == [number(1).container.id]
    outbox.close()
    outbox = Outbox(tmp_path)
    assert len(pending(outbox)) == 2
    outbox.close()


def test_an_older_generation_is_not_set_aside(outbox: Outbox) -> None:
    outbox.write([routed(report())])
    (old,) = pending(outbox)
    outbox.write([routed(report(use()))])
    outbox.set_aside("g", old.key, old.generation, "bad")
    assert len(pending(outbox)) == 1


def test_another_destination_ends_it_at_the_one_before(outbox: Outbox) -> None:
    outbox.write([routed(report(use()), "a")])
    acknowledge(outbox, *pending(outbox, "a"), destination="a")
    outbox.write([routed(replace(report(use()), observed_at=DAY + 5), "b")])
    (gone,) = pending(outbox, "a")
    (here,) = pending(outbox, "b")
    assert (gone.report.ended_at, gone.report.deployed) == (DAY + 5, False)
    assert len(gone.report.packages) == 1
    assert here.report.deployed
    assert (outbox.running("a"), outbox.running("b")) == ((), (WEB.id,))
    acknowledge(outbox, gone, destination="a")
    outbox.write([routed(ended(report(use()), DAY + 9), "b")])  # ended once only
    assert pending(outbox, "a") == ()


def test_nowhere_is_for_a_restart_only(outbox: Outbox) -> None:
    outbox.write([routed(number(1), ""), routed(number(2), "")])
    assert pending(outbox, "") == ()
    assert outbox.counts().unsent == {}
    assert len(list(outbox.remembered())) == 2
    outbox.write([routed(ended(number(1)), ""), routed(ended(number(3)), "")])
    assert outbox.counts().states == 1
    outbox.write([routed(number(2), "g")])
    assert (len(pending(outbox)), outbox.counts().states) == (1, 1)


def test_a_state_whose_group_is_not_known_yet_waits(outbox: Outbox, clock: Clock) -> None:
    sink = OutboxSink(outbox, router := Router((Scope("shop", ("shop",)),), "main"), router.held_until)
    unknown = report(first_seen=DAY, metadata=replace(METADATA, namespace=None))
    known = replace(unknown, metadata=replace(METADATA, namespace="shop"))
    sink.deliver([unknown])
    assert pending(outbox, "main") == ()
    assert outbox.oldest_unsent("main") is None
    clock.now += 30
    sink.deliver([replace(unknown, packages=loaded(use()))])  # news do not make it wait for longer
    sink.deliver([known])
    assert (len(pending(outbox, "shop")), outbox.counts().states) == (1, 1)  # main never hears of it
    other = number(5, first_seen=DAY, metadata=unknown.metadata)
    sink.deliver([other])
    clock.now = DAY + 60.5
    (state,) = pending(outbox, "main")
    assert state.key == other.container.id
    sink.deliver([replace(other, metadata=known.metadata)])  # too late: it has been sent
    (state,) = pending(outbox, "main")
    assert not state.report.deployed
    sink.close()


def test_a_clock_set_back_holds_nothing_back(outbox: Outbox, clock: Clock) -> None:
    outbox.write([routed(report())])
    clock.now -= 86_400
    assert len(pending(outbox)) == 1


def test_what_has_ended_for_a_group_that_is_gone_goes(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.write([routed(number(1), "old"), routed(ended(number(2)), "old"), routed(ended(number(3)))])
    outbox.retain({"g"})
    assert "dropped 1 ended containers" in caplog.text
    counts = outbox.counts()
    assert (counts.states, counts.dropped_ended) == (2, 1)
    outbox.write([routed(number(1))])
    assert outbox.counts().unsent == {"old": 0, "g": 2}  # nobody is left to tell that it ended


def test_what_states_share_is_kept_once_and_goes_with_the_last(outbox: Outbox) -> None:
    def facts() -> int:
        return int(outbox._storage.connection.execute("SELECT count(*) FROM fact").fetchone()[0])

    outbox.write([routed(number(index, use(), use("b"))) for index in range(50)])
    assert facts() == 2
    outbox.write([routed(number(0, use()))])
    assert facts() == 3
    outbox.write([routed(ended(number(index, use()))) for index in range(50)])
    assert facts() == 2
    acknowledge(outbox, *pending(outbox))
    assert facts() == 0


def random_uses(chance: random.Random, count: int) -> tuple[PackageUse, ...]:
    return tuple(use(chance.randbytes(24).hex()) for _ in range(count))


def test_when_full_the_oldest_ends_go_and_the_bound_holds(tmp_path: Path, clock: Clock) -> None:
    outbox = Outbox(tmp_path, max_bytes=1 * MIB, clock=clock)
    chance = random.Random(7)
    largest = 0
    for index in range(900):
        clock.now += 1
        outbox.write([routed(ended(number(index, *random_uses(chance, 20)), clock.now))])
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
    counts = outbox.counts()
    assert largest <= MIB
    assert counts.dropped_ended == 900 - counts.states > 100
    kept = {state.key for state in pending(outbox)}
    assert kept == {number(index).container.id for index in range(900 - counts.states, 900)}
    outbox.close()


def test_what_was_set_aside_goes_first_and_is_not_counted_as_unsent(tmp_path: Path) -> None:
    outbox, chance = Outbox(tmp_path, max_bytes=1 * MIB), random.Random(7)
    outbox.write([routed(ended(number(index, *random_uses(chance, 20)))) for index in range(200)])
    for state in pending(outbox):
        outbox.set_aside("g", state.key, state.generation, "no such image")
    for index in range(200, 450):
        outbox.write([routed(ended(number(index, *random_uses(chance, 20))))])
    counts = outbox.counts()
    assert (counts.dropped_ended, outbox.unsent("g")) == (0, 250)
    assert counts.states < 450
    outbox.close()


def test_when_nothing_ended_is_left_a_write_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path, max_bytes=1 * MIB)
    chance = random.Random(7)
    states = iter(range(2000))

    def fill() -> None:
        for index in states:
            outbox.write([routed(number(index, *random_uses(chance, 20)))])

    with pytest.raises(OutboxError, match=r"full: found 1 MiB of states of running.*raise --state-limit"):
        fill()
    written = next(states) - 1
    assert outbox.counts().refused == 1
    assert outbox.counts().states == written > 100
    assert (outbox.durable, outbox.counts().fallbacks) == (True, 0)
    before = pending(outbox)
    outbox.write([routed(ended(from_outbox.report)) for from_outbox in before])  # an end always fits
    outbox.write([routed(number(5000, *random_uses(chance, 20)))])  # and makes room
    assert outbox.counts().dropped_ended > 0
    assert "were dropped undelivered" in caplog.text
    outbox.close()


def test_of_many_states_those_written_are_told(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, max_bytes=1 * MIB)
    chance = random.Random(7)
    states = [routed(number(index, *random_uses(chance, 20))) for index in range(2000)]
    with pytest.raises(OutboxError) as caught:
        outbox.write(states, {"position": "1"})
    assert 0 < caught.value.delivered == outbox.counts().states
    assert outbox.mark("position") is None
    outbox.close()


def test_what_has_no_room_does_not_keep_out_the_ends_beside_it(tmp_path: Path) -> None:
    """Else they come again with it for ever, and no room is ever made."""
    outbox = Outbox(tmp_path, max_bytes=1 * MIB)
    chance = random.Random(7)
    with pytest.raises(OutboxError):
        outbox.write([routed(number(index, *random_uses(chance, 20))) for index in range(2000)])
    refused = outbox.counts().refused
    ends = [routed(ended(state.report)) for state in pending(outbox)[:50]]
    new = routed(number(5000, *random_uses(chance, 20)))
    with pytest.raises(OutboxError) as caught:
        outbox.write([new, *ends], {"position": "1"})
    assert (caught.value.delivered, outbox.counts().refused - refused) == (0, 1)
    assert (outbox.counts().ended, outbox.mark("position")) == (50, None)
    outbox.write([new, *ends], {"position": "1"})
    assert new.key in outbox.running("g")
    assert outbox.mark("position") == "1"
    outbox.close()


def test_a_full_outbox_sets_aside_as_well(tmp_path: Path) -> None:
    outbox, chance = Outbox(tmp_path, max_bytes=1 * MIB), random.Random(7)
    with pytest.raises(OutboxError):
        outbox.write([routed(number(index, *random_uses(chance, 20))) for index in range(1000)])
    states = pending(outbox)
    for state in states:
        outbox.set_aside("g", state.key, state.generation, "no such image " + "x" * 200)
    assert outbox.unsent("g") == 0
    assert outbox.counts().running == len(states) > outbox.counts().set_aside > 200
    outbox.close()


def test_a_full_outbox_in_memory_drops_as_well(clock: Clock) -> None:
    outbox = Outbox(None, max_bytes=1 * MIB, clock=clock)
    chance = random.Random(7)
    for index in range(700):
        outbox.write([routed(ended(number(index, *random_uses(chance, 20))))])
    assert outbox.counts().dropped_ended > 100
    assert outbox.counts().bytes <= MIB
    outbox.close()


def test_space_is_given_back(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    chance = random.Random(7)
    outbox.write([routed(ended(number(index, *random_uses(chance, 50)))) for index in range(1500)])
    before = (tmp_path / "outbox.db").stat().st_size
    while states := outbox.pending("g", 200, 100 * MIB):
        acknowledge(outbox, *states)
    outbox.close()
    assert before > 3 * MIB
    assert (tmp_path / "outbox.db").stat().st_size < MIB + (MIB >> 1)


def test_a_smaller_bound_is_kept_to_after_a_restart(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    chance = random.Random(7)
    outbox.write([routed(ended(number(index, *random_uses(chance, 50)))) for index in range(1500)])
    outbox.close()
    outbox = Outbox(tmp_path, max_bytes=2 * MIB)
    assert outbox.counts().bytes <= 2 * MIB
    assert outbox.counts().dropped_ended > 100
    outbox.close()


def test_threads_write_read_and_acknowledge_at_once(outbox: Outbox) -> None:
    errors: list[BaseException] = []
    done = threading.Event()
    delivered: dict[str, int] = {}

    def write(part: int) -> None:
        try:
            for index in range(60):
                one = number(part * 10 + index % 5, use(str(index)))
                outbox.write([routed(ended(one) if index % 7 == 6 else one)])
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            errors.append(error)

    def send() -> None:
        while not (done.is_set() and not outbox.unsent("g")):
            for state in outbox.pending("g", 7, MIB):
                assert state.generation > delivered.get(state.key, 0)
                delivered[state.key] = state.generation
                outbox.acknowledge("g", [(state.key, state.generation)])
            outbox.counts()

    writers = [threading.Thread(target=write, args=(part,)) for part in range(3)]
    sender = threading.Thread(target=send)
    for thread in [*writers, sender]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    sender.join(20)
    assert not errors
    assert not sender.is_alive()
    assert len(delivered) == 15


def test_it_does_not_log_what_is_normal(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        outbox.write([routed(report(use()))])
        acknowledge(outbox, *pending(outbox))
        outbox.counts()
    assert caplog.text == ""


def test_after_close_it_says_so() -> None:
    outbox = Outbox(None)
    outbox.close()
    with pytest.raises(OutboxError, match="closed"):
        outbox.write([routed(report())])
