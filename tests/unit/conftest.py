"""Limits of the product that one stall of the machine uses up, raised for all tests here.

A test that is about such a limit sets its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from sensor.node.backfill import hotspot, hotspot_library, memory
from tests.clock import PATIENCE

_LIMITS = (
    "sensor.node.identify.cri.source.LOOKUP_SECONDS",
    "sensor.node.identify.cri.source.RUNNING_SECONDS",
    "sensor.node.resolve.node.archive.SECONDS",
    "sensor.node.resolve.python.archive.SECONDS",
    "sensor.node.resolve.python.conda._SECONDS",
    "sensor.node.resolve.python.debian._SECONDS",
    "sensor.node.resolve.python.folders._LOOK_SECONDS",
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in _LIMITS:
        monkeypatch.setattr(limit, PATIENCE)
    for module, name in ((hotspot, "LIMITS"), (hotspot_library, "_LIMITS")):
        monkeypatch.setattr(module, name, replace(getattr(module, name), seconds=PATIENCE))
    monkeypatch.setattr(memory, "ReadLimits", partial(memory.ReadLimits, seconds=PATIENCE))
