"""What an outbox tells of itself and of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sensor.model.report import ContainerReport


@dataclass(frozen=True, slots=True)
class Remembered:
    """A container that had not ended when its state was written, ``written_boottime`` nanoseconds of
    CLOCK_BOOTTIME after the boot with the id ``boot_id``."""

    report: ContainerReport
    boot_id: str
    written_boottime: int


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """``states`` is all that is held, ``set_aside`` those of them that no destination takes as they are.

    Since the start: ``dropped_ended`` that went unsent, ``refused`` that could not be written, as the outbox
    was full; ``fallbacks`` from the disk to memory, ``damaged`` files set aside.
    """

    states: int
    running: int
    ended: int
    set_aside: int
    unsent: Mapping[str, int]
    bytes: int
    dropped_ended: int
    refused: int
    fallbacks: int
    damaged: int
