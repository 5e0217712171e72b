"""Names and readers of the sensor's numbers.

Rooms count in plain integers of their own; a reader fetches them when somebody scrapes. So a metric
costs nothing while nobody does, and prometheus_client need not be loaded.
"""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

PREFIX = "runtime_sensor_"
_NAME = re.compile("[a-z][a-z0-9_]*")

Values = float | Mapping[Any, float]
"""One value, or one for each label: a ``str``, or a tuple of them where the metric has several."""


class Kind(enum.Enum):
    COUNTER = "counter"  # only grows; exposed with the suffix _total
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...]
    read: Callable[[], Values]


Sample = tuple[tuple[str, ...], float]


class Telemetry:
    """The metrics of one process. Register before serving; reading may be done from any thread."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._unreadable: dict[str, int] = {}
        self.register(
            "unreadable_metrics",
            "Readings of a metric that failed; the log says how.",
            lambda: dict(self._unreadable),
            labels=("metric",),
        )

    def register(
        self,
        name: str,
        help: str,  # noqa: A002 - the term of the exposition format
        read: Callable[[], Values],
        *,
        kind: Kind = Kind.COUNTER,
        labels: tuple[str, ...] = (),
    ) -> None:
        """Add ``runtime_sensor_<name>``; a counter gets ``_total`` behind it, so ``name`` has none.

        ``read`` is called in the server's thread for each scrape and must be quick. Raises
        ``ValueError`` for a name that is malformed or taken: a fault of the caller.
        """
        if not _NAME.fullmatch(name) or name.endswith("_total") or name in self._metrics:
            raise ValueError(f"metric {name!r}: malformed, ends in _total, or registered before")
        self._metrics[name] = Metric(PREFIX + name, help, kind, labels, read)

    def collect(self) -> Iterator[tuple[Metric, list[Sample]]]:
        """Read every metric; one that cannot be read is logged, counted, and left out."""
        # unreadable_metrics was registered first and is read last: it counts this very scrape.
        for name, metric in reversed(self._metrics.items()):
            try:
                yield metric, _samples(metric.read())
            except Exception:  # one room's fault must not hide every other's numbers
                log.exception("cannot read metric %s", metric.name)
                self._unreadable[name] = self._unreadable.get(name, 0) + 1


def _samples(values: Values) -> list[Sample]:
    if not isinstance(values, Mapping):
        return [((), float(values))]
    return [
        (labels if isinstance(labels, tuple) else (str(labels),), float(value))
        for labels, value in values.items()
    ]
