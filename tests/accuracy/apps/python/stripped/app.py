"""Byte code alone, as ``compileall -b`` leaves it when the sources are removed afterwards."""

from __future__ import annotations

import attr
import jinja2
import told
import yaml

assert attr.__file__.endswith(".pyc") and jinja2.Template("{{ 1 }}").render() == "1" and yaml.safe_load("1")
told.tell()
