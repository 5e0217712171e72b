"""Sink: states go into the outbox, each for its destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sensor.delivery.outbox import Outbox, Routed
from sensor.model.report import ContainerReport


def _nothing_held(_report: ContainerReport) -> float | None:
    return None


class OutboxSink:
    """``route`` names a state's destination, "" for none; ``held_until`` says until when it is not sent, see
    :class:`sensor.delivery.scopes.Router`. The outbox stays its owner's to close."""

    def __init__(
        self,
        outbox: Outbox,
        route: Callable[[ContainerReport], str],
        held_until: Callable[[ContainerReport], float | None] = _nothing_held,
    ) -> None:
        self._outbox = outbox
        self._route = route
        self._held_until = held_until

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        self._outbox.write([self._routed(report) for report in reports])

    def close(self) -> None:
        """Nothing is begun that were not finished."""

    def _routed(self, report: ContainerReport) -> Routed:
        return Routed(self._route(report), report.container.id, report, self._held_until(report))
