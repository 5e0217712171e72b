"""Log lines on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO


def set_up(level: str = "info", form: str = "text", stream: TextIO | None = None) -> None:
    """Send records of ``level`` and above to ``stream``, by default standard error. The choices are
    those of :mod:`sensor.config.node`. A second call replaces the first."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # A reader of standard error that went away must not end the sensor with a traceback per line.
    logging.raiseExceptions = False


class _Text(logging.Formatter):
    """``2025-01-31T23:59:59.250Z warning capture: text``; a record is one line, tracebacks aside."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname.lower()} {_room(record)}: {_visible(record.getMessage())}"
        return "\n".join([line, *_trace(self, record)])


class _Json(logging.Formatter):
    """An object a line: time, level, logger, message, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _trace(self, record):
            line["exception"] = trace[0]
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _room(record: logging.LogRecord) -> str:
    return record.name.removeprefix("sensor.").removeprefix("node.")


def _visible(message: str) -> str:
    """A path or name out of a container must neither break the line nor reach the terminal."""
    if message.isprintable():
        return message
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return [formatter.formatException(record.exc_info)] if record.exc_info else []
