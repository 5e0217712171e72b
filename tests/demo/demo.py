"""What the demo does, step by step: containers -> sensor -> receiver -> page."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tests.demo.applications import Running, build
from tests.demo.table import table
from tests.ground import Ground, Sensor, SensorError
from tests.ground.sensor import Report, purls
from tests.receiver_process import Receiver

_BEGUN = time.monotonic()
_ARRIVES_WITHIN = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the interpreter says it has loaded, what the sensor said of its container, if anything, and what
    the receiver holds of it."""

    running: Running
    truth: set[str]
    report: Report | None
    received: set[str]

    @property
    def exact(self) -> bool:
        return purls(self.report) == self.truth == self.received

    def lines(self, width: int) -> list[str]:
        if self.report is None:
            return [f"{self.running.application.name}: the sensor reported nothing"]
        return list(table(self.report, self._verdict(), width))

    def _verdict(self) -> str:
        if self.exact:
            return "matches the interpreter's own truth"
        got = purls(self.report)
        if got == self.truth:
            return "matches the interpreter's own truth, but has NOT ARRIVED whole at the receiver"
        missing, extra = (", ".join(sorted(names)) for names in (self.truth - got, got - self.truth))
        return f"DIFFERS from the interpreter's own truth: missing {missing or '-'}; extra {extra or '-'}"


def say(text: str) -> None:
    """A line of progress on standard error, with the seconds since the start."""
    print(f"demo: {time.monotonic() - _BEGUN:4.1f} s  {text}", file=sys.stderr, flush=True)


def demo(stay: bool = False) -> int:
    """Returns the exit status. With ``stay`` it goes on until a signal. Raises GroundError, SensorError."""
    say("preparing the images of a Python and a Node.js application")
    with Ground(say=say) as ground, ExitStack() as stack:
        applications = build(ground)
        say("starting the receiver and the sensor")
        receiver = stack.enter_context(Receiver())
        sensor = stack.enter_context(_sensor(receiver))
        say("the sensor is ready; starting the containers")
        running = [stack.enter_context(application.run(ground)) for application in applications]
        outcomes = _outcomes(sensor, receiver, running)
        events, lost = sensor.events(), sensor.lost()
        _show(outcomes)
        print(f"demo: the receiver shows them on {receiver.url}/", flush=True)
        if stay:
            say("Ctrl-C ends it")
            threading.Event().wait()
        say("ending the containers, the sensor and the receiver")
    packages = sum(len(purls(outcome.report)) for outcome in outcomes)
    containers = sum(outcome.report is not None for outcome in outcomes)
    print(f"demo: {packages} packages in {containers} containers, {events} events, {lost} lost", flush=True)
    return 0 if lost == 0 and all(outcome.exact for outcome in outcomes) else 1


def _sensor(receiver: Receiver) -> Sensor:
    # The token must not be on a command line; NO_PROXY because the receiver is on this machine.
    os.environ["NO_PROXY"] = "127.0.0.1"
    return Sensor(
        *("--upstream", receiver.grpc_address, "--plaintext", "--token-file", str(receiver.token_file)),
        *("--cluster-name", "demo", "--batch-interval", "0.5"),
        debounce=0.5,
    )


def _outcomes(sensor: Sensor, receiver: Receiver, running: list[Running]) -> list[Outcome]:
    truths = []
    for each in running:
        each.wait_answering()
        each.use()
        truths.append(each.truth())
    say("the applications answer; waiting for the sensor's report")
    for each, truth in zip(running, truths, strict=True):
        with suppress(SensorError):  # the outcome names what is missing and what is too much
            sensor.wait_for_packages(each.container.id, truth)
    sensor.settle(1.5)  # nothing more may come
    reports = [sensor.latest.get(each.container.id) for each in running]
    received = _received(
        receiver,
        {each.container.id: purls(each_report) for each, each_report in zip(running, reports, strict=True)},
    )
    return [Outcome(*parts) for parts in zip(running, truths, reports, received, strict=True)]


def _received(receiver: Receiver, expected: dict[str, set[str]]) -> list[set[str]]:
    """What the receiver holds of the containers, as soon as it is what is expected, or after a while."""
    deadline = time.monotonic() + _ARRIVES_WITHIN
    while True:
        held = {
            row["container_id"]: {package["purl"] for package in row["packages"]}
            for row in receiver.containers()
        }
        found = [held.get(name, set()) for name in expected]
        if found == list(expected.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _show(outcomes: list[Outcome]) -> None:
    width = shutil.get_terminal_size((160, 40)).columns
    for outcome in outcomes:
        print("\n".join(["", *outcome.lines(width)]))
    print(flush=True)
