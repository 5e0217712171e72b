"""Three days without a receiver on a busy node: nothing is lost, and all of it is there within a minute.

The clock is simulated while the receiver is away, the rest is real: the outbox's file, the uploader, gRPC,
the receiver's process and its database. 250 containers run; every 10 s one of them ends and another takes
its place: 25,920 ends in 72 hours. The uploader is let try in the first and
the last ten minutes, as each of the thousands of tries between costs real time and would find the same.
"""

from __future__ import annotations

import hashlib
import random
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sensor.config.texts import Address
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.container_json import milliseconds
from sensor.delivery.destination import Batch
from sensor.delivery.outbox import Outbox, Routed
from sensor.delivery.uploader import Uploader
from sensor.model.report import ContainerReport
from sensor.snyk.connect import connect
from sensor.snyk.token import Token
from tests.fleet.cluster import Node, catalogue
from tests.receiver_process import Receiver

RUNNING = 250
PACKAGES = 12
"""Of a container, in the middle; 5 to 30 mostly."""
HOURS = 72
EVERY = 10.0
REPLACED = round(HOURS * 3600 / EVERY)
TRIED_WITHIN = 600.0
ALL_WITHIN = 60.0
BOUND = 64 << 20
TOKEN = "outage"


class Clock:
    """Seconds that stand still until they are moved, or :meth:`run` on with the real ones."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._running_since: float | None = None

    def __call__(self) -> float:
        since = self._running_since
        return self._now if since is None else self._now + time.monotonic() - since

    def move(self, seconds: float) -> None:
        self._now += seconds

    def run(self) -> None:
        self._running_since = time.monotonic()


class Unlucky(random.Random):
    """Of every range the end that makes everything wait for longest."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@dataclass(frozen=True, slots=True)
class State:
    """What is compared. ``packages`` is a digest of purls and times."""

    ended_at: int | None
    first_seen: int
    image: str | None
    packages: bytes


def told(report: ContainerReport) -> State:
    packages = sorted(
        (each.use.package.purl, milliseconds(each.first_seen), milliseconds(each.last_seen))
        for each in report.packages
    )
    return State(
        None if report.ended_at is None else milliseconds(report.ended_at),
        milliseconds(report.first_seen),
        report.metadata.image.name,
        digest(packages),
    )


def held(receiver: Receiver) -> dict[str, State]:
    """Every container of the receiver's database; fails where one is there twice."""
    members: dict[int, list[str]] = {}
    for package_set, purl in receiver.rows(
        "SELECT package_set, purl FROM member JOIN package ON package.id = package ORDER BY package"
    ):
        members.setdefault(package_set, []).append(purl)
    found: dict[str, State] = {}
    for container_id, ended_at, first_seen, image, package_set, times in receiver.rows(
        "SELECT container_id, ended_at, first_seen, image_name, package_set, package_times FROM container"
    ):
        assert container_id not in found, f"{container_id} is there twice"
        pairs = struct.iter_unpack("<qq", times)
        packages = sorted((purl, *pair) for purl, pair in zip(members[package_set], pairs, strict=True))
        found[container_id] = State(
            None if ended_at is None else milliseconds(ended_at),
            milliseconds(first_seen),
            image,
            digest(packages),
        )
    return found


def digest(packages: object) -> bytes:
    return hashlib.sha256(repr(packages).encode()).digest()


def differences(truth: Mapping[str, State], found: Mapping[str, State]) -> list[str]:
    lost = [f"lost: {key}" for key in truth.keys() - found.keys()]
    invented = [f"invented: {key}" for key in found.keys() - truth.keys()]
    other = [
        f"{key}: found {found[key]}, expected {truth[key]}"
        for key in truth.keys() & found.keys()
        if truth[key] != found[key]
    ]
    return lost + invented + other


def test_differences_are_found() -> None:
    one, other = State(None, 1, "a", b"1"), State(5, 1, "a", b"1")
    assert differences({"a": one}, {"a": one}) == []
    assert differences({"a": one, "b": one}, {"a": other, "c": one}) == [
        "lost: b",
        "invented: c",
        f"a: found {other}, expected {one}",
    ]


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN + "\n")
    return Receiver(tmp_path / "receiver", tokens=tokens)


def test_three_days_of_churn_arrive_within_a_minute(tmp_path: Path, receiver: Receiver) -> None:
    clock = Clock(time.time() - HOURS * 3600)
    outbox = Outbox(tmp_path / "state", max_bytes=BOUND, clock=clock, monotonic=clock)
    settings = UpstreamSettings(Address("127.0.0.1", receiver.grpc_port), token=TOKEN, plaintext=True)
    uploader = Uploader(
        "default",
        outbox,
        connect(settings, "", Token(TOKEN)),
        settings,
        cluster="outage",
        node="node-1",
        clock=clock,
        monotonic=clock,
        chance=Unlucky(),
    )
    begun = time.monotonic()
    truth, most = churn(outbox, uploader, clock)
    wrote = time.monotonic() - begun
    counts = outbox.counts()
    assert counts.dropped_ended == 0 == counts.refused
    assert most <= BOUND and counts.states == len(truth) == RUNNING + REPLACED
    assert uploader.counts().states == 0 and uploader.counts().requests > 10
    print("results of the tries meanwhile:", dict(uploader.counts().batches))

    clock.move(uploader.step())
    waited = uploader.step()  # a try just before the receiver is back, and the longest wait after it
    try:
        with receiver:
            clock.run()
            took = deliver(outbox, uploader, clock, waited)
            found = held(receiver)
    finally:
        uploader.stop(5)
        outbox.close()
    wrong = differences(truth, found)
    sent = uploader.counts()
    print(
        f"{len(truth):,} containers, {REPLACED:,} ended in {HOURS} simulated hours ({wrote:.0f} s of "
        f"writing); outbox {most / 2**20:.1f} of {BOUND >> 20} MiB at most; all there {took + waited:.1f} s "
        f"after the receiver was back: {waited:.1f} s of back-off, {took:.1f} s for {sent.requests} requests "
        f"with {sent.sent_bytes / 2**20:.1f} MiB"
    )
    assert not wrong, f"{len(wrong)} differences: {wrong[:5]}"
    assert waited + took <= ALL_WITHIN


def churn(outbox: Outbox, uploader: Uploader, clock: Clock) -> tuple[dict[str, State], int]:
    """Return what happened, and the outbox's size at its largest."""
    node = Node(1, RUNNING, catalogue(middle=PACKAGES), clock())
    truth: dict[str, State] = {}

    def write(batch: Batch) -> None:
        outbox.write([Routed("default", state.key, state.report) for state in batch.states])
        truth.update((state.key, told(state.report)) for state in batch.states)

    write(node.snapshot(clock()))
    uploader.snapshot_now()
    due, most, last_tries = clock(), 0, REPLACED - TRIED_WITHIN / EVERY
    for number in range(REPLACED):
        clock.move(EVERY)
        write(node.replace(clock()))
        if clock() >= due and not TRIED_WITHIN / EVERY < number < last_tries:
            due = clock() + uploader.step()
        if number % 500 == 0:
            most = max(most, outbox.counts().bytes)
    return truth, max(most, outbox.counts().bytes)


def deliver(outbox: Outbox, uploader: Uploader, clock: Clock, waited: float) -> float:
    """The back-off passes, then the uploader runs as it does; return how long all took to arrive, seconds."""
    clock.move(waited)
    begun = time.monotonic()
    uploader.start()
    while outbox.unsent("default") and time.monotonic() - begun < ALL_WITHIN:
        time.sleep(0.05)
    return time.monotonic() - begun
