"""What a check found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    OK = "ok"
    WARN = "warn"  # the sensor runs, with the limit that is named
    FAIL = "FAIL"  # the sensor cannot run


@dataclass(frozen=True, slots=True)
class Finding:
    """``cure`` is empty when there is nothing to do."""

    what: str
    status: Status
    found: str
    cure: str = ""

    @property
    def sentence(self) -> str:
        """For a log: what was found, and the cure."""
        return f"{self.what}: {self.found}" + (f"; {self.cure}" if self.cure else "")
