"""What the client of container runtimes did."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class CriCounters:
    """Since the start, over all runtimes of the node; the sizes and ``streams`` are as of now.

    ``calls`` counts by method and result: ``ok``, ``undecodable``, or gRPC's status in lower case.
    ``reconnects`` counts connections that replaced a lost one, ``events_unusable`` what could not be decoded,
    ``cut`` containers and pods in answers beyond what is kept, ``failures`` defects of ours.
    """

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    reconnects: int = 0
    events: int = 0
    events_unusable: int = 0
    failures: int = 0
    cut: int = 0
    streams: int = 0
    containers: int = 0
    sandboxes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def called(self, method: str, result: str) -> None:
        with self._lock:
            self.calls[method, result] += 1

    def add(self, name: str, number: int = 1) -> None:
        """Add to one of the plain counters. Several threads count."""
        with self._lock:
            setattr(self, name, getattr(self, name) + number)
