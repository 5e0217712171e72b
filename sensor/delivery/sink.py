"""Where states of containers go, and how that fails.

SinkError           this delivery failed; the same states may be delivered again later
└── SinkClosed      the other side is gone for good: nothing more can be delivered
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sensor.model.report import ContainerReport


class SinkError(Exception):
    """The text is for people: what was found, and what to do.

    ``delivered`` is how many of the reports arrived whole, counted from the first.
    """

    def __init__(self, message: str, delivered: int = 0) -> None:
        super().__init__(message)
        self.delivered = delivered


class SinkClosed(SinkError):
    """The reader, such as ``head``, has read enough; the right answer is a clean end."""


class Sink(Protocol):
    """Takes the latest state of containers. A state delivered twice is harmless."""

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        """Hand over all ``reports`` in order, or raise :class:`SinkError`: of the containers that
        it does not count as delivered, the latest state is to be delivered again."""
        ...

    def close(self) -> None:
        """Finish what was begun. The last call; raises :class:`SinkError`."""
        ...
