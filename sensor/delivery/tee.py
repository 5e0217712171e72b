"""Into the outbox, and shown as well."""

from __future__ import annotations

from collections.abc import Sequence

from sensor.delivery.sink import Sink
from sensor.model.report import ContainerReport


class Tee:
    """Delivers to ``first``, then to ``second``; what the first refused reaches neither.

    What the second did not take is delivered to both again, which a sink does not mind.
    """

    def __init__(self, first: Sink, second: Sink) -> None:
        self._first, self._second = first, second

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        self._first.deliver(reports)
        self._second.deliver(reports)

    def close(self) -> None:
        try:
            self._first.close()
        finally:
            self._second.close()
