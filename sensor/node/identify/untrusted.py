"""Reads JSON that others wrote: bounded, and without a failure for any content."""

from __future__ import annotations

import json
from typing import Any

from sensor.node.rootfs import RootFilesystem, Unreadable

ANSWER_MAX = 4 << 20
"""Bytes of one file or answer."""

_TEXT_MAX = 1024  # characters; image references and names of Kubernetes stay below 512


def read_json(root: RootFilesystem, path: str) -> Any:
    """Return the content of a JSON file, None if it is missing, too large or no JSON."""
    try:
        return parse_json(root.read(path, ANSWER_MAX))
    except Unreadable:
        return None


def parse_json(content: bytes) -> Any:
    """Return the value of a JSON document, None if it is none (or one nested too deep to read)."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def text(value: Any) -> str | None:
    """Return a printable, not empty text of sane length; None for anything else."""
    if isinstance(value, str) and 0 < len(value) <= _TEXT_MAX and value.isprintable():
        return value
    return None


def field(value: Any, *keys: str) -> Any:
    """Return ``value[key][key]…``, None where an object or a key is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
