"""Whoever opens packages without loading them adds none: only a language's own runtime counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.demo.applications import Application, Running, node_application, python_application
from tests.ground import Ground, Sensor
from tests.ground.sensor import purls

pytestmark = pytest.mark.containers

Build = Callable[[Ground], Application]

READERS = {
    "grep": "grep -r nothing-of-this-text {folder} || true",
    "tar": "tar -C {folder} -c . | wc -c",
    "cp": "cp -r {folder} /tmp/copy",
    "find": "find {folder} -type f -exec head -c 1 {{}} + | wc -c",
}
FOLDERS = {"orders": "/app/venv", "catalogue": "/app/node_modules"}
# Loads the package that the application has installed and does not use itself.
CONTROLS = {
    "orders": (["/app/venv/bin/python", "-c", "import tabulate"], "pkg:pypi/tabulate@0.9.0"),
    "catalogue": (["node", "-e", "require('/app/node_modules/uuid')"], "pkg:npm/uuid@11.1.0"),
}


@pytest.fixture(params=[python_application, node_application], ids=["python", "node"])
def running(request: pytest.FixtureRequest, ground: Ground, sensor: Sensor) -> Iterator[Running]:
    build: Build = request.param
    with build(ground).run(ground) as running:
        running.wait_answering()
        running.use()
        sensor.wait_for_packages(running.container.id, running.truth())
        yield running


@pytest.mark.parametrize("reader", READERS)
def test_reader_adds_no_package_and_hides_none(sensor: Sensor, running: Running, reader: str) -> None:
    container, name = running.container, running.application.name
    before = purls(sensor.latest[container.id])

    container.exec("/bin/sh", "-ec", READERS[reader].format(folder=FOLDERS[name]))
    sensor.settle()
    assert purls(sensor.latest[container.id]) == before

    # The same files by the right opener: they count now, though the kernel has seen them already.
    command, purl = CONTROLS[name]
    container.exec(*command)
    sensor.wait_for_packages(container.id, before | {purl})


def test_pip_list_adds_pip_and_what_it_loads(ground: Ground, sensor: Sensor) -> None:
    with python_application(ground).run(ground) as running:
        running.wait_answering()
        truth = running.truth()
        sensor.wait_for_packages(running.container.id, truth)
        environment = {"PYTHONPATH": "/app/at_exit:/app", "TRUTH_FILE": "/tmp/pip.json"}
        listed = running.container.exec("/app/venv/bin/pip", "list", env=environment)
        of_pip = _truth_at_exit(running, "pip.json")
        assert "tabulate" in listed
        assert any(purl.startswith("pkg:pypi/pip@") for purl in of_pip)
        sensor.wait_for_packages(running.container.id, truth | of_pip)
        sensor.settle()
        assert purls(sensor.latest[running.container.id]) == truth | of_pip


def test_npm_ls_adds_npm_and_what_it_loads(ground: Ground, sensor: Sensor) -> None:
    with node_application(ground).run(ground) as running:
        running.wait_answering()
        truth = running.truth()
        sensor.wait_for_packages(running.container.id, truth)
        environment = {"NODE_OPTIONS": "--import /app/truth.mjs", "TRUTH_FILE": "/tmp/npm.json"}
        listed = running.container.exec("/bin/sh", "-c", "cd /app && npm ls --all --offline", env=environment)
        of_npm = _truth_at_exit(running, "npm.json")
        assert "uuid@11.1.0" in listed
        assert any(purl.startswith("pkg:npm/npm@") for purl in of_npm)
        sensor.wait_for_packages(running.container.id, truth | of_npm)
        sensor.settle()
        assert purls(sensor.latest[running.container.id]) == truth | of_npm


def _truth_at_exit(running: Running, file: str) -> set[str]:
    return set(json.loads((running.container.root / "tmp" / file).read_text())["packages"])
