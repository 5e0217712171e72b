"""Large Java applications: reported soon after they loaded their last class, within the agent's memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.accuracy.applications import java_layers, java_maven, java_truth
from tests.accuracy.compare import compare, loaded
from tests.accuracy.memory import BAR_MIB, PeakMemory
from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Ground, Image, Sensor
from tests.ground.ground import STATE
from tests.ground.image import key

pytestmark = pytest.mark.containers

JAR = "app/orders-service-1.4.2.jar"
JAVA = ("java", java_truth.OPTION, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-jar", f"/{JAR}")
NESTED = 150
LARGE = 500_000_000
SECONDS = 3.0
"""From a process' last load to the report of it."""
PADDING_CLASSES, CLASS_BYTES = 300, 3_300


@dataclass(frozen=True, slots=True)
class Pinned:
    """A sensor with one core for all its processes, and the memory they take."""

    sensor: Sensor
    memory: PeakMemory


@pytest.fixture
def pinned() -> Iterator[Pinned]:
    before = os.sched_getaffinity(0)
    sensor = Sensor(log=STATE / "sensor-java.log")
    os.sched_setaffinity(
        0, {max(before)}
    )  # of this thread; every process and thread of the sensor inherits it
    try:
        sensor.start()
    finally:
        os.sched_setaffinity(0, before)
    try:
        sensor.wait_ready()  # its loader is gone by then
        with PeakMemory(sensor.process.pid) as memory:
            assert os.sched_getaffinity(sensor.process.pid) == {max(before)}
            yield Pinned(sensor, memory)
    finally:
        sensor.close()


def test_all_of_150_jars_within_3_seconds(ground: Ground, pinned: Pinned) -> None:
    fat = java_layers.spring_boot_fat(ground)
    with zipfile.ZipFile(fat.layers[0] / JAR) as archive:
        assert len(_nested(archive)) >= NESTED
    with ground.container(fat, JAVA, name="orders", cwd="/app") as container:
        truth = java_truth.of_jvm(container)
        last_load = (container.root / java_truth.LOG).stat().st_mtime
        late = _seconds_until(pinned.sensor, container.id, truth, since=last_load)
        pinned.sensor.settle()
        comparison = compare(truth, pinned.sensor.latest[container.id])
    peaks = pinned.memory.peaks()
    print(f"{len(truth)} packages, all reported {late:.1f} s after the last class; MiB {peaks}")
    assert comparison.exact, f"missing {sorted(comparison.missing)}, wrong {sorted(comparison.wrong)}"
    assert late <= SECONDS
    assert {name: mib for name, mib in peaks.items() if mib >= BAR_MIB} == {}


def test_a_jar_of_500_mb_holds_nobody_up(ground: Ground, pinned: Pinned) -> None:
    large = _large_image(ground)
    assert (large.layers[0] / JAR).stat().st_size >= LARGE
    latencies: list[float] = []
    with ground.container(large, JAVA, name="large", cwd="/app") as container:
        # One after the other for as long as the large one starts and is looked into.
        while "TRUTH" not in container.output() or len(latencies) < 5:
            assert container.running, container.output()[-4000:]
            latencies.append(_bystander(ground, pinned.sensor, len(latencies)))
        truth = java_truth.of_jvm(container)
        last_load = (container.root / java_truth.LOG).stat().st_mtime
        late = _seconds_until(pinned.sensor, container.id, truth, since=last_load)
    peaks = pinned.memory.peaks()
    print(
        f"{len(truth)} packages of the large one after {late:.1f} s; {len(latencies)} others in"
        f" {min(latencies):.1f} to {max(latencies):.1f} s; MiB {peaks}"
    )
    assert max(latencies) <= SECONDS
    assert {name: mib for name, mib in peaks.items() if mib >= BAR_MIB} == {}


def _seconds_until(sensor: Sensor, container: str, truth: frozenset[str], since: float) -> float:
    """When the first report with all of ``truth`` was made; ``since`` is in seconds since the epoch."""

    def whole(line: dict[str, object]) -> bool:
        described = line.get("container")
        return isinstance(described, dict) and described["id"] == container and truth <= loaded(line)

    try:
        sensor.wait_for(container, lambda report: truth <= loaded(report), timeout=30)
    except Exception as error:
        missing = sorted(truth - loaded(sensor.latest.get(container)))
        raise AssertionError(f"never reported: {missing}") from error
    first = next(line for line in list(sensor.lines) if whole(line))
    return datetime.fromisoformat(str(first["observed_at"])).timestamp() - since


def _bystander(ground: Ground, sensor: Sensor, number: int) -> float:
    """Seconds from the import in a container of another language to the report of it."""
    distribution = Distribution(f"bystander{number % 5}", "1.0.1")
    of = image(ground, distribution.name, [distribution])
    program = f"import {distribution.name}, time; print(time.time(), flush=True); time.sleep(600)"
    with ground.container(of, [*PYTHON, program], name=distribution.name, env=environment()) as container:
        report = sensor.wait_for_packages(container.id, {distribution.purl})
        imported = float(container.output())
    return datetime.fromisoformat(str(report["observed_at"])).timestamp() - imported


def _large_image(ground: Ground) -> Image:
    """The same application, with jars of invented classes put into its own."""
    base = java_layers.spring_boot_fat(ground)

    def build(layer: Path) -> None:
        target = layer / JAR
        target.parent.mkdir(parents=True)
        shutil.copyfile(base.layers[0] / JAR, target)
        with zipfile.ZipFile(target, "a", zipfile.ZIP_STORED) as archive:
            number = 0
            while archive.fp is not None and archive.fp.tell() < LARGE:
                archive.writestr(f"BOOT-INF/lib/padding-{number}.jar", _padding(number))
                number += 1
        known = json.loads((base.layers[0] / java_maven.ARTIFACTS).read_text())
        with target.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        known[content] = [java_maven.purl("example.orders", "orders-service", "1.4.2")]
        (layer / java_maven.ARTIFACTS).parent.mkdir()
        (layer / java_maven.ARTIFACTS).write_text(json.dumps(known))

    recipe = key("large", base.layers[0].name, str(LARGE), str(PADDING_CLASSES), str(CLASS_BYTES))
    return ground.layer_image("test/java-large:1", recipe, build)


def _padding(number: int) -> bytes:
    """A jar of about a megabyte that nothing is ever loaded from."""
    noise = random.Random(number)
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        archive.writestr(
            f"META-INF/maven/example.padding/padding-{number}/pom.properties",
            f"groupId=example.padding\nartifactId=padding-{number}\nversion=1.0\n",
        )
        for each in range(PADDING_CLASSES):
            content = b"\xca\xfe\xba\xbe" + noise.randbytes(CLASS_BYTES)
            archive.writestr(f"example/padding/part{number}/Class{each}.class", content)
    return jar.getvalue()


def _nested(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if name.startswith("BOOT-INF/lib/") and name.endswith(".jar")]
