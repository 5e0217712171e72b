"""Runs the applications, each in its container, beside one sensor."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.accuracy.application import Application
from tests.accuracy.compare import Outcome, compare, loaded
from tests.accuracy.memory import PeakMemory
from tests.ground import Container, Ground, GroundError, Image, Pod, Sensor, SensorError
from tests.ground.ground import PROJECT
from tests.ground.sensor import Report

FOLDER = PROJECT / "build" / "accuracy"
NAMESPACE = "yardstick"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. ``settle`` is how long after the truth the sensor may still learn of it.

    ``calm`` is how long a report that equals the truth must stay as it is: a wrong package may come
    later, as the sensor looks into some processes only seconds after they opened something. It has to be
    longer than the sensor's ``--debounce``, for which a change may be held back.
    """

    settle: float = 12.0
    calm: float = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of the sensor after a run: MiB by process, events by their number.

    ``starting_mib`` is what its processes took until it was ready: the loader compiles, and is gone by then.
    """

    peaks_mib: dict[str, float]
    starting_mib: dict[str, float]
    events: int
    events_lost: int


@dataclass(frozen=True, slots=True)
class Result:
    outcomes: tuple[Outcome, ...]
    sensor: Observed


def run(
    ground: Ground,
    applications: Sequence[Application],
    parallel: int,
    say: Say,
    patience: Patience | None = None,
) -> Result:
    """Build all images, then run ``parallel`` applications at a time.

    Whatever fails of an application is its outcome's ``failure``. Raises SensorError when the sensor
    does not start or ends.
    """
    images = _images(ground, applications, say)
    FOLDER.mkdir(parents=True, exist_ok=True)
    say("starting the sensor")
    sensor = Sensor(log=FOLDER / "sensor.log")
    try:
        sensor.start()
        with PeakMemory(sensor.process.pid) as starting:
            sensor.wait_ready()
        with PeakMemory(sensor.process.pid) as memory:
            course = Course(ground, sensor, patience or Patience())
            outcomes = _side_by_side(course, applications, images, parallel, say)
            observed = Observed(memory.peaks(), starting.peaks(), sensor.events(), sensor.lost())
    finally:
        sensor.close()
    return Result(outcomes, observed)


class Course:
    """What every application goes through."""

    def __init__(self, ground: Ground, sensor: Sensor, patience: Patience) -> None:
        self._ground = ground
        self._sensor = sensor
        self._patience = patience
        self._over = threading.Event()

    def end(self) -> None:
        """No waiting any more: the run is over."""
        self._over.set()

    def outcome(self, application: Application, image: Image | str) -> Outcome:
        """Never raises; ``image`` is the failure to build it, where there is none."""
        if isinstance(image, str):
            return _failed(application, image)
        try:
            return self._outcome(application, image)
        except Exception as error:  # noqa: BLE001 - a defect in one application is told as its failure
            return _failed(application, f"{type(error).__name__}: {error}")

    def _outcome(self, application: Application, image: Image) -> Outcome:
        container = self._ground.container(
            image,
            application.command,
            name=application.name,
            pod=Pod(application.name, NAMESPACE),
            env=application.env,
            cwd=application.cwd,
        )
        with container:
            truth = application.truth(container)
            seconds = self._await(container, truth)
            if not container.running:
                raise GroundError(f"it ended by itself; it wrote:\n{container.output()[-2000:]}")
        report = self._sensor.latest.get(container.id)
        _keep(application, truth, report)
        return Outcome(
            application.name,
            application.language,
            application.exercises,
            compare(truth, report),
            seconds,
            report["coverage"] if report else "never reported",
            tuple(report["coverage_reasons"]) if report else (),
            tuple(report["packages"]) if report else (),
        )

    def _await(self, container: Container, truth: frozenset[str]) -> float | None:
        """Seconds until the report equalled the truth and stayed; ``None`` when the time was over."""
        begun = time.monotonic()
        end = begun + self._patience.settle
        while not self._over.is_set() and container.running:
            try:
                self._sensor.wait_for(
                    container.id, lambda report: loaded(report) == truth, end - time.monotonic()
                )
            except SensorError:
                if self._sensor.process.poll() is not None:
                    raise
                return None
            seconds = time.monotonic() - begun
            self._over.wait(self._patience.calm)
            if loaded(self._sensor.latest.get(container.id)) == truth:
                return seconds
        return None


def _images(ground: Ground, applications: Sequence[Application], say: Say) -> dict[str, Image | str]:
    """Name -> image or what went wrong. The languages at the same time, since their tools share nothing;
    the applications of one after the other: they share layers, and a repository of their build tool.
    """
    by_language: dict[str, list[Application]] = {}
    for application in applications:
        by_language.setdefault(application.language, []).append(application)
    images: dict[str, Image | str] = {}

    def build(language: str) -> None:
        for application in by_language[language]:
            begun = time.monotonic()
            try:
                images[application.name] = application.build(ground)
            except Exception as error:  # noqa: BLE001 - a defect in one application is told as its failure
                images[application.name] = f"its image could not be built: {type(error).__name__}: {error}"
                say(f"{application.name}: {images[application.name]}")
            took = time.monotonic() - begun
            if took > 1:
                say(f"image {len(images)} of {len(applications)}, {application.name}: {took:.1f} s")

    with ThreadPoolExecutor(len(by_language), "image") as pool:
        list(pool.map(build, by_language))
    return images


def _side_by_side(
    course: Course,
    applications: Sequence[Application],
    images: dict[str, Image | str],
    parallel: int,
    say: Say,
) -> tuple[Outcome, ...]:
    """In the order of ``applications``, whichever was through first."""
    say(f"the sensor is ready; running {len(applications)} applications, {parallel} at a time")
    pool = ThreadPoolExecutor(parallel, "application")
    futures: dict[Future[Outcome], int] = {}
    try:
        for place, application in enumerate(applications):
            futures[pool.submit(course.outcome, application, images[application.name])] = place
        found: dict[int, Outcome] = {}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            say(f"{len(found)} of {len(futures)}: {_told(future.result())}")
    finally:
        # Interrupted: containers that end let the threads go that wait for them.
        course.end()
        pool.shutdown(wait=False, cancel_futures=True)
    return tuple(found[place] for place in sorted(found))


def _told(outcome: Outcome) -> str:
    compared = outcome.comparison
    if outcome.failure:
        return f"{outcome.name}: could not be measured: {outcome.failure.splitlines()[0]}"
    if compared.exact:
        return f"{outcome.name}: all {len(compared.correct)} packages"
    return (
        f"{outcome.name}: {len(compared.correct)} packages, {len(compared.missing)} missing, "
        f"{len(compared.wrong)} wrong"
    )


def _failed(application: Application, why: str) -> Outcome:
    return Outcome(application.name, application.language, application.exercises, failure=why)


def _keep(application: Application, truth: frozenset[str], report: Report | None) -> None:
    """For whoever looks for the reason of a miss."""
    folder = FOLDER / "applications"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"truth": sorted(truth), "report": report}
    Path(folder, f"{application.name}.json").write_text(json.dumps(kept, indent=1) + "\n")
