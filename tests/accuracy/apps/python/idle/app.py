"""Imports after an idle time that is longer than two sweeps of the sensor's caches."""

from __future__ import annotations

import time

import told
import yaml

assert yaml.safe_load("1") == 1
time.sleep(45)
import requests  # noqa: E402
from dateutil import parser  # noqa: E402

assert requests.Session() and parser.parse("2024-02-29")
told.tell()
