"""Fixtures of the tests that run the sensor against real containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ground import Ground, Sensor


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """Of a module, not of the session: the demo, which is tested here too, wants it for itself."""
    with Ground(say=print) as ground:
        yield ground


@pytest.fixture(scope="module")
def sensor(ground: Ground) -> Iterator[Sensor]:
    """A ready sensor; it outlives the containers of the module's tests."""
    with Sensor() as sensor:
        yield sensor
