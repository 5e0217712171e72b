"""A container that lives 300 ms is reported whole."""

from __future__ import annotations

import time

import pytest

from tests.containers.packages import PYTHON, Distribution, environment, image
from tests.ground import Ground, Sensor

pytestmark = pytest.mark.containers

FIVE = [Distribution(f"brief{number}", f"{number}.2.3", modules=3) for number in range(5)]
LIFE = 0.3
PROGRAM = f"""
import time
import {", ".join(each.name for each in FIVE)}
begun = time.clock_gettime(time.CLOCK_BOOTTIME) - float(open('/proc/self/stat').read().split()[21]) / 100
time.sleep(max(0, {LIFE} - begun))
"""


def test_five_packages_of_a_container_that_lives_300_ms(ground: Ground, sensor: Sensor) -> None:
    of = image(ground, "brief", FIVE)
    containers, lives = [], []
    for number in range(10):
        command = [*PYTHON, PROGRAM]
        with ground.container(of, command, name=f"brief-{number}", env=environment()) as container:
            begun = time.monotonic()
            assert container.wait() == 0, container.output()
            lives.append(time.monotonic() - begun)
        containers.append(container.id)  # all of it is gone by now: processes, mounts, root
    for container_id in containers:
        sensor.wait_for_packages(container_id, {each.purl for each in FIVE})
    print("lives:", " ".join(f"{life * 1000:.0f} ms" for life in lives))
    assert sorted(lives)[len(lives) // 2] < 2 * LIFE
