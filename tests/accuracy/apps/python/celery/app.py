"""Celery: transport, result back end, worker pool and serialiser by name, plug-ins by entry points."""

from __future__ import annotations

import importlib.metadata

import told
from celery import Celery
from celery.contrib.testing.worker import start_worker
from stevedore import ExtensionManager

app = Celery(broker="memory://", backend="cache+memory://")
app.conf.update(task_serializer="msgpack", result_serializer="msgpack", accept_content=["msgpack"])


@app.task
def add(a: int, b: int) -> int:
    return a + b


with start_worker(app, perform_ping_check=False, pool="solo"):
    assert add.delay(2, 3).get(timeout=20) == 5
for entry in importlib.metadata.entry_points(group="babel.extractors"):
    entry.load()
assert "jinja2" in ExtensionManager("babel.extractors").names()
told.tell()
