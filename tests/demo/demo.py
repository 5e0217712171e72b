"""What the demo does, step by step."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tests.demo.applications import Running, build
from tests.demo.table import table
from tests.ground import Ground, Sensor, SensorError
from tests.ground.sensor import Report, purls

_BEGUN = time.monotonic()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the interpreter says it has loaded, and what the sensor said of its container, if anything."""

    running: Running
    truth: set[str]
    report: Report | None

    @property
    def exact(self) -> bool:
        return purls(self.report) == self.truth

    def lines(self, width: int) -> list[str]:
        if self.report is None:
            return [f"{self.running.application.name}: the sensor reported nothing"]
        return list(table(self.report, self._verdict(), width))

    def _verdict(self) -> str:
        if self.exact:
            return "matches the interpreter's own truth"
        got = purls(self.report)
        missing, extra = (", ".join(sorted(names)) for names in (self.truth - got, got - self.truth))
        return f"DIFFERS from the interpreter's own truth: missing {missing or '-'}; extra {extra or '-'}"


def say(text: str) -> None:
    """A line of progress on standard error, with the seconds since the start."""
    print(f"demo: {time.monotonic() - _BEGUN:4.1f} s  {text}", file=sys.stderr, flush=True)


def demo() -> int:
    """Returns the exit status. Raises GroundError, SensorError."""
    say("preparing the images of a Python and a Node.js application")
    with Ground(say=say) as ground, ExitStack() as stack:
        applications = build(ground)
        say("starting the sensor")
        sensor = stack.enter_context(Sensor(debounce=0.5))
        say("the sensor is ready; starting the containers")
        running = [stack.enter_context(application.run(ground)) for application in applications]
        outcomes = _outcomes(sensor, running)
        events, lost = sensor.events(), sensor.lost()
        _show(outcomes)
        say("ending the containers and the sensor")
    packages = sum(len(purls(outcome.report)) for outcome in outcomes)
    containers = sum(outcome.report is not None for outcome in outcomes)
    print(f"demo: {packages} packages in {containers} containers, {events} events, {lost} lost", flush=True)
    return 0 if lost == 0 and all(outcome.exact for outcome in outcomes) else 1


def _outcomes(sensor: Sensor, running: list[Running]) -> list[Outcome]:
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
    return [Outcome(*parts) for parts in zip(running, truths, reports, strict=True)]


def _show(outcomes: list[Outcome]) -> None:
    width = shutil.get_terminal_size((160, 40)).columns
    for outcome in outcomes:
        print("\n".join(["", *outcome.lines(width)]))
    print(flush=True)
