"""The reported set equals what the interpreter itself says it has loaded: nothing missing, nothing extra."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest

from sensor.model.image_reference import image_name
from tests.demo.applications import Application, node_application, python_application
from tests.ground import Ground, Sensor
from tests.ground.ground import PROJECT
from tests.ground.sensor import purls

pytestmark = pytest.mark.containers

Build = Callable[[Ground], Application]


@pytest.mark.parametrize("build", [python_application, node_application])
def test_reported_set_is_the_interpreters_truth(ground: Ground, sensor: Sensor, build: Build) -> None:
    with build(ground).run(ground) as running:
        running.wait_answering()
        before = running.truth()
        sensor.wait_for_packages(running.container.id, before)

        running.use()
        after = running.truth()
        assert before < after, "the requests must load something that was not loaded before"
        sensor.wait_for_packages(running.container.id, after)
        sensor.settle()
        assert purls(sensor.latest[running.container.id]) == after
    print(f"{running.application.name}: {len(before)} packages, {len(after)} after the first requests")


@pytest.mark.parametrize("build", [python_application, node_application])
def test_container_is_named_as_the_runtime_names_it(ground: Ground, sensor: Sensor, build: Build) -> None:
    with build(ground).run(ground) as running:
        report = sensor.wait_for(running.container.id, lambda report: report["packages"] != [])
        specification = running.container.specification
    assert report["namespace"] == specification.pod.namespace
    assert report["pod"] == {"name": specification.pod.name, "uid": specification.pod.uid}
    assert report["container"]["name"] == specification.name
    assert report["image"]["name"] == image_name(specification.image_name)
    assert report["coverage"] == "complete"
    assert report["deployed"] is True


def test_end_of_a_container_is_reported(ground: Ground, sensor: Sensor) -> None:
    with python_application(ground).run(ground) as running:
        running.wait_answering()
        truth = running.truth()
        sensor.wait_for_packages(running.container.id, truth)
    ended = sensor.wait_for(running.container.id, lambda report: not report["deployed"], what="its end")
    assert purls(ended) == truth, "what was loaded stays true"


def test_every_line_is_as_the_schema_says(sensor: Sensor) -> None:
    """Last of this file: over all that the tests before it made the sensor say."""
    schema = json.loads((PROJECT / "docs" / "schema" / "container.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert len(sensor.lines) > 5
    for line in sensor.lines:
        validator.validate(line)
