"""Imports that fail half-way: their code ran, but sys.modules no longer has it; an audit hook saw it."""

from __future__ import annotations

import importlib
import sys

import told

told.watch()
for name in ("broken_import", "broken_late"):
    try:
        importlib.import_module(name)
    except (ImportError, ZeroDivisionError):
        assert name not in sys.modules
    else:
        raise AssertionError(name)

import attr  # noqa: E402

# As if it had failed as a whole: nothing in sys.modules tells of it any more.
import simplejson  # noqa: E402

assert attr.define and simplejson.dumps({}) == "{}"
for name in [name for name in sys.modules if name.partition(".")[0] == "simplejson"]:
    del sys.modules[name]
told.tell()
